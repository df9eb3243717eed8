"""What becomes of the rewards of a round before they weigh a loss."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from datamodules.common.errors import ConfigurationError

Normalise = Literal["none", "mean"]


@dataclass(frozen=True)
class Shaping:
    """Temperature, then a bound, then a scale.

    Attributes:
        temperature: r becomes r^(1 / temperature): above 1 differences shrink, below 1 they grow.
        clip: Largest reward; None knows none.
        normalise: ``mean`` divides by the mean of the round, so that the learning rate means the same for every reward;
            it multiplies the effect of ``gamma`` by that mean.

    Raises:
        ConfigurationError: If temperature or clip are not above 0.
    """

    temperature: float = 1.0
    clip: float | None = None
    normalise: Normalise = "none"

    def __post_init__(self) -> None:
        for name, value in (("temperature", self.temperature), ("clip", self.clip)):
            if value is not None and not value > 0:
                raise ConfigurationError(f"{name} is {value}; it must be above 0")

    def __call__(self, rewards: Tensor) -> Tensor:
        """Shape rewards ``(N,)`` of 0 or more.

        Example:
            >>> import torch
            >>> Shaping(clip=2.0, normalise="mean")(torch.tensor([0.0, 1.0, 9.0])).tolist()
            [0.0, 1.0, 2.0]
        """
        shaped = rewards.float() ** (1 / self.temperature)
        if self.clip is not None:
            shaped = shaped.clamp(max=self.clip)
        return shaped / shaped.mean() if self.normalise == "mean" else shaped
