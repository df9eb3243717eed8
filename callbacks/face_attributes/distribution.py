"""How many faces of each split show each attribute."""

from __future__ import annotations

import contextlib
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure
from torch import Tensor

from callbacks.face_attributes.bars import draw_shares
from callbacks.face_attributes.measures import schema_of
from callbacks.figures.pictures import save_figure
from datamodules.common.atomic_write import write_text
from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import ABSENT, MISSING, PRESENT
from datamodules.tables.csv import csv_text

log = logging.getLogger(__name__)

_SPLITS = ("train", "val", "test")


class AttributeDistribution(Callback):
    """Count the labels before a training or a test begins.

    Writes into the run's folder ``attribute_distribution.csv`` (a row an attribute: faces that show it, do not, and
    have no label, a split) and ``attribute_distribution.png``, most frequent first, as fig. 7 of Cate, Dalvi, Hussain,
    "DeepFace: Face Generation using Deep Learning" (2016). Needs a data module with ``label_table(split)``; no picture
    is decoded.
    """

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Count all splits."""
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # a collective call: all processes make it
        tables = label_tables(trainer)
        if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False) or not tables:
            return
        schema = schema_of(pl_module)
        counts = {split: count(labels) for split, labels in tables.items()}
        write_text(folder / "attribute_distribution.csv", table_text(schema.attributes, counts))
        path = folder / "attribute_distribution.png"
        figure = distribution_figure(schema.attributes, counts)
        save_figure(trainer, figure, path, "data/attribute_distribution")
        log.info("distribution of the attributes: %s", path)

    on_test_start = on_fit_start


Counts = tuple[list[int], list[int], list[int]]  # present, absent, missing of each attribute


def label_tables(trainer: L.Trainer) -> dict[str, Tensor]:
    """Labels int8 ``(N, K)`` of each split that the data module has; empty where it keeps no table."""
    data: Any = getattr(trainer, "datamodule", None)
    if not hasattr(data, "label_table"):
        log.warning("the data module keeps no table of labels, so the distribution of the attributes is not drawn")
        return {}
    tables = {}
    for split in _SPLITS:
        with contextlib.suppress(ConfigurationError):  # a list without this split
            tables[split] = data.label_table(split)[0]
    return {split: labels for split, labels in tables.items() if len(labels)}


def count(labels: Tensor) -> Counts:
    """Faces that show each attribute, that do not, and that have no label for it, from int8 labels ``(N, K)``."""
    present, absent, missing = ((labels == value).sum(dim=0).tolist() for value in (PRESENT, ABSENT, MISSING))
    return present, absent, missing


def table_text(names: Sequence[str], counts: Mapping[str, Counts]) -> str:
    """A row an attribute, in the order of the schema."""
    kinds = ("present", "absent", "missing")
    rows = zip(names, *(column for columns in counts.values() for column in columns), strict=True)
    return csv_text(["attribute", *(f"{split}_{kind}" for split in counts for kind in kinds)], rows)


def distribution_figure(names: Sequence[str], counts: Mapping[str, Counts]) -> Figure:
    """Bars of the first split, most frequent first; ticks of the others."""
    shares = {split: [_share(p, p + a) for p, a, _ in zip(*columns, strict=True)] for split, columns in counts.items()}
    first = next(iter(counts))
    order = sorted(range(len(names)), key=lambda row: -(-1.0 if math.isnan(shares[first][row]) else shares[first][row]))
    present, absent, missing = counts[first]
    faces = present[0] + absent[0] + missing[0]
    lacking = [missing[row] / faces for row in order]
    ticks = [f"{colour} tick: {split}" for split, colour in zip(list(counts)[1:], ("black", "red"), strict=False)]
    title = [f"blue: share of labelled {first} faces that show it", "grey, from the right: without a label", *ticks]
    columns = [[values[row] for row in order] for values in shares.values()]
    return draw_shares([names[row] for row in order], columns, lacking, title)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan
