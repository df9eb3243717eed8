"""Losses on quality scores and on distortion tokens."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError

_EPS = 1e-8  # beside a standard deviation, as in the released code


def plcc_loss(pred: Tensor, target: Tensor) -> Tensor:
    """Loss that falls as the linear correlation of a batch rises, blind to scale and offset.

    Both are z-scored over the batch with the population standard deviation, giving p and y. With r = mean(p * y) the
    loss is (mean((p - y)^2) / 4 + mean((r p - y)^2) / 4) / 2, in [0, 0.5] up to rounding: 0 at r = 1, 0.375 at r = 0.

    Args:
        pred: ``(B,)`` or ``(B, 1)``, floating point.
        target: Same shape, finite: leave out the rows without a label.

    Returns:
        Scalar, at least float32. A batch of fewer than two, or with a constant side, gives a zero in the graph.

    Raises:
        ConfigurationError: If the shapes differ.

    Example:
        >>> float(plcc_loss(torch.tensor([1.0, 3.0]), torch.tensor([10.0, 50.0]))) < 1e-6
        True
        >>> round(float(plcc_loss(torch.tensor([3.0, 1.0]), torch.tensor([10.0, 50.0]))), 4)
        0.5

    References:
        Wu et al., "FAST-VQA: Efficient End-to-end Video Quality Assessment with Fragment Sampling", ECCV 2022.
    """
    pred, target = _flatten_pair(pred, target)
    if pred.numel() < 2:
        return _zero(pred)
    varied = _varies(pred) & _varies(target)
    p, y = _standardise(pred, varied), _standardise(target, varied)
    correlation = (p * y).mean()
    loss = (F.mse_loss(p, y) / 4 + F.mse_loss(correlation * p, y) / 4) / 2
    return torch.where(varied, loss, torch.zeros_like(loss))


def pairwise_rank_loss(pred: Tensor, target: Tensor) -> Tensor:
    """Mean violation of the order of the targets over all pairs, divided by one plus the largest violation.

    The violation of a pair is relu((pred_i - pred_j) * sign(target_j - target_i)).

    Args:
        pred: ``(B,)`` or ``(B, 1)``, floating point.
        target: Same shape, finite: leave out the rows without a label.

    Returns:
        Scalar in [0, 1), at least float32. A batch of fewer than two gives a zero in the graph.

    Raises:
        ConfigurationError: If the shapes differ.

    Example:
        >>> pairwise_rank_loss(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([0.0, 5.0, 6.0]))
        tensor(0.)
        >>> pairwise_rank_loss(torch.tensor([2.0, 1.0]), torch.tensor([0.0, 5.0]))  # 2 * 1 / (2 * 1) / (1 + 1)
        tensor(0.5000)

    References:
        Wu et al., "FAST-VQA: Efficient End-to-end Video Quality Assessment with Fragment Sampling", ECCV 2022.
    """
    pred, target = _flatten_pair(pred, target)
    n = pred.numel()
    if n < 2:
        return _zero(pred)
    violation = F.relu((pred[:, None] - pred[None, :]) * torch.sign(target[None, :] - target[:, None]))
    return violation.sum() / (n * (n - 1)) / (1 + violation.max())


def supervised_contrastive_loss(
    tokens: Tensor,
    labels: Tensor,
    temperature: float = 0.1,
    max_tokens: int | None = None,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Pull tokens of one class together: mean of log sum_{j != i} exp(s_ij) - mean_{positives} s_ij.

    s_ij is the cosine of two tokens over the temperature. The positives of a token are the others of its class; a token
    that has none adds nothing to the mean but still pushes the others away. The positives are counted through
    one sum per class, so that a single N x N matrix is made.

    Args:
        tokens: ``(N, D)``, floating point.
        labels: ``(N,)`` integers. Each row of label -1 is a class of its own; :func:`token_labels` gives the tokens of
            a video without a label one class together.
        temperature: Above 0.
        max_tokens: Draw this many tokens at random when there are more, at least 2; None keeps all.
        generator: Source of that draw, on any device; the global CPU generator when None.

    Returns:
        Scalar, at least float32. No positive at all gives a zero in the graph.

    Raises:
        ConfigurationError: If the shapes do not fit, or an option is out of range.

    Example:
        >>> tokens = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
        >>> loss = supervised_contrastive_loss(tokens, torch.tensor([0, 0, 1]), temperature=1.0)
        >>> round(float(loss), 4)  # log(e^1 + e^0) - 1
        0.3133

    References:
        Khosla et al., "Supervised Contrastive Learning", NeurIPS 2020, eq. (2);
        Lu et al., "KVQ: Kwai Video Quality Assessment for Short-form Videos", CVPR 2024.
    """
    if tokens.dim() != 2 or labels.shape != tokens.shape[:1]:
        raise ConfigurationError(
            f"The tokens have shape {tuple(tokens.shape)} and the labels {tuple(labels.shape)}, but the contrastive "
            "loss compares tokens (N, D) of labels (N,): flatten them."
        )
    if not (temperature > 0 and math.isfinite(temperature)):
        raise ConfigurationError(f"temperature is {temperature}, but it divides cosines: give a value above 0.")
    if max_tokens is not None and max_tokens < 2:
        raise ConfigurationError(f"max_tokens is {max_tokens}, but a pair takes 2: raise it or give None.")
    if max_tokens is not None and len(tokens) > max_tokens:
        device = generator.device if generator is not None else torch.device("cpu")
        drawn = torch.randperm(len(tokens), generator=generator, device=device)[:max_tokens].to(tokens.device)
        tokens, labels = tokens[drawn], labels[drawn]
    if len(tokens) < 2:
        return _zero(tokens)
    # Half precision resolves a cosine over 0.1 to a few hundredths only.
    with torch.autocast(device_type=tokens.device.type, enabled=False):
        return _contrast(tokens.to(torch.promote_types(tokens.dtype, torch.float32)), labels, temperature)


def token_labels(pattern: Tensor, tokens_per_video: int, video: Tensor | None = None) -> Tensor:
    """Give each token the processing pattern of its video, and the tokens of a video without one a class of their own.

    Args:
        pattern: ``(B,)`` int64, -1 where unknown.
        tokens_per_video: Tokens of each row, M.
        video: ``(B,)`` int64 >= 0, which rows (clips) are one video; None when each row is a video.

    Returns:
        ``(B * M,)`` int64: the pattern, or -2 - video where it is unknown.

    Example:
        >>> token_labels(torch.tensor([3, -1, -1]), 2)
        tensor([ 3,  3, -3, -3, -4, -4])
    """
    if video is None:
        video = torch.arange(len(pattern), device=pattern.device)
    return torch.where(pattern >= 0, pattern, -2 - video).repeat_interleave(tokens_per_video)


def _flatten_pair(pred: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    if pred.shape != target.shape:  # (B, 1) against (B,) would broadcast to (B, B) without a word
        raise ConfigurationError(
            f"The predictions have shape {tuple(pred.shape)} and the targets {tuple(target.shape)}, but each "
            "prediction needs its own target: give them one shape."
        )
    dtype = torch.promote_types(pred.dtype, torch.float32)
    return pred.reshape(-1).to(dtype), target.reshape(-1).to(dtype)


def _zero(values: Tensor) -> Tensor:
    """Return a zero that backward passes through; other ranks may have a gradient and wait for ours."""
    return (values.to(torch.promote_types(values.dtype, torch.float32)) * 0).sum()


def _varies(values: Tensor) -> Tensor:
    return (values.amax() > values.amin()) & (values.var(correction=0) > 0)


def _standardise(values: Tensor, varied: Tensor) -> Tensor:
    """Z-score; where nothing varies, divide by 1, since the root has no gradient at 0."""
    variance, mean = torch.var_mean(values, correction=0)
    deviation = torch.where(varied, variance, torch.ones_like(variance)).sqrt()
    return (values - mean) / (deviation + _EPS)


def _contrast(tokens: Tensor, labels: Tensor, temperature: float) -> Tensor:
    tokens = F.normalize(tokens, dim=-1)
    similarity = (tokens / temperature) @ tokens.T
    similarity.fill_diagonal_(-math.inf)
    classes, member = torch.unique(labels, return_inverse=True)
    # Sums per class as products: the backward pass of an index with repeats adds in an order that threads decide.
    membership = F.one_hot(member, len(classes)).to(tokens.dtype)
    others = (membership @ membership.sum(dim=0) - 1).long()
    positive = (
        ((membership @ (membership.T @ tokens) - tokens) * tokens).sum(dim=-1) / others.clamp(min=1) / temperature
    )
    has_positive = (others > 0) & (labels != -1)
    terms = torch.where(has_positive, similarity.logsumexp(dim=-1) - positive, torch.zeros_like(positive))
    return terms.sum() / has_positive.sum().clamp(min=1)
