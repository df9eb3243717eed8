"""The full-reference measure: best for the pristine clip, worse with more of each damage, fair to its anchors."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from datamodules.common.errors import ConfigurationError
from datamodules.video_quality.demo.content import ContentKind, render
from datamodules.video_quality.demo.sources import recompress
from datamodules.video_quality.full_reference import fair_score, structure_loss

Frames = NDArray[np.uint8]


def picture(kind: ContentKind = "stones") -> Frames:
    return render(kind, np.random.default_rng(3), 4, 96, 112)


def to_bytes(frames: NDArray[np.floating]) -> Frames:
    return np.asarray(np.clip(np.rint(frames), 0, 255), np.uint8)


def test_the_pristine_clip_is_best_and_the_measure_is_symmetric() -> None:
    clip = picture()
    damaged = to_bytes(clip + 5 * np.random.default_rng(0).normal(size=clip.shape))
    assert structure_loss(clip, clip).tolist() == [0.0] * 4
    assert structure_loss(clip, damaged) == pytest.approx(structure_loss(damaged, clip))
    assert (structure_loss(clip, damaged) > 0).all()


@pytest.mark.parametrize("kind", ["stones", "texture", "text", "face", "water"])
def test_monotone_in_blur_noise_and_quantisation(kind: ContentKind) -> None:
    clip = picture(kind)
    noise = np.random.default_rng(0).normal(size=clip.shape)
    blurred = [to_bytes(gaussian_filter(clip.astype(float), (0, s, s, 0))) for s in (0.5, 1, 2, 4)]
    noisy = [to_bytes(clip + s * noise) for s in (2, 6, 18)]
    coded = [recompress(clip, qp) for qp in (16, 26, 36, 46)]
    for damaged in (blurred, noisy, coded):
        losses = [float(structure_loss(clip, frames).mean()) for frames in damaged]
        assert losses == sorted(losses)
        assert losses[0] < 0.6 * losses[-1]


def test_a_brightness_change_is_no_loss_of_structure() -> None:
    clip = np.clip(picture(), 20, 220)
    assert structure_loss(clip, (clip + 20).astype(np.uint8)).max() < 1e-6


def test_each_frame_has_its_own_loss() -> None:
    clip = picture()
    damaged = clip.copy()
    damaged[2] = 128
    losses = structure_loss(clip, damaged)
    assert losses[[0, 1, 3]].tolist() == [0.0] * 3
    assert losses[2] > 0.1


def test_score_between_the_anchors() -> None:
    assert fair_score(0.0, 0.2) == 5
    assert fair_score(0.2, 0.2) == pytest.approx(1)
    assert fair_score(0.5, 0.2) == 1
    assert fair_score(0.0, 0.0) == 5  # content without structure has nothing to lose
    scores = [fair_score(loss, 0.2) for loss in np.linspace(0, 0.2, 9)]
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros((2, 32, 32, 3), np.uint8), np.zeros((3, 32, 32, 3), np.uint8)),
        (np.zeros((2, 32, 32, 3), np.uint8), np.zeros((2, 32, 32, 3), np.float32)),
        (np.zeros((2, 8, 32, 3), np.uint8), np.zeros((2, 8, 32, 3), np.uint8)),
        (np.zeros((32, 32, 3), np.uint8), np.zeros((32, 32, 3), np.uint8)),
    ],
)
def test_clips_that_cannot_be_compared(first: Frames, second: Frames) -> None:
    with pytest.raises(ConfigurationError, match="clips"):
        structure_loss(first, second)
