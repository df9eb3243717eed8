"""Where labelled faces come from: lists of known data sets, a csv, bare pictures, or the generated demo."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.common.progress import file_progress
from datamodules.common.settings import texts
from datamodules.faces.lists.celeba import ATTRIBUTE_LIST, IDENTITY_LIST, PARTITION_LIST, beside, pairs_of, read_celeba
from datamodules.faces.lists.fairface import COLUMNS as FAIRFACE
from datamodules.faces.lists.fairface import TRAIN_LIST, VAL_LIST, read_fairface
from datamodules.faces.lists.ffhq import read_ffhq
from datamodules.faces.lists.index import images_at
from datamodules.faces.lists.pubfig import read_pubfig
from datamodules.faces.lists.records import FaceList, SplitName, split_of, unlabelled
from datamodules.faces.lists.settings import FaceListSettings, LabelFormat
from datamodules.faces.lists.table import boxes_for, read_csv_list
from datamodules.faces.lists.utkface import read_utkface
from datamodules.faces.schema import AttributeSchema
from datamodules.images.size import picture_size
from datamodules.images.unreadable import UnreadablePictureError
from datamodules.tables.names import plain_name
from datamodules.tables.numbers import whole_of
from datamodules.tables.rows import read_rows
from datamodules.tables.text import read_lines

_log = logging.getLogger(__name__)

KnownFormat = Literal["demo", "pubfig", "lfw", "celeba", "fairface", "utkface", "ffhq", "csv", "images"]
_JSON_FOLDER = "json"  # of FFHQ's features
_BOX_LISTS = ("dev_urls.txt", "eval_urls.txt")  # PubFig's
_LISTS: dict[str, KnownFormat] = {
    "lfw_attributes.txt": "lfw",
    "pubfig_attributes.txt": "pubfig",
    f"{ATTRIBUTE_LIST}.txt": "celeba",
    f"{ATTRIBUTE_LIST}.csv": "celeba",
    f"Anno/{ATTRIBUTE_LIST}.txt": "celeba",
    TRAIN_LIST: "fairface",
    VAL_LIST: "fairface",
}


def resolved(settings: FaceListSettings) -> tuple[KnownFormat, FaceListSettings]:
    """What the data is, and the settings with the lists that were found in ``root``.

    Raises:
        ConfigurationError: If a list tells nothing about what it is.
    """
    kind, found = _with_list(settings)
    return kind, found if found.boxes is not None else replace(found, boxes=_own_boxes(found, kind))


def _own_boxes(settings: FaceListSettings, kind: KnownFormat) -> list[str]:
    """PubFig's lists of boxes that lie beside its attributes."""
    if kind != "pubfig" or settings.labels is None:
        return []
    files = [Path(settings.labels).parent / name for name in _BOX_LISTS]
    found = [str(file) for file in files if file.is_file()]
    if found:
        _log.info("face boxes: %s", ", ".join(found))
    return found


def _with_list(settings: FaceListSettings) -> tuple[KnownFormat, FaceListSettings]:
    if not settings.has_lists:
        return "demo", settings
    if settings.labels is not None:
        return _known(settings.label_format) or detect_format(settings.labels), settings
    if settings.label_format in ("images", "utkface"):
        return settings.label_format, settings
    assert settings.root is not None  # one of the two is given
    if settings.label_format == "ffhq":
        folder = Path(settings.root) / _JSON_FOLDER
        return "ffhq", replace(settings, labels=str(folder if folder.is_dir() else settings.root))
    for name, kind in _LISTS.items():
        if (Path(settings.root) / name).is_file() and _known(settings.label_format) in (None, kind):
            return kind, replace(settings, labels=str(Path(settings.root) / name))
    if settings.label_format != "auto":
        kinds = "PubFig, LFW, CelebA or FairFace" if settings.label_format == "list" else settings.label_format
        raise ConfigurationError(f"root {settings.root} holds no list of {kinds}; name it with --data.init_args.labels")
    return "images", settings


def read_faces(settings: FaceListSettings, schema: AttributeSchema) -> FaceList:
    """Read all faces, in the order of their list or sorted by path; boxes reach into their pictures.

    Raises:
        ConfigurationError: If nothing fits.
        LabelError: If a list is wrong; the message names file and line.
    """
    kind, settings = resolved(settings)
    faces = _with_facts(settings, _read(settings, kind, schema), kind)
    return clip_boxes(faces) if not np.isnan(faces.boxes).all() else faces


def _read(settings: FaceListSettings, kind: KnownFormat, schema: AttributeSchema) -> FaceList:
    labels = settings.labels or ""
    root = settings.root if settings.root is not None else Path(labels).parent
    excluded = settings.exclude_attributes or ()
    if kind in ("pubfig", "lfw"):
        return read_pubfig(
            labels,
            root,
            schema,
            boxes=texts(settings.boxes),
            real=settings.real_values,
            excluded=excluded,
            lfw=kind == "lfw",
        )
    lists = texts(settings.boxes)
    if len(lists) > 1:
        raise ConfigurationError(f"boxes names {len(lists)} lists; only PubFig has more than one")
    boxes = lists[0] if lists else None
    if kind == "celeba":
        return read_celeba(labels, root, schema, boxes=boxes, excluded=excluded)
    if kind in ("fairface", "utkface", "ffhq"):
        if boxes is not None:
            raise ConfigurationError(f"boxes is {boxes}, but pictures of {kind} are faces already: leave it out")
        if kind == "utkface":
            return read_utkface(root, schema)
        return (read_fairface if kind == "fairface" else read_ffhq)(labels, root, schema)
    if kind == "csv":
        real = settings.real_values
        return read_csv_list(labels, settings.root, schema, boxes=boxes, real=real, excluded=excluded)
    return pictures([str(root)], schema, boxes)


def _with_facts(settings: FaceListSettings, faces: FaceList, kind: KnownFormat) -> FaceList:
    """Add the identities and splits of lists of their own."""
    identities, partition = settings.identities, settings.partition
    if kind == "celeba" and settings.labels is not None:
        identities = identities or beside(settings.labels, IDENTITY_LIST)
        partition = partition or beside(settings.labels, PARTITION_LIST)
    if identities is not None:
        people = pairs_of(identities)
        faces = replace(faces, identities=[people.get(plain_name(name), "") for name in faces.names])
    if partition is None:
        return faces
    return replace(faces, splits=_splits(partition, faces))


def detect_format(path: str | Path) -> KnownFormat:
    """What a list is, from its first lines.

    Raises:
        ConfigurationError: If they tell nothing, or the file cannot be read.
    """
    if Path(path).suffix.casefold() == ".json":
        return "ffhq"
    try:
        rows = read_lines(path, "cannot be read ({}); name a list of attributes")
    except LabelError as error:
        raise ConfigurationError(f"labels: {error}") from error
    first = next((line for line in rows if line.strip()), "").strip()
    if first.startswith("#"):
        return "lfw" if "lfw" in f"{first} {Path(path).name}".casefold() else "pubfig"
    if whole_of(first.strip(",;")) is not None or first.casefold().startswith("image_id"):
        return "celeba"
    header = read_rows(path, ["file"])[0].fields
    if first.casefold().startswith("sep=") or "file" in header:
        return "fairface" if set(FAIRFACE) <= set(header) else "csv"
    raise ConfigurationError(
        f"{path} begins with {first[:60]!r}, which is no list of PubFig or LFW (# person imagenum ...), of CelebA (a "
        "number, then names) and no csv (file,...); name its label_format"
    )


def pictures(paths: list[str], schema: AttributeSchema, boxes: str | None) -> FaceList:
    """Bare pictures of folders and files; their faces are cut by a csv of boxes, else taken whole."""
    found = images_at(paths)
    faces = unlabelled([str(file) for file, _ in found], [name for _, name in found], len(schema.attributes))
    if boxes is None:
        return faces
    known, kept = boxes_for(faces.names, boxes)
    return clip_boxes(faces.with_boxes(known).take(kept))


def clip_boxes(faces: FaceList) -> FaceList:
    """Clip boxes to their pictures, of which only the headers are read; faces wholly outside are left out.

    Of a picture that cannot be read the box stays as it is: whoever decodes it says what is wrong.

    Raises:
        ConfigurationError: If not one face is inside its picture.
    """
    sizes = np.full((len(faces), 2), np.inf, dtype=np.float32)
    with file_progress("Looking at the sizes of the pictures", len(faces)) as done:
        for row, (path, source) in enumerate(zip(faces.paths, faces.sources, strict=True)):
            with suppress(UnreadablePictureError):
                sizes[row] = picture_size(path, source)
            done()
    clipped = np.clip(faces.boxes, 0, np.tile(sizes, 2)).astype(np.float32)
    inside = ~((clipped[:, 2] <= clipped[:, 0]) | (clipped[:, 3] <= clipped[:, 1]))
    _report_boxes(faces, (np.abs(clipped - faces.boxes) > 0).any(axis=1) & inside, ~inside, sizes)
    return faces.with_boxes(clipped).take(np.flatnonzero(inside))


def _report_boxes(
    faces: FaceList, partly: NDArray[np.bool_], outside: NDArray[np.bool_], sizes: NDArray[np.float32]
) -> None:
    if partly.any():
        _log.warning(
            "warning: %d of %d face boxes reach beyond their pictures and are clipped, the first is that of %s",
            int(partly.sum()), len(faces), faces.sources[int(np.flatnonzero(partly)[0])],
        )  # fmt: skip
    if not outside.any():
        return
    row = int(np.flatnonzero(outside)[0])
    box = ",".join(f"{edge:g}" for edge in faces.boxes[row])
    what = f"{faces.sources[row]}: the face box {box} lies outside the picture {faces.names[row]} of " + "x".join(
        f"{side:g}" for side in sizes[row]
    )
    if outside.all():
        raise ConfigurationError(
            f"{what} pixels, and so do all others; the boxes belong to other pictures (aligned or resized ones?)"
        )
    _log.warning("warning: %s pixels; faces left out because of this: %d", what, int(outside.sum()))


def _known(kind: LabelFormat) -> KnownFormat | None:
    """The format that was named; None where it is to be found out."""
    return None if kind in ("auto", "list", "demo") else cast(KnownFormat, kind)


def _splits(partition: str, faces: FaceList) -> list[SplitName]:
    """Split of each face from a list of pictures or persons."""
    pairs = pairs_of(partition)
    splits: list[SplitName] = []
    for name, person in zip(faces.names, faces.identities, strict=True):
        word = pairs.get(plain_name(name)) or pairs.get(plain_name(person)) or ""
        split = split_of(word)
        if split is None:
            raise LabelError(
                f"{partition}: the split of {name} is {word or 'not named'!r}; write train, val or test (0, 1 or 2) "
                "for each picture or person"
            )
        splits.append(split)
    return splits
