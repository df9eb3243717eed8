"""Folders of images and masks, in three layouts.

``folder``: ``images/NAME.*`` and ``masks/NAME.*`` of the same stem, whose pixel v is class v (0 healthy, 255 unknown;
`mask_rules` says when not); an image without a mask is healthy. ``class_folders``: ``images/CLASS/NAME.*`` and
``masks/CLASS/NAME.*`` that mark the pixels of that class; folders named good, healthy, ok, normal or free hold healthy
images. In both a first level ``train``, ``val`` and ``test`` under ``images`` and ``masks`` names the split, and deeper
sub-folders are part of the name. ``mvtec``: ``train/good``, ``test/DEFECT`` and ``ground_truth/DEFECT`` of P. Bergmann
et al., "MVTec AD", CVPR 2019, and of the sets that follow it. In all the stem of a mask may end in a word such as
``_mask`` or ``_GT``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from datamodules.common.errors import LabelError
from datamodules.common.splits import SPLITS, SplitName
from datamodules.images.finding import IMAGE_SUFFIXES, find_images, folder_named, folders_in
from datamodules.inspection.batch import ORIGINAL
from datamodules.inspection.labels.records import RawImage
from datamodules.summary.findings import Findings, some

_MASK_WORDS: Final = re.compile(
    r"[_\-. ](masks?|gt|ground_?truth|labels?|seg|segmentation|anno|annotation)$", re.IGNORECASE
)
HEALTHY_FOLDERS = ("good", "healthy", "ok", "normal", "free")


def read_folder(root: str | Path, domain: int | None = None, findings: Findings | None = None) -> list[RawImage]:
    """Read ``images/`` and ``masks/`` whose pixel values are the classes.

    Args:
        root: Folder that holds both.
        domain: Domain of every image; None means original.
        findings: Takes what is wrong with single files; None raises at the first.

    Raises:
        LabelError: If there is no image, or a mask has no image or two images share it.
    """
    pairs = _paired(Path(root), findings or Findings(at_once=True))
    return [
        RawImage(
            path=str(file.absolute()),
            name=place.as_posix(),
            domain=ORIGINAL if domain is None else domain,
            source=str(file),
            split=split_of(place),
            mask=None if mask is None else str(mask.absolute()),
        )
        for file, place, mask in pairs
    ]


def read_class_folders(root: str | Path, domain: int | None = None, findings: Findings | None = None) -> list[RawImage]:
    """Read ``images/CLASS/`` and binary ``masks/CLASS/``; a healthy image may have a mask that is empty.

    Args:
        root: Folder that holds both.
        domain: Domain of every image; None means original.
        findings: Takes what is wrong with single files; None raises at the first.

    Raises:
        LabelError: As in ``read_folder``, or if an image lies in no folder of a class, or in a defective one without a
            mask.
    """
    findings = findings or Findings(at_once=True)
    found = []
    for file, place, mask in _paired(Path(root), findings):
        split = split_of(place)
        folders = place.parts[:-1] if split is None else place.parts[1:-1]
        if not folders:
            findings.fault(f"{file}: the image lies in no folder that names its class; move it to images/CLASS/")
            continue
        healthy = folders[0].lower() in HEALTHY_FOLDERS
        if mask is None and not healthy:
            findings.fault(
                f"{file}: an image in the folder {folders[0]!r} has no mask of the same stem in "
                f"{Path(root) / 'masks'}; move it or add the mask"
            )
            continue
        found.append(_marked(file, place, split, mask, None if healthy else folders[0], domain))
    return found


def read_mvtec(root: str | Path, domain: int | None = None, findings: Findings | None = None) -> list[RawImage]:
    """Read MVTec's layout: healthy images to train on, defects of each kind with their masks to test on.

    The masks mark the pixels of the kind that their folder names. ``splits`` says what of ``test`` validates or trains.

    Args:
        root: Folder of one kind of part, which holds ``train``, ``test`` and ``ground_truth``.
        domain: Domain of every image; None means original.
        findings: Takes what is wrong with single files; None raises at the first.

    Raises:
        LabelError: If there is no folder ``test``, or a mask has no image or two images share it.
    """
    root, findings = Path(root), findings or Findings(at_once=True)
    folders = {split: folder_named(root, split) for split in SPLITS}
    folders["val"] = folders["val"] or folder_named(root, "validation")
    test = folders["test"]
    if test is None:
        raise LabelError(
            f"{root}: there is no folder test; MVTec's layout has train, test and ground_truth for each kind of part: "
            f"name the folder of one (the folders of {root} are {some(folders_in(root)) or 'none'})"
        )
    masks = _masks(folder_named(root, "ground_truth") or root / "ground_truth", test, set(_by_stem(test)), findings)
    found = []
    for split, folder in folders.items():
        for stem, file in ({} if folder is None else _by_stem(folder)).items():
            kind = file.relative_to(folder or root).parts[0]
            healthy = kind.lower() in HEALTHY_FOLDERS or (kind == file.name and split != "test")
            mask = masks.get(stem) if split == "test" else None
            if mask is None and not healthy:
                where = "directly in test" if kind == file.name else f"in the folder {kind!r}"
                if masks:  # else it was said of all
                    findings.fault(
                        f"{file}: an image {where} has no mask of the same stem in ground_truth; move it or add it"
                    )
                continue
            found.append(_marked(file, file.relative_to(root), split, mask, None if healthy else kind, domain))
    return found


def _marked(
    file: Path, place: Path, split: SplitName | None, mask: Path | None, kind: str | None, domain: int | None
) -> RawImage:
    """An image whose mask marks one class; without a class it is healthy."""
    return RawImage(
        path=str(file.absolute()),
        name=place.as_posix(),
        domain=ORIGINAL if domain is None else domain,
        source=str(file),
        split=split,
        mask=None if mask is None else str(mask.absolute()),
        mask_class=kind,
        is_healthy=True if kind is None else None,
    )


def split_of(place: Path) -> SplitName | None:
    """Split that the first folder of a relative path names; None where it names none."""
    return next((split for split in SPLITS if split == place.parts[0]), None) if len(place.parts) > 1 else None


def _paired(root: Path, findings: Findings) -> list[tuple[Path, Path, Path | None]]:
    """Each image, its place below ``images``, and its mask; sorted by place."""
    image_folder = folder_named(root, "images")
    images = {} if image_folder is None else _by_stem(image_folder)
    if image_folder is None or not images:
        near = folders_in(root)
        layout = ": this is MVTec's layout, label_format mvtec" if {"train", "test", "ground_truth"} <= {*near} else ""
        raise LabelError(
            f"{root / 'images'}: there is no image; put images there, and masks of the same stem in masks"
            + (f" (the folders of {root} are {some(near)}{layout})" if near else "")
        )
    masks = _masks(folder_named(root, "masks") or root / "masks", root / "images", set(images), findings)
    return [(file, file.relative_to(image_folder), masks.get(stem)) for stem, file in images.items()]


def _masks(folder: Path, of: Path, images: set[str], findings: Findings) -> dict[str, Path]:
    """Masks by the stem of their image in the folder ``of``; folders and files that match nothing are faults."""
    root, name = folder.parent, folder.name
    stems = _by_stem(folder) if folder.is_dir() else {}
    if not stems and not all(_is_healthy(stem) for stem in images):
        what = f"{folder} holds no image" if folder.is_dir() else f"there is no folder {name}"
        findings.fault(
            f"{root}: {what}, so that none of its {len(images)} images would have a defect; the folders are "
            f"{some(folders_in(root))}: rename the one that holds the masks to {name}"
        )
        return {}
    masks: dict[str, Path] = {}
    lost: list[str] = []
    for stem, file in stems.items():
        own = next((one for one in _stems_of_images(stem) if one in images), None)
        if own is None:
            lost.append(stem)
        elif own in masks:
            findings.fault(f"{file}: {masks[own]} is a mask of the same image; keep one of the two")
        else:
            masks[own] = file
    if lost:
        count = f" ({len(lost)} of {len(stems)} masks have none: {some(lost)})" if len(lost) > 1 else ""
        findings.fault(f"{stems[lost[0]]}: the mask has no image {of / lost[0]}.*{count}; rename it or add the image")
    return masks


def _stems_of_images(mask: str) -> list[str]:
    """Stems that the image of a mask may have: its own, without a word such as ``_mask``, without ``.jpg``."""
    bare = _MASK_WORDS.sub("", mask)
    return [mask, bare, *(one.rpartition(".")[0] for one in (mask, bare) if Path(one).suffix.lower() in IMAGE_SUFFIXES)]


def _is_healthy(stem: str) -> bool:
    """Whether an image lies in a folder of healthy ones."""
    return any(part.lower() in HEALTHY_FOLDERS for part in stem.split("/")[:-1])


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in find_images(folder):
        stem = file.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise LabelError(f"{file}: {found[stem]} has the same stem; give every image its own")
        found[stem] = file
    return found
