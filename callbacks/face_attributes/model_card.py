"""A page that says what a face classifier is for, what it is not for, and how it was measured."""

from __future__ import annotations

import logging
import math
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L

from callbacks.face_attributes.group_errors import GroupRow, chosen_groups, group_rows, own_names, summary
from callbacks.face_attributes.measures import AttributeResults, AttributeTest
from callbacks.figures.plain import markdown_table, shown
from datamodules.common.atomic_write import write_text
from datamodules.faces.demo import DemoFaces
from datamodules.faces.schema import AttributeSchema
from lightning_modules.face_attributes.classifier.metrics import WELL_KNOWN, AttributeScores, HeadScores, known_mean

log = logging.getLogger(__name__)

_FEWEST = 10  # faces of each class on both sides of a group
_GAP = 0.02  # mean loss of balanced accuracy from which a group is named
# Attributes that are judgements of a viewer or say who somebody is, rather than what a picture shows.
_JUDGED = ("Attractive", "Attractive Man", "Attractive Woman", "Chubby", "Posed Photo")
_WHO = ("Male", "Asian", "White", "Black", "Indian", "Baby", "Child", "Youth", "Young", "Middle Aged", "Senior")

_INTENDED = """\
- Research on attributes of faces, on what a network knows about them, and on making faces from attributes.
- Sorting or describing pictures where a wrong word does no harm and a person can correct it.
"""
_NOT_INTENDED = """\
- Finding, recognising or describing a real person, by the police or anybody else. A face made from attributes looks
  like nobody in particular, and its details are invented.
- Any decision about a person: work, credit, insurance, entry, medicine, law.
- Guessing origin, sex, age or health. The attributes of these names are what labellers called a picture, not what
  somebody is.
"""


class ModelCard(AttributeTest):
    """Write ``model_card.md`` into the run's folder when a test ends.

    Intended use and what is none, limits, data, measures with the majority's beside them, groups that are served worse,
    and attributes that are left out or cannot be said. The words are general; read and complete them before a model is
    given away.

    The step returns ``probability`` ``(B, K)``, ``decision`` and ``attributes`` int8 ``(B, K)``.

    Args:
        name: Title of the card; None takes the class of the model.
        contact: Who answers questions; left out where None.
        notes: Sentences of your own, put after the intended use.
    """

    def __init__(self, name: str | None = None, contact: str | None = None, notes: str | None = None) -> None:
        super().__init__()
        self.name = name
        self.contact = contact
        self.notes = notes

    def report(self, trainer: L.Trainer, module: L.LightningModule, tested: AttributeResults, folder: Path) -> None:
        """Write the card."""
        schema, decision, labels, attributes, heads = tested
        groups = [
            row for group in chosen_groups(schema, None) for row in group_rows(schema, group, decision, labels, _FEWEST)
        ]
        parts = [
            f"# {self.name or type(module).__name__}\n\n{_opening(schema)}",
            _facts(trainer, module, self.contact),
            f"## Intended use\n\n{_INTENDED}\n## Not intended\n\n{_NOT_INTENDED}",
            f"## Notes\n\n{self.notes.strip()}\n" if self.notes else "",
            _data_text(trainer, attributes, len(labels)),
            _measures_text(attributes, heads),
            _groups_text(groups),
            _limits_text(schema, attributes, getattr(module, "labelled", None)),
        ]
        write_text(folder / "model_card.md", "\n".join(part for part in parts if part))
        log.info("model card: %s", folder / "model_card.md")


def _opening(schema: AttributeSchema) -> str:
    return (
        f"Says {len(schema.attributes)} attributes of a cropped face in {len(schema.heads)} heads, after Cate, Dalvi, "
        'Hussain, "DeepFace: Face Generation using Deep Learning" (2016).\n'
    )


def _facts(trainer: L.Trainer, module: L.LightningModule, contact: str | None) -> str:
    parameters = sum(parameter.numel() for parameter in module.parameters())
    names = ("preset", "backbone", "image_size", "freeze_below")
    rows = [("weights", f"{parameters:,}")]
    rows += [(name, str(module.hparams[name])) for name in names if module.hparams.get(name) is not None]
    rows += [("checkpoint", Path(str(trainer.ckpt_path)).name)] if trainer.ckpt_path else []
    rows += [("contact", contact)] if contact else []
    return markdown_table(("fact", "value"), rows)


def _data_text(trainer: L.Trainer, rows: Sequence[AttributeScores], faces: int) -> str:
    data: Any = getattr(trainer, "datamodule", None)
    drawn = hasattr(data, "faces") and isinstance(data.faces("test"), DemoFaces)
    made = "faces drawn by a renderer, no photographs of people" if drawn else "pictures of the user's own list"
    missing = sum(row.missing for row in rows) / max(1, sum(row.present + row.absent + row.missing for row in rows))
    return (
        f"## Data\n\nMeasured on {faces:,} faces that the model has not learnt from ({made}); "
        f"{missing:.0%} of their labels are missing and left out.\n"
        "Labels of public lists such as PubFig and LFW (Kumar et al., ICCV 2009) come from another classifier, not "
        "from people; labels of drawn faces are exact.\n"
    )


def _measures_text(attributes: Sequence[AttributeScores], heads: Sequence[HeadScores]) -> str:
    measured = [row for row in attributes if not math.isnan(row.balanced_accuracy)]
    good = sum(row.balanced_accuracy >= WELL_KNOWN for row in measured)
    lines = [
        "## Measures\n",
        f"Mean balanced accuracy {known_mean([row.balanced_accuracy for row in measured]):.3f} over the "
        f"{len(measured)} attributes of which the test faces show both classes (a guess has 0.5); {good} of them have "
        f"{WELL_KNOWN:.2f} or more. Accuracy {known_mean([row.accuracy for row in measured]):.3f}, the majority's "
        f"answer {known_mean([row.majority for row in measured]):.3f}.\n",
    ]
    counted = [row for row in heads if row.faces]
    table = [
        (row.name, row.kind, *map(shown, (row.accuracy, row.majority, row.balanced_accuracy)), f"{row.faces:,}")
        for row in counted
    ]
    lines.append(markdown_table(("head", "kind", "accuracy", "majority", "balanced", "faces"), table))
    worst = sorted(measured, key=lambda row: row.balanced_accuracy)[:10]
    lines.append("The ten attributes it knows worst:\n")
    lines.append(
        markdown_table(
            ("attribute", "balanced accuracy", "F1", "faces that show it"),
            [(row.name, shown(row.balanced_accuracy), shown(row.f1), f"{row.present:,}") for row in worst],
        )
    )
    return "\n".join(lines)


class _Worse(NamedTuple):
    name: str
    own: float
    others: float
    largest: list[str]


def _served_worse(entry: Mapping[str, Any]) -> _Worse | None:
    """The faces of a group, or those that are not of it, if they are answered clearly worse than the rest."""
    if entry["gap"] >= _GAP:
        return _Worse(entry["group"], entry["inside"], entry["outside"], list(entry["largest_gaps"]))
    if entry["gap"] <= -_GAP:
        return _Worse(f"not {entry['group']}", entry["outside"], entry["inside"], list(entry["largest_gaps_outside"]))
    return None


def _groups_text(rows: Sequence[GroupRow]) -> str:
    if not rows:
        return "## Groups\n\nThe test faces are too few to compare groups.\n"
    found = [entry for entry in summary(rows) if not math.isnan(entry["gap"])]
    worse = sorted(filter(None, map(_served_worse, found)), key=lambda row: row.others - row.own, reverse=True)
    lines = [
        "## Groups\n",
        f"Faces of {len(found)} groups were compared with all others, over the attributes that both show. Of the "
        f"groups and their opposites, {len(worse) or 'none'} {'has' if len(worse) < 2 else 'have'} a mean balanced "
        f"accuracy lower by {_GAP:.2f} or more{':' if worse else '.'}\n",
    ]
    if worse:
        table = [(row.name, shown(row.own), shown(row.others), ", ".join(row.largest)) for row in worse]
        lines.append(markdown_table(("faces", "balanced accuracy", "others", "largest gaps"), table))
    lines.append("GroupErrors writes the whole table.\n")
    return "\n".join(lines)


def _limits_text(
    schema: AttributeSchema, attributes: Sequence[AttributeScores], labelled: Collection[str] | None
) -> str:
    unlabelled = [name for name in schema.attributes if labelled is not None and name not in labelled]
    unmeasured = [row.name for row in attributes if math.isnan(row.balanced_accuracy)]
    lines = ["## Limits and attributes left out\n"]
    lines.append("- It sees one cropped face, upright; other pictures get an answer, too, and a worthless one.")
    lines.append("- A probability is the network's, not how often such answers are right; it was not calibrated.")
    excluded = _excluded(schema)
    if excluded:
        lines.append(f"- Left out of the list on purpose: {', '.join(excluded)}.")
    if unlabelled:
        lines.append(
            f"- No training face had a label for these, so predictions leave them open: {', '.join(unlabelled)}."
        )
    untested = [name for name in unmeasured if name not in unlabelled]
    if untested:
        lines.append(f"- Not measured, since the test faces do not show both classes: {', '.join(untested)}.")
    for names, what in ((_JUDGED, "Opinions of a viewer"), (_WHO, "About who somebody is")):
        kept = [name for name in own_names(schema, names) if name not in unmeasured]
        if kept:
            lines.append(f"- {what}: {', '.join(kept)}. `exclude_attributes` leaves out what is not needed.")
    return "\n".join(lines) + "\n"


def _excluded(schema: AttributeSchema) -> list[str]:
    """Attributes that a schema made from one of the package lacks; none for a schema of its own."""
    for shipped in map(AttributeSchema.from_file, (None, "celeba")):
        gone = [name for name in shipped.attributes if name not in schema.attributes]
        if set(schema.attributes) <= set(shipped.attributes) and shipped.without(gone) == schema:
            return gone
    return []
