"""The reward against copies, and how it goes together with others."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_diffusion.losses import check_rewards
from lightning_modules.face_diffusion.rewards.combined import ProductReward, SumReward
from lightning_modules.face_diffusion.rewards.contract import Reward, Scored, joined
from lightning_modules.face_diffusion.rewards.embedders import Embedder, PixelEmbedder
from lightning_modules.face_diffusion.rewards.replication import ReplicationReward


class Vectors(Embedder):
    """Takes pictures for what they are already."""

    identity = "vectors"

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0

    def features(self, pictures: Tensor) -> Tensor:
        self.asked += 1
        return pictures


class Training:
    """Some pictures."""

    def __init__(self, pictures: Tensor) -> None:
        self.pictures = pictures
        self.fingerprint = str(float(pictures.float().sum()))

    def __len__(self) -> int:
        return len(self.pictures)

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.pictures.split(7))


class Fixed(Reward):
    """The same for every picture, until all are known."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = value

    def score(self, pictures: Tensor) -> Scored:
        return Scored(torch.ones(len(pictures)), {"row": torch.arange(len(pictures))})

    def settle(self, scored: Scored) -> Tensor:
        return scored.reward * self.value


@pytest.mark.parametrize("chunk", [1, 3, 1000])
def test_a_copy_is_worth_nothing_and_what_is_unlike_all_is_worth_one(chunk: int) -> None:
    reward = ReplicationReward(Vectors(), chunk=chunk)
    reward.begin(Training(torch.eye(6)[:5]))
    scored = reward.score(torch.cat([torch.eye(6), -torch.eye(6)[:1], torch.tensor([[3.0, 4, 0, 0, 0, 0]])]))
    torch.testing.assert_close(scored.reward, torch.tensor([0.0, 0, 0, 0, 0, 1, 1, 0.2]))
    assert scored.notes["nearest"][:5].tolist() == [0, 1, 2, 3, 4]
    assert int(scored.notes["nearest"][-1]) == 1


def test_training_pictures_are_embedded_once_for_each_set_and_embedder(tmp_path: Path) -> None:
    embedder = Vectors()
    for pictures in (torch.eye(9), torch.eye(9), 2 * torch.eye(9)):
        ReplicationReward(embedder, cache=str(tmp_path)).begin(Training(pictures))
    assert embedder.asked == 5  # two batches of each set that is new, and one picture of the other
    other = ReplicationReward(PixelEmbedder(4))
    other.begin(Training(torch.zeros(3, 3, 8, 8, dtype=torch.uint8)))
    with pytest.raises(ConfigurationError, match="have 48 and 9 numbers"):
        ReplicationReward.score(_with(other, torch.eye(9)), torch.zeros(1, 3, 8, 8, dtype=torch.uint8))


def _with(reward: ReplicationReward, training: Tensor) -> ReplicationReward:
    reward._training = training
    return reward


def test_a_product_lets_nothing_pay_for_a_copy_and_a_sum_does() -> None:
    copies = ReplicationReward(Vectors())
    copies.begin(Training(torch.eye(2)[:1]))
    parts = (copies, Fixed(2.1))
    pictures = torch.eye(2)
    for combined, wanted in ((ProductReward(parts), [0.0, 2.1]), (SumReward(parts, [1, 0.5]), [1.05, 2.05])):
        scored = joined([combined.score(part) for part in pictures.split(1)])
        torch.testing.assert_close(combined.settle(scored), torch.tensor(wanted))
        assert combined.measures(scored)["similar"] == 0.5


def test_weights_and_rewards_that_have_no_least_loss_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="without a least value"):
        SumReward([Fixed(1)], [-1])
    with pytest.raises(ConfigurationError, match="has no reward to combine"):
        ProductReward([])
    for rewards, message in (
        ([1.0, float("nan")], "1 of 2 samples a reward that is no finite number"),
        ([1.0, -0.5], "gave a sample the reward -0.5"),
        ([0.0, 0.0], "all 2 samples the reward 0"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            check_rewards(torch.tensor(rewards), "Fixed")


def test_a_cache_that_is_damaged_or_of_another_embedder_is_made_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def embedded() -> Tensor:
        reward = ReplicationReward(Vectors(), cache=str(tmp_path))
        reward.begin(Training(torch.eye(9)))
        assert reward._training is not None
        return reward._training

    whole = embedded()
    file = next(tmp_path.iterdir())
    with caplog.at_level(logging.INFO):
        file.write_bytes(file.read_bytes()[:50])
        assert torch.equal(embedded(), whole)
        assert "is damaged" in caplog.text
        save_file({"embeddings": torch.ones(9, 4)}, file)
        assert torch.equal(embedded(), whole)
    assert "of shape (9, 4), and those of 9 training pictures have (9, 9)" in caplog.text
    assert torch.equal(load_file(file)["embeddings"], whole)
