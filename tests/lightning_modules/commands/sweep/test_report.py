"""The table and the picture of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from lightning_modules.commands.sweep.plan import Plan, read_plan
from lightning_modules.commands.sweep.points import Outcome, Point
from lightning_modules.commands.sweep.report import Rows, draw, markdown, ranked
from tests.lightning_modules.commands.sweep.conftest import WriteSweep

PARAMETERS = {
    "model.rate": {"distribution": "log_uniform_values", "min": 0.02, "max": 0.08},
    "data.rate": {"min": 0.1, "max": 0.2},
    "model.kind": {"values": ["plain", "crossed at all of its corners", "kochen für zwei", "four", "five", "six"]},
    "model.flip": {"values": [True, False]},
    "model.width": {"values": [3, 5, 8, 13, 21, 34, 55, 89, 144]},
}


@pytest.fixture
def plan(write_sweep: WriteSweep) -> Plan:
    """A sweep with every kind of axis."""
    return read_plan(write_sweep(parameters=PARAMETERS))


@pytest.fixture
def rows(plan: Plan) -> Rows:
    """Twelve trainings, of which the third failed and the fifth is best."""
    points = [Point(number, values, Path()) for number, values in enumerate(plan.points(12, seed=0))]
    outcomes = [Outcome(abs(number - 4.0), 1.0, 2.0) for number in range(12)]
    outcomes[2] = Outcome(None, None, 2.0, "no memory is left")
    return list(zip(points, outcomes, strict=True))


def test_the_best_come_first_and_failures_last(rows: Rows) -> None:
    assert [point.number for point, _ in ranked(rows, "minimize")] == [4, 3, 5, 6, 1, 7, 0, 8, 9, 10, 11, 2]
    assert [point.number for point, _ in ranked(rows, "maximize")][:2] == [11, 10]
    assert ranked(rows, "maximize")[-1][0].number == 2


def test_names_that_end_alike_stand_whole_in_the_table(plan: Plan, rows: Rows) -> None:
    header, *_, last = markdown(plan, rows).splitlines()
    assert [cell.strip() for cell in header.split("|")[2:5]] == ["model.rate", "data.rate", "kind"]
    assert "failed: no memory is left" in last


def test_each_parameter_has_a_panel_with_all_that_it_could_be(plan: Plan, rows: Rows) -> None:
    figure = draw(plan, rows)
    panels = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_xlabel() for axes in panels] == ["model.rate", "data.rate", "kind", "flip", "width"]
    assert panels[0].get_xscale() == "log"
    for axes, (low, high) in zip(panels, ((0.02, 0.08), (0.1, 0.2)), strict=False):
        left, right = axes.get_xlim()
        assert left < low < high < right
    figure.canvas.draw()
    assert [label.get_text() for label in panels[2].get_xticklabels()][:2] == ["plain", "crossed at all of ..."]
    assert [label.get_text() for label in panels[3].get_xticklabels()] == ["True", "False"]
    others, best = (scatter.get_offsets() for scatter in panels[4].collections)
    assert len(others) == 10
    assert best.tolist() == [[rows[4][0].values["model.width"], 0.0]]
