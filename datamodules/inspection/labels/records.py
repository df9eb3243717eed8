"""What is known of one image of a part before it is opened: file, domain, split, labels, answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from datamodules.common.errors import LabelError
from datamodules.common.splits import SplitName as SplitName
from datamodules.inspection.batch import Box
from datamodules.inspection.labels.mask_rules import MaskRule

IGNORED_CLASS = -1  # class index of a labelled area in which nothing is known (a crowd of the COCO format)


@dataclass(frozen=True)
class Answer:
    """What an operator said of one detection.

    Attributes:
        class_index: Class that the detection was shown as, from 0.
        truth: Class that the operator says is there; -1 rejected.
        box: x1, y1, x2, y2 in pixels of the upright source image, x2 and y2 exclusive.
        rle: Region in the same pixels, compressed run-length string of the COCO format; None: the region is the box.
        anchor_boxes: Anchor box that emitted the detection, then those it suppressed; empty for regions.
    """

    class_index: int
    truth: int
    box: Box
    rle: str | None = None
    anchor_boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class LabelledImage:
    """One image with its labels; boxes are in pixels of the upright source image, x2 and y2 exclusive.

    Attributes:
        path: Absolute path of the file.
        name: The path as the list writes it.
        domain: 0 original, 1 new.
        split: Split that the image belongs to.
        group: Images of one group (one part, one board) lie in one split; by default the name.
        mask: Absolute path of the mask of the image's size; None without one.
        mask_values: c: the mask marks pixels of class c alone; None: its values tell the class.
        mask_rule: What the values of the mask mean, by those of its whole list; None: the mask alone tells.
        mask_classes: Classes that the mask shows.
        boxes: Labelled boxes; empty where the mask alone tells.
        box_classes: Class of each box; -1: nothing is known inside it.
        regions: For each box its region as a compressed run-length string of the COCO format, or None: the box itself.
        is_healthy: True: the whole part is known to be free of defects; False: it is not; None: nobody said.
        labelled: True: mask and boxes are complete, so that no mask and no box mean no defect. False: only the answers
            are known.
        answers: What an operator said of detections.
        baseline_map: Absolute path of the file with the deployed model's score of each area; None without one.
        source: List and line for messages.
    """

    path: str
    name: str
    domain: int
    split: SplitName
    group: str
    mask: str | None = None
    mask_values: int | None = None
    mask_rule: MaskRule | None = None
    mask_classes: tuple[int, ...] = ()
    boxes: tuple[Box, ...] = ()
    box_classes: tuple[int, ...] = ()
    regions: tuple[str | None, ...] = ()
    is_healthy: bool | None = None
    labelled: bool = True
    answers: tuple[Answer, ...] = ()
    baseline_map: str | None = None
    source: str = ""

    @property
    def classes(self) -> set[int]:
        """Classes that boxes, the mask, or answers that were confirmed show."""
        told = {index for index in self.box_classes if index >= 0} | set(self.mask_classes)
        return told | {answer.truth for answer in self.answers if answer.truth >= 0}


@dataclass(frozen=True)
class RawObject:
    """A labelled box whose class is still a name.

    Attributes:
        box: x1, y1, x2, y2 in pixels, x2 and y2 exclusive.
        class_name: Name; None: nothing is known inside the box.
        rle: Region as a compressed run-length string; None: the box itself.
        source: List and line for messages.
    """

    box: Box
    class_name: str | None
    source: str
    rle: str | None = None


@dataclass(frozen=True)
class RawImage:
    """A record of a label list as it was read: classes are names, the split may be open.

    Attributes:
        path: Absolute path of the file.
        name: The path as the list writes it.
        domain: 0 original, 1 new.
        source: List and line for messages.
        split: The split that the list names; None where it names none.
        group: Group that the list names; None: the image is its own.
        mask: Absolute path of the mask; None without one.
        mask_class: Class of a binary mask; None: the pixel value is the class.
        mask_rule: What its values mean, and
        mask_classes: the classes that it shows, both once the masks of the list were looked at.
        objects: Labelled boxes.
        is_healthy: Flag of the list; None where it says nothing.
        labelled: Whether the labels are complete.
    """

    path: str
    name: str
    domain: int
    source: str
    split: SplitName | None = None
    group: str | None = None
    mask: str | None = None
    mask_class: str | None = None
    mask_rule: MaskRule | None = None
    mask_classes: tuple[int, ...] = ()
    objects: tuple[RawObject, ...] = ()
    is_healthy: bool | None = None
    labelled: bool = True

    @property
    def class_names(self) -> set[str]:
        """Names of classes that the record writes; a mask whose pixel values are classes tells none."""
        named = {item.class_name for item in self.objects if item.class_name is not None}
        return named if self.mask_class is None else named | {self.mask_class}


def resolve(raw: RawImage, split: SplitName, class_names: Sequence[str]) -> LabelledImage:
    """Turn names of classes into indices.

    Raises:
        LabelError: If a class is not among ``class_names``, or the image is flagged healthy and has a labelled defect.
    """
    objects = [(item, _class_index(item.class_name, class_names, item.source)) for item in raw.objects]
    if raw.is_healthy and any(index != IGNORED_CLASS for _, index in objects):
        raise LabelError(
            f"{raw.source}: {raw.name!r} is flagged healthy but {objects[0][0].source} labels a defect in it; drop one "
            "of the two"
        )
    return LabelledImage(
        path=raw.path,
        name=raw.name,
        domain=raw.domain,
        split=split,
        group=raw.group if raw.group is not None else raw.name,
        mask=raw.mask,
        mask_values=None if raw.mask_class is None else _class_index(raw.mask_class, class_names, raw.source),
        mask_rule=raw.mask_rule,
        mask_classes=raw.mask_classes,
        boxes=tuple(item.box for item, _ in objects),
        box_classes=tuple(index for _, index in objects),
        regions=tuple(item.rle for item, _ in objects),
        is_healthy=raw.is_healthy,
        labelled=raw.labelled,
        source=raw.source,
    )


def _class_index(name: str | None, class_names: Sequence[str], source: str) -> int:
    if name is None:
        return IGNORED_CLASS
    if name not in class_names:
        raise LabelError(
            f"{source}: unknown class {name!r}; the classes are {', '.join(class_names)}; correct the name or add it "
            "to classes"
        )
    return list(class_names).index(name)
