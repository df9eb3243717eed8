"""Defects of parts by an exported segmenter or detector: the picture, the graph, and the store of ``predict``."""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.common.errors import ImageError, number_of
from datamodules.common.fingerprint import file_sha256
from datamodules.images.finding import images_at
from datamodules.images.upright import read_picture
from datamodules.inspection.batch import NEW, Box, Detection
from datamodules.inspection.batches.decoded import network_size
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.score_maps import write_map
from lightning_modules.commands.exported.boxes import candidates, suppress
from lightning_modules.commands.exported.manifest import Manifest
from lightning_modules.commands.exported.outcome import Outcome
from lightning_modules.commands.exported.session import Array, Graph
from lightning_modules.inspection.segmenter.regions import SourceGrid, cells_inside, find_regions
from lightning_modules.inspection.tiles import cut_into_tiles

log = logging.getLogger("appraise")

Size = tuple[int, int]  # height, width
_STEP = 32  # sides of the graph's pictures are multiples of it


class Picture(NamedTuple):
    """A picture of a part as the graph takes it.

    Attributes:
        image: uint8 ``(1, 3, H, W)``, zero to the right of and below the picture.
        size: Of the picture inside it.
        source_size: Of the upright file.
    """

    image: NDArray[np.uint8]
    size: Size
    source_size: Size


def inputs(facts: Mapping[str, Any], place: str) -> Iterator[dict[str, Array]]:
    """What the graph takes of each readable picture, a batch of one."""
    for path in images_at(place):
        try:
            yield {"image": _read(facts, path).image}
        except ImageError as error:
            log.warning("warning: %s", error)


def run(graph: Graph, manifest: Manifest, place: str, output: Path, sha256: str) -> Outcome:
    """Look for defects in the pictures of a place; detections go into ``feedback.sqlite``, score maps beside it.

    Running again adds nothing that is there, and touches no answer.

    Returns:
        How many pictures could be read, and how many not.
    """
    facts = manifest.facts
    paths = images_at(place)
    names, limits = facts["class_names"], np.asarray(facts["thresholds"], dtype=np.float32)
    store = FeedbackStore(str(output / "feedback.sqlite"), create=True)
    failed = found = hit = 0
    try:
        thresholds = dict(zip(names, limits.tolist(), strict=True))
        run_id = store.start_run(sha256, data_sha256(facts, paths, place), thresholds)
        for path in paths:
            try:
                picture = _read(facts, path)
            except ImageError as error:
                log.warning("warning: %s", error)
                failed += 1
                continue
            outputs = whole_outputs(graph, facts, picture.image)
            detections = detect(facts, outputs, picture)
            height, width = picture.source_size
            with store.transaction():
                image_id = store.add_image(path, file_sha256(path), width, height, NEW)
                store.add_detections(run_id, image_id, detections, names)
            write_map(store.map_path(run_id, image_id), score_map(facts, outputs["scores"][0], picture.size))
            found += len(detections)
            hit += len(detections) > 0
    finally:
        store.close()
    unread = f", {failed} of {len(paths)} not readable" if failed else ""
    seen = number_of(len(paths) - failed, "image")
    log.info("%s in %d of %s%s: %s", number_of(found, "detection"), hit, seen, unread, store.path)
    return Outcome(len(paths) - failed, failed)


def whole_outputs(graph: Graph, facts: Mapping[str, Any], image: NDArray[np.uint8]) -> dict[str, Array]:
    """Outputs for a picture ``(1, 3, H, W)``, tile by tile where it exceeds ``tile_size``."""
    tile, stride = facts["tile_size"], int(facts["stride"])
    height, width = image.shape[-2:]
    if tile is None or max(height, width) <= tile:
        return graph({"image": image})
    cut = cut_into_tiles((height, width), tile, int(facts["tile_overlap"]), stride)
    padded = np.pad(image, ((0, 0), (0, 0), (0, cut.size[0] - height), (0, cut.size[1] - width)))
    whole: dict[str, Array] = {}
    for row in cut.rows:
        for column in cut.columns:
            part = graph({"image": padded[..., row.pixels, column.pixels]})
            source, target = zip(row.cells(stride), column.cells(stride), strict=True)
            if "boxes" in part:  # in pixels of the tile
                corner = np.array([column.start, row.start] * 2, dtype=np.float32)
                part["boxes"] = part["boxes"] + corner[:, None, None]
            for name, value in part.items():
                cells = (cut.size[0] // stride, cut.size[1] // stride)
                own = whole.setdefault(name, np.empty((*value.shape[:-2], *cells), dtype=value.dtype))
                own[..., target[0], target[1]] = value[..., source[0], source[1]]
    return {name: value[..., : -(-height // stride), : -(-width // stride)] for name, value in whole.items()}


def detect(facts: Mapping[str, Any], outputs: Mapping[str, Array], picture: Picture) -> list[Detection]:
    """Detections of one picture, best first."""
    find = _boxes if "anchors" in facts else _regions
    return find(facts, {name: value[0] for name, value in outputs.items()}, picture)


def score_map(facts: Mapping[str, Any], scores: NDArray[np.float32], size: Size) -> NDArray[np.float16]:
    """Highest score of each cell of the picture, over classes and anchors, ``(h, w)``."""
    rows, columns = (-(-side // int(facts["stride"])) for side in size)
    highest: NDArray[np.float16] = scores.reshape(-1, *scores.shape[-2:]).max(axis=0).astype(np.float16)
    return highest[:rows, :columns]


def data_sha256(facts: Mapping[str, Any], paths: Sequence[Path], place: str) -> str:
    """SHA-256 over the pictures (names and sizes), the classes and the size of the pictures, as of the data module."""
    digest = hashlib.sha256(f"{facts['class_names']}\0{facts['image_size']}\0".encode())
    if facts.get("white_level") is not None:
        digest.update(f"white {facts['white_level']:g}\0".encode())
    folder = Path(place).absolute()
    for path in paths:
        name = path.relative_to(folder).as_posix() if folder.is_dir() else path.name
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
    return digest.hexdigest()


def _regions(facts: Mapping[str, Any], outputs: Mapping[str, Array], picture: Picture) -> list[Detection]:
    stride, limits = int(facts["stride"]), np.asarray(facts["thresholds"], dtype=np.float32)
    rows, columns = cells_inside(picture.size, stride)
    grid = SourceGrid(stride, picture.size, picture.source_size, (rows, columns))
    found = []
    for region in find_regions(outputs["scores"][:, :rows, :columns], limits):
        box, rle = grid.pixels(region.where, region.member)
        found.append(
            Detection(
                class_index=region.class_index,
                score=region.score,
                box=box,
                margin=region.score - float(limits[region.class_index]),
                entropy=binary_entropy(region.score),
                rle=rle,
                embedding=region.mean(outputs["features"]).astype(np.float16),
            )
        )
    return found


def _boxes(facts: Mapping[str, Any], outputs: Mapping[str, Array], picture: Picture) -> list[Detection]:
    stride, limits = int(facts["stride"]), np.asarray(facts["thresholds"], dtype=np.float32)
    rows, columns = (-(-side // stride) for side in picture.size)
    found = candidates(outputs["scores"][..., :rows, :columns], outputs["boxes"], limits)
    classes, anchor, row, column = found.place.T
    kept, suppressed = suppress(found.boxes, found.scores, classes, facts["nms_iou"], facts["max_detections"])
    y, x = (source / own for source, own in zip(picture.source_size, picture.size, strict=True))
    scale = np.array([x, y, x, y], dtype=np.float32)
    half = np.asarray(facts["anchors"], dtype=np.float32)[anchor] / 2
    centre = (np.stack([column, row], axis=1).astype(np.float32) + np.float32(0.5)) * np.float32(stride)
    priors = _rows(np.concatenate([centre - half, centre + half], axis=1) * scale)
    clipped = _rows(_clipped(found.boxes[kept] * scale, picture.source_size))
    return [
        Detection(
            class_index=int(classes[own]),
            score=float(found.scores[own]),
            box=clipped[number],
            margin=float(found.scores[own] - limits[classes[own]]),
            entropy=binary_entropy(float(found.scores[own])),
            anchor_boxes=(priors[own], *(priors[other] for other in suppressed[number].tolist())),
            embedding=outputs["features"][:, row[own], column[own]].astype(np.float16),
        )
        for number, own in enumerate(kept.tolist())
    ]


def _clipped(boxes: NDArray[np.float32], source_size: Size) -> NDArray[np.float32]:
    """Boxes inside the picture, each side at least one pixel."""
    height, width = (np.float32(side) for side in source_size)
    x1, y1, x2, y2 = boxes.T
    x1, y1 = x1.clip(0, width - 1), y1.clip(0, height - 1)
    return np.stack([x1, y1, np.maximum(x2.clip(max=width), x1 + 1), np.maximum(y2.clip(max=height), y1 + 1)], axis=1)


def _rows(boxes: NDArray[np.float32]) -> list[Box]:
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in boxes.tolist()]


def binary_entropy(probability: float) -> float:
    """Entropy of a yes-or-no decision, in nats.

    Example:
        >>> binary_entropy(1.0), round(binary_entropy(0.5), 4)
        (0.0, 0.6931)
    """
    return sum((-share * math.log(share) for share in (probability, 1 - probability) if share > 0), 0.0)


def _read(facts: Mapping[str, Any], path: Path) -> Picture:
    """A picture, upright, in the size that the network sees, filled up with zeros."""
    white = facts.get("white_level")  # exports of before have none
    pixels = np.array(read_picture(path, str(path.parent), transparent="ignored", white_level=white))
    source_size = (pixels.shape[0], pixels.shape[1])
    size = network_size(source_size, facts["image_size"])
    if size != source_size:
        pixels = np.array(Image.fromarray(pixels).resize((size[1], size[0]), Image.Resampling.BILINEAR))
    height, width = (-(-side // _STEP) * _STEP for side in size)
    image = np.zeros((1, 3, height, width), dtype=np.uint8)
    image[0, :, : size[0], : size[1]] = pixels.transpose(2, 0, 1)
    return Picture(image, size, source_size)
