"""Rewards that move the shares of what a model makes towards those that are wanted."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_diffusion.rewards.attributes import Attributes
from lightning_modules.face_diffusion.rewards.contract import Reward, Scored
from lightning_modules.face_diffusion.rewards.judges import Judge
from lightning_modules.nn.estimate import NORMAL, Estimate, wilson

log = logging.getLogger(__name__)

Form = Literal["difference", "ratio"]


class ShareReward(Reward):
    """More for pictures of a class that is made too rarely, less for one that is made too often.

    ``difference`` is the deck's ``m_d + (m_d - m_c)^y + (m_c - m_d)^(1 - y)``: for a class y of 0 or 1 the exponents
    only choose, so that it is ``1 + m_d + (2 y - 1)(m_d - m_c)``, which takes a probability y too; a power of a
    negative number would be no number. With K classes it is ``1 + offset + sum_k y_k (pi_k - p_k)``, for K = 2 the
    same. A distribution p becomes p r / E[r] in a round that is learnt exactly: it needs several. ``ratio`` is
    ``sum_k y_k pi_k / p_k``, which is there in one.

    Args:
        judge: Says what a picture shows.
        classes: One name: whether that attribute is shown. Several: which of them, of which a picture shows one.
            Several lists of names: these attributes at once, each combination a class.
        target: Wanted share of the attribute, or of each class; of several attributes one such for each, or the share
            of each combination. None wants equal ones.
        form: ``difference`` or ``ratio``.
        offset: Added to 1 in ``difference``; None takes the deck's, the wanted share of the attribute (1/K for K).
        soft: Weigh by the judge's probabilities; False by its decision.
        confusion: What the judge says of pictures of known classes, row k the shares of its answers for class k, to
            correct the shares by; None takes them as they are.

    Raises:
        ConfigurationError: If the target is no distribution, or the confusion cannot be undone.
    """

    def __init__(
        self,
        judge: Judge,
        classes: Sequence[str] | Sequence[Sequence[str]],
        target: float | Sequence[float] | Sequence[Sequence[float]] | None = None,
        form: Form = "difference",
        offset: float | None = None,
        soft: bool = False,
        confusion: Sequence[Sequence[float]] | None = None,
    ) -> None:
        super().__init__()
        self.judge = judge
        self.attributes = Attributes(classes)
        self.classes = self.attributes.names
        self.form: Form = form
        self.soft = soft
        self.target = self.attributes.wanted(target)
        self.offset = offset if offset is not None else _offset(self.attributes, self.target)
        self.confusion = None if confusion is None else checked_confusion(confusion, len(self.attributes))
        self._warned = False

    def load(self) -> None:
        """Read the judge, and find the classes among what it says.

        Raises:
            CheckpointError: If it does not know one.
        """
        super().load()
        self._columns = self.judge.columns(self.attributes.columns)

    def score(self, pictures: Tensor) -> Scored:
        """A reward of 1 for each picture, and what the judge says: its worth depends on the others."""
        said = self.judge(pictures).float()[:, self._columns].cpu()
        if wrong := int((~((said >= 0) & (said <= 1))).any(dim=1).sum()):
            raise ConfigurationError(
                f"{type(self.judge).__name__} says of {wrong} of {len(said)} pictures what is no probability; it "
                "must give numbers in 0..1"
            )
        return Scored(torch.ones(len(said)), {"probability": self.attributes.probabilities(said)})

    def settle(self, scored: Scored) -> Tensor:
        """Rewards from the shares of all pictures.

        Raises:
            ConfigurationError: If a wanted class is not among them and the form needs its share.
        """
        shown = self.shown(scored)
        shares = self.shares(shown)
        self._warn(scored.notes["probability"], shares)
        if self.form == "difference":
            return 1 + self.offset + shown @ (self.target - shares)
        missing = [name for name, p, pi in zip(self.classes, shares, self.target, strict=True) if p <= 0 < pi]
        if missing:
            raise ConfigurationError(
                f"not one of {len(shown)} pictures shows {', '.join(missing)}, so that the wanted share over the "
                "present one has no value and no reward can raise it: draw more, or train on pictures that show it"
            )
        return shown @ torch.where(shares > 0, self.target / shares.clamp(min=1e-12), torch.zeros(()))

    def _warn(self, probability: Tensor, shares: Tensor) -> None:
        """Say once what no reward can mend: a class that is not made, and a judge that prefers nothing."""
        if self._warned:
            return
        judge, number = type(self.judge).__name__, len(probability)
        missing = [name for name, p, pi in zip(self.classes, shares, self.target, strict=True) if p <= 0 < pi]
        if self.attributes.prefers_nothing(probability):
            log.warning("warning: %s prefers no class in any of %d pictures: it says nothing of them", judge, number)
        elif missing and self.form == "difference":
            log.warning(
                "warning: %s sees %s in not one of %d pictures, and no reward raises what is never made: only real "
                "pictures, by gamma, can", judge, ", ".join(missing), number,
            )  # fmt: skip
        else:
            return
        self._warned = True

    def measures(self, scored: Scored) -> dict[str, float]:
        """Share of each class with the ends of its 95 % interval; of several attributes the share of each too."""
        shown = self.shown(scored)
        shares = self.shares(shown)
        told: dict[str, float] = {}
        for name, found in zip(self.classes, self.estimates(shown), strict=True):
            told |= {f"share of {name}{end}": value for end, value in zip(("", " low", " high"), found, strict=False)}
        return told | {f"share of {name}": share for name, share in self.attributes.single_shares(shares).items()}

    def shown(self, scored: Scored) -> Tensor:
        """Weights of the classes for each picture, ``(N, K)``."""
        return self.attributes.shown(scored.notes["probability"], self.soft)

    def estimates(self, shown: Tensor) -> list[Estimate]:
        """Shares with their intervals: Wilson's; of shares that the confusion corrects the normal one."""
        seen = shown.double().mean(dim=0)
        number = len(shown)
        if self.confusion is None:
            return [wilson(share * number, number) for share in seen.tolist()]
        smooth = (seen * number + 1) / (number + len(seen))  # so that a class that is not seen has an interval
        undone = torch.linalg.inv(self.confusion.T)
        spread = (undone @ (smooth.diag() - smooth.outer(smooth)) @ undone.T / number).diagonal().sqrt() * NORMAL
        return [
            Estimate(share, max(0.0, share - half), min(1.0, share + half), number)
            for share, half in zip(self.shares(shown).tolist(), spread.tolist(), strict=True)
        ]

    def shares(self, shown: Tensor) -> Tensor:
        """Shares of the classes among all pictures, corrected by the judge's confusion, ``(K,)``."""
        shares = shown.double().mean(dim=0)
        if self.confusion is not None:
            shares = torch.linalg.solve(self.confusion.T, shares).clamp(min=0)
            shares = shares / shares.sum()
        return shares.float()


def _offset(attributes: Attributes, target: Tensor) -> float:
    """The deck's: the wanted share of one attribute, 1 / K of K classes."""
    return float(target[0]) if len(attributes.columns) == 1 else 1 / len(attributes)


def checked_confusion(rows: Sequence[Sequence[float]], number: int) -> Tensor:
    """What a judge says of pictures of known classes as shares, float64 ``(K, K)``, rows that add up to 1.

    Raises:
        ConfigurationError: If it has another shape, or cannot be undone.
    """
    matrix = torch.tensor(rows, dtype=torch.float64)
    fits = matrix.shape == (number, number) and bool((matrix >= 0).all()) and bool((matrix.sum(1) > 0).all())
    if not fits or torch.linalg.cond(matrix / matrix.sum(1, keepdim=True)) > 1e3:
        raise ConfigurationError(
            f"confusion must have {number} rows of {number} shares, one for each true class, and a judge that tells "
            f"the classes apart; it is {matrix.tolist()}"
        )
    return matrix / matrix.sum(dim=1, keepdim=True)
