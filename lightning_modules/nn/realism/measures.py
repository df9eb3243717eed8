"""Whether made faces look like faces at all, since agreement alone can be won with noise.

Every measure is a ratio to, or a place among, real faces that neither the made faces nor the reference set hold.
Images are float ``(N, 3, S, S)`` in 0..1; features are float ``(N, F)`` of a judge.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from datamodules.common.errors import ConfigurationError

_BLOCK = 256  # rows of a distance matrix at a time
_SMALL = 16  # side of the blurred pictures whose pixels are compared
_SUBSETS = 50  # of the KID's interval
_SUBSET = 100  # faces of one of them, at most


def total_variation(images: Tensor) -> Tensor:
    """Mean absolute difference of neighbouring pixels, across and down, ``(N,)``.

    Example:
        >>> total_variation(torch.full((1, 3, 4, 4), 0.3)).tolist()
        [0.0]
    """
    across = images.diff(dim=3).abs().mean(dim=(1, 2, 3))
    down = images.diff(dim=2).abs().mean(dim=(1, 2, 3))
    return across + down


def variation_ratio(images: Tensor, real: Tensor) -> float:
    """Mean total variation of images over that of real faces: far above 1 is noise, far below is fog."""
    return (total_variation(images).mean() / total_variation(real).mean()).item()


def blurred_pixels(images: Tensor) -> Tensor:
    """Pixels after an area average to 16 x 16, ``(N, 768)``: what is left when fine noise is not looked at."""
    return functional.adaptive_avg_pool2d(images, _SMALL).flatten(1)


class Nearest(NamedTuple):
    """The closest of a set of reference faces to each face.

    Attributes:
        distance: Euclidean, ``(N,)``.
        row: Its row, int64 ``(N,)``.
    """

    distance: Tensor
    row: Tensor


def nearest(features: Tensor, reference: Tensor) -> Nearest:
    """Find the closest reference of each row by Euclidean distance.

    Args:
        features: ``(N, F)``.
        reference: ``(M, F)``.
    """
    blocks = [torch.cdist(block.double(), reference.double()).min(dim=1) for block in _blocks(features)]
    return Nearest(torch.cat([block.values for block in blocks]), torch.cat([block.indices for block in blocks]))


def nearest_ratio(features: Tensor, held_out: Tensor, reference: Tensor) -> float:
    """Mean distance to the closest reference face, over that of real faces outside the reference.

    About 1 for faces that lie among the real ones; above it for what no real face looks like.

    Args:
        features: Of made faces, ``(N, F)``.
        held_out: Of real faces that are not in the reference, ``(H, F)``.
        reference: Of real faces, ``(M, F)``.
    """
    return (nearest(features, reference).distance.mean() / nearest(held_out, reference).distance.mean()).item()


class KernelDistance(NamedTuple):
    """Kernel inception distance with a judge's features.

    Attributes:
        value: Unbiased estimate of the squared maximum mean discrepancy; 0 (or slightly below) for the same faces.
        low: 2.5 % point over random subsets.
        high: 97.5 % point.
    """

    value: float
    low: float
    high: float


def kernel_distance(features: Tensor, real: Tensor, seed: int = 0) -> KernelDistance:
    """KID (Binkowski et al., ICLR 2018) with the cubic kernel, and an interval over random subsets.

    The features are divided by the mean length of the real ones over sqrt(F), so that judges can be compared.

    Args:
        features: Of made faces, ``(N, F)``, N > 1.
        real: Of real faces, ``(M, F)``, M > 1.
        seed: Of the subsets.

    Raises:
        ConfigurationError: If there are fewer than two of either.
    """
    if min(len(features), len(real)) < 2:
        raise ConfigurationError(
            f"A kernel distance needs two faces of each kind, but there are {len(features)} made and {len(real)} real "
            "ones: ask for more."
        )
    scale = real.double().norm(dim=1).mean() / math.sqrt(real.shape[1])
    first, second = features.double() / scale, real.double() / scale
    kernels = (_cubic(first, first), _cubic(second, second), _cubic(first, second))
    generator = torch.Generator().manual_seed(seed)
    size = min(_SUBSET, len(first), len(second))
    values = []
    for _ in range(_SUBSETS):
        rows = torch.randperm(len(first), generator=generator)[:size]
        columns = torch.randperm(len(second), generator=generator)[:size]
        part = (kernels[0][rows][:, rows], kernels[1][columns][:, columns], kernels[2][rows][:, columns])
        values.append(_discrepancy(*part))
    low, high = torch.tensor(values, dtype=torch.float64).quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    return KernelDistance(_discrepancy(*kernels), low.item(), high.item())


def copies(features: Tensor, reference: Tensor, ratio: float = 0.5) -> float:
    """Share of faces that are far nearer to one reference face than to any other: copies of it.

    Args:
        features: Of made faces, ``(N, F)``.
        reference: Of real faces, ``(M, F)``, M > 1.
        ratio: Distance to the nearest over that to the second nearest, below which a face is a copy.
    """
    blocks = [torch.cdist(block.double(), reference.double()).topk(2, largest=False) for block in _blocks(features)]
    distances = torch.cat([block.values for block in blocks])
    return (distances[:, 0] < ratio * distances[:, 1]).double().mean().item()


def diversity(features: Tensor) -> float:
    """Mean Euclidean distance between two different rows; NaN for fewer than two."""
    if len(features) < 2:
        return math.nan
    distances = torch.cdist(features.double(), features.double())
    return (distances.sum() / (len(features) * (len(features) - 1))).item()


def spectrum_slope(images: Tensor) -> Tensor:
    """Slope of log power over log frequency of the grey picture, ``(N,)``.

    About -2 for photographs; near 0 for white noise, steeper for fog.

    Args:
        images: ``(N, 3, S, S)``, S >= 8.
    """
    side = images.shape[-1]
    grey = images.double().mean(dim=1)
    grey = (grey - grey.mean(dim=(1, 2), keepdim=True)) * _window(side, images.device)
    power = torch.fft.fft2(grey).abs().square()
    frequency = torch.fft.fftfreq(side, device=images.device).mul(side)
    ring = (frequency[:, None].square() + frequency[None].square()).sqrt().round().long()
    rings = torch.arange(2, side // 2, device=images.device)
    shares = torch.stack([power[:, ring == number].mean(dim=1) for number in rings.tolist()], dim=1)
    x = rings.double().log()
    x = x - x.mean()
    y = (shares + 1e-12 * shares.amax(dim=1, keepdim=True) + 1e-30).log()
    return (y * x).sum(dim=1) / x.square().sum()


def similarity_percentile(features: Tensor, sources: Tensor, real: Tensor, seed: int = 0) -> Tensor:
    """Place of each made face's likeness to its source among random pairs of real faces, 0..100, ``(N,)``.

    Likeness is the cosine of features around the mean of the real ones; 50 is what two strangers have.

    Args:
        features: Of made faces, ``(N, F)``.
        sources: Of the face that each was made after, ``(N, F)``.
        real: Of real faces, ``(M, F)``, M > 1.
        seed: Of the pairs.
    """
    centre = real.mean(dim=0)
    own = functional.cosine_similarity(features - centre, sources - centre)
    pairs = random_pairs(len(real), 4000, seed)
    strangers = functional.cosine_similarity(real[pairs[0]] - centre, real[pairs[1]] - centre).sort().values
    below = torch.searchsorted(strangers, own.contiguous())
    return below.double() / len(strangers) * 100


def random_pairs(number: int, pairs: int, seed: int) -> Tensor:
    """Pairs of different rows of ``number``, int64 ``(2, pairs)``."""
    generator = torch.Generator().manual_seed(seed)
    first = torch.randint(number, (pairs,), generator=generator)
    shift = torch.randint(1, max(2, number), (pairs,), generator=generator)
    return torch.stack([first, (first + shift) % number])


def _blocks(features: Tensor) -> tuple[Tensor, ...]:
    return torch.split(features, _BLOCK)


def _cubic(first: Tensor, second: Tensor) -> Tensor:
    return (first @ second.T / first.shape[1] + 1).pow(3)


def _discrepancy(within: Tensor, real: Tensor, across: Tensor) -> float:
    """Unbiased squared maximum mean discrepancy from the three kernel matrices."""
    own, other = len(within), len(real)
    first = (within.sum() - within.diagonal().sum()) / (own * (own - 1))
    second = (real.sum() - real.diagonal().sum()) / (other * (other - 1))
    return (first + second - 2 * across.mean()).item()


def _window(side: int, device: torch.device) -> Tensor:
    """Fades the picture out towards its rim, so that left and right edge need not fit together."""
    fade = torch.hann_window(side, periodic=False, dtype=torch.float64, device=device)
    return fade[:, None] * fade[None]
