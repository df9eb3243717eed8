"""Facts that the data owns reach the model when both are built; a model value that says otherwise is an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from lightning_modules.commands.errors import CommandLineError

# Arguments of a model that repeat a fact of the data.
LINKED = (
    "frame_size",
    "grid_size",
    "fragment_size",
    "clip_length",
    "key_frame_layout",
    "num_key_frames",
    "content_size",
    "label_range",
    "class_names",
    "attribute_schema",
    "image_size",
    "num_classes",
)


class Claim:
    """A value of a model's argument that something other than the data asks for.

    Attributes:
        value: The value.
        source: What asks for it, for the message.
    """

    def __init__(self, value: object, source: str) -> None:
        self.value = value
        self.source = source


def linked_value(
    name: str, claims: Callable[[], Mapping[str, Claim]], default: Callable[[str], object]
) -> Callable[[object], object]:
    """Make the function that turns a data module into the value of the model's argument ``name``.

    Args:
        name: Argument of the model and attribute of the data module.
        claims: Gives the values of the model's arguments that were stated or that a checkpoint holds.
        default: Gives the value that the argument has when the data knows nothing.

    Returns:
        A function of the data module, called ``name`` for the help.
    """

    def value(data: object) -> object:
        fact = getattr(data, name, None)
        claim = claims().get(name)
        if fact is None:
            return default(name)
        if claim is not None and claim.value is not None and not same(claim.value, fact):
            raise CommandLineError(
                f"{claim.source} says {name} = {claim.value}, but the data says {type(data).__name__}.{name} = {fact}: "
                f"change one of them, for example with --data.init_args.{name} {claim.value}"
            )
        return fact

    value.__name__ = name
    return value


def same(first: object, second: object) -> bool:
    """Whether two plain values agree; a tuple equals the list that a file holds in its place.

    Example:
        >>> same((2, 2.0), [2, 2]), same(1, True), same("a", None)
        (True, False, False)
    """
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return first.keys() == second.keys() and all(same(first[key], second[key]) for key in first)
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        return len(first) == len(second) and all(map(same, first, second))
    return isinstance(first, bool) == isinstance(second, bool) and first == second
