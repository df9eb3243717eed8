"""Numbers that are reported of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from callbacks.action.segment_evaluation import evaluate
from lightning_modules.action.segments.flicker import (
    HeldAgreement,
    SwitchCounter,
    agreement,
    held_states,
    switches_per_minute,
)
from lightning_modules.action.segments.machine import Segment
from tests.tables import csv_rows

from .helpers import FPS, NAMES, PART, annotate, pictures


@pytest.mark.parametrize("mode", ["trailing", "centred"])
def test_a_rate_reports_its_agreement_with_all_frames(clips: Path, tmp_path: Path, mode: str) -> None:
    source = clips / "videos" / "kitchen.mp4"
    whole = annotate(source, tmp_path / "whole", mode=mode)
    data = {"rate": 5.0, "compare_rate": True, "chunk_frames": 9}
    compared = annotate(source, tmp_path / "compared", data=data, mode=mode, video=True)
    alone = annotate(source, tmp_path / "alone", data={"rate": 5.0}, mode=mode, video=True)
    rows = {name: csv_rows(tmp_path / name / "kitchen.frames.csv") for name in ("whole", "compared", "alone")}
    assert rows["compared"] == rows["alone"]
    assert len(rows["alone"]) == 20
    numbers = [*NAMES, "computing..."]
    times, states = (
        [[float(row["time"]) for row in rows[name]] for name in ("alone", "whole")],
        [[numbers.index(row["state"]) for row in rows[name]] for name in ("alone", "whole")],
    )
    expected = agreement(held_states(times[0], states[0], times[1], before=3), states[1])
    assert compared["metrics"]["rate_agreement"] == pytest.approx(expected)
    assert "rate_agreement" not in {**whole["metrics"], **alone["metrics"]}
    assert len(pictures(tmp_path / "alone" / "kitchen.mp4")) == 4 * PART  # the video keeps all frames


def test_labels_and_states_are_counted_alike(clips: Path, tmp_path: Path) -> None:
    source = clips / "videos" / "kitchen.mp4"
    length = (4 * PART - 1) / FPS
    for place, mode in enumerate(("trailing", "centred")):  # trailing begins in "computing..."
        metrics = annotate(source, tmp_path / str(place), mode=mode, enter=0.9)["metrics"]
        assert metrics["switches_a_minute_raw"] == pytest.approx(60 * 3 / length)
        assert metrics["switches_a_minute"] == pytest.approx(60 * 3 / length)
        alone = annotate(source, tmp_path / f"{place}_action", mode=mode, action="cooking")["metrics"]
        assert alone["switches_a_minute_raw"] == pytest.approx(60 * 2 / length)
        assert alone["switches_a_minute"] == pytest.approx(60 * 2 / length)


def test_counts_made_on_the_way_are_those_of_the_whole() -> None:
    generator = np.random.default_rng(0)
    times = np.cumsum(generator.uniform(0.02, 0.05, 300))
    states = generator.integers(-1, 2, 300)
    thinned = np.arange(0, 300, 7)
    for block in (1, 13, 300):
        counter, held = SwitchCounter(), HeldAgreement()
        for start in range(0, 300, block):
            part = slice(start, start + block)
            counter.add(states[part], times[part])
            own = thinned[(thinned >= start) & (thinned < start + block)]
            held.add(times[own], states[own], times[part], states[part], known_until=float("inf"))
        assert counter.per_minute == pytest.approx(switches_per_minute(states, times))
        assert held.value == agreement(held_states(times[thinned], states[thinned], times), states)


def test_classes_that_are_reported_apart() -> None:
    true = [Segment("a", 0, 4), Segment("up", 4, 6), Segment("down", 6, 8)]
    found = [Segment("a", 0, 4), Segment("down", 4, 6), Segment("up", 6, 8)]
    tally = {"a": [40, 30, 40], "up": [20, 10, 0], "down": [20, 11, 1]}
    values = evaluate({"v": found}, {"v": true}, [tally], apart=["up", "down"])
    assert values["frame_accuracy"] == 1
    assert values["frame_accuracy_raw"] == 0.75
    assert values["segment_f1_50"] == 1
    assert values["apart/frame_accuracy"] == 1 / 40
    assert values["apart/segment_f1_50"] == 0


def test_with_an_action_the_truth_is_about_it_alone(clips: Path, tmp_path: Path) -> None:
    summary = annotate(clips / "videos", tmp_path, truth=str(clips / "truth.json"), action="cooking")
    assert summary["metrics"]["segment_f1_50"] == 1
    assert summary["metrics"]["frame_accuracy"] >= 0.95
    assert summary["metrics"]["frame_accuracy_raw"] == 1
    assert (tmp_path / "kitchen.timeLabel.json").is_file()
