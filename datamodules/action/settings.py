"""Arguments of the data module of action recognition."""

from __future__ import annotations

from typing import Literal

from datamodules.action.frames.settings import ActionFrameSettings
from datamodules.common.settings import argument, settings


@settings(kw_only=False)
class ActionDataSettings(ActionFrameSettings):
    """Arguments of `ActionDataModule`."""

    rate: float | None = argument(default=None, help="Frames a second that ``predict`` looks at; None looks at all.")
    compare_rate: bool = argument(default=False, help="Look at all, and mark those that ``rate`` would have taken.")
    chunk_frames: int | None = argument(default=None, help="Frames of a chunk in ``predict``; None goes by its bytes.")
    clip_length: int | None = argument(
        default=None, help="Chunks hold a multiple of so many frames; None asks the model."
    )
    with_source: bool | None = argument(
        default=None, help="Hand over the full-size pictures too; None leaves it to the callbacks that need them."
    )
    live_timeout: float = argument(
        default=10.0, help="Seconds without a frame after which a live source counts as broken off."
    )
    max_lag: float | Literal["auto"] | None = argument(
        default="auto",
        help=(
            'Seconds that a live source may lag before frames are dropped; None never drops. "auto" never drops '
            "from standard input, where a full pipe makes the sender wait, and allows 0.5 s elsewhere: a network or "
            "a camera waits for nobody."
        ),
    )
