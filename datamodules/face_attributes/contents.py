"""What lists of faces hold."""

from __future__ import annotations

from collections.abc import Mapping

from datamodules.common.splits import SplitName
from datamodules.faces.lists.records import LabelTable
from datamodules.faces.schema import ABSENT, MISSING, PRESENT, AttributeSchema
from datamodules.summary.findings import Finding, some
from datamodules.summary.training_data import DataSummary, SplitSummary


def attribute_summary(tables: Mapping[SplitName, LabelTable | None], schema: AttributeSchema) -> DataSummary:
    """Count faces, people and attributes of each split.

    An attribute that is labelled and that no training face shows is a fault: its head would learn to deny it always. An
    attribute that a list says nothing of is none, since the schemas name more attributes than a small list has.
    """
    splits, findings = [], []
    for split, table in tables.items():
        if table is None:
            continue
        splits.append(_summary(split, table, schema))
        unseen, differ = _unseen(table, schema)
        if not differ and split == "train":
            text = "all labelled training faces have the same attributes, so there is nothing to learn"
            findings.append(
                Finding("fault", "attributes", text, "add other faces, or look at how the list says absent")
            )
        if unseen:
            text = f"no labelled face of the {split} split shows {some(unseen)}"
            remedy = "add faces that do, empty their columns so that nothing is learnt of them, or leave them out: "
            remedy += f"exclude_attributes [{', '.join(unseen)}]"
            learnt = split == "train"
            findings.append(Finding("fault" if learnt else "warning", "attributes", text, remedy if learnt else ""))
    return DataSummary("faces", splits, findings)


def _summary(split: SplitName, table: LabelTable, schema: AttributeSchema) -> SplitSummary:
    shown = (table.attributes == PRESENT).sum(dim=0).tolist()
    people = {person for person in table.identities if person}
    return SplitSummary(
        name=split,
        samples=len(table.files),
        labelled=int((table.attributes != MISSING).any(dim=1).sum()),
        classes=dict(zip(schema.attributes, shown, strict=True)),
        facts=[f"{len(people)} people"] if people else [],
    )


def _unseen(table: LabelTable, schema: AttributeSchema) -> tuple[list[str], bool]:
    """Attributes that are labelled and on no face, and whether any attribute differs between faces."""
    shown = (table.attributes == PRESENT).sum(dim=0).tolist()
    lacked = (table.attributes == ABSENT).sum(dim=0).tolist()
    counted = list(zip(schema.attributes, shown, lacked, strict=True))
    unseen = [name for name, present, absent in counted if absent and not present]
    return unseen, any(present and absent for _, present, absent in counted) or not sum(shown) + sum(lacked)
