"""Arguments that are written once: defaults, presets, ranges, what a checkpoint keeps, and what others see of them."""

from __future__ import annotations

import inspect
import math
from dataclasses import FrozenInstanceError
from functools import partial
from typing import Any, Literal

import lightning as L
import pytest
from jsonargparse import ArgumentParser

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, fill, free_names, saved_values, settings, takes


@settings
class Values:
    """What a preset fills."""

    rate: float = argument(default=0.1, help="Of the optimiser.", by_preset=True, low=0, high=1)
    layers: tuple[int, ...] = argument(default=(1,), help="Widths.", by_preset=True, accepts=list[int])
    inner: int = argument(default=7, help="Not an argument of its own.", flat=False)


@settings
class ToySettings(Values):
    """Arguments of `Toy`."""

    preset: Literal["default", "paper"] = argument(default="default", help="Fills the rest.", kw_only=False)
    threshold: float | None = argument(default=0.5, help="Of the answers.", free=True)
    weights: str | None = argument(default=None, help="A file.", saved=False)


PRESETS = {"default": Values(), "paper": Values(rate=0.5, layers=(2, 3))}


class Toy(L.LightningModule):
    """A module."""

    @takes(ToySettings, partial(fill, ToySettings, PRESETS))
    def __init__(self, settings: ToySettings) -> None:
        super().__init__()
        self.settings = settings


def test_given_values_win_over_a_preset_and_none_means_not_given() -> None:
    made = Toy("paper", rate=0.0, layers=None).settings
    assert (made.rate, made.layers, made.preset) == (0.0, (2, 3), "paper")
    assert Toy().settings == ToySettings()


def test_none_stays_none_where_no_preset_fills() -> None:
    assert Toy(threshold=None).settings.threshold is None


def test_an_unknown_preset_lists_all() -> None:
    with pytest.raises(ConfigurationError, match="no preset 'papre'; choose one of default, paper"):
        Toy("papre")  # type: ignore[arg-type]  # a wrong name


def test_an_unknown_argument_names_the_nearest() -> None:
    with pytest.raises(TypeError, match="no argument 'treshold'; nearest: threshold"):
        Toy(treshold=1)  # type: ignore[call-arg]  # a wrong name


@pytest.mark.parametrize(("rate", "right"), [(0, True), (1, True), (-0.1, False), (1.1, False), (math.nan, False)])
def test_bounds_are_allowed_and_what_is_beyond_is_not(rate: float, right: bool) -> None:
    if right:
        assert Toy(rate=rate).settings.rate == rate
    else:
        with pytest.raises(ConfigurationError, match=rf"rate is {rate}, but must be in 0\.\.1: correct it\."):
            Toy(rate=rate)


def test_every_class_of_settings_checks_its_own() -> None:
    @settings
    class Wide(ToySettings):
        """More arguments."""

        width: int = argument(default=1, help="Of it.")

        def check(self) -> None:
            if self.width > self.inner:
                raise ConfigurationError("too wide")

    with pytest.raises(ConfigurationError, match="too wide"):
        Wide(width=8)
    with pytest.raises(ConfigurationError, match="rate is 2"):
        Wide(rate=2.0)


def test_a_checkpoint_keeps_what_can_be_written_in_a_file() -> None:
    assert saved_values(Toy("paper").settings) == {
        "preset": "paper", "threshold": 0.5, "rate": 0.5, "layers": [2, 3],
    }  # fmt: skip
    assert free_names(ToySettings()) == ["threshold"]


def test_marks_of_a_checkpoint_are_no_arguments() -> None:
    marked: dict[str, Any] = {"_class_path": "a.Toy", "_free": [], "threshold": 0.25}
    assert Toy(**marked).settings.threshold == 0.25


def test_settings_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        Toy().settings.rate = 0.2  # type: ignore[misc]  # refused on purpose


def test_others_see_the_arguments_flat() -> None:
    seen = inspect.signature(Toy).parameters
    assert list(seen) == ["preset", "threshold", "weights", "rate", "layers"]
    assert seen["rate"].default is None
    assert seen["threshold"].default == 0.5
    assert "    rate: Of the optimiser." in (Toy.__doc__ or "").splitlines()


def test_a_class_may_take_all_its_fields_by_position_those_it_extends_first() -> None:
    @settings(kw_only=False)
    class Sources:
        """Where from."""

        root: str | None = argument(default=None, help="A folder.")
        labels: str | None = argument(default=None, help="A list.")

    @settings(kw_only=False)
    class DataSettings(Sources):
        """Arguments of `Data`."""

        size: int = argument(default=1, help="Of it.")
        path: str | None = argument(default=None, help="Another.", kw_only=True)

    class Data:
        """Data."""

        @takes(DataSettings)
        def __init__(self, settings: DataSettings) -> None:
            self.settings = settings

    assert Data("a", "b", 3).settings == DataSettings(root="a", labels="b", size=3)
    with pytest.raises(TypeError, match="too many positional arguments"):
        Data("a", "b", 3, "c")  # type: ignore[call-arg]  # by name alone


def test_the_command_line_reads_types_defaults_and_help(capsys: pytest.CaptureFixture[str]) -> None:
    parser = ArgumentParser()
    parser.add_class_arguments(Toy, "model")
    parsed = parser.parse_args(["--model.layers=[4, 5]", "--model.preset=paper"])
    assert parser.instantiate(parsed).model.settings.layers == (4, 5)
    parser.print_help()
    assert "Of the optimiser. (type: float | null, default: null)" in " ".join(capsys.readouterr().out.split())


def test_a_method_that_extends_another_has_its_arguments() -> None:
    class Own(Toy):
        """Another constructor."""

        def __init__(self, width: int = 3, **others: Any) -> None:
            super().__init__(**others)
            self.width = width

    assert Own(width=2, preset="paper").settings.rate == 0.5
