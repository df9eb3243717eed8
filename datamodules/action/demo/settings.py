"""What the generated action demo holds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Literal, get_args

from datamodules.common.errors import ConfigurationError

FrameAction = Literal["calling", "cooking", "drinking", "idle", "reading", "waving"]
PairAction = Literal["raising", "lowering"]
DemoAction = Literal[FrameAction, PairAction]

FRAME_CLASSES: tuple[FrameAction, ...] = get_args(FrameAction)  # one frame tells them apart
PAIR_CLASSES: tuple[PairAction, ...] = get_args(PairAction)  # only the order of the frames does
DEMO_CLASSES: tuple[DemoAction, ...] = (*FRAME_CLASSES, *PAIR_CLASSES)

_SMALLEST_SIDE = 64
_PLACE_SETTINGS = ("cache_dir",)  # where, not what


@dataclass(frozen=True)
class ActionDemoSettings:
    """What the generated demo holds; the same settings give the same videos.

    Args:
        seed: Seed of all that is drawn.
        clips: Clips of each class, at least 3; as many places, each with a room and a person of its own.
        clip_seconds: Mean length of a clip in seconds; single ones are up to a fifth shorter or longer.
        width: Width of the usual picture in pixels, an even number from 64; some videos are larger, some square.
        height: Height of the usual picture in pixels, an even number from 64.
        untrimmed: Long videos in which the classes that a frame can tell apart follow each other.
        untrimmed_pair: Long videos in which the two classes that differ only in time alternate with ``idle``.
        segments: Segments of a long video; neighbours have different classes.
        shortest_segment: Length of the shortest segment in seconds.
        longest_segment: Length of the longest segment in seconds.
        blur_share: Share of the frames of a noisy video that are out of focus, in runs.
        occlusion_share: Share of its frames in which something passes before the camera, in runs.
        random_share: Share of its frames that come from another action in another room, in runs of one to three.
        val_fraction: Share of the clips that validate.
        test_fraction: Share of the clips that test.
        cache_dir: Folder that keeps the videos; by default the environment variable ``APPRAISE_CACHE``, else
            ``$XDG_CACHE_HOME/appraise``, else ``~/.cache/appraise``.

    Raises:
        ConfigurationError: If a value is out of its range.
    """

    seed: int = 0
    clips: int = 200
    clip_seconds: float = 0.5
    width: int = 128
    height: int = 96
    untrimmed: int = 6
    untrimmed_pair: int = 2
    segments: int = 7
    shortest_segment: float = 6.0
    longest_segment: float = 8.0
    blur_share: float = 0.04
    occlusion_share: float = 0.04
    random_share: float = 0.04
    val_fraction: float = 0.15
    test_fraction: float = 0.15
    cache_dir: str | None = field(default=None)

    def __post_init__(self) -> None:
        lowest = {"seed": 0, "clips": 3, "untrimmed": 0, "untrimmed_pair": 0, "segments": 1}
        for name, least in lowest.items():
            if getattr(self, name) < least:
                raise ConfigurationError(f"The demo's {name} is {getattr(self, name)}; it must be at least {least}.")
        for name in ("width", "height"):
            value = getattr(self, name)
            if value < _SMALLEST_SIDE or value % 2:
                raise ConfigurationError(
                    f"The demo's {name} is {value}; it must be an even number from {_SMALLEST_SIDE}."
                )
        if not 0.2 <= self.clip_seconds <= 60:
            raise ConfigurationError(f"The demo's clip_seconds is {self.clip_seconds}; it must be within 0.2..60.")
        self._check_shares()
        if not 0.5 <= self.shortest_segment <= self.longest_segment:
            raise ConfigurationError(
                f"The demo's shortest_segment is {self.shortest_segment} and longest_segment {self.longest_segment}; "
                "the first must be at least 0.5 seconds and not above the second."
            )

    def _check_shares(self) -> None:
        """Shares of frames and of clips that leave something of each kind."""
        noise = [self.blur_share, self.occlusion_share, self.random_share]
        if min(noise) < 0 or sum(noise) > 0.9:
            raise ConfigurationError(
                f"The demo's blur_share, occlusion_share and random_share are {noise}; none may be below 0 and their "
                "sum not above 0.9."
            )
        if not (self.val_fraction > 0 and self.test_fraction > 0 and self.val_fraction + self.test_fraction < 1):
            raise ConfigurationError(
                f"The demo's val_fraction is {self.val_fraction} and test_fraction {self.test_fraction}; "
                "both must be above 0 and their sum below 1."
            )

    def content(self) -> dict[str, int | float]:
        """The settings that decide what the videos show; where they are kept is left out."""
        return {name: value for name, value in asdict(self).items() if name not in _PLACE_SETTINGS}
