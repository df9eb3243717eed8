"""How far annotators agree where they answered the same question."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations


@dataclass(frozen=True)
class PairAgreement:
    """Two annotators and the questions that both answered.

    Attributes:
        first: Name.
        second: Name.
        questions: Questions that both answered.
        agreed: Of these with the same class, or both with none.
        kappa: Cohen's kappa, 1 perfect and 0 as good as chance; None where both always gave one and the same answer, or
            shared no question.
    """

    first: str
    second: str
    questions: int
    agreed: int
    kappa: float | None

    @property
    def share(self) -> float:
        """Agreed part of the questions; NaN where there are none."""
        return self.agreed / self.questions if self.questions else float("nan")


@dataclass(frozen=True)
class Agreement:
    """Agreement of all annotators on the questions that several answered; disputed detections are not trained on."""

    annotators: tuple[str, ...]
    questions: int
    unanimous: int
    pairs: tuple[PairAgreement, ...]
    disputed: tuple[int, ...]


def majority(truths: Iterable[str | None]) -> tuple[bool, str | None]:
    """Whether one answer has more votes than every other, and which.

    Example:
        >>> majority(["dent", None, "dent"])
        (True, 'dent')
        >>> majority(["dent", None])
        (False, None)
    """
    ranking = Counter(truths).most_common(2)
    if not ranking or (len(ranking) == 2 and ranking[0][1] == ranking[1][1]):
        return False, None
    return True, ranking[0][0]


def measure_agreement(votes: Iterable[tuple[str, int, str | None]]) -> Agreement:
    """Compare annotators.

    Args:
        votes: Annotator, detection, and the class that is there according to it (None: no defect). At most one vote of
            each annotator about a detection.

    Example:
        >>> measure_agreement([("a", 1, "dent"), ("b", 1, "dent"), ("a", 2, None), ("b", 2, "dent")]).unanimous
        1
    """
    of_detection: dict[int, dict[str, str | None]] = defaultdict(dict)
    for annotator, detection, truth in votes:
        of_detection[detection][annotator] = truth
    names = sorted({name for answers in of_detection.values() for name in answers})
    shared = [answers for answers in of_detection.values() if len(answers) > 1]
    pairs = [_pair(first, second, shared) for first, second in combinations(names, 2)]
    return Agreement(
        annotators=tuple(names),
        questions=len(shared),
        unanimous=sum(len(set(answers.values())) == 1 for answers in shared),
        pairs=tuple(pair for pair in pairs if pair.questions),
        disputed=tuple(sorted(one for one, votes_ in of_detection.items() if not majority(votes_.values())[0])),
    )


def _pair(first: str, second: str, shared: list[dict[str, str | None]]) -> PairAgreement:
    both = [(answers[first], answers[second]) for answers in shared if first in answers and second in answers]
    agreed = sum(one == other for one, other in both)
    return PairAgreement(first, second, len(both), agreed, _kappa(both, agreed))


def _kappa(both: list[tuple[str | None, str | None]], agreed: int) -> float | None:
    if not both:
        return None
    one, other = (Counter(column) for column in zip(*both, strict=True))
    chance = sum(count * other[truth] for truth, count in one.items()) / len(both) ** 2
    return None if chance == 1 else (agreed / len(both) - chance) / (1 - chance)
