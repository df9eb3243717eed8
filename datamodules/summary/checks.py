"""Checks that hold for every kind of data, and the lines that a training begins with."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

from datamodules.images.whole import broken_picture
from datamodules.summary.findings import Finding, Findings, Status, some, stop_at_faults
from datamodules.summary.training_data import DataSummary, SplitSummary

_SHOWN: Final = 5  # findings of one kind that a training tells
_log = logging.getLogger(__name__)


def absent_classes(
    splits: Sequence[SplitSummary], class_names: Sequence[str], remedy: str, *, needed: bool = True
) -> list[Finding]:
    """Classes that a split has no example of: a fault of training, a warning of the others.

    Args:
        splits: All splits; those of two domains are taken together.
        class_names: The classes that are to be learnt.
        remedy: What to do about a class without a training example.
        needed: False makes them a warning in training too, for methods that learn from what is healthy.
    """
    found: list[Finding] = []
    for stage in dict.fromkeys(split.stage for split in splits):
        counts: Counter[str] = Counter()
        for split in splits:
            if split.stage == stage:
                counts.update(split.classes)
        absent = [name for name in class_names if not counts[name]]
        if not absent or not sum(split.samples for split in splits if split.stage == stage):
            continue
        text = f"no example of {some(absent)} is in the {stage} split"
        status: Status = "fault" if stage == "train" and needed else "warning"
        found.append(Finding(status, "classes", text, remedy if stage == "train" else ""))
    return found


def announce(summary: DataSummary, *, generated: bool) -> None:
    """Log what the data hold and what is odd with them, then stop if something is wrong.

    Args:
        summary: Of all splits.
        generated: The data are the demo, made by the package.

    Raises:
        LabelError: Naming all faults.
    """
    if generated:
        _log.info("data: generated %s, since none are named", summary.unit)
    for line in summary.lines():
        _log.info("data %s", line)
    said: Counter[tuple[Status, str]] = Counter()
    for finding in summary.findings:
        kind = (finding.status, finding.topic)
        said[kind] += 1
        if said[kind] > _SHOWN:
            continue
        if finding.status in ("note", "ok"):
            _log.info("data: %s", finding.text)
        elif finding.status == "warning":
            _log.warning("warning: %s%s", finding.text, f"; {finding.hint}" if finding.hint else "")
    for (status, topic), count in said.items():
        if count > _SHOWN and status != "fault":
            _log.warning("warning: %d more of this kind (%s); `appraise doctor` lists all", count - _SHOWN, topic)
    stop_at_faults(summary.findings)


def check_pictures(paths: Sequence[str], sources: Sequence[str], findings: Findings) -> None:
    """Find pictures that are cut off, see `broken_picture`, before anything is trained.

    Args:
        paths: The files.
        sources: List and line of each, for messages.
        findings: Takes a fault for each, or a warning where entries are skipped.
    """
    for path, source in zip(paths, sources, strict=True):
        error = broken_picture(path, source)
        if error is not None:
            findings.entry(str(error))
