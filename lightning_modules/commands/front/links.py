"""Facts that the data owns reach the model when both are built; a model value that says otherwise is an error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from lightning_modules.commands.front.errors import CommandLineError

_SHOWN = 5  # names of a long list
# Arguments of a model that repeat a fact of the data.
LINKED = (
    "frame_size", "grid_size", "fragment_size", "clip_length", "key_frame_layout", "num_key_frames", "content_size",
    "label_range", "class_names", "attribute_schema", "image_size", "num_classes",
)  # fmt: skip


class Claim(NamedTuple):
    """A value of a model's argument that something other than the data asks for.

    Attributes:
        value: The value.
        source: What asks for it, for the message.
    """

    value: object
    source: str


def linked_value(
    name: str, claims: Callable[[], Mapping[str, Claim]], default: Callable[[str], object]
) -> Callable[[object], object]:
    """Make the function that turns a data module into the value of the model's argument ``name``.

    ``claims`` gives the values that were stated or that a checkpoint holds; ``default`` the one where the data knows
    nothing. The function is called ``name`` for the help.
    """

    def value(data: object) -> object:
        fact = getattr(data, name, None)
        claim = claims().get(name)
        if fact is None:
            return default(name)
        if claim is not None and claim.value is not None and not same(claim.value, fact):
            raise CommandLineError(_contradiction(name, claim, type(data).__name__, fact))
        return fact

    value.__name__ = name
    return value


def _contradiction(name: str, claim: Claim, data: str, fact: object) -> str:
    if isinstance(claim.value, Mapping) and isinstance(fact, Mapping):
        return (
            f"{claim.source} and the data, {data}, differ in {name}: {difference(claim.value, fact)} (the first is "
            f"what {claim.source} says); give the data the same arguments as where it was trained, or train again"
        )
    return (
        f"{claim.source} says {name} = {claim.value}, but the data says {data}.{name} = {fact}: "
        f"change one of them, for example with --data.init_args.{name} {claim.value}"
    )


def difference(first: Mapping[str, object], second: Mapping[str, object]) -> str:
    """What differs between two mappings that are too long to be read whole.

    Example:
        >>> difference({"names": ["a", "b"], "size": 1}, {"names": ["b", "c"], "size": 2})
        'names (only in the first: a; only in the second: c), size'
    """
    keys = [key for key in {**first, **second} if not same(first.get(key), second.get(key))]
    return ", ".join(key + _parted(first.get(key), second.get(key)) for key in keys)


def _parted(first: object, second: object) -> str:
    """Texts that stand in one of two lists alone."""
    parts = []
    if isinstance(first, (list, tuple)) and isinstance(second, (list, tuple)):
        for own, other, place in ((first, second, "first"), (second, first, "second")):
            alone = [entry for entry in own if isinstance(entry, str) and entry not in other]
            shown = ", ".join(alone[:_SHOWN]) + (f" and {len(alone) - _SHOWN} more" if len(alone) > _SHOWN else "")
            parts += [f"only in the {place}: {shown}"] if alone else []
    return f" ({'; '.join(parts)})" if parts else ""


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
