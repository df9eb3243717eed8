"""Presets filled with given values, and ranges of values."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.presets import check_ranges, fill_preset


@dataclass(frozen=True)
class Values:
    rate: float = 0.1
    layers: int | None = None


PRESETS = {"default": Values(), "paper": Values(0.5, 3)}


def test_given_values_win_and_none_means_not_given() -> None:
    assert fill_preset(PRESETS, "paper", {"rate": 0.0, "layers": None}) == Values(0.0, 3)
    assert fill_preset(PRESETS, "default", {}) == Values()
    assert PRESETS["paper"] == Values(0.5, 3)


def test_an_unknown_preset_lists_all() -> None:
    with pytest.raises(ConfigurationError, match="no preset 'papre'; choose one of default, paper"):
        fill_preset(PRESETS, "papre", {})


@pytest.mark.parametrize(("value", "right"), [(0, True), (1, True), (-0.1, False), (1.1, False), (math.nan, False)])
def test_bounds_are_allowed_and_what_is_beyond_is_not(value: float, right: bool) -> None:
    arguments, ranges = {"other": "text", "share": value}, {"share": (0.0, 1.0), "unasked": (2.0, 3.0)}
    if right:
        check_ranges(arguments, ranges)
    else:
        with pytest.raises(ConfigurationError, match=rf"share is {value}, but must be in 0\.\.1"):
            check_ranges(arguments, ranges)


def test_a_range_without_an_end() -> None:
    with pytest.raises(ConfigurationError, match=r"size is 0, but must be at least 1: correct it\."):
        check_ranges({"size": 0}, {"size": (1, math.inf)})
