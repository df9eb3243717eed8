"""`appraise extract-frames`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.action.datamodule import ActionDataModule
from datamodules.action.lists.class_folders import read_class_folders
from datamodules.common.errors import ConfigurationError, LabelError
from lightning_modules.commands.extract_frames import run
from tests.datamodules.video.reading.containers import ffmpeg, needs_ffmpeg

MakeClip = Callable[..., Path]


@pytest.fixture
def source(make_clip: MakeClip, tmp_path: Path) -> Path:
    folder = tmp_path / "videos"
    for number, name in enumerate(("cooking/a", "cooking/deep/a", "drinking/b")):
        path = folder / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(make_clip(f"{number}.mp4", frames=10, phase=float(number)), path)
    return folder


def extract(*arguments: object) -> int:
    return run("extract-frames", [str(argument) for argument in arguments])


@needs_ffmpeg
def test_parts_of_a_file_whose_clock_begins_late(tmp_path: Path) -> None:
    """MPEG-TS begins at 1.4 s: parts count from the first picture on, as `annotate` counts; pixels become square."""
    scenes = [f"color=c={name}:size=64x48:rate=25:duration=1" for name in ("red", "blue")]
    inputs = [word for scene in scenes for word in ("-f", "lavfi", "-i", scene)]
    ffmpeg(*inputs, "-filter_complex", "[0][1]concat,setsar=3/2", "-c:v", "libx264", tmp_path / "late.ts")
    (tmp_path / "list.csv").write_text("video,class,start,end\nlate.ts,red,0,1\nlate.ts,blue,1,2\n")
    assert extract(tmp_path / "list.csv", "--output", tmp_path / "frames", "--count", 8) == 0
    for name, channel in (("red", 0), ("blue", 2)):
        shown = [Image.open(path) for path in (tmp_path / "frames" / name).iterdir()]
        assert len(shown) == 8
        assert {image.size for image in shown} == {(96, 48)}
        assert {int(np.asarray(image).mean(axis=(0, 1)).argmax()) for image in shown} == {channel}


def pictures(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.jpg"))


def test_layout_list_and_learning_from_it(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "frames"
    assert extract(source, "--output", output, "--count", 2, "--size", 32) == 0
    assert capsys.readouterr().out == f"6 frames of 3 videos in {output}\n"
    assert pictures(output) == [
        "cooking/cooking-a_00001.jpg",
        "cooking/cooking-a_00002.jpg",
        "cooking/cooking-deep-a_00001.jpg",
        "cooking/cooking-deep-a_00002.jpg",
        "drinking/b_00001.jpg",
        "drinking/b_00002.jpg",
    ]
    assert Image.open(output / "drinking/b_00001.jpg").size == (43, 32)
    videos = read_class_folders(output, "frames")
    assert [(v.name, v.label, [p.time for p in v.pictures]) for v in videos] == [
        ("cooking/a.mp4", "cooking", [0.08, 0.28]),
        ("cooking/deep/a.mp4", "cooking", [0.08, 0.28]),
        ("drinking/b.mp4", "drinking", [0.08, 0.28]),
    ]
    data = ActionDataModule(str(output), frame_size=16)
    assert data.class_names == ["cooking", "drinking"]
    assert len(data.rows("train")) == 4


def test_seconds_between_frames(source: Path, tmp_path: Path) -> None:
    assert extract(source / "drinking" / "b.mp4", "--output", tmp_path / "f", "--every", 0.1) == 0
    assert pictures(tmp_path / "f") == [f"drinking/b_{number:05d}.jpg" for number in range(1, 5)]
    assert extract(source / "drinking" / "b.mp4", "--output", tmp_path / "g", "--class", "sipping", "--count", 1) == 0
    assert pictures(tmp_path / "g") == ["sipping/b_00001.jpg"]
    assert Image.open(tmp_path / "g/sipping/b_00001.jpg").size == (128, 96)


def test_parts_of_a_list_keep_group_and_split(source: Path, tmp_path: Path) -> None:
    path = source / "list.csv"
    path.write_text(
        "video,class,start,end,split,group\n"
        "drinking/b.mp4,sip,0,0.2,train,g1\n"
        "drinking/b.mp4,sip,0.2,,train,g1\n"
        "cooking/a.mp4,stir,,,test,g2\n"
    )
    assert extract(path, "--output", tmp_path / "f", "--count", 1) == 0
    assert pictures(tmp_path / "f") == [
        "sip/drinking-b-0.2s-end-mp4_00001.jpg",
        "sip/drinking-b-0s-0.2s-mp4_00001.jpg",
        "stir/a_00001.jpg",
    ]
    videos = read_class_folders(tmp_path / "f", "frames")
    assert [(v.name, v.group, v.split) for v in videos] == [
        ("drinking/b.mp4", "g1", "train"),
        ("cooking/a.mp4", "g2", "test"),
    ]


@pytest.mark.parametrize("cut", [0, 7])
def test_goes_on_after_a_stop(source: Path, tmp_path: Path, cut: int) -> None:
    output = tmp_path / "frames"
    extract(source, "--output", output, "--count", 3)
    before = (output / "frames.csv").read_text()
    states = {name: (output / name).stat().st_mtime_ns for name in pictures(output)}
    text = "".join(before.splitlines(keepends=True)[:6])  # all of the first video, two rows of the second
    (output / "frames.csv").write_text(text[: len(text) - cut])
    (output / "drinking/b_00002.jpg").unlink()
    assert extract(source, "--output", output, "--count", 3) == 0
    assert (output / "frames.csv").read_text() == before
    assert pictures(output) == sorted(states)
    untouched = {name for name in states if (output / name).stat().st_mtime_ns == states[name]}
    assert untouched == {name for name in states if "cooking-a" in name}


def test_other_options_need_another_folder(source: Path, tmp_path: Path) -> None:
    output = tmp_path / "frames"
    extract(source, "--output", output, "--count", 2)
    with pytest.raises(ConfigurationError, match="give another --output or the same options"):
        extract(source, "--output", output, "--count", 3)
    (output / "extract.json").unlink()
    with pytest.raises(ConfigurationError, match="written by something else"):
        extract(source, "--output", output, "--count", 2)


def test_unreadable_videos(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (source / "cooking" / "broken.mp4").write_bytes(b"no video")
    assert extract(source, "--output", tmp_path / "frames", "--count", 1) == 0
    assert "3 frames of 3 videos" in (out := capsys.readouterr().out)
    assert "1 could not be read" in out
    assert extract(source / "cooking" / "broken.mp4", "--output", tmp_path / "none") == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.mp4", "--output", "x"], r"gone.mp4 does not exist"),
        (["SOURCE"], "--output"),
        (["SOURCE", "--output", "x", "--every", "0"], "--every is 0 s"),
        (["SOURCE", "--output", "x", "--size", "4"], "--size is 4"),
        (["SOURCE", "--output", "x", "--count", "0"], "frames_per_video is 0"),
        (["SOURCE", "--output", "x", "--every", "1", "--count", "1"], "not allowed with"),
    ],
)
def test_impossible_options(source: Path, tmp_path: Path, arguments: list[str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        extract(*[str(source) if argument == "SOURCE" else argument for argument in arguments])
    assert not Path("x").exists()


def test_class_that_would_leave_the_folder(source: Path, tmp_path: Path) -> None:
    path = source / "list.csv"
    path.write_text("video,class\ncooking/a.mp4,../../elsewhere\n")
    with pytest.raises(ConfigurationError, match="cannot be the name of a folder"):
        extract(path, "--output", tmp_path / "frames")
    path.write_text("video,class\ngone.mp4,a\n")
    with pytest.raises(LabelError, match="line 2"):
        extract(path, "--output", tmp_path / "frames")


def test_no_permission(source: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with pytest.raises(ConfigurationError, match="give another --output"):
        extract(source, "--output", blocked / "frames")


def test_names_that_are_long_or_differ_in_case_alone(make_clip: MakeClip, tmp_path: Path) -> None:
    clip = make_clip("clip.mp4", frames=4)
    (tmp_path / "in" / "red").mkdir(parents=True)
    for name in ("UP", "up", "x" * 250, "a\nb", "c\udce9"):
        shutil.copy(clip, tmp_path / "in" / "red" / f"{name}.mp4")
    assert extract(tmp_path / "in", "--output", tmp_path / "out", "--count", 1) == 0
    names = [name.rpartition("/")[2] for name in pictures(tmp_path / "out")]
    assert len({name.casefold() for name in names}) == 5
    assert {"a_b_00001.jpg", "c__00001.jpg"} <= set(names)
    assert extract(tmp_path / "in", "--output", tmp_path / "out", "--count", 1) == 0  # the list can be read again
    assert len(pictures(tmp_path / "out")) == 5


@pytest.mark.parametrize(("more", "label"), [([], "drinking"), (["--class", "tea"], "tea")])
def test_a_folder_of_videos_without_class_folders(more: list[str], label: str, source: Path, tmp_path: Path) -> None:
    assert extract(source / "drinking", "--output", tmp_path / "out", "--count", 1, *more) == 0
    assert pictures(tmp_path / "out") == [f"{label}/b_00001.jpg"]
