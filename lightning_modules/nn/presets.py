"""Named sets of argument values, and the ranges that values must lie in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from datamodules.common.errors import ConfigurationError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance  # any dataclass, to type checkers alone

Config = TypeVar("Config", bound="DataclassInstance")


def fill_preset(presets: Mapping[Any, Config], name: str, given: Mapping[str, object]) -> Config:
    """Values of a preset, with those that are given in its place.

    Args:
        presets: A dataclass of values for each name.
        name: One of them.
        given: Values by the names of the dataclass's fields; None means "not given".

    Raises:
        ConfigurationError: If there is no such preset.
    """
    if name not in presets:
        raise ConfigurationError(f"There is no preset {name!r}; choose one of {', '.join(presets)}.")
    return replace(presets[name], **{key: value for key, value in given.items() if value is not None})


def check_ranges(arguments: Mapping[str, Any], ranges: Mapping[str, tuple[float, float]]) -> None:
    """Refuse the first argument outside its range.

    Args:
        arguments: Values by name; those that have no range are not looked at.
        ranges: Least and largest value by name, both allowed; infinity where there is no bound.

    Raises:
        ConfigurationError: Naming the argument, its value and the range.

    Example:
        >>> check_ranges({"dropout": 0.5, "name": "a"}, {"dropout": (0, 0.99), "size": (1, math.inf)})
    """
    for name, value in arguments.items():
        low, high = ranges.get(name, (-math.inf, math.inf))
        if name in ranges and not low <= value <= high:
            bounds = f"at least {low:g}" if high == math.inf else f"in {low:g}..{high:g}"
            raise ConfigurationError(f"{name} is {value}, but must be {bounds}: correct it.")
