"""Folders of images and masks, in two layouts.

``folder``: ``images/NAME.*`` and ``masks/NAME.*`` of the same stem, whose pixel v is class v (0 healthy, 255 unknown);
an image without a mask is healthy. ``class_folders``: ``images/CLASS/NAME.*`` and binary ``masks/CLASS/NAME.*``;
folders named good, healthy, ok, normal or free hold healthy images. In both a first level ``train``, ``val`` and
``test`` under ``images`` and ``masks`` names the split, and deeper sub-folders are part of the name.
"""

from __future__ import annotations

from pathlib import Path

from datamodules.common.errors import LabelError
from datamodules.common.splits import SPLITS, SplitName
from datamodules.images.finding import find_images
from datamodules.inspection.batch import ORIGINAL
from datamodules.inspection.labels.records import RawImage

HEALTHY_FOLDERS = ("good", "healthy", "ok", "normal", "free")


def read_folder(root: str | Path, domain: int | None = None) -> list[RawImage]:
    """Read ``images/`` and ``masks/`` whose pixel values are the classes.

    Raises:
        LabelError: If there is no image, or a mask has no image or two images share it.
    """
    root = Path(root)
    images, masks = _paired(root)
    return [
        RawImage(
            path=str(file.absolute()),
            name=file.relative_to(root / "images").as_posix(),
            domain=ORIGINAL if domain is None else domain,
            source=str(file),
            split=split_of(file.relative_to(root / "images")),
            mask=str(masks[stem].absolute()) if stem in masks else None,
        )
        for stem, file in images.items()
    ]


def read_class_folders(root: str | Path, domain: int | None = None) -> list[RawImage]:
    """Read ``images/CLASS/`` and binary ``masks/CLASS/``.

    Raises:
        LabelError: As in ``read_folder``, or if an image lies in no folder of a class, or in a defective one without a
            mask, or in a healthy one with a mask.
    """
    root = Path(root)
    images, masks = _paired(root)
    found = []
    for stem, file in images.items():
        place = file.relative_to(root / "images")
        split = split_of(place)
        folders = place.parts[:-1] if split is None else place.parts[1:-1]
        if not folders:
            raise LabelError(f"{file}: the image lies in no folder that names its class; move it to images/CLASS/")
        healthy = folders[0] in HEALTHY_FOLDERS
        if healthy == (stem in masks):
            found_mask = (
                f"has the mask {masks[stem]}" if healthy else f"has no mask of the same stem in {root / 'masks'}"
            )
            raise LabelError(f"{file}: an image in the folder {folders[0]!r} {found_mask}; move it or mend the mask")
        found.append(
            RawImage(
                path=str(file.absolute()),
                name=place.as_posix(),
                domain=ORIGINAL if domain is None else domain,
                source=str(file),
                split=split,
                mask=None if healthy else str(masks[stem].absolute()),
                mask_class=None if healthy else folders[0],
                is_healthy=True if healthy else None,
            )
        )
    return found


def _paired(root: Path) -> tuple[dict[str, Path], dict[str, Path]]:
    """Images and masks by their path without suffix; sorted."""
    images, masks = _by_stem(root / "images"), _by_stem(root / "masks")
    if not images:
        raise LabelError(f"{root / 'images'}: there is no image; put images there, and masks of the same stem in masks")
    lost = next((stem for stem in masks if stem not in images), None)
    if lost is not None:
        raise LabelError(f"{masks[lost]}: the mask has no image {root / 'images' / lost}.*; rename it or add the image")
    return images, masks


def split_of(place: Path) -> SplitName | None:
    """Split that the first folder of a relative path names; None where it names none."""
    return next((split for split in SPLITS if split == place.parts[0]), None) if len(place.parts) > 1 else None


def _by_stem(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for file in find_images(folder):
        stem = file.relative_to(folder).with_suffix("").as_posix()
        if stem in found:
            raise LabelError(f"{file}: {found[stem]} has the same stem; give every image its own")
        found[stem] = file
    return found
