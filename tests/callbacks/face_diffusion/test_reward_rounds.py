"""Rounds of samples: the losses that they give, when they are drawn, and how a killed run goes on with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor

from callbacks.face_diffusion.reward_rounds import RewardRounds, Source
from callbacks.training.parameter_ema import ParameterEMA
from datamodules.common.errors import ConfigurationError
from lightning_modules.face_diffusion.rewards.bias import ShareReward
from lightning_modules.face_diffusion.rewards.contract import Reward, Scored
from lightning_modules.face_diffusion.rewards.shaping import Normalise
from lightning_modules.face_diffusion.rounds import Round
from tests.lightning_modules.face_diffusion.points import PointData, PointDiffusion, Side, mixture


class Constant(Reward):
    """One value for all."""

    def __init__(self, value: float = 1.0) -> None:
        super().__init__()
        self.value = value
        self.asked = 0

    def score(self, pictures: Tensor) -> Scored:
        self.asked += len(pictures)
        return Scored(torch.full((len(pictures),), self.value))


def trainer(folder: Path, steps: int, *callbacks: L.Callback, **options: Any) -> L.Trainer:
    return L.Trainer(
        max_steps=steps, accelerator="cpu", devices=1, logger=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=list(callbacks), default_root_dir=folder,
        **{"enable_checkpointing": False, **options},
    )  # fmt: skip


def data(batches: int = 8) -> PointData:
    return PointData(mixture(500, 0.7, 0), batch_size=16, batches=batches)


def tuned(gamma: float | None) -> PointDiffusion:
    torch.manual_seed(0)
    return PointDiffusion(gamma)


def untrained(gamma: float | None, rewards: Tensor | None = None) -> PointDiffusion:
    """A model outside of a training, with a round of 64 samples."""
    model = tuned(gamma)
    model.log_stage = lambda *values: None  # type: ignore[method-assign]  # there is no trainer to log to
    if rewards is not None:
        model.round = Round(0, mixture(64, 0.5, 3), rewards, Scored(torch.ones(64)), -torch.ones(64).long())
    return model


def test_a_reward_of_one_is_plain_denoising_of_the_round_and_of_zero_that_of_the_data() -> None:
    batch = next(iter(data().train_dataloader()))
    ones = untrained(0.0, torch.ones(64))
    rows = ones.rows_of(batch["noise_key"])
    assert ones.round is not None
    plain = untrained(None).losses(ones.round.samples[rows], batch["label"], ~batch["noise_key"])
    torch.testing.assert_close(ones.training_step(batch, 0), plain.mean())
    zeros = untrained(1.0, torch.zeros(64))
    torch.testing.assert_close(zeros.training_step(batch, 0), untrained(None).training_step(batch, 0))


def test_with_a_gamma_of_infinity_nothing_is_drawn_and_data_alone_are_learnt(tmp_path: Path) -> None:
    reward = Constant()
    learnt = []
    for gamma, callbacks in ((float("inf"), [RewardRounds(reward, samples=32)]), (None, [])):
        model = tuned(gamma)
        trainer(tmp_path, 3, *callbacks).fit(model, datamodule=data())
        learnt.append(model.state_dict())
    assert reward.asked == 0
    assert model.round is None
    torch.testing.assert_close(*learnt, rtol=0, atol=0)


def test_a_loss_counts_as_much_as_its_reward() -> None:
    batch = next(iter(data().train_dataloader()))
    model = untrained(0.0, torch.arange(64.0))
    same = untrained(0.0, torch.ones(64))
    rewards = torch.arange(64.0)[model.rows_of(batch["noise_key"])]
    found, plain = model.rewarded_losses(batch["noise_key"]), same.rewarded_losses(batch["noise_key"])
    torch.testing.assert_close(found, rewards * plain)


def test_samples_teach_at_noisy_times_alone_and_weigh_as_much_as_those_are(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = next(iter(data().train_dataloader()))
    torch.manual_seed(0)
    model, whole = PointDiffusion(0.0, reward_from=0.75), untrained(0.0, torch.ones(64))
    model.round = whole.round
    seen: list[Tensor] = []
    monkeypatch.setattr(model.unet, "forward", lambda points, time: (seen.append(time), torch.zeros_like(points))[1])
    monkeypatch.setattr(whole.unet, "forward", lambda points, time: torch.zeros_like(points))
    found = model.rewarded_losses(batch["noise_key"])
    assert seen[0].min() >= 750
    assert seen[0].max() > 900
    assert float(found.mean() / whole.rewarded_losses(batch["noise_key"]).mean()) == pytest.approx(0.25, rel=0.5)


def test_frozen_draws_once_and_on_policy_every_so_many_steps(tmp_path: Path) -> None:
    expected: dict[Source, int] = {"frozen": 1, "on_policy": 3}
    for source, rounds in expected.items():
        reward = Constant()
        callback = RewardRounds(reward, source, samples=20, every=3, batch_size=8)
        trainer(tmp_path / source, 8, callback).fit(tuned(0.0), datamodule=data())
        assert reward.asked == 20 * rounds
        assert [fact["round"] for fact in callback.history] == list(range(rounds))


def test_the_averaged_weights_draw_and_the_trained_ones_come_back(tmp_path: Path) -> None:
    seen: list[Tensor] = []

    class Watching(RewardRounds):
        def _draw_parts(self, module: Any, *rest: Any) -> None:
            seen.append(next(module.parameters()).detach().clone())
            super()._draw_parts(module, *rest)

    average = ParameterEMA(decay=0.5)
    model = tuned(0.0)
    trainer(tmp_path, 4, average, Watching(Constant(), samples=8, every=2)).fit(model, datamodule=data())
    assert len(seen) == 2
    assert not torch.equal(seen[0], seen[1])
    assert average._average_model is not None


def test_a_round_that_was_begun_is_finished_and_not_drawn_anew(tmp_path: Path) -> None:
    def run(reward: Reward) -> Tensor:
        model = tuned(0.0)
        trainer(tmp_path, 2, RewardRounds(reward, "frozen", samples=20, batch_size=8)).fit(model, datamodule=data())
        assert model.round is not None
        return model.round.samples

    first = run(Constant())
    (tmp_path / "rounds" / "round_0000" / "part-000001.safetensors").unlink()
    again = Constant()
    assert torch.equal(run(again), first)
    assert again.asked == 8
    other = Constant(2.0)  # another reward: nothing that was valued by the first is taken
    run(other)
    assert other.asked == 20


def test_a_training_goes_on_inside_a_round(tmp_path: Path) -> None:
    reward = ShareReward(Side(), ["right"])

    def run(folder: Path, steps: int, resume: Path | None = None) -> PointDiffusion:
        model = tuned(0.1)
        saver = ModelCheckpoint(folder, "{step}", save_top_k=-1, save_on_train_epoch_end=True)
        rounds = RewardRounds(reward, samples=24, every=3, batch_size=8)
        one = trainer(folder, steps, ParameterEMA(decay=0.9), rounds, saver, enable_checkpointing=True)
        one.fit(model, datamodule=data(1), ckpt_path=resume)  # the loader cannot go on inside an epoch
        return model

    whole = run(tmp_path / "whole", 8)
    run(tmp_path / "parts", 4)
    resumed = run(tmp_path / "parts", 8, tmp_path / "parts" / "step=4.ckpt")
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(resumed.state_dict()[name], value, rtol=0, atol=0)
    with pytest.raises(ConfigurationError, match="inside round 1, whose samples are not in"):
        run(tmp_path / "elsewhere", 8, tmp_path / "parts" / "step=4.ckpt")


class Columns(Reward):
    """A column where a row of numbers is wanted."""

    def score(self, pictures: Tensor) -> Scored:
        return Scored(torch.ones(len(pictures), 1))


def test_what_is_no_reward_is_said_after_the_first_part(tmp_path: Path) -> None:
    for reward, message in (
        (Constant(float("nan")), "gave 4 of 4 samples a reward that is no finite number"),
        (Constant(-1.0), "gave a sample the reward -1"),
        (Columns(), r"gave rewards of shape \(4, 1\) for 4 samples"),
    ):
        with pytest.raises(ConfigurationError, match=message):
            trainer(tmp_path, 1, RewardRounds(reward, samples=40, batch_size=4)).fit(tuned(0.5), datamodule=data())
        assert getattr(reward, "asked", 4) == 4


@pytest.mark.parametrize(("normalise", "message"), [("mean", "no finite number"), ("none", "the reward 0")])
def test_a_temperature_that_leaves_nothing_of_the_rewards_is_said(
    normalise: Normalise, message: str, tmp_path: Path
) -> None:
    rounds = RewardRounds(Constant(0.1), samples=8, temperature=0.01, normalise=normalise)
    with pytest.raises(ConfigurationError, match=f"Constant, by temperature, clip and normalise, gave .* {message}"):
        trainer(tmp_path, 1, rounds).fit(tuned(0.0), data())


def test_a_reward_that_prefers_nothing_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        trainer(tmp_path, 4, RewardRounds(Constant(2.0), samples=8, every=2)).fit(tuned(0.0), datamodule=data())
    said = [record.getMessage() for record in caplog.records if "worth the same" in record.getMessage()]
    assert said == ["round 0: Constant finds all 8 samples worth the same (2): this is plain training on own samples"]


@pytest.mark.parametrize(
    ("gamma", "callbacks", "message"),
    [
        (None, [RewardRounds(Constant())], "the model has no gamma"),
        (0.5, [], "nothing draws and values them: add the callback RewardRounds"),
        (0.5, [RewardRounds(Constant(0.0), samples=4)], "gave all 4 samples the reward 0"),
    ],
)
def test_what_cannot_tune_is_said_before_the_first_step(
    tmp_path: Path, gamma: float | None, callbacks: list[L.Callback], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        trainer(tmp_path, 1, *callbacks).fit(tuned(gamma), datamodule=data())
