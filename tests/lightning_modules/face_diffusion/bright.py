"""A reward of one's own."""

from __future__ import annotations

from torch import Tensor

from lightning_modules.face_diffusion.rewards.contract import Reward, Scored


class Bright(Reward):
    """More for bright pictures than for dark ones, as the others of the round are."""

    def score(self, pictures: Tensor) -> Scored:
        return Scored(pictures.float().mean(dim=(1, 2, 3)).cpu() / 255)

    def settle(self, scored: Scored) -> Tensor:
        return scored.reward / scored.reward.mean()
