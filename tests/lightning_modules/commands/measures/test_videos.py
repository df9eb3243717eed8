"""Copies among videos: what they show, and how it moves."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules.common.errors import ConfigurationError, VideoError
from lightning_modules.commands.measures.measuring import measure
from lightning_modules.commands.measures.settings import MeasureSettings

MakeClip = Callable[..., Path]


@pytest.fixture
def videos(make_clip: MakeClip, tmp_path: Path) -> Path:
    """Three training videos, and two made ones: a copy of the second and another."""
    for number in range(3):
        clip = make_clip(f"{number}.mp4", frames=12, phase=1.7 * number)
        (tmp_path / "training").mkdir(exist_ok=True)
        shutil.copy(clip, tmp_path / "training" / f"{number}.mp4")
    (tmp_path / "made").mkdir()
    shutil.copy(tmp_path / "training/1.mp4", tmp_path / "made/copy.mp4")
    shutil.copy(make_clip("new.mp4", frames=12, phase=0.6), tmp_path / "made/new.mp4")
    return tmp_path


def test_a_copied_video_is_found_by_frames_content_and_motion(videos: Path) -> None:
    settings = MeasureSettings(
        generated=(str(videos / "made"),), training=str(videos / "training"), frames=4, neighbours=0,
        output=str(videos / "out"),
    )  # fmt: skip
    (found,) = measure(settings)
    assert list(found.pairs) == ["PixelEmbedder, frames", "PixelEmbedder, content", "PixelEmbedder, motion"]
    for name, pairs in found.pairs.items():
        assert pairs.nearest[0] == 1, name
        assert pairs.similarity[0].item() == pytest.approx(1, abs=1e-4)
        top = found.number("similarity_max", by=name)
        assert top is not None
        assert top.value == pytest.approx(1, abs=1e-4)
    assert "2 videos" in (videos / "out/page.html").read_text()


def test_too_few_frames_and_pictures_among_videos(videos: Path, faces: Path) -> None:
    made, training = (str(videos / "made"),), str(videos / "training")
    with pytest.raises(VideoError, match="has 12 frames, fewer than 13: ask for fewer with --frames"):
        measure(MeasureSettings(generated=made, training=training, frames=13, neighbours=0))
    with pytest.raises(ConfigurationError, match="give pictures alone or videos alone"):
        measure(MeasureSettings(generated=made, training=str(faces / "training"), neighbours=0))
