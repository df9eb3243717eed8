"""What the lists of parts hold, by split and domain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from datamodules.inspection.batch import NEW, ORIGINAL
from datamodules.inspection.labels.records import LabelledImage
from datamodules.summary.training_data import SplitSummary

_DOMAINS: Final = {ORIGINAL: "original", NEW: "new"}


def split_summaries(
    split: str, images: Sequence[LabelledImage], class_names: Sequence[str], *, by_domain: bool
) -> list[SplitSummary]:
    """Count the images of a split, those of each domain apart where there are two."""
    if not by_domain:
        return [_summary(split, images, class_names)] if images else []
    found = []
    for domain, name in _DOMAINS.items():
        if own := [image for image in images if image.domain == domain]:
            found.append(_summary(f"{split} {name}", own, class_names))
    return found


def _summary(name: str, images: Sequence[LabelledImage], class_names: Sequence[str]) -> SplitSummary:
    counts: Counter[int] = Counter()
    for image in images:
        counts.update(image.classes)
    healthy = [image for image in images if image.is_healthy or (image.labelled and not image.classes)]
    bare = [one for one in healthy if one.is_healthy is None and one.mask is None and not one.boxes]
    facts = [f"{len(healthy)} healthy" + (f" ({len(bare)} because no label names them)" if bare else "")]
    if answers := sum(len(image.answers) for image in images):
        facts.append(f"{answers} answers")
    return SplitSummary(
        name=name,
        samples=len(images),
        labelled=sum(image.labelled or bool(image.answers) or image.is_healthy is not None for image in images),
        classes={own: counts[index] for index, own in enumerate(class_names)},
        facts=facts,
    )
