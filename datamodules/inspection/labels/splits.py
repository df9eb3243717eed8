"""Splits by group, never by image: pictures of one part share what a model memorises first."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from datamodules.common.errors import LabelError
from datamodules.common.splits import by_hash
from datamodules.inspection.labels.records import LabelledImage, RawImage, SplitName
from datamodules.inspection.settings import InspectionDataSettings

_NO_CLASS = ""


def assign_splits(images: Sequence[RawImage], settings: InspectionDataSettings) -> list[SplitName]:
    """Give each image of one list its split.

    A list that names train, val and test is taken at its word; one that names no val gives groups of its train to
    validation; one that names no split at all is split in three. Within each stratum (the domains that a group was
    photographed in and its rarest class) groups are ordered by a hash of the seed and their name, so that rare classes
    reach every split and nothing else counts. A stratum of too few groups stays in training.

    MVTec's layout has its defects in test alone. Where it names no val, groups of its test validate; of
    ``mvtec_supervised`` others of them train.

    Raises:
        LabelError: If only some rows name a split, or one group lies in two splits.
    """
    named = [image for image in images if image.split is not None]
    if 0 < len(named) < len(images):
        open_row = next(image for image in images if image.split is None)
        raise LabelError(f"{open_row.source}: no split, but other rows name one; name it in every row or in none")
    given: list[SplitName] = [image.split if image.split is not None else "train" for image in images]
    check_groups((_group(image), split, image.source) for image, split in zip(images, given, strict=True))
    supervised = settings.label_format == "mvtec_supervised"
    if "val" in given and not supervised:
        return given
    source: SplitName = "test" if supervised or settings.label_format == "mvtec" else "train"
    rest: SplitName = "train" if supervised else source
    rows = [row for row, split in enumerate(given) if split == source]
    parts: list[tuple[SplitName, float]] = [("val", settings.val_fraction)]
    if not named or supervised:
        parts.append(("test", settings.test_fraction))
    wanted = [(split, fraction) for split, fraction in parts if fraction > 0]
    moved = _cut([images[row] for row in rows], wanted, settings.split_seed)
    for row in rows:
        given[row] = moved.get(_group(images[row]), rest)
    return given


def check_groups(rows: Iterable[tuple[str, str, str]]) -> None:
    """Raise unless each group lies in one split.

    Args:
        rows: Group, split, and list with line of each image.

    Raises:
        LabelError: Naming the row that puts a group on a second side.
    """
    side: dict[str, tuple[str, str]] = {}
    for group, split, source in rows:
        other, where = side.setdefault(group, (split, source))
        if other != split:
            raise LabelError(
                f"{source}: group {group!r} is in split {split!r} here and in {other!r} in {where}; keep a group in "
                "one split"
            )


def check_paths(images: Iterable[LabelledImage]) -> None:
    """Raise unless each file is in one split, over all lists.

    Raises:
        LabelError: Naming both rows.
    """
    side: dict[str, LabelledImage] = {}
    for image in images:
        other = side.setdefault(image.path, image)
        if other.split != image.split:
            raise LabelError(
                f"{image.source}: {image.path} is in split {image.split!r} here and in {other.split!r} in "
                f"{other.source}; an image in two splits leaks, drop one of the two"
            )


def _cut(images: Sequence[RawImage], parts: Sequence[tuple[SplitName, float]], seed: int) -> dict[str, SplitName]:
    """Groups that leave the training split, with the split that they go to."""
    counts = Counter(name for image in images for name in image.class_names)
    members: dict[str, list[RawImage]] = defaultdict(list)
    for image in images:
        members[_group(image)].append(image)
    strata: dict[tuple[frozenset[int], str], list[str]] = defaultdict(list)
    for group, found in members.items():
        classes = set().union(*(image.class_names for image in found))
        rarest = min(classes, key=lambda name: (counts[name], name), default=_NO_CLASS)
        strata[frozenset(image.domain for image in found), rarest].append(group)
    moved: dict[str, SplitName] = {}
    for groups in strata.values():
        waiting = by_hash(groups, seed)
        for split, fraction in parts:
            count = _count(fraction, len(groups), len(waiting) - 1) if len(groups) > len(parts) + 1 else 0
            moved.update(dict.fromkeys(waiting[:count], split))
            waiting = waiting[count:]
    return moved


def _count(fraction: float, total: int, available: int) -> int:
    return min(max(1, round(fraction * total)), max(available, 0))


def _group(image: RawImage) -> str:
    return image.group if image.group is not None else image.name
