"""The drawn content: every kind moves, has colour and detail, fits any frame, and repeats."""

from __future__ import annotations

import numpy as np
import pytest

from datamodules.video_quality.demo.content import CONTENT_KINDS, ContentKind, render
from datamodules.video_quality.demo.drawing import fractal
from datamodules.video_quality.demo.figures import caption


@pytest.mark.parametrize("kind", CONTENT_KINDS)
def test_a_kind_draws_a_moving_picture(kind: ContentKind) -> None:
    for seed in (0, 1):
        clip = render(kind, np.random.default_rng(seed), 5, 72, 96)
        assert clip.shape == (5, 72, 96, 3)
        assert clip.dtype == np.uint8
        assert clip.std() > 8, "nearly one colour"
        assert np.ptp(clip.mean(axis=(0, 1, 2))) > 0.5 or kind == "text", "no colour"
        assert np.abs(np.diff(clip.astype(int), axis=0)).mean(axis=(1, 2, 3)).min() > 0.02, "a frame stands still"
        assert np.array_equal(clip, render(kind, np.random.default_rng(seed), 5, 72, 96))
        assert not np.array_equal(clip, render(kind, np.random.default_rng(seed + 2), 5, 72, 96))


@pytest.mark.parametrize("kind", CONTENT_KINDS)
def test_extreme_frames(kind: ContentKind) -> None:
    for count, height, width in ((1, 16, 16), (9, 26, 64), (3, 128, 32)):
        assert render(kind, np.random.default_rng(5), count, height, width).shape == (count, height, width, 3)


def test_fractal_exponent_sets_the_spectrum() -> None:
    for exponent in (0.5, 1.5):
        field = fractal(np.random.default_rng(0), 256, 256, exponent)
        power = np.abs(np.fft.fft2(field)) ** 2
        frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
        low = power[(frequency > 0.04) & (frequency < 0.06)].mean()
        high = power[(frequency > 0.4) & (frequency < 0.5)].mean()
        assert np.log(low / high) / np.log(0.45 / 0.05) == pytest.approx(2 * exponent, rel=0.1)
        assert field.std() == pytest.approx(1, rel=1e-3)


def test_caption_stays_in_its_rows() -> None:
    clip = np.full((2, 64, 128, 3), 90, np.uint8)
    written = caption(clip, np.random.default_rng(0), 40, 64)
    assert np.array_equal(written[:, :40], clip[:, :40])
    changed = (written[:, 40:] != 90).any(axis=(0, 1, 3))
    assert changed.mean() > 0.4
    assert not changed[:4].any()
    assert not changed[-4:].any()
    assert (clip == 90).all()
