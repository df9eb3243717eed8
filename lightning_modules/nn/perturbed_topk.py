"""Differentiable top-k: the expected one-hot top-k under Gaussian noise on the scores."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from datamodules.common.errors import AppraiseError, ConfigurationError

# Elements of noise alive at a time. 2**17 floats stay in the cache of a core; a GPU wants long launches instead.
CHUNK_CPU = 1 << 17
_CHUNK_ACCELERATOR = 1 << 22


class ScoresError(AppraiseError, ValueError):
    """Scores that cannot be ranked."""


@dataclass(frozen=True)
class Perturbation:
    """What a forward pass must remember so that its backward pass draws the same noise: options, and the seed."""

    k: int
    num_samples: int
    sigma: float
    seed: int
    antithetic: bool
    baseline: bool

    @property
    def draws(self) -> int:
        """Independent noise vectors per row of scores; each but perhaps the last serves twice when antithetic."""
        return (self.num_samples + 1) // 2 if self.antithetic else self.num_samples

    @property
    def pairs(self) -> int:
        """Noise vectors that are used with both signs."""
        return self.num_samples // 2 if self.antithetic else 0

    def noise(self, rows: int, like: Tensor) -> Iterator[tuple[int, Tensor]]:
        """Draw standard normal noise for rows of scores in pieces of bounded size; each call gives the same numbers.

        Yields:
            The number of a piece's first draw, and the piece ``(rows, draws of the piece, d)``, as ``like`` is.
        """
        d = like.shape[-1]
        generator = torch.Generator(device=like.device).manual_seed(self.seed)
        for first, size in _chunks(self.draws, rows * d, like.device):
            shape = (rows, size, d)
            yield first, torch.randn(shape, generator=generator, dtype=like.dtype, device=like.device)


def check_no_nan(scores: Tensor) -> None:
    """Refuse scores that have no rank; a graph that is being exported cannot branch on values, and is not checked.

    Raises:
        ScoresError: If ``scores`` holds NaN.
    """
    if not torch.compiler.is_compiling() and bool(torch.isnan(scores).any()):
        raise ScoresError("The scores hold NaN, which has no rank: look for an overflow or a bad input before them.")


def hard_topk(scores: Tensor, k: int) -> Tensor:
    """One-hot top-k, rows in order of position; of equal scores the first position wins.

    Args:
        scores: ``(..., d)``, floating point.
        k: Number of positions kept, ``1 <= k <= d``.

    Returns:
        ``(..., k, d)`` of zeros and ones in the dtype of ``scores``; carries no gradient.

    Raises:
        ConfigurationError: If ``k`` is out of range.
        ScoresError: If ``scores`` has no last dimension, is not floating point, or holds NaN.

    Example:
        >>> hard_topk(torch.tensor([0.1, 0.9, 0.2, 0.8]), k=2)
        tensor([[0., 1., 0., 0.],
                [0., 0., 0., 1.]])
    """
    _check(scores, k)
    if k == 1 and torch.compiler.is_exporting():  # ONNX knows no stable sort, and its largest is the first one too
        return nn.functional.one_hot(scores.argmax(dim=-1, keepdim=True), scores.shape[-1]).to(scores.dtype)
    order = scores.detach().argsort(dim=-1, descending=True, stable=True)
    positions = order[..., :k].sort(dim=-1).values
    return torch.zeros(*positions.shape, scores.shape[-1], dtype=scores.dtype, device=scores.device).scatter_(
        -1, positions.unsqueeze(-1), 1.0
    )


def perturbed_topk(
    scores: Tensor,
    k: int,
    *,
    num_samples: int,
    sigma: float,
    generator: torch.Generator | None = None,
    antithetic: bool = False,
    baseline: bool = False,
) -> Tensor:
    r"""Return the mean one-hot top-k of noisy scores, with the full vector-Jacobian product as its gradient.

    With :math:`Z_n \sim N(0, I)` and :math:`Y_n` the one-hot top-k of ``scores + sigma * Z_n`` (``k x d``, rows in
    order of position), the output is :math:`\frac1N \sum_n Y_n` and the gradient for an incoming :math:`G` is
    :math:`\frac1{N \sigma} \sum_n \langle G, Y_n \rangle Z_n`. Code that multiplies ``G`` with the mean of
    ``Y_n[k, d] * Z_n[d]`` keeps only the diagonal of the Jacobian and points elsewhere.

    Only the chosen positions are kept between the passes, in 2 bytes each; the noise is drawn twice from one seed,
    in chunks. No tensor of size ``num_samples x k x d`` exists at any time. Scores in float16 or bfloat16 are ranked
    in float32.

    Args:
        scores: ``(..., d)``, floating point; infinities are allowed, NaN is not.
        k: Number of positions kept, ``1 <= k <= d``.
        num_samples: Noise vectors per row of scores, at least 1.
        sigma: Standard deviation of the noise, in units of the scores, above 0.
        generator: Source of the seed of the noise, on any device; the global CPU generator when None.
        antithetic: Use each noise vector with both signs. The pairs cancel every constant part of ``<G, Y_n>``.
        baseline: Subtract from each ``<G, Y_n>`` the mean over the other samples, which leaves the gradient unbiased
            and lowers its variance. Antithetic pairs have this property already; it then serves an odd last sample.

    Returns:
        Indicators ``(..., k, d)`` in the dtype of ``scores``. Each of the k rows sums to 1.

    Raises:
        ConfigurationError: If ``k``, ``num_samples`` or ``sigma`` is out of range.
        ScoresError: If ``scores`` has no last dimension, is not floating point, or holds NaN.

    Example:
        >>> scores = torch.tensor([[0.0, 3.0, 1.0, 2.5]], requires_grad=True)
        >>> generator = torch.Generator().manual_seed(0)
        >>> indicators = perturbed_topk(scores, 2, num_samples=100, sigma=0.1, generator=generator)
        >>> indicators
        tensor([[[0., 1., 0., 0.],
                 [0., 0., 0., 1.]]], grad_fn=<ViewBackward0>)

    References:
        Berthet et al., "Learning with Differentiable Perturbed Optimizers", NeurIPS 2020, Proposition 3.1.
        Cordonnier et al., "Differentiable Patch Selection for Image Recognition", CVPR 2021.
    """
    _check(scores, k)
    if num_samples < 1:
        raise ConfigurationError(f"num_samples is {num_samples}, but the mean needs at least 1 sample: raise it.")
    if not (sigma > 0 and math.isfinite(sigma)):
        raise ConfigurationError(f"sigma is {sigma}, but the noise needs a finite scale above 0: use hard_topk for 0.")
    device = generator.device if generator is not None else torch.device("cpu")
    seed = int(torch.randint(1 << 62, (), generator=generator, device=device).item())
    plan = Perturbation(k, num_samples, float(sigma), seed, antithetic, baseline)
    d = scores.shape[-1]
    indicators = cast(Tensor, _PerturbedTopK.apply(scores.reshape(-1, d), plan))
    return indicators.view(*scores.shape[:-1], k, d)


class PerturbedTopK(nn.Module):
    """Perturbed top-k in training, hard top-k in evaluation; the arguments are those of `perturbed_topk`.

    As ``sigma -> 0`` training is the hard top-k too. The attribute ``generator`` may be set at any time.

    Raises:
        ConfigurationError: If an argument is out of range.

    Example:
        >>> topk = PerturbedTopK(k=2).eval()
        >>> topk(torch.tensor([0.3, 0.1, 0.2]))
        tensor([[1., 0., 0.],
                [0., 0., 1.]])

    References:
        Cordonnier et al., "Differentiable Patch Selection for Image Recognition", CVPR 2021.
    """

    def __init__(
        self,
        k: int,
        *,
        num_samples: int = 500,
        sigma: float = 0.05,
        antithetic: bool = False,
        baseline: bool = False,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if k < 1:
            raise ConfigurationError(f"k is {k}, but the top-k keeps at least 1 position: raise it.")
        if num_samples < 1:
            raise ConfigurationError(f"num_samples is {num_samples}, but the mean needs at least 1 sample: raise it.")
        if not sigma > 0:
            raise ConfigurationError(f"sigma is {sigma}, but the noise needs a scale above 0: raise it.")
        self.k = k
        self.num_samples = num_samples
        self.sigma = sigma
        self.antithetic = antithetic
        self.baseline = baseline
        self.generator = generator

    def forward(self, scores: Tensor) -> Tensor:
        """Map scores ``(..., d)`` to indicators ``(..., k, d)``."""
        if not self.training:
            return hard_topk(scores, self.k)
        return perturbed_topk(
            scores,
            self.k,
            num_samples=self.num_samples,
            sigma=self.sigma,
            generator=self.generator,
            antithetic=self.antithetic,
            baseline=self.baseline,
        )

    def extra_repr(self) -> str:
        """Return the settings for ``repr``."""
        return (
            f"k={self.k}, num_samples={self.num_samples}, sigma={self.sigma}, "
            f"antithetic={self.antithetic}, baseline={self.baseline}"
        )


def _check(scores: Tensor, k: int) -> None:
    if scores.dim() == 0 or not scores.is_floating_point():
        raise ScoresError(
            f"The scores have shape {tuple(scores.shape)} and dtype {scores.dtype}, but the top-k ranks floating point "
            "scores of shape (..., d): convert them."
        )
    if not 1 <= k <= scores.shape[-1]:
        raise ConfigurationError(
            f"k is {k}, but the top-k of {scores.shape[-1]} scores keeps between 1 and {scores.shape[-1]}: change it."
        )
    check_no_nan(scores)


def _positions(scores: Tensor, k: int) -> Tensor:
    """Rank ``(n, d)`` without NaN and return the positions of the top k, ``(n, k)`` int64, ascending."""
    if k == 1:
        return scores.argmax(dim=-1, keepdim=True)
    if scores.device.type != "cpu":
        return scores.topk(k, dim=-1, sorted=False).indices.sort(dim=-1).values
    # NumPy selects and lists with vector instructions: on one thread it is five times faster than torch.topk on two.
    n, d = scores.shape
    values = scores.numpy()
    threshold = np.partition(values, d - k, axis=-1)[:, d - k, None]
    flat = np.flatnonzero(values >= threshold)
    if flat.size != n * k:  # some row has several scores equal to its threshold: its first ones win
        above, level = values > threshold, values == threshold
        room = k - above.sum(axis=-1, keepdims=True)
        flat = np.flatnonzero(above | (level & (level.cumsum(axis=-1) <= room)))
    return torch.from_numpy(flat).view(n, k).sub_(torch.arange(0, n * d, d).unsqueeze(-1))


def _chunks(total: int, cost: int, device: torch.device) -> Iterator[tuple[int, int]]:
    """Yield ``(first, size)`` that cover ``total`` items of ``cost`` elements each, in pieces of bounded size."""
    budget = CHUNK_CPU if device.type == "cpu" else _CHUNK_ACCELERATOR
    step = max(1, budget // max(1, cost))
    for first in range(0, total, step):
        yield first, min(step, total - first)


class _PerturbedTopK(torch.autograd.Function):
    """Scores ``(rows, d)`` to indicators ``(rows, k, d)``."""

    @staticmethod
    def forward(ctx: FunctionCtx, scores: Tensor, plan: Perturbation) -> Tensor:
        rows, d = scores.shape
        compute = scores.float() if scores.dtype in (torch.float16, torch.bfloat16) else scores
        context = cast(_Context, ctx)
        context.plan, context.dtype, context.compute_dtype = plan, scores.dtype, compute.dtype
        if plan.k == d:  # all are chosen whatever the noise
            context.save_for_backward(torch.empty(0))
            return torch.eye(d, dtype=scores.dtype, device=scores.device).repeat(rows, 1, 1)
        # Sample n uses draw n for n < draws, and the negative of draw n - draws after that.
        keep = context.needs_input_grad[0]
        narrow = torch.int16 if d <= torch.iinfo(torch.int16).max else torch.int32
        kept = torch.empty(rows, plan.num_samples if keep else 0, plan.k, dtype=narrow, device=scores.device)
        counts = torch.zeros(rows * plan.k * d, dtype=compute.dtype, device=scores.device)
        offsets = _offsets(rows, plan.k, d, scores.device)
        one = counts.new_ones(())
        for first, noise in plan.noise(rows, compute):
            for sign in (1, -1) if plan.antithetic else (1,):
                used = noise if sign > 0 else noise[:, : max(0, plan.pairs - first)]
                noisy = torch.add(compute.unsqueeze(1), used, alpha=sign * plan.sigma)
                positions = _positions(noisy.view(-1, d), plan.k).view(rows, used.shape[1], plan.k)
                if keep:
                    start = first if sign > 0 else plan.draws + first
                    kept[:, start : start + positions.shape[1]] = positions
                keys = positions.add_(offsets).view(-1)
                counts.scatter_add_(0, keys, one.expand(keys.shape))
        context.save_for_backward(kept)
        return counts.div_(plan.num_samples).view(rows, plan.k, d).to(scores.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None]:
        context = cast(_Context, ctx)
        (kept,) = context.saved_tensors
        plan = context.plan
        rows, k, d = grad.shape
        total = torch.zeros(rows, 1, d, dtype=context.compute_dtype, device=grad.device)
        if k == d:
            return total.squeeze(1).to(context.dtype), None
        # A backward pass inside an autocast region would do the product in half precision.
        with torch.autocast(device_type=grad.device.type, enabled=False):
            weights = _fold(_inner_products(grad.to(context.compute_dtype), kept), plan)
            for first, noise in plan.noise(rows, total):
                total.baddbmm_(weights[:, None, first : first + noise.shape[1]], noise)
        total.div_(plan.num_samples * plan.sigma)
        return total.squeeze(1).to(context.dtype), None


class _Context(FunctionCtx):
    """What autograd's context carries here, for the type checker."""

    plan: Perturbation
    dtype: torch.dtype
    compute_dtype: torch.dtype
    needs_input_grad: tuple[bool, ...]
    saved_tensors: tuple[Tensor, ...]


def _offsets(rows: int, k: int, d: int, device: torch.device) -> Tensor:
    """Return what to add to a position to index a flat ``(rows, k, d)``: ``(rows, 1, k)`` int64."""
    return torch.arange(0, rows * k * d, d, device=device).view(rows, 1, k)


def _inner_products(grad: Tensor, kept: Tensor) -> Tensor:
    """Compute ``<G, Y_n>`` ``(rows, samples)`` from ``grad`` ``(rows, k, d)`` and the kept positions."""
    rows, k, d = grad.shape
    flat = grad.reshape(-1)
    offsets = _offsets(rows, k, d, grad.device)
    products = torch.empty(rows, kept.shape[1], dtype=grad.dtype, device=grad.device)
    for first, size in _chunks(kept.shape[1], rows * k, grad.device):
        keys = kept[:, first : first + size] + offsets
        chosen = flat.index_select(0, keys.view(-1)).view(rows, size, k)
        products[:, first : first + size] = chosen.sum(dim=-1)
    return products


def _fold(products: Tensor, plan: Perturbation) -> Tensor:
    """Turn ``<G, Y_n>`` ``(rows, samples)`` into the weight of each draw of noise ``(rows, draws)``."""
    if not plan.antithetic:
        if plan.baseline and plan.num_samples > 1:
            # <G, Y_n> minus the mean over the others; a mean that includes n itself would shrink the gradient.
            scale = plan.num_samples / (plan.num_samples - 1)
            return (products - products.mean(dim=1, keepdim=True)) * scale
        return products
    weights = products[:, : plan.draws].clone()
    weights[:, : plan.pairs] -= products[:, plan.draws :]
    if plan.baseline and 0 < plan.pairs < plan.draws:
        paired = products.sum(dim=1) - products[:, plan.pairs]
        weights[:, plan.pairs] -= paired / (plan.num_samples - 1)
    return weights
