"""Agreement of predicted quality with opinion scores: SRCC, PLCC, KRCC, RMSE, and the KVQ challenge's measures.

All take predictions and targets of one shape, ``(N,)``, and raise a `ConfigurationError` if the shapes differ. A
correlation lies in [-1, 1]; it is NaN for fewer than 3 samples, a constant side, or a NaN.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torchmetrics import Metric
from torchmetrics.utilities import dim_zero_cat

from datamodules.common.errors import ConfigurationError
from lightning_modules.video_quality.score_map import explain_fit, four_parameter_logistic

_MINIMUM = 3  # a correlation of two points is always 1 or -1


def srcc(pred: Tensor, target: Tensor) -> float:
    """Spearman's rank correlation; equal values share their mean rank.

    Example:
        >>> round(srcc(torch.tensor([1.0, 2.0, 9.0]), torch.tensor([1.0, 4.0, 5.0])), 4)
        1.0
    """
    p, y = _pair(pred, target)
    if len(p) < _MINIMUM or _has_nan(p, y):
        return math.nan
    return _pearson(_mean_ranks(p), _mean_ranks(y))


def plcc(pred: Tensor, target: Tensor) -> float:
    """Pearson's linear correlation.

    Example:
        >>> round(plcc(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([1.0, 2.0, 3.0])), 4)
        0.982
    """
    p, y = _pair(pred, target)
    return _pearson(p, y) if len(p) >= _MINIMUM else math.nan


def krcc(pred: Tensor, target: Tensor) -> float:
    """Kendall's rank correlation tau-b, which allows for ties on either side.

    Example:
        >>> round(krcc(torch.tensor([1.0, 3.0, 2.0]), torch.tensor([1.0, 2.0, 3.0])), 4)  # 2 of 3 pairs agree
        0.3333
    """
    from scipy.stats import kendalltau  # slow to import, and needed at the end of an epoch only

    p, y = _pair(pred, target)
    return float(kendalltau(p, y).statistic) if len(p) >= _MINIMUM else math.nan


def rmse(pred: Tensor, target: Tensor) -> float:
    """Root of the mean squared error, in units of the target; NaN without samples.

    Example:
        >>> round(rmse(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 4.0])), 4)
        1.4142
    """
    p, y = _pair(pred, target)
    return float((p - y).square().mean().sqrt()) if len(p) else math.nan


def match_moments(pred: Tensor, target: Tensor) -> Tensor:
    """Shift and scale predictions to the mean and standard deviation of the targets, ``(N,)`` float64.

    The field does this before an RMSE without a fitted map, since a raw score has no unit. Constant predictions become
    the mean of the targets.

    Example:
        >>> match_moments(torch.tensor([0.0, 1.0]), torch.tensor([2.0, 4.0])).round(decimals=6)
        tensor([2., 4.], dtype=torch.float64)
    """
    p, y = _pair(pred, target)
    if len(p) == 0 or not _varies(p):
        return torch.zeros_like(p) + y.mean()
    return (p - p.mean()) / p.std(correction=0) * y.std(correction=0) + y.mean()


def rank_pair_accuracy(scores1: Tensor, scores2: Tensor, rank: Tensor) -> float:
    """Share of video pairs whose better one is named, as in the KVQ challenge.

    Args:
        scores1: ``(P,)`` scores of the first videos.
        scores2: ``(P,)`` scores of the second videos.
        rank: ``(P,)``, 1 where the first is better, 2 where the second is. The answer is 1 if score1 >= score2.

    Returns:
        A value in [0, 1]; NaN without pairs or with a NaN score.

    Raises:
        ConfigurationError: If the shapes differ, or a rank is neither 1 nor 2.

    Example:
        >>> rank_pair_accuracy(torch.tensor([3.0, 1.0]), torch.tensor([2.0, 1.0]), torch.tensor([1, 2]))
        0.5
    """
    first, second = _pair(scores1, scores2)
    truth = rank.detach().cpu().reshape(-1)
    if truth.shape != first.shape:
        raise ConfigurationError(f"There are {len(first)} pairs and {len(truth)} ranks, but each pair needs one rank.")
    if not bool(((truth == 1) | (truth == 2)).all()):
        raise ConfigurationError("A rank is neither 1 (the first is better) nor 2 (the second is): correct the list.")
    if len(first) == 0 or _has_nan(first, second):
        return math.nan
    answer = torch.where(first >= second, 1, 2)
    return float((answer == truth).double().mean())


def kvq_challenge_score(srcc: float, plcc: float, acc_nonsource: float, acc_source: float) -> float:
    """Weigh the four measures as the NTIRE 2024 challenge on short-form video quality does.

    Args:
        srcc: Rank correlation over all videos.
        plcc: Linear correlation over all videos.
        acc_nonsource: Accuracy on pairs of different sources.
        acc_source: Accuracy on pairs of one source.

    Returns:
        0.45 srcc + 0.45 plcc + 0.05 acc_nonsource + 0.05 acc_source, at most 1.

    Example:
        >>> round(kvq_challenge_score(0.9361, 0.9359, 0.8, 0.8), 4)
        0.9224

    References:
        Li et al., "NTIRE 2024 Challenge on Short-form UGC Video Quality Assessment", CVPR workshops 2024.
    """
    return 0.45 * srcc + 0.45 * plcc + 0.05 * acc_nonsource + 0.05 * acc_source


class QualityMetrics(Metric):
    """All measures of a quality run over a split, exact for any number of processes.

    Keeps each prediction with its target and computes at the end. The pairs are sorted first, so that the result does
    not depend on the order in which batches and processes deliver them. ``rmse`` follows :func:`match_moments`;
    ``plcc_logistic`` and ``rmse_logistic`` follow the fitted logistic of
    :func:`~lightning_modules.video_quality.score_map.fit_four_parameter_logistic`.

    ``compute`` returns a dict of float32 scalars: srcc, plcc, krcc, rmse, plcc_logistic, rmse_logistic; all NaN for
    fewer than 3 samples.

    Example:
        >>> metrics = QualityMetrics()
        >>> metrics.update(torch.tensor([1.0, 2.0, 3.0, 9.0]), torch.tensor([1.0, 2.5, 3.5, float("nan")]))
        >>> metrics.compute()["srcc"].round(decimals=4)
        tensor(1.)
    """

    is_differentiable = False
    higher_is_better = None
    full_state_update = False
    names = ("srcc", "plcc", "krcc", "rmse", "plcc_logistic", "rmse_logistic")
    pred: list[Tensor]
    target: list[Tensor]

    def __init__(self) -> None:
        super().__init__()
        self.add_state("pred", default=[], dist_reduce_fx="cat")
        self.add_state("target", default=[], dist_reduce_fx="cat")

    def update(self, pred: Tensor, target: Tensor, valid: Tensor | None = None) -> None:
        """Add a batch.

        Args:
            pred: ``(B,)`` raw scores.
            target: ``(B,)`` opinion scores; rows with NaN are left out.
            valid: ``(B,)`` bool; rows with False are left out.

        Raises:
            ConfigurationError: If the shapes differ.
        """
        if pred.shape != target.shape or (valid is not None and valid.shape != pred.shape):
            shapes = [tuple(part.shape) for part in (pred, target, valid) if part is not None]
            raise ConfigurationError(
                f"Predictions, targets and valid have shapes {shapes}, but they must be one shape."
            )
        keep = ~torch.isnan(target)
        if valid is not None:
            keep = keep & valid
        self.pred.append(pred.detach()[keep].float())
        self.target.append(target.detach()[keep].float())

    def compute(self) -> dict[str, Tensor]:
        """Return each measure by name."""
        pred, target = self.pairs()
        if len(pred) < _MINIMUM:
            values = [math.nan] * len(self.names)
        else:
            values = [srcc(pred, target), plcc(pred, target), krcc(pred, target)]
            values.append(rmse(match_moments(pred, target), target))
            mapped = _mapped(pred, target)
            values += [plcc(mapped, target), rmse(mapped, target)]
        return {name: torch.tensor(value, device=self.device) for name, value in zip(self.names, values, strict=True)}

    def pairs(self) -> tuple[Tensor, Tensor]:
        """Return the predictions and targets so far, ``(N,)`` float64 on the CPU, sorted by target, then prediction."""
        pred, target = (_joined(state) for state in (self.pred, self.target))
        order = pred.argsort(stable=True)
        order = order[target[order].argsort(stable=True)]
        return pred[order], target[order]


def _joined(state: list[Tensor] | Tensor) -> Tensor:
    """Join the batches of a state, which is a tensor already after a sync."""
    if isinstance(state, list) and not state:
        return torch.zeros(0, dtype=torch.float64)
    joined: Tensor = dim_zero_cat(state)
    return joined.detach().cpu().double()


def _mapped(pred: Tensor, target: Tensor) -> Tensor:
    """Map predictions by the fitted logistic; no warning, since early epochs and sanity checks seldom fit."""
    if _has_nan(pred):
        return torch.full_like(pred, math.nan)
    params, _ = explain_fit(pred, target)
    return four_parameter_logistic(pred, params)


def _pair(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if pred.shape != target.shape:
        raise ConfigurationError(
            f"The values compared have shapes {tuple(pred.shape)} and {tuple(target.shape)}, but they go in pairs: "
            "give them one shape."
        )
    return pred.detach().cpu().double().reshape(-1), target.detach().cpu().double().reshape(-1)


def _has_nan(*values: Tensor) -> bool:
    return any(bool(torch.isnan(part).any()) for part in values)


def _varies(values: Tensor) -> bool:
    return bool(values.max() != values.min())  # true with NaN, which then reaches the result


def _pearson(p: Tensor, y: Tensor) -> float:
    if not (_varies(p) and _varies(y)):
        return math.nan
    p, y = _centred(p), _centred(y)
    return float((p @ y / ((p @ p) * (y @ y)).sqrt()).clamp(-1, 1))


def _centred(values: Tensor) -> Tensor:
    """Subtract the mean and divide by the largest deviation, so that squares neither overflow nor vanish."""
    values = values - values.mean()
    return values / values.abs().max()


def _mean_ranks(values: Tensor) -> Tensor:
    """Rank ``(N,)`` from 1, equal values sharing the mean of their ranks; float64."""
    _, member, counts = torch.unique(values, sorted=True, return_inverse=True, return_counts=True)
    ranks: Tensor = counts.cumsum(0) - (counts.double() - 1) / 2
    return ranks[member]
