"""Several rewards as one."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_diffusion.rewards.contract import Reward, Scored, TrainingPictures


class _Combined(Reward):
    def __init__(self, rewards: Sequence[Reward]) -> None:
        super().__init__()
        if not rewards:
            raise ConfigurationError(f"{type(self).__name__} has no reward to combine: name at least one")
        self.rewards = nn.ModuleList(rewards)

    @property
    def parts(self) -> list[Reward]:
        """The rewards."""
        return [part for part in self.rewards if isinstance(part, Reward)]

    def load(self) -> None:
        """Let each read its own."""
        for part in self.parts:
            part.load()

    @property
    def compares(self) -> bool:
        """Whether one of them does."""
        return any(part.compares for part in self.parts)

    def begin(self, training: TrainingPictures) -> None:
        """Let each look at the training pictures."""
        for part in self.parts:
            part.begin(training)

    def score(self, pictures: Tensor) -> Scored:
        """What each says, its notes named after its place."""
        scored = [part.score(pictures) for part in self.parts]
        notes: dict[str, Tensor] = {}
        for place, one in enumerate(scored):
            notes |= {f"{place}/reward": one.reward, **{f"{place}/{name}": note for name, note in one.notes.items()}}
        return Scored(self.combined([one.reward for one in scored]), notes)

    def settle(self, scored: Scored) -> Tensor:
        """Settle each, then combine."""
        return self.combined([part.settle(_part(scored.notes, place)) for place, part in enumerate(self.parts)])

    def measures(self, scored: Scored) -> dict[str, float]:
        """What each tells."""
        told: dict[str, float] = {}
        for place, part in enumerate(self.parts):
            told |= part.measures(_part(scored.notes, place))
        return told

    @abstractmethod
    def combined(self, rewards: Sequence[Tensor]) -> Tensor:
        """One reward of several, each ``(N,)``."""


class ProductReward(_Combined):
    """The product: what one calls worthless is worthless, so that copies cannot be paid for by another reward.

    Args:
        rewards: What is multiplied.
    """

    def combined(self, rewards: Sequence[Tensor]) -> Tensor:
        """The product."""
        return torch.stack(list(rewards)).prod(dim=0)


class SumReward(_Combined):
    """A weighted sum; the offset of a reward of shares keeps copies alive beside one against them: see `ProductReward`.

    Args:
        rewards: What is added.
        weights: One for each, 0 or more; None takes 1.

    Raises:
        ConfigurationError: If there are more or fewer weights than rewards, or one is negative.
    """

    def __init__(self, rewards: Sequence[Reward], weights: Sequence[float] | None = None) -> None:
        super().__init__(rewards)
        self.weights = [1.0] * len(rewards) if weights is None else list(weights)
        if len(self.weights) != len(rewards) or min(self.weights) < 0:
            raise ConfigurationError(
                f"weights is {weights} for {len(rewards)} rewards; give one for each, 0 or more: a negative reward is "
                "a loss without a least value"
            )

    def combined(self, rewards: Sequence[Tensor]) -> Tensor:
        """The weighted sum."""
        return torch.stack([weight * reward for weight, reward in zip(self.weights, rewards, strict=True)]).sum(dim=0)


def _part(notes: Mapping[str, Tensor], place: int) -> Scored:
    own = {name.partition("/")[2]: note for name, note in notes.items() if name.partition("/")[0] == str(place)}
    return Scored(own.pop("reward"), own)
