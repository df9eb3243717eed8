"""What a reward is: made pictures in, a number of 0 or more for each out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor, nn

from datamodules.common.fingerprint import config_digest, tensors_digest


@dataclass(frozen=True)
class Scored:
    """What a reward says of N pictures.

    Attributes:
        reward: float32 ``(N,)``, 0 or more; no gradient.
        notes: What it saw, ``(N, ...)`` by name: kept with the pictures, and at hand once all of a round are drawn.
    """

    reward: Tensor
    notes: Mapping[str, Tensor] = field(default_factory=dict)


class TrainingPictures(Protocol):
    """Pictures that a model learns from."""

    @property
    def fingerprint(self) -> str:
        """Changes with any of them."""

    def __iter__(self) -> Iterator[Tensor]:
        """Batches, uint8 ``(B, 3, S, S)``, in the order of their rows."""

    def __len__(self) -> int:
        """How many pictures."""


class Loadable(nn.Module):
    """A network that a reward asks, whose files are read when a training begins, and never elsewhere."""

    def load(self) -> None:
        """Read the files; nothing by default."""


class Reward(ABC, nn.Module):
    """Base of rewards: write `score`.

    Example:
        >>> class Brightness(Reward):
        ...     def score(self, pictures):
        ...         return Scored(pictures.float().mean(dim=(1, 2, 3)) / 255)
        >>> Brightness().score(torch.full((1, 3, 8, 8), 51, dtype=torch.uint8)).reward.tolist()
        [0.20000000298023224]
    """

    def load(self) -> None:
        """Read what the reward's networks are made of; called once, before a training."""
        for part in list(self.modules()):
            if isinstance(part, Loadable):
                part.load()

    @property
    def compares(self) -> bool:
        """Whether it looks at the training pictures in `begin`."""
        return False

    def begin(self, training: TrainingPictures) -> None:
        """Look at the training pictures, before the first round; nothing by default."""

    @abstractmethod
    def score(self, pictures: Tensor) -> Scored:
        """Say what some pictures are worth.

        Args:
            pictures: uint8 ``(B, 3, S, S)``, RGB, on the device of the reward's own networks.
        """

    def settle(self, scored: Scored) -> Tensor:
        """Rewards once all pictures of a round are known, those of every process; by default as they were.

        Args:
            scored: What `score` said of all of them.

        Returns:
            float32 ``(N,)``.
        """
        return scored.reward

    def measures(self, scored: Scored) -> dict[str, float]:
        """Numbers worth telling of a round, by name; none by default."""
        return {}

    def digest(self) -> str:
        """Changes with the reward's plain attributes and its networks' weights."""
        return digest_of(self)


def joined(parts: Iterable[Scored]) -> Scored:
    """Several parts one after another; all have the same notes."""
    every = list(parts)
    names = every[0].notes
    return Scored(
        torch.cat([part.reward for part in every]),
        {name: torch.cat([part.notes[name] for part in every]) for name in names},
    )


def digest_of(network: nn.Module) -> str:
    """Changes with the plain attributes of a network and its parts, and with their weights."""
    plain = {
        f"{name}.{key}": value
        for name, part in network.named_modules()
        for key, value in vars(part).items()
        if isinstance(value, str | int | float | bool | list) and not key.startswith("_") and key != "training"
    }
    classes = [type(part).__qualname__ for part in network.modules()]
    return config_digest({"classes": classes, "plain": plain, "weights": tensors_digest(network.state_dict())})
