"""Whether a model serves all groups of people, and all kinds of pictures, alike."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
import torch
from matplotlib.figure import Figure
from torch import Tensor

from callbacks.face_attributes.measures import pick_facts, schema_of
from callbacks.figures.collect import CollectTestResults
from callbacks.figures.pictures import save_figure
from datamodules.common.atomic_write import write_text
from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import ABSENT, PRESENT, AttributeSchema, normalised
from datamodules.tables.csv import csv_text, short_numbers
from lightning_modules.face_attributes.classifier.metrics import known_mean

log = logging.getLogger(__name__)

# Sex, origin, age, skin; then what a person wears and how the picture was taken; in any spelling.
GROUPS = (
    "Male", "Asian", "White", "Black", "Indian", "Baby", "Child", "Youth", "Young", "Middle Aged", "Senior",
    "Pale Skin", "Eyeglasses", "Sunglasses", "Wearing Hat", "Bald", "Heavy Makeup", "Color Photo", "Blurry",
    "Harsh Lighting",
)  # fmt: skip


class GroupRow(NamedTuple):
    """One attribute in a group and outside of it.

    Attributes:
        group: Attribute that makes the group.
        attribute: Attribute that is answered.
        inside: Balanced accuracy for faces of the group, 0..1.
        outside: The same for faces that are not of it.
        gap: ``outside - inside``: above 0 where the group is served worse.
        faces_inside: Faces of the group with a label for the attribute.
        faces_outside: Others with a label.
    """

    group: str
    attribute: str
    inside: float
    outside: float
    gap: float
    faces_inside: int
    faces_outside: int


class GroupErrors(CollectTestResults):
    """Compare the answers for faces of a group with those for other faces.

    Writes into the run's folder ``group_errors.csv`` (a row a group and attribute), ``group_errors.json`` (means, and
    the attributes with the largest gaps a group) and ``group_errors.png``. An attribute counts where both classes have
    enough faces on both sides; balanced accuracy, so that groups may differ in how often they show it.

    The step returns ``decision`` and ``attributes`` int8 ``(B, K)``.

    Args:
        groups: Attributes that make the groups; None takes sex, origin, age, skin, and conditions of the picture, as
            far as the schema and the labels have them.
        fewest: Faces of each class that an attribute needs in the group and outside.
    """

    def __init__(self, groups: list[str] | None = None, fewest: int = 10) -> None:
        super().__init__()
        self.groups = groups
        self.fewest = fewest

    def columns(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Decisions and labels."""
        return pick_facts(outputs, type(self).__name__, ("decision", "attributes"))

    def finish(self, trainer: L.Trainer, module: L.LightningModule, table: dict[str, Tensor]) -> None:
        """Write the files on rank zero."""
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # a collective call: all processes make it
        schema = schema_of(module)
        groups = chosen_groups(schema, self.groups)
        if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        rows = [
            row
            for group in groups
            for row in group_rows(schema, group, table["decision"], table["attributes"], self.fewest)
        ]
        if not rows:
            log.warning("no group has %d faces of each class of an attribute: no errors a group", self.fewest)
            return
        write_text(folder / "group_errors.csv", csv_text(GroupRow._fields, map(short_numbers, rows)))
        write_text(folder / "group_errors.json", json.dumps(summary(rows), indent=2, ensure_ascii=False) + "\n")
        save_figure(trainer, draw_groups(rows), folder / "group_errors.png", "test/group_errors")
        log.info("errors a group: %s", folder / "group_errors.csv")


def chosen_groups(schema: AttributeSchema, wanted: Sequence[str] | None) -> list[str]:
    """Names of the groups in the spelling of the schema.

    Raises:
        ConfigurationError: If a group was asked for that is no attribute; the message gives the nearest names.
    """
    if wanted is not None:
        try:
            return [schema.find(name) for name in wanted]
        except ConfigurationError as error:
            raise ConfigurationError(f"GroupErrors.groups: {error}") from error
    return own_names(schema, GROUPS)


def own_names(schema: AttributeSchema, names: Sequence[str]) -> list[str]:
    """Those of some attributes that a schema has, as it spells them.

    Example:
        >>> own_names(AttributeSchema.from_file("celeba"), ("Pale Skin", "Baby"))
        ['Pale_Skin']
    """
    known = {normalised(name): name for name in schema.attributes}
    return [known[normalised(name)] for name in names if normalised(name) in known]


def group_rows(schema: AttributeSchema, group: str, decision: Tensor, labels: Tensor, fewest: int) -> list[GroupRow]:
    """Compare a group with all others, an attribute at a time, by int8 decisions and labels ``(N, K)``.

    An attribute needs the ``fewest`` faces of each class on both sides.
    """
    marks = labels[:, schema.index(group)]
    inside = _right_answers(decision[marks == PRESENT], labels[marks == PRESENT])
    outside = _right_answers(decision[marks == ABSENT], labels[marks == ABSENT])
    rows = []
    for column, name in enumerate(schema.attributes):
        counts = torch.stack([inside.faces[:, column], outside.faces[:, column]])
        if name == group or int(counts.min()) < fewest:
            continue
        own, other = (float((side.right / side.faces)[:, column].mean()) for side in (inside, outside))
        number, others = counts.sum(dim=1).long().tolist()
        rows.append(GroupRow(group, name, own, other, other - own, number, others))
    return rows


class _Side(NamedTuple):
    right: Tensor  # float64 (2, K): right answers of faces that show the attribute, and that do not
    faces: Tensor  # float64 (2, K)


def _right_answers(decision: Tensor, labels: Tensor) -> _Side:
    right = torch.stack([((labels == value) & (decision == value)).sum(dim=0) for value in (PRESENT, ABSENT)])
    faces = torch.stack([(labels == value).sum(dim=0) for value in (PRESENT, ABSENT)])
    return _Side(right.double(), faces.double())


def summary(rows: Sequence[GroupRow]) -> list[dict[str, Any]]:
    """Means of each group and its three largest gaps to either side, as plain values."""
    groups = dict.fromkeys(row.group for row in rows)
    result = []
    for group in groups:
        own = [row for row in rows if row.group == group]
        ordered = sorted(own, key=lambda row: -row.gap)
        result.append(
            {
                "group": group,
                "attributes": len(own),
                "inside": known_mean([row.inside for row in own]),
                "outside": known_mean([row.outside for row in own]),
                "gap": known_mean([row.gap for row in own]),
                "largest_gaps": {row.attribute: row.gap for row in ordered[:3]},
                "largest_gaps_outside": {row.attribute: row.gap for row in ordered[:-4:-1]},
            }
        )
    return result


def draw_groups(rows: Sequence[GroupRow]) -> Figure:
    """A line a group: its mean error and that of the others, with the gap of each attribute as a faint dot."""
    found = summary(rows)
    figure = Figure(figsize=(8.0, 1.3 + 0.32 * max(3, len(found))), layout="constrained")
    axes, gaps = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for place, entry in enumerate(found):
        own, other = 1 - entry["inside"], 1 - entry["outside"]
        axes.plot([own, other], [place, place], color="#bbbbbb", linewidth=2, zorder=1)
        axes.plot(other, place, "o", color="#2166ac", markersize=6, label="other faces" if place == 0 else None)
        axes.plot(own, place, "o", color="#b2182b", markersize=6, label="faces of the group" if place == 0 else None)
        values = [row.gap for row in rows if row.group == entry["group"]]
        gaps.plot(values, [place] * len(values), "o", color="#444444", markersize=3, alpha=0.35)
        gaps.plot(entry["gap"], place, "|", color="#b2182b", markersize=12, markeredgewidth=2)
    axes.set_yticks(range(len(found)), [entry["group"] for entry in found], fontsize=8)
    axes.set_ylim(len(found) - 0.5, -0.5)
    axes.set_xlabel("mean of 1 - balanced accuracy", fontsize=8)
    axes.set_xlim(0, 1.1 * max(0.01, *(1 - min(entry["inside"], entry["outside"]) for entry in found)))
    gaps.axvline(0, color="#8a8a8a", linewidth=0.8)
    gaps.set_xlabel("gap of each attribute (right: served worse)", fontsize=8)
    limit = max(0.02, *(abs(row.gap) for row in rows if not math.isnan(row.gap))) * 1.1
    gaps.set_xlim(-limit, limit)
    for panel in (axes, gaps):
        panel.tick_params(axis="x", labelsize=8)
        panel.grid(axis="x", alpha=0.25)
        panel.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside upper center", ncols=2, frameon=False, fontsize=8)
    return figure
