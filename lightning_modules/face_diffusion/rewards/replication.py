"""A reward that falls with likeness to a training picture: 1 minus the largest similarity."""

from __future__ import annotations

from pathlib import Path

from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_diffusion.rewards.contract import Reward, Scored, TrainingPictures
from lightning_modules.face_diffusion.rewards.embedders import Embedder, embedded_training
from lightning_modules.nn.realism.similarity import most_similar


class ReplicationReward(Reward):
    """r = 1 - max_d cos(f(x0), f(x_d)) over the training pictures x_d, clipped to 0..1.

    Args:
        embedder: f; unit vectors.
        cache: Folder that keeps the embeddings of the training pictures; None computes them in each run.
        chunk: Training pictures that are compared at a time.
    """

    def __init__(self, embedder: Embedder, cache: str | None = None, chunk: int = 16_384) -> None:
        super().__init__()
        self.embedder = embedder
        self.cache = cache
        self.chunk = chunk
        self._training: Tensor | None = None

    @property
    def compares(self) -> bool:
        """It does."""
        return True

    def begin(self, training: TrainingPictures) -> None:
        """Embed the training pictures, or read them from the cache."""
        self._training = embedded_training(self.embedder, training, None if self.cache is None else Path(self.cache))

    def score(self, pictures: Tensor) -> Scored:
        """The reward, with ``similarity`` to the nearest training picture and its row ``nearest``."""
        if self._training is None:
            raise ConfigurationError("ReplicationReward has seen no training picture: call begin first")
        found = most_similar(self.embedder(pictures), self._training.to(pictures.device), self.chunk)
        similarity = found.similarity.float().cpu()
        return Scored((1 - similarity).clamp(0, 1), {"similarity": similarity, "nearest": found.row.cpu()})

    def measures(self, scored: Scored) -> dict[str, float]:
        """How alike the nearest training pictures are."""
        similarity = scored.notes["similarity"]
        return {"similarity": similarity.mean().item(), "similar": (similarity > 0.5).float().mean().item()}
