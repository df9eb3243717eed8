"""Pictures of high dynamic range as a usual screen would show them: PQ and HLG of BT.2100 to BT.709.

A network that learnt from usual video sees PQ and HLG grey and flat. Light is in candela a square metre:

1. PQ: the EOTF of ST 2084. HLG: the inverse OETF and the OOTF of BT.2100 for a screen of 1,000, with its gamma of 1.2.
2. The brightest of the three colours goes through the EETF of BT.2390 from 1,000 to 203, the white of BT.2408, and the
   other two keep their ratio to it: up to about 90 nothing changes, what is brighter is compressed.
3. From the primaries of BT.2020 to those of BT.709; colours that these cannot show are cut off.
4. 203 becomes the white of the picture; the inverse EOTF of BT.1886, a gamma of 2.4, makes 8-bit values.
"""

from __future__ import annotations

import av
import numpy as np
from numpy.typing import NDArray

from datamodules.video.reading.transfer import HLG, PQ

HDR = (PQ, HLG)
_PEAK, _WHITE = 1000.0, 203.0  # candela a square metre
_LEVELS = 1 << 12
_M1, _M2, _C1, _C2, _C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128  # of ST 2084
_A, _B, _C = 0.17883277, 0.28466892, 0.55991073  # of HLG
_LUMINANCE = np.array([0.2627, 0.6780, 0.0593], dtype=np.float32)  # of BT.2020
_TO_BT709 = np.array(
    [[1.660491, -0.587641, -0.072850], [-0.124550, 1.132900, -0.008349], [-0.018151, -0.100579, 1.118730]],
    dtype=np.float32,
)
_Numbers = NDArray[np.float64]
_Light = NDArray[np.float32]


class ToneMapping:
    """Maps pictures of one transfer function.

    Args:
        transfer: "smpte2084" (PQ) or "arib-std-b67" (HLG).
    """

    def __init__(self, transfer: str) -> None:
        signal = np.arange(_LEVELS) / (_LEVELS - 1)
        self._scene = transfer == HLG
        self._light = (hlg_inverse_oetf(signal) if self._scene else pq_eotf(signal)).astype(np.float32)
        self._roots = np.linspace(1e-3, (_PEAK * 10) ** 0.25, _LEVELS)  # finer where it is dark
        self._factors = eetf(self._roots**4) / self._roots**4

    def apply(self, signal: NDArray[np.uint16]) -> NDArray[np.uint8]:
        """Map full-range R'G'B' of BT.2020, uint16 ``(H, W, 3)``, to that of BT.709, uint8 ``(H, W, 3)``."""
        light: _Light = self._light[signal >> 4]
        if self._scene:
            light *= _PEAK * np.power(light @ _LUMINANCE, 0.2)[..., None]
        brightest = light.max(axis=2)
        light *= np.interp(np.sqrt(np.sqrt(brightest)), self._roots, self._factors)[..., None].astype(np.float32)
        shown = (light @ _TO_BT709.T / np.float32(_WHITE)).clip(0.0, 1.0)
        values: NDArray[np.uint8] = (np.power(shown, np.float32(1 / 2.4)) * 255 + 0.5).astype(np.uint8)
        return values

    def picture(self, frame: av.VideoFrame, width: int, height: int, mode: str) -> NDArray[np.uint8]:
        """Convert a decoded frame to uint8 ``(height, width, 3)``; ``mode`` is how swscale interpolates."""
        signal = frame.to_ndarray(format="rgb48le", width=width, height=height, interpolation=mode)
        return self.apply(np.asarray(signal, dtype=np.uint16))


def mapping_of(transfer: str) -> ToneMapping | None:
    """How pictures of a transfer function are mapped; None for usual video."""
    return ToneMapping(transfer) if transfer in HDR else None


def pq_eotf(signal: _Numbers) -> _Numbers:
    """Light of a PQ signal, 0..1, up to 10,000.

    Example:
        >>> round(float(pq_eotf(np.array(0.58068888))))  # reference white
        203
    """
    root = signal ** (1 / _M2)
    return 10_000 * (np.maximum(root - _C1, 0) / (_C2 - _C3 * root)) ** (1 / _M1)


def pq_inverse_eotf(light: _Numbers) -> _Numbers:
    """PQ signal of light."""
    power = (light / 10_000) ** _M1
    return ((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2


def hlg_inverse_oetf(signal: _Numbers) -> _Numbers:
    """Scene light, 0..1, of an HLG signal, 0..1.

    Example:
        >>> round(float(hlg_inverse_oetf(np.array(0.5))), 6)
        0.083333
    """
    return np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - _C) / _A) + _B) / 12)


def eetf(light: _Numbers) -> _Numbers:
    """The tone curve of BT.2390, annex 5, from black and 1,000 to black and 203.

    Example:
        >>> eetf(np.array([50.0, 1000.0, 4000.0])).round(3).tolist()
        [50.0, 203.0, 203.0]
    """
    top = float(pq_inverse_eotf(np.array(_PEAK)))
    part = np.minimum(pq_inverse_eotf(light) / top, 1.0)
    most = float(pq_inverse_eotf(np.array(_WHITE))) / top
    knee = 1.5 * most - 0.5
    t = np.maximum(part - knee, 0.0) / (1 - knee)
    curve = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    return pq_eotf(np.where(part < knee, part, curve) * top)
