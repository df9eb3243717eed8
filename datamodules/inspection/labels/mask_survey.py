"""One pass over the masks of a list before training: which values they hold, what these mean, what each mask marks."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from datamodules.common.atomic_write import write_text
from datamodules.common.cache_folder import cache_folder
from datamodules.common.errors import LabelError
from datamodules.common.fingerprint import config_digest
from datamodules.common.progress import file_progress
from datamodules.images.masks import read_mask, value_name
from datamodules.inspection.batch import IGNORE
from datamodules.inspection.labels.mask_rules import (
    MaskFacts,
    MaskRule,
    counts_of,
    facts_of,
    marks_rule,
    numbers_rule,
    said,
    unknown_values,
)
from datamodules.inspection.labels.records import RawImage
from datamodules.summary.findings import Findings, some

_WORTH_KEEPING: Final = 200  # masks; fewer are looked at anew each time
_THREADS: Final = 4  # Pillow decodes without holding the interpreter
_MOSTLY: Final = 0.5  # share of all pixels that are seldom defect


@dataclass(frozen=True)
class MaskOptions:
    """What the user says of masks.

    Attributes:
        healthy: Shown value of healthy pixels; None where it is not said.
        colours: Label of each shown value; None without a palette.
    """

    healthy: int | None = None
    colours: Mapping[int, int] | None = None


def survey_masks(
    images: Sequence[RawImage], class_names: Sequence[str], options: MaskOptions, place: str, findings: Findings
) -> list[RawImage]:
    """Look at all masks of one list, and give each image the rule for its mask and the classes that it shows.

    Masks that cannot be read, hold values that mean nothing, mark nothing though
    their image is said to be defective, or something though it is said to be healthy, are faults.

    Args:
        images: The list.
        class_names: The classes.
        options: What the user says of masks.
        place: The list, for messages.
        findings: Takes what is found.
    """
    facts = _read_all([image for image in images if image.mask is not None], findings)
    has_marks = any(image.mask_class is not None for image in images)
    groups: dict[bool, list[int]] = {True: [], False: []}
    for row, image in enumerate(images):
        if image.mask in facts:
            groups[image.mask_class is not None or (has_marks and image.is_healthy is True)].append(row)
    ruled = list(images)
    for marks, rows in groups.items():
        if not rows:
            continue
        own = [facts[str(images[row].mask)] for row in rows]
        try:
            if marks:
                rule = marks_rule(own, options.healthy)
            else:
                rule = numbers_rule(own, len(class_names), options.healthy, options.colours)
        except LabelError as error:
            findings.fault(f"{place}: {error}", "masks")
            continue
        totals: Counter[int] = Counter()
        for row, fact in zip(rows, own, strict=True):
            ruled[row], counts = _ruled(images[row], fact, rule, class_names, findings)
            totals.update(counts)
        _say(rule, totals, class_names if not marks else ["defect"], place, findings)
    return ruled


def _ruled(
    image: RawImage, facts: MaskFacts, rule: MaskRule, class_names: Sequence[str], findings: Findings
) -> tuple[RawImage, Counter[int]]:
    """The image with the rule for its mask, and the pixels of each label."""
    known = image.mask_class in class_names  # an unknown class is told of where names become numbers
    index = list(class_names).index(str(image.mask_class)) if known else None
    counts = counts_of(facts, rule, index)
    defects = [label for label, count in counts.items() if count and label not in (0, IGNORE)]
    if unknown := unknown_values(facts, rule, len(class_names)):
        findings.fault(
            f"{image.source}: mask {image.mask} holds the value {_meaningless(unknown, rule, class_names)}", "masks"
        )
    elif image.is_healthy and defects:
        findings.fault(
            f"{image.source}: {image.name!r} is flagged healthy but its labels hold a defect: it has the mask "
            f"{image.mask}, which marks pixels; correct one",
            "masks",
        )
    elif not defects and (image.mask_class is not None or image.is_healthy is False) and not image.objects:
        kind = f"of the class {image.mask_class!r}" if image.mask_class else "defective"
        findings.fault(
            f"{image.source}: {image.name!r} is {kind}, but its mask {image.mask} marks no pixel; draw the defect, or "
            "move the image to the healthy ones",
            "masks",
        )
    return replace(image, mask_rule=rule, mask_classes=tuple(sorted(label - 1 for label in defects))), counts


def _meaningless(values: Sequence[int], rule: MaskRule, class_names: Sequence[str]) -> str:
    names = some([value_name(value) for value in sorted(values)])
    if rule.kind == "colours":
        return f"{names}, which mask_palette does not name; correct the mask, or add the colour"
    if any(value > IGNORE for value in values):
        return (
            f"{names}, which is no number of a class; give the colour of each class as mask_palette, or save masks of "
            "class numbers, or of one class alone"
        )
    return (
        f"{names}; allowed are 0 (healthy), 1 to {len(class_names)} (the classes) and {IGNORE} (unknown); correct the "
        "mask or name its class in the list"
    )


def _say(rule: MaskRule, totals: Counter[int], names: Sequence[str], place: str, findings: Findings) -> None:
    if rule.kind != "numbers":
        findings.note(f"{place}: in its masks {said(rule, names[0])}", "masks")
        defects = totals.total() - totals[0] - totals[IGNORE]
        if defects > _MOSTLY * totals.total():
            findings.warn(
                f"{place}: {defects / totals.total():.0%} of all pixels in the masks are defect; if they are inverted, "
                "name the value of healthy pixels as mask_healthy",
                "masks",
            )
    elif len(names) > 1 and totals.keys() == {0, IGNORE}:
        findings.warn(
            f"{place}: the masks hold 0 and {IGNORE} alone, and {IGNORE} means unknown where there are {len(names)} "
            "classes; name the class of each mask (label_format class_folders, or the column class of a manifest)",
            "masks",
        )


def _read_all(images: Sequence[RawImage], findings: Findings) -> dict[str, MaskFacts]:
    """Facts of every mask by its path; those that cannot be read are faults."""
    sources = {str(image.mask): image.source for image in images}
    kept = _kept_file(list(sources)) if len(sources) >= _WORTH_KEEPING else None
    if kept is not None and kept.is_file():
        return {path: _from_plain(plain) for path, plain in json.loads(kept.read_text()).items()}

    def read(path: str) -> MaskFacts | LabelError:
        try:
            return facts_of(read_mask(path, sources[path]))
        except LabelError as error:
            return error

    facts: dict[str, MaskFacts] = {}
    errors: dict[str, list[str]] = defaultdict(list)
    total = len(sources) if kept is not None else 0  # few are not worth a line
    with ThreadPoolExecutor(_THREADS) as pool, file_progress("Reading the masks", total) as done:
        for path, found in zip(sources, pool.map(read, sources), strict=True):
            done()
            if isinstance(found, LabelError):
                errors[str(found).replace(path, "").replace(sources[path], "")].append(str(found))
            else:
                facts[path] = found
    for alike in errors.values():
        findings.fault(alike[0] + (f" ({len(alike)} masks of {len(sources)} alike)" if len(alike) > 1 else ""), "masks")
    if kept is not None and len(facts) == len(sources):
        kept.parent.mkdir(parents=True, exist_ok=True)
        write_text(kept, json.dumps({path: _plain(one) for path, one in facts.items()}))
    return facts


def _kept_file(paths: Sequence[str]) -> Path | None:
    """File of the facts of these masks as they are now; None where one is gone."""
    try:
        states = [(path, (state := Path(path).stat()).st_size, state.st_mtime_ns) for path in paths]
    except OSError:
        return None
    return cache_folder() / "masks" / f"{config_digest({'masks': states})}.json"


def _plain(facts: MaskFacts) -> list[object]:
    return [list(facts.shown.items()), facts.numbers, facts.first, facts.is_lossy]


def _from_plain(plain: list[Any]) -> MaskFacts:
    shown, numbers, first, is_lossy = plain
    return MaskFacts(dict(shown), tuple(numbers), first, is_lossy)
