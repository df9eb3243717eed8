"""Full-reference quality of a clip: how much of the local structure of the pristine frames is left.

Gradient magnitude similarity deviation (Xue et al., "Gradient magnitude similarity deviation", TIP 2014, eqs. 1-6)
averaged over three scales: 0 for the pristine clip, growing with blur, noise and quantisation. Raw values of any
such measure depend on the content: a busy picture loses more by one quantiser than a smooth one. :func:`fair_score`
therefore places a clip between two anchors of its own content, the pristine clip and a bad encoding of it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError
from datamodules.video_quality.features import luma_plane

Planes = NDArray[np.float32]

SCALES = 3
_STABILITY = 170.0  # the constant c of eq. 4, for luma in 0..255
_SMALLEST_SIDE = 16  # the coarsest scale still has a similarity map of 2 x 2
_ANCHOR_FLOOR = 0.01  # loss of the bad anchor below which content has no structure to lose
_BEND = 0.65  # chosen so that the quantisers 16..47 spread evenly over 1..5


def structure_loss(pristine: NDArray[np.uint8], distorted: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Gradient magnitude similarity deviation of each frame, averaged over three scales.

    Args:
        pristine: uint8 ``(T, H, W, 3)``, RGB, sides at least 16 pixels.
        distorted: The same shape and type.

    Returns:
        float64 ``(T,)``, 0 for equal frames, about 0.3 for a ruined one.

    Raises:
        ConfigurationError: If shapes or types differ, or the frames are too small.

    Example:
        >>> import numpy
        >>> clip = numpy.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype(numpy.uint8)
        >>> structure_loss(clip, clip)
        array([0., 0.])
    """
    if pristine.shape != distorted.shape or pristine.dtype != np.uint8 or distorted.dtype != np.uint8:
        raise ConfigurationError(
            f"The clips must both be uint8 of one shape; they are {pristine.dtype} {pristine.shape} "
            f"and {distorted.dtype} {distorted.shape}."
        )
    if pristine.ndim != 4 or pristine.shape[3] != 3 or min(pristine.shape[1:3]) < _SMALLEST_SIDE:
        raise ConfigurationError(
            f"The clips are of shape {pristine.shape}; (T, H, W, 3) with sides of at least {_SMALLEST_SIDE} is needed."
        )
    reference, damaged = luma_plane(pristine), luma_plane(distorted)
    total = np.zeros(len(reference))
    for scale in range(SCALES):
        if scale:
            reference, damaged = _halve(reference), _halve(damaged)
        total += _similarity(reference, damaged).std(axis=(1, 2), dtype=np.float64)
    return total / SCALES


def fair_score(loss: float, bad_anchor: float) -> float:
    """Opinion score 1..5 of a loss, relative to the loss of a bad encoding of the same content.

    Args:
        loss: Mean :func:`structure_loss` of the clip over the region and the frames that count.
        bad_anchor: The same of the bad anchor.

    Returns:
        5 for no loss, 1 for the anchor's loss and above; concave, as the eye notices first losses most.
    """
    share = loss / max(bad_anchor, _ANCHOR_FLOOR)
    return float(np.clip(5 - 4 * max(share, 0.0) ** _BEND, 1, 5))


def _similarity(reference: Planes, damaged: Planes) -> Planes:
    """Eq. 4: similarity of the gradient magnitudes, ``(T, H, W)`` -> ``(T, H-2, W-2)``, in 0..1."""
    first, second = _gradient_energy(reference), _gradient_energy(damaged)
    product = np.sqrt(first * second)
    return np.asarray((2 * product + _STABILITY) / (first + second + _STABILITY), np.float32)


def _gradient_energy(planes: Planes) -> Planes:
    """Squared gradient magnitude by the Prewitt filters (eqs. 1-3)."""
    across = planes[:, :, 2:] - planes[:, :, :-2]
    across = (across[:, :-2] + across[:, 1:-1] + across[:, 2:]) / 3
    down = planes[:, 2:] - planes[:, :-2]
    down = (down[:, :, :-2] + down[:, :, 1:-1] + down[:, :, 2:]) / 3
    return np.asarray(across * across + down * down, np.float32)


def _halve(planes: Planes) -> Planes:
    """Mean of 2 x 2 pixels; an odd last row or column is left out."""
    planes = planes[:, : planes.shape[1] // 2 * 2, : planes.shape[2] // 2 * 2]
    rows = planes[:, ::2] + planes[:, 1::2]
    return np.asarray((rows[:, :, ::2] + rows[:, :, 1::2]) / 4, np.float32)
