"""Arguments of methods and data modules, each written once: a field with its type, default, range and line of help.

A class of settings is a frozen dataclass. `takes` gives a constructor the fields of one as its own arguments, so that
Python, the command line, configuration files and checkpoints all see them flat; the constructor's body gets the whole.

Example:
    >>> @settings
    ... class BrightnessSettings:
    ...     '''Arguments of `Brightness`.'''
    ...     factor: float = argument(default=1.0, help="What pixels are multiplied by.", low=0)
    >>> class Brightness:
    ...     @takes(BrightnessSettings)
    ...     def __init__(self, settings: BrightnessSettings) -> None:
    ...         self.factor = settings.factor
    >>> Brightness(factor=2.0).factor
    2.0
"""

from __future__ import annotations

import difflib
import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from types import UnionType
from typing import (
    TYPE_CHECKING,
    Any,
    Concatenate,
    NamedTuple,
    ParamSpec,
    TypeVar,
    cast,
    dataclass_transform,
    get_type_hints,
    overload,
)

from datamodules.common.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance  # any dataclass, to type checkers alone

Own = TypeVar("Own")
Value = TypeVar("Value")
Made = TypeVar("Made", bound="DataclassInstance")
Arguments = ParamSpec("Arguments")


_FACTS = "appraise"  # key of a field's metadata


class Facts(NamedTuple):
    """What is known of an argument, as `argument` has it."""

    help: str
    by_preset: bool
    flat: bool
    accepts: type | UnionType | None
    saved: bool
    free: bool
    low: float
    high: float


def facts_of(one: Field[Any]) -> Facts:
    """Facts of a field of settings."""
    found: Facts = one.metadata[_FACTS]
    return found


def argument(
    *,
    default: Value,
    help: str,
    by_preset: bool = False,
    flat: bool = True,
    accepts: type | UnionType | None = None,
    saved: bool = True,
    free: bool = False,
    low: float = -math.inf,
    high: float = math.inf,
    kw_only: bool | None = None,
) -> Value:
    """A field of settings.

    Args:
        default: Its value where none is given; with ``by_preset``, where the preset says nothing else.
        help: What it is, a sentence or two.
        by_preset: A preset may fill it: the argument may be None, and is None where it is not given.
        flat: It is an argument of its own; False for what is reached otherwise.
        accepts: Type that is taken from the user, where it is wider than the field's.
        saved: Checkpoints keep it. Files of weights and builders of optimisers are not kept.
        free: It is how a trained model is asked, not what it is: a command may state another than the checkpoint holds.
        low: Least value that is allowed.
        high: Greatest value that is allowed.
        kw_only: False for what may be given by position; None takes what the class says.
    """
    facts = Facts(help, by_preset, flat, accepts, saved, free, low, high)
    named = MISSING if kw_only is None else kw_only
    return field(default=default, kw_only=named, metadata={_FACTS: facts})


@overload
def settings(cls: type[Own]) -> type[Own]: ...


@overload
def settings(*, kw_only: bool) -> Callable[[type[Own]], type[Own]]: ...


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(argument, field))
def settings(cls: type[Own] | None = None, *, kw_only: bool = True) -> type[Own] | Callable[[type[Own]], type[Own]]:
    """Class decorator: a frozen dataclass of fields made by `argument`, which refuses values out of range.

    A method ``check`` of the class, and of every class of settings that it extends, refuses what cannot work together.

    Args:
        cls: The class.
        kw_only: False lets the fields be given by position too, in the order of the dataclass.
    """

    def decorate(cls: type[Own]) -> type[Own]:
        cls.__post_init__ = _check  # type: ignore[attr-defined]  # what a dataclass calls last
        made = dataclass(frozen=True, kw_only=kw_only)(cls)
        made.__doc__ = _documented(made, cast("type[DataclassInstance]", made))
        return made

    return decorate if cls is None else decorate(cls)


def _check(self: DataclassInstance) -> None:
    for one in fields(self):
        value = getattr(self, one.name)
        if isinstance(value, list) and isinstance(one.default, tuple):  # as files and command lines give it
            object.__setattr__(self, one.name, tuple(value))
    check_ranges(self)
    for owner in reversed(type(self).__mro__):
        if "check" in vars(owner):
            vars(owner)["check"](self)


def check_ranges(values: DataclassInstance) -> None:
    """Refuse the first value out of its range.

    Raises:
        ConfigurationError: Naming the argument, its value and the range.
    """
    for one in fields(values):
        low, high = facts_of(one).low, facts_of(one).high
        value = getattr(values, one.name)
        bounded = low > -math.inf or high < math.inf
        if bounded and isinstance(value, (int, float)) and not low <= value <= high:
            bounds = f"at least {low:g}" if high == math.inf else f"in {low:g}..{high:g}"
            raise ConfigurationError(f"{one.name} is {value}, but must be {bounds}: correct it.")


def takes(
    made_of: Callable[Arguments, Made], resolve: Callable[[dict[str, Any]], Made] | None = None
) -> Callable[[Callable[[Own, Made], None]], Callable[Concatenate[Own, Arguments], None]]:
    """Decorate a constructor that takes one object of settings: callers give the fields by name instead.

    Args:
        made_of: Class of the settings.
        resolve: Makes the settings from the arguments that are given; None calls the class. Presets are filled here.
    """
    kind = cast(type[Made], made_of)

    def decorate(constructor: Callable[[Own, Made], None]) -> Callable[Concatenate[Own, Arguments], None]:
        signature = _signature(kind)

        @functools.wraps(constructor)
        def init(self: Own, /, *args: Any, **given: Any) -> None:  # noqa: ANN401  # the signature below tells
            bound = _bound(kind, signature, args, given)
            constructor(self, kind(**bound) if resolve is None else resolve(bound))

        shown = signature.replace(parameters=[_SELF, *signature.parameters.values()], return_annotation=None)
        init.__signature__ = shown  # type: ignore[attr-defined]  # what `inspect`, and so jsonargparse, reads
        init.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
        return cast(Callable[Concatenate[Own, Arguments], None], _Documented(init, kind))

    return decorate


class _Documented:
    """Puts a constructor into its class, and a line of help for each argument into the docstring of the class."""

    def __init__(self, init: Callable[..., None], kind: type[DataclassInstance]) -> None:
        self.init, self.kind = init, kind

    def __set_name__(self, owner: type, name: str) -> None:
        owner.__doc__ = _documented(owner, self.kind)
        setattr(owner, name, self.init)


def _documented(owner: type, kind: type[DataclassInstance]) -> str:
    """Docstring of a class with a line for each argument that it takes."""
    lines = [f"    {one.name}: {facts_of(one).help}" for one in _arguments(kind)]
    return "\n".join([inspect.cleandoc(owner.__doc__ or ""), "", "Args:", *lines])


_SELF = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)


def _arguments(kind: type[DataclassInstance]) -> list[Field[Any]]:
    """Fields that are arguments of their own: those by position first, then a class's own before those it extends."""
    places: dict[str, int] = {}
    for owner in kind.__mro__:
        for name in vars(owner).get("__annotations__", {}):
            places.setdefault(name, len(places))
    flat = [one for one in fields(kind) if facts_of(one).flat]
    named = sorted((one for one in flat if one.kw_only), key=lambda one: places[one.name])
    return [one for one in flat if not one.kw_only] + named


def _signature(kind: type[DataclassInstance]) -> inspect.Signature:
    hints = get_type_hints(kind)
    parameters = []
    for one in _arguments(kind):
        facts = facts_of(one)
        accepted = facts.accepts or hints[one.name]
        parameters.append(
            inspect.Parameter(
                one.name,
                inspect.Parameter.KEYWORD_ONLY if one.kw_only else inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=None if facts.by_preset else one.default,
                annotation=accepted | None if facts.by_preset else accepted,
            )
        )
    return inspect.Signature(parameters)


def _bound(
    kind: type[DataclassInstance], signature: inspect.Signature, args: tuple[Any, ...], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Arguments by name; the marks of a checkpoint, which begin with "_", are none."""
    named = {name: value for name, value in given.items() if not name.startswith("_")}
    for name in named:
        if name not in signature.parameters:
            near = difflib.get_close_matches(name, signature.parameters, n=3)
            hint = f"nearest: {', '.join(near)}" if near else f"the arguments are the fields of {kind.__name__}"
            raise TypeError(f"there is no argument {name!r}; {hint}")
    return signature.bind(*args, **named).arguments


def fill(kind: type[Made], presets: Mapping[Any, DataclassInstance], given: Mapping[str, Any]) -> Made:
    """Settings from a preset, with what is given in its place.

    Args:
        kind: Class of the settings; it has a field ``preset``.
        presets: Values for each name, by the names of their fields.
        given: Arguments; None means "not given" for those that a preset may fill.

    Raises:
        ConfigurationError: If there is no such preset, or a value cannot work.
    """
    name = given.get("preset", next(one.default for one in fields(kind) if one.name == "preset"))
    if name not in presets:
        raise ConfigurationError(f"There is no preset {name!r}; choose one of {', '.join(presets)}.")
    open_names = {one.name for one in fields(kind) if facts_of(one).by_preset or not facts_of(one).flat}
    values = {one.name: getattr(presets[name], one.name) for one in fields(presets[name])}
    return kind(**values | {key: value for key, value in given.items() if value is not None or key not in open_names})


def saved_values(values: DataclassInstance) -> dict[str, Any]:
    """What a checkpoint keeps, as a file would hold it: lists for tuples."""
    kept = [one.name for one in _arguments(type(values)) if facts_of(one).saved]
    return {name: plain(getattr(values, name)) for name in kept}


def free_names(values: DataclassInstance) -> list[str]:
    """Names of the arguments that say how a trained model is asked."""
    return [one.name for one in _arguments(type(values)) if facts_of(one).free]


def texts(value: str | list[str] | None) -> list[str]:
    """One text or several as a list; none where there is none."""
    return [value] if isinstance(value, str) else list(value or ())


def plain(value: object) -> object:
    """A value as a checkpoint and a YAML file hold it: lists for tuples, mappings for settings.

    Example:
        >>> plain({"widths": (8, 16), "norm": True})
        {'widths': [8, 16], 'norm': True}
    """
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, (tuple, list)) else value
