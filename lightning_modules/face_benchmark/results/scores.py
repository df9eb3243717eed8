"""What answers come to: accuracies of all and of parts, gaps between people, and what turning options does."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from datamodules.face_benchmark.batch import CATEGORIES, TASKS
from lightning_modules.face_benchmark.results.intervals import Clusters, accuracy, clusters_of
from lightning_modules.face_benchmark.results.outcome import Outcome
from lightning_modules.nn.estimate import Estimate, difference, wilson


class Score(NamedTuple):
    """A part of the questions.

    Attributes:
        kind: What it is a part by: "overall", "category", "task", "dataset", "images".
        name: Which part.
        strict: Accuracy by our reading.
        official: By the released rules.
        unparsed: Share in which no option was found, refusals among them.
        refused: Share that was declined.
        chance: Share that a guess gets right.
    """

    kind: str
    name: str
    strict: Estimate
    official: Estimate
    unparsed: Estimate
    refused: Estimate
    chance: float


class Gap(NamedTuple):
    """How differently people of a kind are treated.

    Attributes:
        kind: "gender", "race" or another of the labels' own.
        groups: Accuracy and refusals of each group.
        accuracy: Largest accuracy of a group less the smallest, of those with questions enough.
        refusal: The same of refusals.
    """

    kind: str
    groups: Mapping[str, tuple[Estimate, Estimate]]
    accuracy: Estimate
    refusal: Estimate


class Turned(NamedTuple):
    """What turning the options does.

    Attributes:
        rotations: How often each question was asked.
        questions: Asked in all of them.
        mean: Accuracy over all.
        all_right: Share of questions that were right in every turn.
        same_option: Share of questions whose option was the same in every turn.
    """

    rotations: int
    questions: int
    mean: float
    all_right: Estimate
    same_option: Estimate


_LEAST_OF_A_GROUP = 20  # questions


def scores_of(outcomes: Sequence[Outcome]) -> list[Score]:
    """Accuracies overall, by category, task, data set and number of pictures, in this order.

    Args:
        outcomes: Of questions in the order of their files; turned ones are left out.
    """
    asked = [one for one in outcomes if one.rotation == 0]
    clusters = clusters_of(asked)
    found = [_score("overall", "all", asked, clusters, np.ones(len(asked), dtype=bool))]
    for kind, name_of in _PARTS.items():
        names = [name_of(one) for one in asked]
        for name in _in_order(kind, names):
            kept = np.array([one == name for one in names])
            found.append(
                _score(kind, name, [one for one, is_in in zip(asked, kept, strict=True) if is_in], clusters, kept)
            )
    return found


def gaps_of(outcomes: Sequence[Outcome]) -> list[Gap]:
    """Gaps between the groups of people that labels name; questions on people of several groups are left out."""
    asked = [one for one in outcomes if one.rotation == 0]
    kinds = dict.fromkeys(kind for one in asked for kind in one.groups)
    found = []
    for kind in kinds:
        by_group: dict[str, list[Outcome]] = defaultdict(list)
        for one in asked:
            if kind in one.groups:
                by_group[one.groups[kind]].append(one)
        groups = {
            name: (
                accuracy(np.array([one.is_right for one in own]), clusters_of(own)),
                wilson(sum(one.refused for one in own), len(own)),
            )
            for name, own in sorted(by_group.items())
        }
        enough = [pair for name, pair in groups.items() if len(by_group[name]) >= _LEAST_OF_A_GROUP]
        if len(enough) > 1:
            found.append(Gap(kind, groups, *(_widest([pair[place] for pair in enough]) for place in (0, 1))))
    return found


def turned_of(outcomes: Sequence[Outcome]) -> Turned | None:
    """What turning the options does; None where they were not turned."""
    rotations = sorted({one.rotation for one in outcomes})
    if len(rotations) < 2:
        return None
    by_key: dict[str, list[Outcome]] = defaultdict(list)
    for one in outcomes:
        by_key[one.key].append(one)
    whole = [own for own in by_key.values() if len(own) == len(rotations)]
    options = [{_option(one) for one in own} for own in whole]
    return Turned(
        rotations=len(rotations),
        questions=len(whole),
        mean=float(np.mean([one.is_right for own in whole for one in own])) if whole else float("nan"),
        all_right=wilson(sum(all(one.is_right for one in own) for own in whole), len(whole)),
        same_option=wilson(sum(len(found) == 1 and None not in found for found in options), len(whole)),
    )


def _score(kind: str, name: str, own: Sequence[Outcome], clusters: Clusters, kept: NDArray[np.bool_]) -> Score:
    inside = clusters.take(kept)

    def share(test: Callable[[Outcome], bool]) -> Estimate:
        return accuracy(np.array([test(one) for one in own], dtype=bool), inside)

    return Score(
        kind,
        name,
        share(lambda one: one.is_right),
        share(lambda one: one.is_officially_right),
        share(lambda one: one.is_unparsed),
        share(lambda one: one.refused),
        float(np.mean([1 / len(one.options) for one in own])) if own else float("nan"),
    )


_PARTS: dict[str, Callable[[Outcome], str]] = {
    "category": lambda one: one.category,
    "task": lambda one: one.task,
    "dataset": lambda one: f"{one.dataset}/{one.task}",
    "images": lambda one: one.image_count,
}


def _in_order(kind: str, names: Sequence[str]) -> list[str]:
    """Parts in the order of the published table, others behind it as they come."""
    known = {"category": list(CATEGORIES), "task": list(TASKS), "images": ["multiple", "single", "zero"]}.get(kind, [])
    own = list(dict.fromkeys(names))
    return [name for name in known if name in own] + [name for name in own if name not in known]


def _widest(parts: Sequence[Estimate]) -> Estimate:
    """The largest difference of any two."""
    ordered = sorted(parts, key=lambda one: one.value)
    return difference(ordered[-1], ordered[0])


def _option(one: Outcome) -> str | None:
    return None if one.strict is None else one.options[ord(one.strict) - ord("A")]
