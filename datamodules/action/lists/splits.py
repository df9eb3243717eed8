"""Splits by video: neighbouring frames look alike, and a split that parts them measures memory.

The split by frame, which the original script made, is here to be compared with.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Literal

from datamodules.action.lists.records import ActionVideo, SplitName
from datamodules.common.errors import LabelError
from datamodules.common.settings import argument, settings
from datamodules.common.splits import check_shares, set_aside

SplitUnit = Literal["video", "frame"]


@settings(kw_only=False)
class ActionSplitSettings:
    """How one list becomes three."""

    split: tuple[float, float, float] = argument(
        default=(0.7, 0.15, 0.15), help="Shares of train, val and test, where a list names no splits."
    )
    split_by: SplitUnit = argument(
        default="video",
        help=(
            '"video" keeps each video, and its group, in one split; "frame" parts even neighbouring frames, as '
            "the original script did, and measures memory."
        ),
    )
    stratified: bool = argument(default=True, help="Give each class these shares.")
    split_seed: int = argument(default=0, help="Seed of the split.")
    val_is_test: bool = argument(default=False, help="Select the model on the test split, as the original script did.")

    def check(self) -> None:
        """Refuse shares that leave nothing to train on."""
        check_shares(self.split)

    @property
    def held_out(self) -> dict[SplitName, float]:
        """Shares of the splits that are set aside from training."""
        _, val, test = self.split
        shares: dict[SplitName, float] = {"test": test} if self.val_is_test else {"val": val, "test": test}
        return {split: share for split, share in shares.items() if share > 0}


def assign_videos(videos: Sequence[ActionVideo], settings: ActionSplitSettings) -> list[SplitName]:
    """Give each video its split; the videos of a group stay together.

    A list that names train, val and test is taken at its word; one that names no val gives groups of its train to
    validation; one that names no split at all is split in three. Groups are ordered by a hash of the seed and their
    name. A class of too few groups for all three stays in training first, then in validation.

    Raises:
        LabelError: If only some rows name a split, or one group lies in two.
    """
    named = [video for video in videos if video.split is not None]
    if 0 < len(named) < len(videos):
        open_row = next(video for video in videos if video.split is None)
        raise LabelError(f"{open_row.source}: {open_row.name} names no split but others do; name it for all or none")
    given: list[SplitName] = [video.split or "train" for video in videos]
    check_groups(videos, given)
    wanted = settings.held_out
    if named:
        wanted = {"val": wanted["val"]} if "val" in wanted and "val" not in given else {}
    rows = [row for row, split in enumerate(given) if split == "train"]
    label_of: dict[str, str] = {}
    for row in rows:  # a group of several classes counts as the first of them by name
        group = videos[row].group
        label_of[group] = min(label_of.get(group, videos[row].label), videos[row].label)
    moved = _cut(list(label_of.items()), wanted, settings)
    for row in rows:
        given[row] = moved.get(videos[row].group, "train")
    return given


def assign_frames(keys: Sequence[tuple[str, str]], settings: ActionSplitSettings) -> list[SplitName]:
    """Give each single frame its split, whatever the others of its video get.

    Args:
        keys: A name that no other frame has, and the class, of each frame.
        settings: Shares and seed.
    """
    moved = _cut(keys, settings.held_out, settings)
    return [moved.get(name, "train") for name, _ in keys]


def check_groups(videos: Sequence[ActionVideo], splits: Iterable[SplitName]) -> None:
    """Raise ``LabelError`` unless each group lies in one split.

    A video is its own group unless its list says otherwise, so that parts of one file can be parted on purpose alone.
    """
    sides: dict[str, tuple[SplitName, str]] = {}
    for video, split in zip(videos, splits, strict=True):
        known, source = sides.setdefault(video.group, (split, video.source))
        if known != split:
            what = video.name if video.group == video.name else f"group {video.group!r} of {video.name}"
            raise LabelError(
                f"{video.source}: {what} is in {split}, but in {known} at {source}; keep all parts of a recording "
                "in one split"
            )


def _cut(
    units: Sequence[tuple[str, str]], wanted: dict[SplitName, float], settings: ActionSplitSettings
) -> dict[str, SplitName]:
    """Splits of the units, each a name and a class, that leave training."""
    strata: dict[str, list[str]] = defaultdict(list)
    for name, label in units:
        strata[label if settings.stratified else ""].append(name)
    moved: dict[str, SplitName] = {}
    for names in strata.values():
        moved |= set_aside(names, wanted, settings.split_seed)
    return moved
