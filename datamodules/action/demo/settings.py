"""What the generated action demo holds."""

from __future__ import annotations

from typing import Literal, get_args

from datamodules.common.cache_folder import cache_help
from datamodules.common.errors import ConfigurationError
from datamodules.common.generated import check_fractions, content_of
from datamodules.common.settings import argument, settings

FrameAction = Literal["calling", "cooking", "drinking", "idle", "reading", "waving"]
PairAction = Literal["raising", "lowering"]
DemoAction = Literal[FrameAction, PairAction]

FRAME_CLASSES: tuple[FrameAction, ...] = get_args(FrameAction)  # one frame tells them apart
PAIR_CLASSES: tuple[PairAction, ...] = get_args(PairAction)  # only the order of the frames does
DEMO_CLASSES: tuple[DemoAction, ...] = (*FRAME_CLASSES, *PAIR_CLASSES)


@settings
class ActionDemoSettings:
    """What the generated demo holds; the same settings give the same videos."""

    seed: int = argument(default=0, help="Seed of all that is drawn.", low=0)
    clips: int = argument(
        default=200,
        help="Clips of each class, at least 3; as many places, each with a room and a person of its own.",
        low=3,
    )
    clip_seconds: float = argument(
        default=0.5,
        help="Mean length of a clip in seconds; single ones are up to a fifth shorter or longer.",
        low=0.2,
        high=60,
    )
    width: int = argument(
        default=128,
        help="Width of the usual picture in pixels, an even number from 64; some videos are larger, some square.",
        low=64,
    )
    height: int = argument(default=96, help="Height of the usual picture in pixels, an even number from 64.", low=64)
    untrimmed: int = argument(
        default=6, help="Long videos in which the classes that a frame can tell apart follow each other.", low=0
    )
    untrimmed_pair: int = argument(
        default=2, help="Long videos in which the two classes that differ only in time alternate with ``idle``.", low=0
    )
    segments: int = argument(default=7, help="Segments of a long video; neighbours have different classes.", low=1)
    shortest_segment: float = argument(default=6.0, help="Length of the shortest segment in seconds.", low=0.5)
    longest_segment: float = argument(default=8.0, help="Length of the longest segment in seconds.")
    blur_share: float = argument(
        default=0.04, help="Share of the frames of a noisy video that are out of focus, in runs.", low=0
    )
    occlusion_share: float = argument(
        default=0.04, help="Share of its frames in which something passes before the camera, in runs.", low=0
    )
    random_share: float = argument(
        default=0.04,
        help="Share of its frames that come from another action in another room, in runs of one to three.",
        low=0,
    )
    val_fraction: float = argument(default=0.15, help="Share of the clips that validate.")
    test_fraction: float = argument(default=0.15, help="Share of the clips that test.")
    cache_dir: str | None = argument(default=None, help=cache_help("the videos"))

    def check(self) -> None:
        """Refuse what cannot work together."""
        for name in ("width", "height"):
            if getattr(self, name) % 2:
                raise ConfigurationError(f"The demo's {name} is {getattr(self, name)}; it must be an even number.")
        self._check_shares()
        if self.shortest_segment > self.longest_segment:
            raise ConfigurationError(
                f"The demo's shortest_segment is {self.shortest_segment} and longest_segment {self.longest_segment}; "
                "the first must not be above the second."
            )

    def _check_shares(self) -> None:
        """Shares of frames and of clips that leave something of each kind."""
        noise = [self.blur_share, self.occlusion_share, self.random_share]
        if sum(noise) > 0.9:
            raise ConfigurationError(
                f"The demo's blur_share, occlusion_share and random_share are {noise}; their sum may not be above 0.9."
            )
        check_fractions(self.val_fraction, self.test_fraction)

    def content(self) -> dict[str, int | float]:
        """The settings that decide what the videos show; where they are kept is left out."""
        return content_of(self)
