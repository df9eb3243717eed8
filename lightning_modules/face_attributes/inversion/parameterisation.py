"""Spaces in which a picture is looked for: plain pixels, frequencies with decorrelated colours, or mixtures of faces.

The optimiser moves coordinates; a space turns them into pictures. Which space is chosen says what kind of picture is
easy to reach: noise in pixels, smooth pictures in frequencies, and faces alone in the subspace of faces.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError

SpaceName = Literal["pixels", "fourier", "faces"]

_BRIGHTEST = 0.995  # of a picture that a sigmoid shall make; 1 would be at infinity
_COLOUR_FLOOR = 1e-4  # added to the variance of colours, so that grey photos have a basis too


class ImageSpace(nn.Module, ABC):
    """Base of the spaces.

    Args:
        size: Side S of the pictures in pixels.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    @abstractmethod
    def coordinates(self, pictures: Tensor) -> Tensor:
        """Coordinates of the pictures nearest to ``pictures`` that the space holds.

        Args:
            pictures: float ``(B, 3, S, S)`` in 0..1.

        Returns:
            float32 ``(B, ...)``, the shape being the space's own.
        """

    @abstractmethod
    def picture(self, coordinates: Tensor, share: float = 1.0) -> Tensor:
        """Pictures of coordinates.

        Args:
            coordinates: As `coordinates` gives them.
            share: Share of the detail that is used, above 0 up to 1; less gives coarser pictures.

        Returns:
            float32 ``(B, 3, S, S)`` in 0..1.
        """

    def settled(self, coordinates: Tensor) -> Tensor:
        """Coordinates brought back to where pictures are, after a step; most spaces have nothing to do."""
        return coordinates


class PixelSpace(ImageSpace):
    """Each pixel for itself, cut to 0..1 after every step, as the paper has it.

    Example:
        >>> space = PixelSpace(4)
        >>> picture = torch.rand(1, 3, 4, 4)
        >>> torch.equal(space.picture(space.coordinates(picture)), picture)
        True
    """

    def coordinates(self, pictures: Tensor) -> Tensor:
        """The pictures themselves."""
        return pictures.to(torch.float32).clone()

    def picture(self, coordinates: Tensor, share: float = 1.0) -> Tensor:
        """The pictures themselves; with less than all detail, averaged over blocks."""
        if share >= 1:
            return coordinates
        coarse = max(1, round(self.size * share))
        blocks = F.adaptive_avg_pool2d(coordinates, coarse)
        return F.interpolate(blocks, (self.size, self.size), mode="bilinear", align_corners=False)

    def settled(self, coordinates: Tensor) -> Tensor:
        """Cut to the range of pictures."""
        return coordinates.clamp(0, 1)


class FourierSpace(ImageSpace):
    """Frequencies of decorrelated colours, behind a sigmoid.

    A step of the optimiser moves all coordinates about as far, so dividing them by a power of their frequency makes
    pictures whose detail has as little energy as that of photographs, and the colour basis makes colours change
    together as they do among faces.

    Args:
        size: Side S of the pictures.
        power: Power of the frequency; 1 is that of natural pictures, and lets colours drift.
        colours: Basis of colours ``(3, 3)`` as `colour_basis` gives it; None leaves red, green and blue as they are.

    References:
        Olah, Mordvintsev and Schubert, "Feature Visualization", Distill 2017.

    Example:
        >>> space = FourierSpace(8, power=1.0)
        >>> picture = torch.rand(1, 3, 8, 8) * 0.9 + 0.05
        >>> bool((space.picture(space.coordinates(picture)) - picture).abs().max() < 1e-4)
        True
    """

    scale: Tensor
    radius: Tensor
    colours: Tensor

    def __init__(self, size: int, power: float = 0.6, colours: Tensor | None = None) -> None:
        super().__init__(size)
        rows, columns = torch.fft.fftfreq(size)[:, None], torch.fft.rfftfreq(size)[None, :]
        radius = (rows.square() + columns.square()).sqrt()
        scale = radius.clamp_min(1 / size) ** -power
        # A random start of variance 1 then has about the same strength for every power.
        self.register_buffer("scale", scale / scale.square().mean().sqrt())
        self.register_buffer("radius", radius / radius.max())
        self.register_buffer("colours", torch.eye(3) if colours is None else colours.to(torch.float32))

    def coordinates(self, pictures: Tensor) -> Tensor:
        """Frequencies of the pictures, ``(B, 3, S, S // 2 + 1, 2)``."""
        plane = torch.logit(pictures.to(torch.float32).clamp(1 - _BRIGHTEST, _BRIGHTEST))
        plane = torch.einsum("cd,bdhw->bchw", torch.linalg.inv(self.colours), plane)
        waves: Tensor = torch.fft.rfft2(plane, norm="ortho") / self.scale
        return torch.view_as_real(waves).clone()

    def picture(self, coordinates: Tensor, share: float = 1.0) -> Tensor:
        """Pictures of frequencies; with less than all detail, without the highest."""
        scale = self.scale if share >= 1 else self.scale * (self.radius <= share)
        waves = torch.view_as_complex(coordinates) * scale
        plane = torch.fft.irfft2(waves, s=(self.size, self.size), norm="ortho")
        return torch.einsum("cd,bdhw->bchw", self.colours, plane).sigmoid()


class FaceSpace(ImageSpace):
    """The mean face plus a mixture of the ways in which faces vary most: their principal components.

    A coordinate is counted in standard deviations of the training faces. What no training face has, such as a second
    nose, lies outside the space.

    Args:
        size: Side S of the pictures.
        mean: Mean face, float ``(3, T, T)`` in 0..1; pictures are enlarged where T is not S.
        components: Orthonormal directions ``(P, 3 * T * T)``, the strongest first.
        spread: Standard deviation of the training faces along each of them, ``(P,)``.

    References:
        Turk and Pentland, "Eigenfaces for recognition", Journal of Cognitive Neuroscience 1991.
    """

    mean: Tensor
    components: Tensor
    spread: Tensor

    def __init__(self, size: int, mean: Tensor, components: Tensor, spread: Tensor) -> None:
        super().__init__(size)
        self.side = mean.shape[-1]
        self.register_buffer("mean", mean.to(torch.float32).flatten())
        self.register_buffer("components", components.to(torch.float32))
        self.register_buffer("spread", spread.to(torch.float32))

    @classmethod
    def fit(cls, size: int, thumbnails: Tensor, components: int = 256) -> FaceSpace:
        """Find the directions from training faces, the same for the same faces on every machine up to rounding.

        Args:
            size: Side S of the pictures to make.
            thumbnails: Training faces, uint8 ``(N, 3, T, T)``.
            components: Directions P to keep; no more than N - 1 exist.

        Raises:
            ConfigurationError: If there are fewer than two faces.
        """
        if len(thumbnails) < 2:
            raise ConfigurationError(
                f"A subspace of faces needs at least two training faces, but {len(thumbnails)} are kept in the "
                "statistics: keep more, or choose the space fourier."
            )
        rows = thumbnails.flatten(1).to(torch.float64) / 255
        mean = rows.mean(dim=0)
        rows -= mean
        # The products of faces with faces are far fewer than those of pixels with pixels.
        values, vectors = torch.linalg.eigh(rows @ rows.T)
        order = values.argsort(descending=True)[: min(components, len(rows) - 1)]
        order = order[values[order] > values.max() * 1e-12]
        directions = F.normalize(vectors[:, order].T @ rows, dim=1)
        spread = (values[order] / len(rows)).clamp_min(0).sqrt()
        return cls(size, mean.view(thumbnails.shape[1:]), _signed(directions), spread)

    def coordinates(self, pictures: Tensor) -> Tensor:
        """Standard deviations along each direction, ``(B, P)``."""
        small = _resized(pictures.to(torch.float32), self.side)
        return ((small.flatten(1) - self.mean) @ self.components.T) / self.spread

    def picture(self, coordinates: Tensor, share: float = 1.0) -> Tensor:
        """Mixtures of faces; with less than all detail, of the strongest directions alone."""
        used = max(1, math.ceil(share * len(self.spread)))
        moved = (coordinates[:, :used] * self.spread[:used]) @ self.components[:used]
        return _resized((self.mean + moved).view(-1, 3, self.side, self.side), self.size).clamp(0, 1)


def colour_basis(thumbnails: Tensor) -> Tensor:
    """Symmetric root of the covariance of colours of faces around their mean face, its largest column of length 1.

    Args:
        thumbnails: Training faces, uint8 ``(N, 3, T, T)``.

    Returns:
        float32 ``(3, 3)``.
    """
    pixels = thumbnails.to(torch.float64) / 255
    pixels = (pixels - pixels.mean(dim=0)).transpose(0, 1).flatten(1)
    covariance = pixels @ pixels.T / pixels.shape[1] + _COLOUR_FLOOR * torch.eye(3, dtype=pixels.dtype)
    values, vectors = torch.linalg.eigh(covariance)
    root = vectors @ torch.diag(values.sqrt()) @ vectors.T
    basis: Tensor = root / torch.linalg.vector_norm(root, dim=0).max()
    return basis.to(torch.float32)


def make_space(
    name: SpaceName, size: int, thumbnails: Tensor | None, components: int = 256, power: float = 0.6
) -> ImageSpace:
    """Build a space by its name.

    Args:
        name: ``pixels``, ``fourier`` or ``faces``.
        size: Side S of the pictures.
        thumbnails: Training faces, uint8 ``(N, 3, T, T)``; ``fourier`` takes its colours from them where there are any.
        components: Directions of ``faces``.
        power: Power of the frequency of ``fourier``.

    Raises:
        ConfigurationError: If ``faces`` has no training faces.
    """
    if name == "pixels":
        return PixelSpace(size)
    if name == "fourier":
        return FourierSpace(size, power, None if thumbnails is None else colour_basis(thumbnails))
    if thumbnails is None:
        raise ConfigurationError(
            "The space faces is made of training faces, but none were kept: collect the statistics with kept faces, or "
            "choose the space fourier."
        )
    return FaceSpace.fit(size, thumbnails, components)


def _signed(directions: Tensor) -> Tensor:
    """Rows whose entry of largest size is positive: the sign of an eigenvector is arbitrary."""
    largest = directions.gather(1, directions.abs().argmax(dim=1, keepdim=True))
    signed: Tensor = directions * largest.sign()
    return signed


def _resized(pictures: Tensor, side: int) -> Tensor:
    if pictures.shape[-1] == side:
        return pictures
    return F.interpolate(pictures, (side, side), mode="bilinear", align_corners=False, antialias=True)
