"""The whole measurement of some folders, for the command and for other commands."""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from datamodules.common.errors import number_of
from datamodules.common.progress import file_progress
from lightning_modules.commands.measures.answers import Answers
from lightning_modules.commands.measures.bias import measure_shares
from lightning_modules.commands.measures.copying import ENOUGH, STRANGERS, measure_copies
from lightning_modules.commands.measures.embedding import Described, Describer
from lightning_modules.commands.measures.files import write_files
from lightning_modules.commands.measures.lifelike import drawn, measure_pixels, measure_realism
from lightning_modules.commands.measures.results import Found, Measured
from lightning_modules.commands.measures.sets import Compared, find_sets
from lightning_modules.commands.measures.settings import MeasureSettings

log = logging.getLogger("appraise")


def measure(settings: MeasureSettings, write: bool = True) -> list[Measured]:
    """Measure some folders of made pictures against one of training pictures, as ``appraise measure-generated`` does.

    Args:
        settings: What is measured; the same objects as the command builds.
        write: Write page, tables, figures and sheets into ``settings.output``.

    Returns:
        The numbers of each set of ``settings.generated``, in its order: ``number("share", "Smiling")``,
        ``number("kid")``, ``number("class_kid")``, ``number("spread")``, ``number("copies")`` and others, see
        `Measured`; None is what could not be measured, which ``notes`` explains.

    Raises:
        AppraiseError: If folders, embedders, judge or lists cannot work; before any picture is looked at, but for
            pictures that are found damaged when they are read.

    Example:
        >>> measure(MeasureSettings(generated=("made",), training="nowhere"))  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        datamodules.common.errors.ConfigurationError: --generated made does not exist: ...
    """
    return measured_whole(settings, write).generated


def measured_whole(settings: MeasureSettings, write: bool = True) -> Found:
    """The same with the training and held-out pictures, and how it was measured."""
    device = "cuda" if settings.device == "auto" and torch.cuda.is_available() else settings.device
    device = "cpu" if device == "auto" else device
    sets = find_sets(settings)
    answers = Answers(settings, device) if settings.classes or settings.intersections else None
    describer = Describer(settings, answers, device)
    described = {one.name: describer.describe(one) for one in sets.every}
    found = _begun(settings, sets, answers, described)
    some = drawn(described, settings.realism_pictures, settings.seed)
    by = list(described[sets.training.name].features)
    with file_progress("Measuring", 2 * len(by) + 1) as done:
        for embedder in by:
            measure_copies(found, described, embedder, settings.seed)
            done()
            measure_realism(found, some, embedder, settings.neighbours, settings.seed)
            done()
        measure_pixels(found, some)
        if answers is not None:
            measure_shares(found, described, answers, settings.intersections or [], settings.seed)
        done()
    if write:
        write_files(found, Path(settings.output).expanduser(), settings)
    return found


def _begun(
    settings: MeasureSettings, sets: Compared, answers: Answers | None, described: dict[str, Described]
) -> Found:
    """A measurement without a number."""
    measured = {one.name: Measured(one, len(described[one.name])) for one in sets.every}
    return Found(
        sets,
        [measured[one.name] for one in sets.generated],
        measured[sets.training.name],
        None if sets.held_out is None else measured[sets.held_out.name],
        answers.names if answers is not None else [],
        answers.target.tolist() if answers is not None else [],
        _notes(settings, sets, described),
    )


def _notes(settings: MeasureSettings, sets: Compared, described: dict[str, Described]) -> list[str]:
    """How it was measured."""
    real = sets.held_out or sets.training
    number = len(described[real.name])
    strangers = f"{number_of(number, f'{real.name} {sets.unit}')}"
    notes = [
        f"Each {sets.unit} is cut to the square in its middle and resized to {sets.training.side} x "
        f"{sets.training.side} pixels"
        + (f", {settings.frames} frames of each video." if sets.unit == "video" else "."),
        f"The threshold of copies is the similarity that {STRANGERS:.0%} of {strangers} exceed, looked for in the "
        f"training set{'' if sets.held_out else ' without itself'}; the share of {sets.unit}s above it is given less "
        "theirs.",
        f"Realism is measured against the {real.name} {sets.unit}s.",
    ]
    if max(map(len, described.values())) > settings.realism_pictures:
        notes.append(f"Of larger sets realism is measured on {settings.realism_pictures:,} drawn by chance.")
    if sets.held_out is None:
        notes.append(
            f"There are no held-out {sets.unit}s: training {sets.unit}s that are copies of one another raise the "
            "threshold, and realism cannot tell a copy from a good picture. Name some as --held_out DIR."
        )
    if number < ENOUGH:
        notes.append(
            f"A threshold that {STRANGERS:.0%} exceed rests on {number * STRANGERS:.0f} of {strangers}: {ENOUGH:,} or "
            "more are wanted."
        )
    if settings.flips:
        notes.append("Mirrored copies are looked for too.")
    if settings.regions > 1 or settings.parts > 1:
        cut = [f"{settings.regions} x {settings.regions} regions"] if settings.regions > 1 else []
        cut += [f"{settings.parts} chunks of the descriptor"] if settings.parts > 1 else []
        notes.append(f"Copies of a part are looked for: the most similar of {' and '.join(cut)} counts.")
    return notes
