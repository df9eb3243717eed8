"""A mixture in the plane, and a small network that learns it through the loss, rewards and rounds of pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import lightning as L
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from lightning_modules.face_diffusion.module import RewardTunedDiffusion
from lightning_modules.face_diffusion.rewards.judges import Judge
from lightning_modules.face_diffusion.sampling import Guide

CENTRES = torch.tensor([[-0.6, 0.0], [0.6, 0.0]])  # what shows the attribute lies on the right
SPREAD = 0.12


def mixture(number: int, share: float, seed: int) -> Tensor:
    """Points ``(N, 2)``, of which ``share`` lie on the right."""
    generator = torch.Generator().manual_seed(seed)
    right = (torch.arange(number) < round(share * number)).long()
    return CENTRES[right] + SPREAD * torch.randn(number, 2, generator=generator)


class Side(Judge):
    """Says whether a point lies on the right."""

    def __init__(self) -> None:
        super().__init__()
        self.names = ["right"]

    def forward(self, pictures: Tensor) -> Tensor:
        return (pictures[:, :1] > 0).float()


class Plane(nn.Module):
    """Says the velocity of points at some time."""

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.register_buffer("rates", 2.0 ** torch.arange(6) * torch.pi, persistent=False)
        self.layers = nn.Sequential(
            nn.Linear(14, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
            nn.Linear(width, 2),
        )  # fmt: skip

    def forward(self, points: Tensor, time: Tensor) -> Tensor:
        angles = (time.float() / 1000)[:, None] * self.rates
        return self.layers(torch.cat([points, angles.sin(), angles.cos()], dim=1))


class PointDiffusion(RewardTunedDiffusion):
    """The method on points: everything but network and pixels is what pictures go through."""

    def __init__(self, gamma: float | None = None, learning_rate: float = 2e-3, reward_from: float = 0.0) -> None:
        super().__init__(gamma=gamma, learning_rate=learning_rate, reward_from=reward_from)
        self.unet = Plane()

    @property
    def takes_classes(self) -> bool:
        return False

    @property
    def sample_shape(self) -> tuple[int, ...]:
        return (2,)

    def predictor(self, labels: Tensor) -> Any:
        return self.unet

    def sample(self, keys: Tensor, labels: Tensor, guide: Guide | None = None) -> Tensor:
        return self.sample_signal(keys, labels, guide)


class PointData(L.LightningDataModule):
    """Batches of points, each with a key of its own."""

    def __init__(self, points: Tensor, batch_size: int = 256, batches: int = 100, seed: int = 0) -> None:
        super().__init__()
        self.points = points
        self.batch_size = batch_size
        self.batches = batches
        self.seed = seed

    def train_dataloader(self) -> DataLoader[Any]:
        return DataLoader(_Batches(self), batch_size=None)


class _Batches(Dataset[dict[str, Tensor]]):
    def __init__(self, data: PointData) -> None:
        self.data = data

    def __len__(self) -> int:
        return self.data.batches

    def __getitem__(self, number: int) -> dict[str, Tensor]:
        data = self.data
        generator = torch.Generator().manual_seed(data.seed * 100_003 + number)
        rows = torch.randint(len(data.points), (data.batch_size,), generator=generator)
        keys = torch.randint(2**62, (data.batch_size,), generator=generator)
        ones = torch.ones(data.batch_size)
        return {
            "image": data.points[rows], "label": -torch.ones_like(rows), "weight": ones, "noise_key": keys,
            "index": rows, "valid": ones.bool(),
        }  # fmt: skip

    def __iter__(self) -> Iterator[dict[str, Tensor]]:
        return (self[number] for number in range(len(self)))
