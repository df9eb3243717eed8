"""Scores over time: a track of bounded size, and its picture."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from callbacks.action.score_figure import DrawnSegment, ScoreTrack, draw_scores
from callbacks.figures.pictures import write_figure
from tests.lines import look_of


@pytest.mark.parametrize("block", [1, 7, 5000])
def test_a_track_keeps_the_extremes_in_bounded_memory(block: int) -> None:
    generator = np.random.default_rng(0)
    times = np.cumsum(generator.uniform(0.01, 0.06, 5000)) + 3.0
    scores = generator.random((5000, 2)).astype(np.float32).astype(np.float64)
    scores[1234, 0], scores[4321, 1] = 1.5, -0.5
    track = ScoreTrack(2, limit=100)
    for start in range(0, 5000, block):
        track.add(times[start : start + block], scores[start : start + block])
    centres, low, high = track.points()
    assert len(centres) <= 100
    assert centres[0] >= times[0] - 3
    assert centres[-1] <= times[-1] + 3
    assert high.max() == 1.5
    assert low.min() == -0.5
    assert (np.diff(centres) > 0).all()
    place = int(np.argmax(high[:, 0]))
    assert abs(centres[place] - times[1234]) <= np.diff(centres).max()


def test_an_odd_number_of_bins_loses_nothing() -> None:
    track = ScoreTrack(1, limit=5)
    track.add(np.arange(40.0), np.arange(40.0)[:, None])
    _, low, high = track.points()
    assert low.min() == 0
    assert high.max() == 39


def test_frames_without_a_score_leave_a_gap() -> None:
    track = ScoreTrack(1)
    track.add(np.arange(4.0), np.array([[0.1], [np.nan], [np.nan], [0.4]]))
    centres, low, _ = track.points()
    assert len(centres) == 2
    assert np.isfinite(low).all()


@pytest.mark.parametrize("action", [None, "飲む"])
def test_the_picture_has_every_segment_and_the_true_ones(tmp_path: Path, action: str | None) -> None:
    names = ["drinking", "飲む"]
    track = ScoreTrack(2)
    times = np.arange(0, 400, 0.5)
    track.add(times, np.stack([times / 400, 1 - times / 400], axis=1))
    found = [DrawnSegment("飲む", 0, 200), DrawnSegment("drinking", 200, 400)]
    figure = draw_scores(track, names, found, title="кухня.mp4", truth=found[:1], enter=0.5, action=action)
    above, below = figure.axes
    assert len(above.get_lines()) == (3 if action is None else 2)  # with the threshold
    assert len(below.patches) == 3
    write_figure(figure, tmp_path / "scores.png", dpi=130)
    assert Image.open(tmp_path / "scores.png").size[0] > 1000


def test_no_frame_and_many_classes(tmp_path: Path) -> None:
    figure = draw_scores(ScoreTrack(3), ["a", "b", "c"], [], title="empty")
    assert "no scored frame" in [text.get_text() for text in figure.axes[0].texts]
    names = [f"class {number}" for number in range(400)]
    track = ScoreTrack(400)
    track.add(np.arange(10.0), np.random.default_rng(0).random((10, 400)))
    figure = draw_scores(track, names, [DrawnSegment("class 399", 2, 4)], title="many")
    assert "class 399" in {line.get_label() for line in figure.axes[0].get_lines()}
    assert len(figure.axes[0].get_lines()) == 12


@pytest.mark.parametrize("number", [3, 10, 14, 40])
def test_every_class_has_a_line_of_its_own_and_the_legend_shows_it(number: int) -> None:
    names = [f"class {index}" for index in range(number)]
    track = ScoreTrack(number)
    track.add(np.arange(10.0), np.random.default_rng(0).random((10, number)))
    segments = [DrawnSegment(name, index, index + 1) for index, name in enumerate(names)]
    above, below = draw_scores(track, names, segments, title="many", enter=0.5).axes
    lines = {line.get_label(): line for line in above.get_lines() if line.get_label() in names}
    legend = above.get_legend()
    assert legend is not None
    entries = dict(zip([text.get_text() for text in legend.get_texts()], legend.get_lines(), strict=True))
    assert list(entries) == list(lines) == names
    looks = {name: look_of(line) for name, line in lines.items()}
    assert len(set(looks.values())) == number
    assert {name: look_of(entry) for name, entry in entries.items()} == looks
    assert [to_hex(bar.get_facecolor()) for bar in below.patches] == [colour for colour, _ in looks.values()]
