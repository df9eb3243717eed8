"""The hand-made features on pictures whose values are known in closed form."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError
from datamodules.video_quality.features import FEATURE_NAMES, handmade_features


def grey(plane: NDArray[np.floating], count: int = 2) -> NDArray[np.uint8]:
    picture = np.clip(np.rint(plane), 0, 255).astype(np.uint8)
    return np.repeat(np.repeat(picture[None, :, :, None], 3, axis=3), count, axis=0)


def test_constant_frame() -> None:
    values = handmade_features(grey(np.full((48, 64), 77.0)))
    assert tuple(values) == FEATURE_NAMES
    assert values.pop("blockiness") == pytest.approx(1)
    assert all(value == pytest.approx(0, abs=1e-4) for value in values.values())


@pytest.mark.parametrize("sigma", [3.0, 10.0, 20.0])
def test_white_noise(sigma: float) -> None:
    plane = 128 + sigma * np.random.default_rng(0).normal(size=(256, 256))
    values = handmade_features(grey(plane))
    assert values["noise_sigma"] == pytest.approx(sigma, rel=0.03)
    assert values["rms_contrast"] == pytest.approx(sigma / 255, rel=0.03)
    assert values["laplacian_variance"] == pytest.approx(20 * sigma**2, rel=0.05)  # 1 + 1 + 1 + 1 + 16
    # Length of two independent normals of standard deviation sigma / sqrt(2): a Rayleigh mean.
    assert values["mean_gradient"] == pytest.approx(sigma / 2**0.5 * (np.pi / 2) ** 0.5, rel=0.03)
    assert values["blockiness"] == pytest.approx(1, abs=0.05)


def test_ramp_has_its_slope_and_nothing_else() -> None:
    values = handmade_features(grey(np.broadcast_to(np.arange(64.0) * 3, (64, 64))))
    assert values["mean_gradient"] == pytest.approx(3)
    assert values["laplacian_variance"] == pytest.approx(0, abs=1e-6)
    assert values["noise_sigma"] == pytest.approx(0, abs=1e-4)
    assert values["blockiness"] == pytest.approx(1)


def test_chessboard_of_blocks_against_a_shifted_one() -> None:
    rows, columns = np.mgrid[:64, :64]
    board = 40.0 * ((rows // 8 + columns // 8) % 2)
    on_grid = handmade_features(grey(board))
    off_grid = handmade_features(grey(np.roll(board, 4, (0, 1))))
    assert on_grid["blockiness"] > 100
    assert off_grid["blockiness"] < 0.02
    assert on_grid["rms_contrast"] == pytest.approx(20 / 255)


def test_pixel_chessboard() -> None:
    rows, columns = np.mgrid[:32, :32]
    values = handmade_features(grey(100.0 * ((rows + columns) % 2)))
    assert values["laplacian_variance"] == pytest.approx(400**2, rel=1e-3)  # +-400 in equal numbers
    assert values["mean_gradient"] == pytest.approx(0)


def test_colourfulness() -> None:
    frames = np.zeros((1, 32, 32, 3), np.uint8)
    frames[:, :, :16, 0] = 255  # half red, half black: rg has mean 127.5 and deviation 127.5, yb half of both
    expected = 127.5 * 1.25**0.5 * 1.3
    assert handmade_features(frames)["colourfulness"] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "frames",
    [
        np.zeros((32, 32, 3), np.uint8),
        np.zeros((0, 32, 32, 3), np.uint8),
        np.zeros((1, 32, 32, 3), np.float32),
        np.zeros((1, 8, 32, 3), np.uint8),
    ],
)
def test_wrong_frames_are_named(frames: NDArray[np.uint8]) -> None:
    with pytest.raises(ConfigurationError, match=r"uint8 frames|at least 16x16"):
        handmade_features(frames)
