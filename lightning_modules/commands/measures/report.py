"""The page of a measurement, in words and tables."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from callbacks.figures.page import Cell, Page
from lightning_modules.commands.measures.figures import shown_number
from lightning_modules.commands.measures.lifelike import PIXELS
from lightning_modules.commands.measures.results import Found, Measured
from lightning_modules.nn.estimate import Estimate

_COPIES = {
    "copies": "copies: above the threshold, less strangers",
    "near_copies": "far nearer to one than to any other (d1/d2 < 1/3)",
    "similar": "similarity above 0.5",
    "similarity_mean": "similarity: mean",
    "similarity_sd": "standard deviation",
    "similarity_p75": "75th percentile",
    "similarity_p90": "90th percentile",
    "similarity_p95": "95th percentile",
    "similarity_max": "largest of all pairs",
    "threshold": "threshold",
}
_REALISM = {
    "kid": "kernel distance (KID)",
    "class_kid": "kernel distance inside each class, mean",
    "fid": "Fréchet distance (FID)",
    "precision": "precision",
    "recall": "recall",
    "spread": "spread: mean distance of two",
}
_DISTANCES = {
    "total_variation": "total variation",
    "kl": "Kullback-Leibler",
    "js": "Jensen-Shannon",
    "max_over_min": "largest share / smallest",
}
TITLE = "Made pictures: copies, shares, realism"


def sentences(found: Found) -> list[str]:
    """The main numbers of each set, a line each."""
    lines = []
    unit = found.sets.unit
    for one in found.generated:
        parts = []
        for embedder in one.by("copies"):
            rate = shown_number(one.number("copies", by=embedder))
            parts.append(f"copies by {embedder} {rate}")
        shares = [(name, one.number("share", name)) for name in found.classes]
        parts += [f"{name} {shown_number(share)}" for name, share in shares[: 1 if len(shares) == 2 else 4] if share]
        lines.append(f"{one.name}, {one.read:,} {unit}s: {'; '.join(parts)}")
    return lines


def build_page(found: Found, pictures: Mapping[str, Mapping[str, Path]]) -> Page:
    """The whole page.

    Args:
        found: What was measured.
        pictures: Files of figures and sheets by section and caption.
    """
    page = Page(TITLE)
    page.add_list(sentences(found))
    _add_pictures(page, pictures, "bars")
    page.add_heading("Copies of training pictures")
    page.add_paragraph(
        f"Each made {found.sets.unit} beside the training {found.sets.unit} that it is most like. The column of the "
        "training set says the same of each of its own beside the most similar other one."
    )
    for embedder in found.training.by("copies"):
        _add_sets(page, f"by {embedder}", found.every, _COPIES, embedder)
        _add_pictures(page, pictures, f"similarity {embedder}")
    if found.classes:
        page.add_heading("Whom they show")
        _add_shares(page, found)
    _add_crossed(page, found)
    page.add_heading("Realism")
    page.add_paragraph(
        f"Against the {found.reference.name} {found.sets.unit}s. A Fréchet distance is above 0 for equal distributions "
        "too, the more so the fewer pictures there are: compare it between equally many alone."
    )
    for embedder in (name for name in found.training.by("realism") if name != PIXELS):
        _add_sets(page, f"by {embedder}", found.every, _REALISM, embedder)
        _add_classes(page, found, embedder)
    _add_sets(page, "by pixels", found.every, {"pixel_spread": "spread: mean distance of two"}, PIXELS)
    page.add_heading("Most similar pairs")
    _add_pictures(page, pictures, "pairs")
    page.add_heading("How it was measured")
    page.add_list([*found.notes, *(note for one in found.every for note in one.notes), _INTERVALS])
    return page


_INTERVALS = (
    "In brackets: 95 % intervals. Of shares: Wilson's (of a difference: Newcombe's); of means and percentiles: "
    "bootstrap; of kernel distances and spreads: 1.96 standard errors of a U-statistic; of Fréchet distances and of "
    "distances from the wanted shares: 1.96 standard deviations of a bootstrap; a largest value has none."
)


def _add_pictures(page: Page, pictures: Mapping[str, Mapping[str, Path]], section: str) -> None:
    for caption, path in pictures.get(section, {}).items():
        page.add_picture(path, caption)


def _headings(sets: Sequence[Measured]) -> list[str]:
    return [f"{one.name} (n = {one.read:,})" for one in sets]


def _add_sets(page: Page, title: str, sets: Sequence[Measured], measures: Mapping[str, str], by: str) -> None:
    """A line a measure, a column a set."""
    lines: list[list[Cell]] = []
    for name, words in measures.items():
        numbers = [one.number(name, by=by) for one in sets]
        if any(numbers):
            lines.append([words, *map(shown_number, numbers)])
    if lines:
        page.add_table([title, *_headings(sets)], lines, still=True, marked=[0] if "copies" in measures else [])


def _add_classes(page: Page, found: Found, embedder: str) -> None:
    """Measures inside each class, a line a class."""
    lines: list[list[Cell]] = []
    for measure in ("class_kid", "spread"):
        for name in found.classes:
            numbers = [one.number(measure, name, embedder) for one in found.every]
            if any(numbers):
                words = f"{_REALISM[measure].partition(':')[0].partition(' inside')[0]}, {name}"
                lines.append([words, *map(_with_n, numbers)])
    if lines:
        page.add_table(["inside each class", *(one.name for one in found.every)], lines, still=True)


def _with_n(estimate: Estimate | None) -> str:
    return shown_number(estimate) if estimate is None else f"{shown_number(estimate)}, n = {estimate.n:,}"


def _add_shares(page: Page, found: Found) -> None:
    columns: list[tuple[str, Callable[[Measured, str], str]]] = [
        ("share", lambda one, name: shown_number(one.number("share", name))),
        ("corrected", lambda one, name: shown_number(one.number("corrected_share", name))),
        ("less the training share", lambda one, name: shown_number(one.number("amplification", name))),
    ]
    used = [
        column
        for column in columns
        if any(column[1](one, name) != "-" for one in found.every for name in found.classes)
    ]
    lines: list[list[Cell]] = []
    for one in found.every:
        for name, wanted in zip(found.classes, found.target, strict=True):
            share = one.number("share", name)
            if share is not None:
                says = one.by("shares")[0]
                lines.append([one.name, name, *(cell(one, name) for _, cell in used), f"{wanted:.3f}", says, share.n])
    if not lines:
        return
    headings = ["set", "class", *(name for name, _ in used), "wanted", "by", "n"]
    page.add_table(headings, lines, still=len(lines) < 16)
    measured = [one for one in found.every if one.by("shares")]
    distances: list[list[Cell]] = [
        [words, *(shown_number(one.number(name)) for one in measured)] for name, words in _DISTANCES.items()
    ]
    page.add_table(["distance from the wanted shares", *_headings(measured)], distances, still=True)


def _add_crossed(page: Page, found: Found) -> None:
    """Shares of combinations, a line a combination."""
    names = list(dict.fromkeys(row.of for one in found.every for row in one.rows if row.measure == "joint_share"))
    if not names:
        return
    sets = [one for one in found.every if one.number("joint_share", names[0])]
    lines: list[list[Cell]] = [[name, *(_with_n(one.number("joint_share", name)) for one in sets)] for name in names]
    page.add_heading("Combinations")
    page.add_table(["share of", *(one.name for one in sets)], lines, still=True)
