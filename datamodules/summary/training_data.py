"""How many samples, labels and examples of each class every split has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, runtime_checkable

from datamodules.common.errors import number_of
from datamodules.summary.findings import Finding

_CLASSES: Final = 12  # classes that a line tells


@dataclass(frozen=True)
class SplitSummary:
    """What one split holds, or one domain of it.

    Attributes:
        name: "train", "val", "test", with the domain behind it where there are two.
        samples: Number of images, videos, frames or faces.
        labelled: Those of which something is known, a defect or that there is none.
        classes: Samples that show each class.
        facts: Further facts in a few words, such as "12 healthy".
    """

    name: str
    samples: int
    labelled: int
    classes: Mapping[str, int] = field(default_factory=dict)
    facts: Sequence[str] = ()

    @property
    def stage(self) -> str:
        """The split alone."""
        return self.name.partition(" ")[0]


@dataclass(frozen=True)
class DataSummary:
    """What training data hold, and what was found wrong with them.

    Attributes:
        unit: What a sample is, in plural: "images", "videos", "frames", "faces".
        splits: Each split.
        findings: All that is wrong, odd or good to know.
    """

    unit: str
    splits: Sequence[SplitSummary]
    findings: Sequence[Finding] = ()

    def lines(self) -> list[str]:
        """The summary as lines of text; findings are not among them.

        Example:
            >>> DataSummary("images", [SplitSummary("train", 5, 4, {"dent": 2}, ["2 healthy"])]).lines()
            ['train: 5 images, 1 without labels; 2 healthy; dent 2']
        """
        return [self._line(split) for split in self.splits]

    def plain(self) -> dict[str, Any]:
        """The whole as JSON holds it."""
        return {
            "unit": self.unit,
            "splits": [
                {
                    "split": split.name,
                    "samples": split.samples,
                    "labelled": split.labelled,
                    "classes": dict(split.classes),
                    "facts": list(split.facts),
                }
                for split in self.splits
            ],
        }

    def _line(self, split: SplitSummary) -> str:
        without = split.samples - split.labelled
        held = number_of(split.samples, self.unit.removesuffix("s"))
        parts = [held + (f", {without} without labels" if without else "")]
        parts += list(split.facts)
        if split.classes:
            parts.append(_counted(split.classes))
        return f"{split.name}: {'; '.join(parts)}"


@runtime_checkable
class Summarised(Protocol):
    """A data module that can say what it holds without training."""

    def data_summary(self) -> DataSummary:
        """What all splits hold; faults are among its findings, not raised."""


def _counted(classes: Mapping[str, int]) -> str:
    """Classes with their counts; of many, the rarest and how many more."""
    if len(classes) <= _CLASSES:
        return ", ".join(f"{name} {count}" for name, count in classes.items())
    rarest = sorted(classes.items(), key=lambda item: item[1])[:_CLASSES]
    more = len(classes) - len(rarest)
    return (
        f"{len(classes)} classes, the rarest {', '.join(f'{name} {count}' for name, count in rarest)} and {more} more"
    )
