"""SegmentWriter on real encoded files, with a classifier of colours in place of a trained network."""

from __future__ import annotations

import csv
import json
import logging
import shutil
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import lightning as L
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from callbacks import segment_writer, source_annotation
from callbacks.annotation_summary import read_results
from callbacks.frame_states import SegmentSettings, StateStream
from callbacks.segment_evaluation import evaluate
from callbacks.segment_writer import SegmentWriter, plain_name, sentence
from callbacks.source_annotation import Outputs, SourceResult
from datamodules.action.batch import StreamBatch, StreamInfo, StreamPrediction
from datamodules.action.datamodule import ActionDataModule
from datamodules.common.errors import ConfigurationError, VideoError
from datamodules.video.annotated_writer import AnnotatedVideoWriter
from datamodules.video.encode import encode_video
from lightning_modules.action.flicker import HeldAgreement, SwitchCounter
from lightning_modules.action.segment_files import read_activitynet, read_segment_csv
from lightning_modules.action.segment_machine import Segment
from lightning_modules.action.segment_metrics import agreement, held_states, switches_per_minute

NAMES = ["drinking", "cooking", "飲む"]
COLOURS = torch.tensor([(200.0, 40, 40), (40, 200, 40), (40, 40, 200)])
FPS = 20
PART = 20  # frames of one colour


class ColourClassifier(L.LightningModule):
    """Scores a frame by the distance of its mean colour; can fail, be stopped, or give NaN at chosen frames."""

    def __init__(self, class_names: list[str] | None = None) -> None:
        super().__init__()
        self.class_names = NAMES if class_names is None else class_names
        self.seen = 0
        self.fails_at: dict[int, BaseException] = {}
        self.unknown: set[int] = set()

    def predict_step(self, batch: StreamBatch, batch_idx: int) -> StreamPrediction:
        mean = batch["frames"].float().mean(dim=(2, 3))
        scores = torch.softmax(-torch.cdist(mean, COLOURS) / 60, dim=1)
        for place in range(len(scores)):
            if self.seen + place in self.unknown:
                scores[place] = torch.nan
            if self.seen + place in self.fails_at:
                raise self.fails_at[self.seen + place]
        self.seen += len(scores)
        return {
            "scores": scores,
            "times": batch["times"],
            "video_id": batch["video_id"],
            "is_last": batch["is_last"],
        }


def frames(parts: list[int], height: int = 48, width: int = 64, part: int = PART) -> Iterator[NDArray[np.uint8]]:
    for colour in parts:
        for _ in range(part):
            yield np.full((height, width, 3), COLOURS[colour].numpy(), np.uint8)


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos with known segments, the truth beside them."""
    folder = tmp_path_factory.mktemp("clips")
    parts = {"kitchen": [0, 1, 2, 0], "кухня": [1, 0, 1]}
    (folder / "videos").mkdir()
    for name, colours in parts.items():
        encode_video(folder / "videos" / f"{name}.mp4", frames(colours), FPS, qp=10)
    database = {
        name: {
            "annotations": [
                {"segment": [place * PART / FPS, (place + 1) * PART / FPS], "label": NAMES[colour]}
                for place, colour in enumerate(colours)
            ]
        }
        for name, colours in parts.items()
    }
    (folder / "truth.json").write_text(json.dumps({"database": database}), encoding="utf-8")
    return folder


def annotate(
    source: Path,
    output: Path,
    module: ColourClassifier | None = None,
    data: dict[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Run a prediction; the content of summary.json."""
    writer = SegmentWriter(**{"seconds": 0.5, "mode": "centred", "video": False, "figures": False, **options})
    trainer = L.Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        default_root_dir=output,
        callbacks=[writer],
    )
    stream = ActionDataModule(path=str(source), frame_size=16, **(data or {}))
    trainer.predict(module or ColourClassifier(), datamodule=stream, return_predictions=False)
    return dict(json.loads((output / "summary.json").read_text(encoding="utf-8")))


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def pictures(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_every_file_of_a_folder_of_videos(clips: Path, tmp_path: Path) -> None:
    truth = clips / "truth.json"
    summary = annotate(clips / "videos", tmp_path, truth=str(truth), video=True, figures=True)
    for name, parts in (("kitchen", 4), ("кухня", 3)):
        for suffix in (".mp4", ".segments.csv", ".srt", ".vtt", ".frames.csv", ".png"):
            assert (tmp_path / f"{name}{suffix}").stat().st_size > 0, suffix
        assert len(table(tmp_path / f"{name}.frames.csv")) == parts * PART
        assert len(pictures(tmp_path / f"{name}.mp4")) == parts * PART
    assert summary["metrics"]["frame_accuracy"] >= 0.95
    assert summary["metrics"]["segment_f1_50"] == 1
    assert summary["metrics"]["onset_error"] <= 1 / FPS + 1e-6
    found = read_activitynet(tmp_path / "segments.json").segments
    assert [one.label for one in found["kitchen"]] == [NAMES[index] for index in (0, 1, 2, 0)]
    assert found["kitchen"][-1].end == pytest.approx(4.0)
    assert [one.label for one in read_segment_csv(tmp_path / "кухня.segments.csv")] == [
        "cooking",
        "drinking",
        "cooking",
    ]
    assert "飲む" in (tmp_path / "kitchen.srt").read_text(encoding="utf-8")
    assert [row["status"] for row in table(tmp_path / "summary.csv")] == ["ok", "ok"]


@pytest.mark.parametrize("mode", ["trailing", "centred", "exponential"])
def test_chunks_of_any_size_give_the_same_files_and_pictures(
    clips: Path, tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[tuple[bytes, float]] = []

    class Recorder(AnnotatedVideoWriter):
        def write(self, picture: NDArray[np.uint8], time: float) -> None:
            written.append((picture.tobytes(), time))
            super().write(picture, time)

    monkeypatch.setattr(source_annotation, "AnnotatedVideoWriter", Recorder)
    seen = set()
    for chunk in (1, 7, None):
        written.clear()
        output = tmp_path / str(chunk)
        annotate(clips / "videos" / "kitchen.mp4", output, data={"chunk_frames": chunk}, mode=mode, video=True)
        names = ("kitchen.frames.csv", "kitchen.segments.csv", "segments.json")
        seen.add((*((output / name).read_text(encoding="utf-8") for name in names), tuple(written)))
        assert len(written) == 4 * PART
    assert len(seen) == 1


def test_the_label_in_a_picture_is_that_of_its_time(clips: Path, tmp_path: Path) -> None:
    annotate(clips / "videos" / "kitchen.mp4", tmp_path, mode="trailing", video=True)
    states = [row["state"] for row in table(tmp_path / "kitchen.frames.csv")]
    boxes = pictures(tmp_path / "kitchen.mp4")[:, 2:12, 2:40].astype(int)
    red, green = boxes[..., 0].max(axis=(1, 2)), boxes[..., 1].max(axis=(1, 2))
    assert states[0] == "computing..."
    for place in (0, 4, 14, 25, 35, 60, 75):  # amber letters hold more red than green
        assert (red[place] > green[place]) == (states[place] == "computing..."), place


def test_a_second_run_takes_what_is_done_and_leaves_its_own_videos_alone(clips: Path, tmp_path: Path) -> None:
    source = tmp_path / "videos"
    shutil.copytree(clips / "videos", source)
    output = source / "out"  # among the sources
    annotate(source, output, video=True)
    again = ColourClassifier()
    summary = annotate(source, output, again, video=True)
    assert again.seen == 0
    assert [one["name"] for one in summary["sources"]] == ["kitchen", "кухня"]
    shutil.copy(source / "кухня.mp4", source / "kitchen.mp4")
    changed = ColourClassifier()
    annotate(source, output, changed, video=True)
    assert changed.seen == 3 * PART
    assert len(read_activitynet(output / "segments.json").segments["kitchen"]) == 3
    other = ColourClassifier()
    annotate(source, output, other, video=True, enter=0.6)
    assert other.seen == 6 * PART


def test_a_result_whose_file_was_removed_is_made_again(clips: Path, tmp_path: Path) -> None:
    annotate(clips / "videos", tmp_path)
    (tmp_path / "kitchen.srt").unlink()
    module = ColourClassifier()
    annotate(clips / "videos", tmp_path, module)
    assert module.seen == 4 * PART
    assert (tmp_path / "kitchen.srt").is_file()


def test_corrupt_files_are_named_and_skipped(clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = tmp_path / "videos"
    shutil.copytree(clips / "videos", source)
    (source / "broken.mp4").write_text("no video")
    whole = (source / "kitchen.mp4").read_bytes()
    (source / "torn.mp4").write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.INFO):
        summary = annotate(source, tmp_path / "out")
    status = {one["name"]: one["status"] for one in summary["sources"]}
    assert status == {"broken": "error", "torn": "error", "kitchen": "ok", "кухня": "ok"}
    assert all(one["name"] in one["error"] for one in summary["sources"] if one["status"] == "error")
    assert "broken.mp4" in caplog.text
    assert set(read_activitynet(tmp_path / "out" / "segments.json").segments) >= {"kitchen", "кухня"}


def test_the_one_source_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "broken.mp4").write_text("no video")
    with pytest.raises(VideoError, match=r"broken\.mp4"):
        annotate(tmp_path / "broken.mp4", tmp_path / "out")


@pytest.mark.parametrize("stop", [KeyboardInterrupt(), RuntimeError("the network failed")])
def test_a_stopped_run_leaves_valid_files_and_goes_on(clips: Path, tmp_path: Path, stop: BaseException) -> None:
    module = ColourClassifier()
    module.fails_at = {45: stop}
    with pytest.raises((RuntimeError, SystemExit)):
        annotate(clips / "videos", tmp_path, module, {"chunk_frames": 10}, video=True, figures=True)
    first = read_results(tmp_path)[str(clips / "videos" / "kitchen.mp4")]
    assert first.status == ("stopped" if isinstance(stop, KeyboardInterrupt) else "error")
    assert len(pictures(tmp_path / "kitchen.mp4")) == 40
    assert len(table(tmp_path / "kitchen.frames.csv")) == 40
    assert read_segment_csv(tmp_path / "kitchen.segments.csv")[-1].end == pytest.approx(2.0)
    assert (tmp_path / "kitchen.png").is_file()
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]
    summary = annotate(clips / "videos", tmp_path, video=True)
    assert [one["status"] for one in summary["sources"]] == ["ok", "ok"]


def test_frames_without_a_score_are_skipped_and_counted(clips: Path, tmp_path: Path) -> None:
    module = ColourClassifier()
    module.unknown = {0, 5, 6, 30, 79}
    summary = annotate(clips / "videos" / "kitchen.mp4", tmp_path, module, video=True, figures=True)
    assert summary["sources"][0]["skipped"] == 5
    assert summary["sources"][0]["segments"] == 4
    assert len(pictures(tmp_path / "kitchen.mp4")) == 4 * PART


def test_nothing_but_nan(clips: Path, tmp_path: Path) -> None:
    module = ColourClassifier()
    module.unknown = set(range(4 * PART))
    summary = annotate(clips / "videos" / "kitchen.mp4", tmp_path, module, video=True, figures=True)
    assert summary["sources"][0]["skipped"] == 4 * PART
    assert read_activitynet(tmp_path / "segments.json").segments == {"kitchen": []}


@pytest.mark.parametrize("mode", ["trailing", "centred"])
def test_a_rate_reports_its_agreement_with_all_frames(clips: Path, tmp_path: Path, mode: str) -> None:
    source = clips / "videos" / "kitchen.mp4"
    whole = annotate(source, tmp_path / "whole", mode=mode)
    data = {"rate": 5.0, "compare_rate": True, "chunk_frames": 9}
    compared = annotate(source, tmp_path / "compared", data=data, mode=mode, video=True)
    alone = annotate(source, tmp_path / "alone", data={"rate": 5.0}, mode=mode, video=True)
    rows = {name: table(tmp_path / name / "kitchen.frames.csv") for name in ("whole", "compared", "alone")}
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


def test_legacy_is_the_original_loop(clips: Path, tmp_path: Path) -> None:
    annotate(
        clips / "videos" / "kitchen.mp4", tmp_path, legacy=True, seconds=None, mode="trailing", window=30,
        action="drinking", video=True,
    )  # fmt: skip
    means = list(table(tmp_path / "kitchen.frames.csv"))
    scores = [
        torch.softmax(-torch.cdist(COLOURS[[place // PART % 3]], COLOURS) / 60, dim=1)[0].numpy() for place in range(80)
    ]
    kept: deque[NDArray[np.float32]] = deque(maxlen=30)
    expected = []
    for place, row in enumerate(scores):
        kept.append(row)
        result = np.array(kept).mean(axis=0)
        if int(np.argmax(result)) == 0:
            expected.append([place * 1000 / FPS, float(max(result))])
    written = json.loads((tmp_path / "kitchen.timeLabel.json").read_text(encoding="utf-8"))["drinking"]
    assert [time for time, _ in written] == pytest.approx([time for time, _ in expected])
    assert [score for _, score in written] == pytest.approx([score for _, score in expected], abs=0.02)
    assert {row["state"] for row in means} == {"drinking", "computing..."}
    with av.open(str(tmp_path / "kitchen.avi")) as container:
        stream = container.streams.video[0]
        assert stream.average_rate == 30
        assert stream.codec_context.name == "mjpeg"


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"action": "drinkin"}, "drinking"),
        ({"formats": ["time_label"]}, "--action"),
        ({"legacy": True}, "--action"),
        ({"enter": 2.0}, "enter"),
        ({"seconds": -1.0}, "seconds"),
        ({"report_apart": ["sleeping"], "truth": "TRUTH"}, "sleeping"),
    ],
)
def test_options_that_cannot_work(clips: Path, tmp_path: Path, options: dict[str, Any], expected: str) -> None:
    truth = str(clips / "truth.json")
    stated: dict[str, Any] = {name: truth if value == "TRUTH" else value for name, value in options.items()}
    with pytest.raises(ConfigurationError, match=expected):
        annotate(clips / "videos", tmp_path, **stated)
    assert not (tmp_path / "summary.json").exists()


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


def test_one_frame(tmp_path: Path) -> None:
    encode_video(tmp_path / "one.mp4", frames([2], part=1, height=34, width=50), FPS)
    summary = annotate(tmp_path / "one.mp4", tmp_path / "out", video=True, figures=True, computing_until_full=False)
    assert summary["sources"][0]["frames"] == 1
    assert summary["sources"][0]["seconds"] == pytest.approx(1 / FPS)
    assert [one.label for one in read_segment_csv(tmp_path / "out" / "one.segments.csv")] == ["飲む"]


def test_the_source_is_never_overwritten(clips: Path, tmp_path: Path) -> None:
    source = Path(shutil.copy(clips / "videos" / "kitchen.mp4", tmp_path / "kitchen.mp4"))
    before = source.read_bytes()
    annotate(source, tmp_path, video=True)
    assert source.read_bytes() == before
    assert len(pictures(tmp_path / "kitchen.annotated.mp4")) == 4 * PART


def test_two_files_of_one_name_do_not_meet(clips: Path, tmp_path: Path) -> None:
    for number, name in enumerate(("kitchen", "кухня")):
        (tmp_path / "in" / str(number)).mkdir(parents=True)
        shutil.copy(clips / "videos" / f"{name}.mp4", tmp_path / "in" / str(number) / "clip.mp4")
    summary = annotate(tmp_path / "in", tmp_path / "out")
    assert [one["name"] for one in summary["sources"]] == ["clip", "clip_2"]
    assert len(read_segment_csv(tmp_path / "out" / "clip_2.segments.csv")) == 3


@pytest.mark.parametrize("options", [{}, {"enter": 0.6}])
def test_files_of_one_name_from_several_folders_share_an_output(
    clips: Path, tmp_path: Path, options: dict[str, Any]
) -> None:
    for number, name in enumerate(("kitchen", "кухня")):
        (tmp_path / str(number)).mkdir()
        shutil.copy(clips / "videos" / f"{name}.mp4", tmp_path / str(number) / "clip.mp4")
    annotate(tmp_path / "0", tmp_path / "out")
    first = (tmp_path / "out" / "clip.frames.csv").read_bytes()
    summary = annotate(tmp_path / "1", tmp_path / "out", **options)
    assert [(one["name"], one["segments"]) for one in summary["sources"]] == [("clip", 4), ("clip_2", 3)]
    assert (tmp_path / "out" / "clip.frames.csv").read_bytes() == first
    found = read_activitynet(tmp_path / "out" / "segments.json").segments
    assert {name: len(segments) for name, segments in found.items()} == {"clip": 4, "clip_2": 3}
    assert [row["name"] for row in table(tmp_path / "out" / "summary.csv")] == ["clip", "clip_2"]
    again = annotate(tmp_path / "1", tmp_path / "out", enter=0.7)
    assert [one["name"] for one in again["sources"]] == ["clip", "clip_2"]


def test_results_that_are_replaced_are_said(clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    source = clips / "videos" / "kitchen.mp4"
    with caplog.at_level(logging.INFO):
        annotate(source, tmp_path)
        assert "written anew" not in caplog.text
        annotate(source, tmp_path, enter=0.6)
    assert "kitchen: made before with other content, weights or options; its files are written anew" in caplog.text


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


def test_pictures_that_would_fill_the_memory_are_said_once(
    clips: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segment_writer, "_MOST_WAITING", 48 * 64 * 3 * 5 - 1)  # five pictures: half of 0.5 s at 20
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
    assert sentence(one) == f"a.mp4: 1 frame, 0.5 s, 1 segment, 1 frame dropped, 1 frame without a score{expected}"
    many = SourceResult("a", "/in/a.mp4", frames=2, seconds=0.5)
    assert sentence(many) == "a.mp4: 2 frames, 0.5 s, 0 segments"


class ShortWindow:
    """Stands in for the desktop: the user presses q at the sixth picture."""

    def __init__(self) -> None:
        self.shown = 0

    def show(self, picture: NDArray[np.uint8]) -> bool:
        self.shown += 1
        return self.shown < 6

    def close(self) -> None:
        self.shown = -1


def test_q_ends_the_run_with_valid_files(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_writer, "LiveWindow", ShortWindow)
    data = {"chunk_frames": 4}
    summary = annotate(clips / "videos", tmp_path, data=data, show=True, video=True, mode="trailing")
    assert [(one["name"], one["status"]) for one in summary["sources"]] == [("kitchen", "stopped")]
    assert 6 <= len(pictures(tmp_path / "kitchen.mp4")) < 4 * PART


def test_a_live_source_never_replaces_an_earlier_recording(tmp_path: Path) -> None:
    info = StreamInfo(name="camera:0", path="", live=True, width=4, height=4, fps=0.0, duration=float("nan"))
    assert plain_name(info) == "camera_0"
    assert plain_name({**info, "name": "-"}) == "stdin"
    writer = SegmentWriter()
    writer._outputs = Outputs(tmp_path)
    assert writer._free_name(info) == "camera_0"
    (tmp_path / "camera_0.frames.csv").touch()
    assert writer._free_name(info) == "camera_0_2"


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


def test_a_stream_of_states_keeps_no_frames() -> None:
    stream = StateStream(["a", "b"], SegmentSettings(seconds=1.0, mode="centred"))
    for start in range(0, 3000, 10):
        stream.push(np.arange(start, start + 10) / 25, np.tile([0.7, 0.3], (10, 1)))
    assert len(stream._waiting) <= 25
    assert stream.frames == 3000
