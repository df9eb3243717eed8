"""Options that cannot work, and what is said about those that cost something."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from callbacks.action import segment_writer
from callbacks.action.segment_evaluation import Truth
from callbacks.action.segment_writer import sentence
from callbacks.action.source_annotation import SourceResult
from datamodules.common.errors import ConfigurationError, LabelError
from lightning_modules.action.segments.machine import Segment

from .helpers import ColourClassifier, annotate


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"action": "drinkin"}, "drinking"),
        ({"formats": ["time_label"]}, "--action"),
        ({"legacy": True}, "--action"),
        ({"enter": 2.0}, "enter"),
        ({"minimum_seconds": -1.0}, "minimum_seconds"),
        ({"seconds": -1.0}, "seconds"),
        ({"report_apart": ["sleeping"], "truth": "TRUTH"}, "sleeping"),
    ],
)
def test_options_that_cannot_work(
    clips: Path, tmp_path: Path, options: dict[str, Any], expected: str, caplog: pytest.LogCaptureFixture
) -> None:
    truth = str(clips / "truth.json")
    stated: dict[str, Any] = {name: truth if value == "TRUTH" else value for name, value in options.items()}
    with caplog.at_level(logging.INFO), pytest.raises(ConfigurationError, match=expected):
        annotate(clips / "videos", tmp_path, **stated)
    assert "no source" not in caplog.text  # the options are looked at before the sources
    assert not (tmp_path / "summary.json").exists()


def test_leave_above_enter_is_cut(clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        annotate(clips / "videos", tmp_path / "alone", enter=0.4)
        assert "leave is above" not in caplog.text
        annotate(clips / "videos", tmp_path / "both", enter=0.4, leave=0.6)
    assert caplog.text.count("leave is above enter, so that it is 0.4 too") == 1


def test_a_folder_that_cannot_be_written(clips: Path, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="--output"):
        annotate(clips / "videos", tmp_path / "file" / "out")


def test_a_model_without_classes(clips: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="class_names"):
        annotate(clips / "videos", tmp_path, ColourClassifier([]))


def test_a_window_longer_than_the_video_is_said(clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        summary = annotate(clips / "videos" / "kitchen.mp4", tmp_path, mode="trailing", seconds=30.0)
    assert summary["sources"][0]["segments"] == 0
    assert "30 s" in caplog.text


def test_pictures_that_would_fill_the_memory_are_said_once(
    clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_writer, "MOST_WAITING", 48 * 64 * 3 * 5 - 1)  # five pictures: half of 0.5 s at 20
    small: list[dict[str, Any]] = [{"seconds": 0.4}, {"mode": "trailing"}, {"video": False}]
    for number, options in enumerate(small):
        annotate(clips / "videos", tmp_path / str(number), **{"video": True, **options})
    assert "--video false" not in caplog.text
    annotate(clips / "videos", tmp_path / "large", video=True)
    assert caplog.text.count("choose a shorter window, --video false or --mode trailing") == 1
    caplog.clear()
    annotate(clips / "videos", tmp_path / "rate", data={"rate": 5.0}, video=True, seconds=None, window=3)
    assert caplog.text.count("--video false") == 1  # three frames at 5 a second are twelve pictures


def test_a_rate_says_how_to_see_what_it_costs(clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = clips / "videos" / "kitchen.mp4"
    with caplog.at_level(logging.INFO):
        annotate(source, tmp_path / "whole")
        annotate(source, tmp_path / "compared", data={"rate": 5.0, "compare_rate": True})
        assert "--compare_rate" not in caplog.text
        annotate(source, tmp_path / "alone", data={"rate": 5.0})
    assert caplog.text.count("add --compare_rate") == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        ("", ""),
        ("/in/a.mp4: damaged: 3 packets", "; damaged: 3 packets"),
        ("in/a.mp4: damaged", "; damaged"),
        ("/out/a.mp4: cannot be written", "; /out/a.mp4: cannot be written"),
        ("the network failed", "; the network failed"),
    ],
)
def test_a_sentence_names_its_file_once(error: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    one = SourceResult("a", "/in/a.mp4", "error", 1, 0.5, [Segment("a", 0, 0.5)], 1, 1, error=error)
    assert (
        sentence(one)
        == f"a.mp4: 1 frame, 0.5 s, 1 segment, 1 frame dropped for max_lag, 1 frame without a score{expected}"
    )
    many = SourceResult("a", "/in/a.mp4", frames=2, seconds=0.5)
    assert sentence(many) == "a.mp4: 2 frames, 0.5 s, 0 segments"


def test_a_truth_that_is_no_list_or_of_other_classes(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    path.write_text("{")
    with pytest.raises(LabelError, match=r"truth\.json"):
        Truth(path, ["a", "b"])
    path.write_text('{"database": {"v": {"annotations": [{"segment": [0, 1], "label": "c"}]}}}')
    with pytest.raises(ConfigurationError, match="labels c, but the model knows a, b"):
        Truth(path, ["a", "b"])
