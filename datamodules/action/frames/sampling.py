"""Which frames of a video are learned from."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings

DEFAULT_FRAMES = 16


@settings(kw_only=False)
class FrameSampling:
    """How frames are chosen: at the centres of equal parts of a video, or at a rate.

    With neither, videos give 16 frames and videos stored as pictures all of them; a short video gives all it has.
    """

    frames_per_video: int | None = argument(
        default=None, help="Frames taken of each video, evenly; by default 16, of videos stored as pictures all.", low=1
    )
    sampling_rate: float | None = argument(default=None, help="Frames a second taken instead.")

    def check(self) -> None:
        """Refuse both at once, and a rate out of its range."""
        if self.frames_per_video is not None and self.sampling_rate is not None:
            raise ConfigurationError(
                f"frames_per_video {self.frames_per_video} and sampling_rate {self.sampling_rate:g} are both given; "
                "choose one"
            )
        if self.sampling_rate is not None and not 0 < self.sampling_rate <= 1000:
            raise ConfigurationError(f"sampling_rate is {self.sampling_rate:g}; it must be above 0 and at most 1000")

    def choose(self, times: NDArray[np.float64], default: int | None = DEFAULT_FRAMES) -> NDArray[np.int64]:
        """Choose among the frames of a video or of its part.

        Args:
            times: Their times in seconds, rising, float64 ``(N,)``; NaN where unknown (then no rate can be followed).
            default: Frames to take where neither setting is given; None takes all.

        Returns:
            Rising positions in ``times``, int64 ``(M,)``.

        Raises:
            ConfigurationError: If a rate is wanted and the times are unknown.

        Example:
            >>> FrameSampling(frames_per_video=2).choose(np.arange(8) / 4).tolist()
            [2, 6]
            >>> FrameSampling(sampling_rate=1.0).choose(np.arange(8) / 4).tolist()
            [2, 6]
        """
        if self.sampling_rate is not None:
            return _at_rate(times, self.sampling_rate)
        count = self.frames_per_video if self.frames_per_video is not None else default
        if count is None or count >= len(times):
            return np.arange(len(times), dtype=np.int64)
        return ((np.arange(count) + 0.5) * len(times) / count).astype(np.int64)


def _at_rate(times: NDArray[np.float64], rate: float) -> NDArray[np.int64]:
    """The first frame at or after the centre of each interval of ``1 / rate`` seconds; always at least one frame."""
    if not np.isfinite(times).all():
        raise ConfigurationError(
            f"sampling_rate is {rate:g} but the times of the frames are unknown; use frames_per_video"
        )
    if len(times) == 0:
        return np.zeros(0, dtype=np.int64)
    centres = times[0] + (np.arange(int((times[-1] - times[0]) * rate) + 1) + 0.5) / rate
    positions = np.searchsorted(times, centres - 1e-9)
    return np.unique(positions[positions < len(times)]) if times[-1] >= centres[0] else np.zeros(1, dtype=np.int64)
