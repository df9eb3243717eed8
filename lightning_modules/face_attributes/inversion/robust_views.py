"""Small random moves of a picture, another one at every step: what survives them is no pattern of single pixels.

The moves of a face follow from its own seed alone, so that it comes out the same whatever faces stand beside it.
"""

from __future__ import annotations

import torch
from kornia.geometry.conversions import normalize_homography
from kornia.geometry.transform import get_affine_matrix2d
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.face_attributes.inversion.settings import InversionSettings

_MIX = 6364136223846793005  # spreads neighbouring seeds over the generator's own


class RobustViews:
    """The moves of B faces over all steps, drawn at once from the seed of each face, int64 ``(B,)``."""

    def __init__(self, settings: InversionSettings, seeds: Tensor, steps: int, device: torch.device) -> None:
        self._settings = settings
        draws = torch.stack([torch.rand(steps, 4, generator=face_generator(seed)) for seed in seeds.tolist()], dim=1)
        self._draws = (2 * draws - 1).to(device)  # (steps, B, 4) in -1..1
        self._matrices: Tensor | None = None

    def __call__(self, pictures: Tensor, step: int) -> Tensor:
        """Pictures ``(B, 3, S, S)`` as they are seen at a step; gradients flow back through the moves."""
        if self._settings.views == "none":
            return pictures
        return self._rolled(pictures, step) if self._settings.views == "roll" else self._warped(pictures, step)

    def _rolled(self, pictures: Tensor, step: int) -> Tensor:
        draws, reach = self._draws[step], int(self._settings.jitter)
        # Draws of exactly 1 do not occur: rand is below 1.
        shifts = ((draws[:, :2] + 1) / 2 * (2 * reach + 1)).floor().long() - reach
        return roll(pictures, shifts)

    def _warped(self, pictures: Tensor, step: int) -> Tensor:
        if self._matrices is None:
            self._matrices = self._matrices_of_all_steps(pictures.shape[-2], pictures.shape[-1])
        grid = F.affine_grid(self._matrices[step], list(pictures.shape), align_corners=True)
        return F.grid_sample(pictures, grid, padding_mode="border", align_corners=True)

    def _matrices_of_all_steps(self, height: int, width: int) -> Tensor:
        """Where the pixels of the moved pictures come from, ``(steps, B, 2, 3)``."""
        draws = self._draws.flatten(0, 1)
        moves = draws[:, :2] * self._settings.jitter
        centre = torch.tensor([(width - 1) / 2, (height - 1) / 2], device=draws.device).expand(len(draws), 2)
        scale = (1 + self._settings.zoom) ** draws[:, 2:3].expand(len(draws), 2)
        forth = get_affine_matrix2d(moves, centre, scale, draws[:, 3] * self._settings.rotation)
        back: Tensor = torch.linalg.inv(normalize_homography(forth, (height, width), (height, width)))
        return back[:, :2].view(*self._draws.shape[:2], 2, 3)


def roll(pictures: Tensor, shifts: Tensor) -> Tensor:
    """Shift each picture by its own whole pixels; what leaves on one side comes in on the other.

    Args:
        pictures: ``(B, C, H, W)``.
        shifts: int64 ``(B, 2)``, down and to the right.

    Example:
        >>> picture = torch.arange(16.0).view(1, 1, 4, 4)
        >>> torch.equal(roll(picture, torch.tensor([[1, -1]])), picture.roll((1, -1), (2, 3)))
        True
    """
    faces, channels, height, width = pictures.shape
    rows = (torch.arange(height, device=pictures.device) - shifts[:, :1]) % height
    columns = (torch.arange(width, device=pictures.device) - shifts[:, 1:]) % width
    # A permutation has no repeats, so that the backward pass adds nothing up in an order of its own.
    turned = pictures.gather(2, rows[:, None, :, None].expand(faces, channels, height, width))
    return turned.gather(3, columns[:, None, None, :].expand(faces, channels, height, width))


def face_generator(seed: int) -> torch.Generator:
    """Generator of one face's random numbers, on the CPU so that every device draws the same."""
    return torch.Generator().manual_seed((seed * _MIX + 1442695040888963407) % (1 << 63))
