"""What the lists of parts hold, by split and domain."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from datamodules.common.errors import number_of
from datamodules.common.splits import SPLITS
from datamodules.inspection.batch import NEW, ORIGINAL
from datamodules.inspection.labels.images_by_split import ImageLists
from datamodules.inspection.labels.records import IGNORED_CLASS, LabelledImage
from datamodules.inspection.settings import InspectionDataSettings
from datamodules.summary.checks import absent_classes, check_pictures
from datamodules.summary.findings import Findings
from datamodules.summary.training_data import DataSummary, SplitSummary

_DOMAINS: Final = {ORIGINAL: "original", NEW: "new"}


def parts_summary(lists: ImageLists, settings: InspectionDataSettings, *, needed: bool) -> DataSummary:
    """Count what is trained on, validated and tested with, and collect what is wrong with it.

    Args:
        lists: The images of each split.
        settings: Arguments of the data module.
        needed: Whether a class without a training example is a fault.

    Raises:
        LabelError: If a list cannot be read at all.
    """
    names = lists.class_names or ()
    images = {split: lists.known(split) for split in SPLITS}
    two = len({image.domain for own in images.values() for image in own}) > 1
    splits = [one for split in SPLITS for one in _summaries(split, images[split], names, by_domain=two)]
    pictures = Findings(settings.on_error)
    if not settings.is_demo:
        learnt = [*images["train"], *images["val"]]
        check_pictures([image.path for image in learnt], [image.source for image in learnt], pictures)
    pool = [image for image in lists.known("predict") if image.domain == NEW]  # the test images where there is none
    if settings.new_training == "none" and settings.path is None and pool:
        text = f"{number_of(len(pool), 'training image')} of the new domain not trained on (new_training is none)"
        pictures.note(text, "domains")
    remedy = "give labelled images of it, correct the labels or the split, or leave it out of classes"
    if settings.label_format == "mvtec":
        remedy = (
            "label_format mvtec_supervised trains on a part of the test images, mvtec only suits methods that learn "
        )
        remedy += "from what is healthy"
    absent = absent_classes(splits, names, remedy, needed=needed)
    return DataSummary("images", splits, [*lists.findings, *pictures.found, *absent])


def _summaries(
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
    plain = [one for one in images if one.is_healthy or (one.labelled and not one.classes)]
    healthy = [one for one in plain if one.is_healthy or IGNORED_CLASS not in one.box_classes]
    bare = [one for one in healthy if one.is_healthy is None and one.mask is None and not one.boxes]
    facts = [f"{len(healthy)} healthy" + (f" ({len(bare)} because no label names them)" if bare else "")]
    if unclear := len(plain) - len(healthy):
        facts.append(f"{unclear} with an area of which nothing is known, and no defect beside it")
    if answers := sum(len(image.answers) for image in images):
        facts.append(f"{answers} answers")
    return SplitSummary(
        name=name,
        samples=len(images),
        labelled=sum(image.labelled or bool(image.answers) or image.is_healthy is not None for image in images),
        classes={own: counts[index] for index, own in enumerate(class_names)},
        facts=facts,
    )
