"""Arguments of labelled frames, which are learned from."""

from __future__ import annotations

from typing import Literal

from datamodules.action.demo.settings import ActionDemoSettings
from datamodules.action.frames.augmentation import ActionAugmentation
from datamodules.action.frames.sampling import FrameSampling
from datamodules.action.lists.settings import ActionListSettings
from datamodules.action.lists.splits import ActionSplitSettings
from datamodules.common.settings import argument, settings
from datamodules.video.reading.reader import check_time_limit


@settings(kw_only=False)
class FrameSize:
    """How large the network sees frames."""

    frame_size: int = argument(
        default=224, help="Side in pixels of the square that whole frames are resized to.", low=8
    )


@settings(kw_only=False)
class ActionFrameSettings(ActionSplitSettings, FrameSampling, FrameSize, ActionListSettings):
    """Arguments of `FrameDataModule`."""

    class_balance: Literal["none", "sampler"] = argument(
        default="none", help='"sampler" shows every class equally often; weights of the loss are the model\'s.'
    )
    augmentation: ActionAugmentation | None = argument(
        default=None, help="What happens to training frames; None takes the original script's ranges."
    )
    batch_size: int = argument(default=32, help="Frames of a batch.", low=1)
    num_workers: int = argument(
        default=0,
        help="Worker processes of a loader; the frames are mapped from the disk, so 0 is usually best.",
        low=0,
    )
    seed: int = argument(default=0, help="Seed of order and augmentation.")
    decode_timeout: float = argument(
        default=60.0, help="Seconds that decoding one labelled file may take, and a stream may stand still."
    )
    tone_mapping: bool = argument(
        default=False,
        help="Show PQ and HLG as a usual screen would (BT.2100 to BT.709); other videos stay as they are.",
    )
    demo: ActionDemoSettings | None = argument(
        default=None, help="What the generated demo holds; None takes its defaults."
    )

    def check(self) -> None:
        """Refuse a time limit that is none."""
        check_time_limit(self.decode_timeout)
