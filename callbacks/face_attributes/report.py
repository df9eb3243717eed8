"""Every head and attribute of a test, with what a guess of the more frequent answer would have scored beside it."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lightning as L

from callbacks.face_attributes.bars import draw_attributes
from callbacks.face_attributes.measures import AttributeResults, AttributeTest
from callbacks.figures.pictures import save_figure
from callbacks.figures.plain import without_nan
from datamodules.common.atomic_write import write_text
from datamodules.tables.csv import csv_text, short_numbers
from lightning_modules.face_attributes.classifier.metrics import WELL_KNOWN, AttributeScores, HeadScores, known_mean

log = logging.getLogger(__name__)


class AttributeReport(AttributeTest):
    """Report the test split attribute by attribute and head by head.

    Writes into the run's folder ``attribute_report.csv`` (attributes), ``head_report.csv``, ``attribute_report.json``
    (both, and means) and ``attribute_report.png``. Logs nothing that the model does not log itself. Missing labels and
    the sampler's padding are left out.

    The step returns ``probability`` ``(B, K)``, ``decision`` and ``attributes`` int8 ``(B, K)``.

    Args:
        figures: Draw the picture; it goes to TensorBoard and W&B where they log.
    """

    def __init__(self, figures: bool = True) -> None:
        super().__init__()
        self.figures = figures

    def report(self, trainer: L.Trainer, module: L.LightningModule, tested: AttributeResults, folder: Path) -> None:
        """Write the files, if any face has a label."""
        attributes, heads = tested.attributes, tested.heads
        if not any(row.present + row.absent for row in attributes):
            log.warning("no face of the test split has a label: there is nothing to report")
            return
        write_text(folder / "attribute_report.csv", rows_text(attributes))
        write_text(folder / "head_report.csv", rows_text(heads))
        content = json.dumps(plain(attributes, heads, len(tested.labels)), indent=2, ensure_ascii=False)
        write_text(folder / "attribute_report.json", content + "\n")
        log.info("attribute report: %s", folder / "attribute_report.csv")
        if self.figures:
            save_figure(trainer, draw_attributes(attributes), folder / "attribute_report.png", "test/attributes")


def plain(attributes: Sequence[AttributeScores], heads: Sequence[HeadScores], faces: int) -> dict[str, Any]:
    """A report as plain values for JSON; a number that cannot be said is null."""
    balanced = [row.balanced_accuracy for row in attributes]
    measured = [row.name for row in attributes if not math.isnan(row.balanced_accuracy)]
    content = {
        "faces": faces,
        "attributes_measured": len(measured),
        "attributes_over_90": sum(value >= WELL_KNOWN for value in balanced),
        "balanced_accuracy": known_mean(balanced),
        "accuracy": known_mean([row.accuracy for row in attributes]),
        "majority": known_mean([row.majority for row in attributes]),
        "average_precision": known_mean([row.average_precision for row in attributes]),
        "not_measured": [row.name for row in attributes if row.name not in measured],
        "attributes": [row._asdict() for row in attributes],
        "heads": [row._asdict() for row in heads],
    }
    return without_nan(content)


def rows_text(rows: Sequence[AttributeScores] | Sequence[HeadScores]) -> str:
    """Rows as csv; a number that cannot be said is an empty field."""
    return csv_text(rows[0]._fields, map(short_numbers, rows))
