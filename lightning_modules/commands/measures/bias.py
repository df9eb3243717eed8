"""Whom made pictures show: shares of classes, what they should be, and what training made of them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from torch import Tensor

from lightning_modules.commands.measures.answers import Answers
from lightning_modules.commands.measures.embedding import Described
from lightning_modules.commands.measures.results import Found, Measured
from lightning_modules.nn.estimate import Estimate, wilson
from lightning_modules.nn.shares import class_counts, corrected_shares, distances, labels_of


def measure_shares(
    found: Found, described: dict[str, Described], answers: Answers, crossed: Sequence[str], seed: int
) -> None:
    """Add shares, their distances from the target and combinations to all sets; ``described`` is by name of the set."""
    confusion, counts = _confusion(found, described, answers)
    training = described[found.training.name].shown
    for measured in found.every:
        own = described[measured.name]
        if own.shown is not None:
            by = "labels" if answers.labelled(measured.pictures) else answers.by
            known = _add_shares(measured, own.shown, answers, by, seed)
            if known and by != "labels" and confusion is not None:
                corrected = corrected_shares(class_counts(own.shown), confusion, counts, seed)
                for name, estimate in zip(answers.names, corrected, strict=True):
                    measured.add("shares", by, "corrected_share", estimate, name)
            if known and training is not None and measured.pictures.role == "generated":
                _add_amplification(measured, training, answers.labelled(found.sets.training), answers.names, by)
        if own.crossed is not None and crossed:
            _add_crossed(measured, own.crossed, crossed, answers)


def combinations(names: Sequence[str]) -> list[str]:
    """Names of all combinations of attributes.

    Example:
        >>> combinations(["Hat", "Beard"])
        ['Hat, Beard', 'Hat, no Beard', 'no Hat, Beard', 'no Hat, no Beard']
    """
    return [", ".join(words) for words in itertools.product(*([name, f"no {name}"] for name in names))]


def _add_shares(measured: Measured, shown: Tensor, answers: Answers, by: str, seed: int) -> bool:
    """Add shares; False, and a note, where the class of no picture is known."""
    known = int((~shown[:, 0].isnan()).sum())
    if not known:
        measured.notes.append(f"{measured.name}: the attributes name none of its pictures, and there is no judge")
        return False
    counts = class_counts(shown)
    for name, count in zip(answers.names, counts.tolist(), strict=True):
        measured.add("shares", by, "share", wilson(count, known), name)
    for name, estimate in distances(counts, answers.target, seed).items():
        measured.add("shares", by, name, estimate)
    if known < len(shown):
        measured.notes.append(f"{measured.name}: {len(shown) - known} of {len(shown)} pictures are of no known class")
    return True


def _add_amplification(measured: Measured, training: Tensor, labelled: bool, names: Sequence[str], by: str) -> None:
    """Shares less those of the training pictures, which are all counted: they have no error of sampling.

    Where the training pictures are ``labelled``, shares by a judge are compared as corrected, if they could be; where
    the judge says what both show, its mistakes are in both.
    """
    counts = class_counts(training)
    if counts.sum() <= 0:
        return
    for name, share in zip(names, (counts / counts.sum()).tolist(), strict=True):
        own = (measured.number("corrected_share", name) if labelled else None) or measured.number("share", name)
        if own is not None:
            moved = Estimate(own.value - share, own.low - share, own.high - share, own.n)
            measured.add("shares", by, "amplification", moved, name)


def _add_crossed(measured: Measured, crossed: Tensor, names: Sequence[str], answers: Answers) -> None:
    known = crossed[~crossed.isnan().any(dim=1)] > 0.5
    by = "labels" if answers.labelled(measured.pictures) else answers.by
    for name, wanted in zip(combinations(names), itertools.product([True, False], repeat=len(names)), strict=True):
        count = int((known == torch.tensor(wanted)).all(dim=1).sum())
        measured.add("shares", by, "joint_share", wilson(count, len(known)), name)


def _confusion(found: Found, described: dict[str, Described], answers: Answers) -> tuple[Tensor | None, Tensor | None]:
    """The judge's confusion as shares, and the counts that it was measured with; None where nothing tells it."""
    if answers.confusion is not None:
        found.notes.append("Shares are corrected by the confusion that was given.")
        return answers.confusion, None
    for measured in (found.held_out, found.training):
        own = described[measured.name] if measured is not None else None
        if measured is None or own is None or own.judged is None or not answers.labelled(measured.pictures):
            continue
        assert own.shown is not None  # where the judge was asked, classes are known
        labels = labels_of(own.shown)
        counts = torch.stack([own.judged[labels == number].double().sum(dim=0) for number in range(len(answers.names))])
        if bool((counts.sum(dim=1) < 1).any()):
            continue
        matrix = counts / counts.sum(dim=1, keepdim=True)
        right = ", ".join(
            f"{name} {share:.3f}" for name, share in zip(answers.names, matrix.diagonal().tolist(), strict=True)
        )
        if torch.linalg.cond(matrix) > 1e3:
            found.notes.append(
                f"The judge does not tell the classes apart (right on {right} of the {measured.name} pictures), so "
                "that shares cannot be corrected."
            )
            return None, None
        found.notes.append(
            f"Shares are corrected by the judge's confusion on {int(counts.sum())} labelled {measured.name} pictures "
            f"(right on {right})."
        )
        return matrix, counts
    return None, None
