"""Six hand-made quality features of decoded pixels: the baselines that a learned model must beat.

They look at the whole frame and at nothing but its pixels. Each is computed per frame and averaged over the frames.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError

FeatureName = Literal[
    "laplacian_variance", "blockiness", "mean_gradient", "rms_contrast", "colourfulness", "noise_sigma"
]
FEATURE_NAMES: tuple[FeatureName, ...] = get_args(FeatureName)

BLOCK = 8  # the grid of the transform blocks of H.264, H.265 and MPEG-4
_BLOCK_FLOOR = 0.05  # grey levels; keeps the blockiness of a flat frame at 1
_MINIMUM_SIDE = 2 * BLOCK  # below it no block boundary has a full block on either side

FloatPlane = NDArray[np.float32]


def handmade_features(frames: NDArray[np.uint8]) -> dict[str, float]:
    """Compute the six features of a clip.

    Args:
        frames: uint8 ``(T, H, W, 3)``, RGB, T >= 1, each side at least 16 pixels.

    Returns:
        Each feature by name, the mean over the frames: ``laplacian_variance`` in squared grey levels, ``blockiness``
        (1 where the 8-grid is like the rest, above 1 where it shows), ``mean_gradient`` in grey levels a pixel,
        ``rms_contrast`` in 0..0.5 of full scale, ``colourfulness`` (0 for grey, about 100 for vivid), ``noise_sigma``
        in grey levels.

    Raises:
        ConfigurationError: If the frames have another type or shape.

    Example:
        >>> import numpy
        >>> grey = numpy.full((2, 32, 32, 3), 128, numpy.uint8)
        >>> {name: round(value, 3) for name, value in handmade_features(grey).items()}  # doctest: +ELLIPSIS
        {'laplacian_variance': 0.0, 'blockiness': 1.0, 'mean_gradient': 0.0, 'rms_contrast': 0.0, ...}
    """
    if frames.dtype != np.uint8 or frames.ndim != 4 or frames.shape[3] != 3 or frames.shape[0] == 0:
        raise ConfigurationError(
            f"The features take uint8 frames (T, H, W, 3) with T >= 1; these are {frames.dtype} {frames.shape}."
        )
    if min(frames.shape[1:3]) < _MINIMUM_SIDE:
        raise ConfigurationError(
            f"The frames are {frames.shape[2]}x{frames.shape[1]}; the features need at least "
            f"{_MINIMUM_SIDE}x{_MINIMUM_SIDE} pixels."
        )
    rows = []
    for frame in frames:
        luma = luma_plane(frame)
        rows.append(
            (
                laplacian_variance(luma),
                blockiness(luma),
                mean_gradient(luma),
                rms_contrast(luma),
                colourfulness(frame),
                noise_sigma(luma),
            )
        )
    means = np.mean(rows, axis=0)
    return {name: float(value) for name, value in zip(FEATURE_NAMES, means, strict=True)}


def luma_plane(frame: NDArray[np.uint8]) -> FloatPlane:
    """BT.601 luma of RGB pixels, any shape ``(..., 3)`` -> ``(...)``, float32, 0..255."""
    weights = np.array([0.299, 0.587, 0.114], np.float32)
    return np.asarray(frame.astype(np.float32) @ weights, np.float32)


def laplacian_variance(luma: FloatPlane) -> float:
    """Variance of the 4-neighbour Laplacian over the inner pixels: sharpness (Pech-Pacheco et al., ICPR 2000)."""
    response = luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:] - 4 * luma[1:-1, 1:-1]
    return float(response.var(dtype=np.float64))


def blockiness(luma: FloatPlane) -> float:
    """Mean step across the lines of the 8-grid over the mean step elsewhere, both directions together.

    In the manner of Wang, Sheikh and Bovik, "No-reference perceptual quality assessment of JPEG compressed images",
    ICIP 2002, section 2; as a ratio, so that contrast cancels.
    """
    on_grid, elsewhere = 0.0, 0.0
    for plane in (luma, luma.T):
        steps = np.abs(np.diff(plane, axis=1)).mean(axis=0, dtype=np.float64)
        boundary = np.arange(1, plane.shape[1]) % BLOCK == 0
        on_grid += float(steps[boundary].mean())
        elsewhere += float(steps[~boundary].mean())
    return (on_grid + _BLOCK_FLOOR) / (elsewhere + _BLOCK_FLOOR)


def mean_gradient(luma: FloatPlane) -> float:
    """Mean length of the gradient by central differences over the inner pixels: spatial activity."""
    across = (luma[1:-1, 2:] - luma[1:-1, :-2]) / 2
    down = (luma[2:, 1:-1] - luma[:-2, 1:-1]) / 2
    return float(np.hypot(across, down).mean(dtype=np.float64))


def rms_contrast(luma: FloatPlane) -> float:
    """Standard deviation of luma as a share of full scale (Peli, JOSA A 1990)."""
    return float(luma.std(dtype=np.float64)) / 255


def colourfulness(frame: NDArray[np.uint8]) -> float:
    """Colourfulness of RGB pixels ``(H, W, 3)`` (Hasler and Suesstrunk, SPIE 2003, M3)."""
    red, green, blue = (frame[..., channel].astype(np.float32) for channel in range(3))
    red_green = red - green
    yellow_blue = (red + green) / 2 - blue
    spread = np.hypot(red_green.std(dtype=np.float64), yellow_blue.std(dtype=np.float64))
    offset = np.hypot(red_green.mean(dtype=np.float64), yellow_blue.mean(dtype=np.float64))
    return float(spread + 0.3 * offset)


def noise_sigma(luma: FloatPlane) -> float:
    """Standard deviation of Gaussian noise (Immerkaer, "Fast noise variance estimation", CVIU 1996)."""
    across = luma[:, :-2] - 2 * luma[:, 1:-1] + luma[:, 2:]
    response = across[:-2] - 2 * across[1:-1] + across[2:]
    return float(np.sqrt(np.pi / 2) / 6 * np.abs(response).mean(dtype=np.float64))
