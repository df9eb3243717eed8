"""Two clusters in the plane: what a tuning does to their shares, against closed forms.

The loss, rewards and rounds are those of pictures; the network is small. It has a bias of its own, so that the
reference is the same network trained on data that were resampled by the reward.
"""

from __future__ import annotations

import logging
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor

from callbacks.face_diffusion.reward_rounds import RewardRounds
from datamodules.common.seeded_draws import key_of
from lightning_modules.face_diffusion.rewards.bias import Form, ShareReward
from tests.lightning_modules.face_diffusion.points import PointData, PointDiffusion, Side, mixture

pytestmark = pytest.mark.slow
SHARE = 0.7
SEEDS = range(5)
SAMPLES = 4000


def fit(model: PointDiffusion, points: Tensor, steps: int, folder: Path, seed: int, *callbacks: L.Callback) -> None:
    trainer = L.Trainer(
        max_steps=steps, accelerator="cpu", devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, callbacks=list(callbacks), default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(model, datamodule=PointData(points, batches=steps, seed=seed))


def share_of(model: PointDiffusion, seed: int) -> float:
    drawn = model.eval().sample(key_of(seed, "measured", torch.arange(SAMPLES)), torch.zeros(SAMPLES))
    return float((drawn[:, 0] > 0).float().mean())


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> PointDiffusion:
    torch.manual_seed(0)
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    model = PointDiffusion()
    fit(model, mixture(20_000, SHARE, 0), 1500, tmp_path_factory.mktemp("start"), 0)
    return model


def fresh(started: PointDiffusion, gamma: float | None = None) -> PointDiffusion:
    model = PointDiffusion(gamma, learning_rate=1e-3)
    model.load_state_dict(started.state_dict())
    return model


def within_error(apart: np.ndarray) -> bool:
    """Whether the mean over seeds is 0, by Student's t of 5 seeds at 95 %.

    Of 4,000 samples a share has a deviation of .008, and networks of one kind add theirs, which the seeds tell.
    """
    return bool(abs(apart.mean()) <= 2.78 * apart.std(ddof=1) / np.sqrt(len(apart)) + 0.008)


def frozen(started: PointDiffusion, folder: Path, form: Form, gamma: float, seed: int) -> tuple[float, float, float]:
    """Share after a frozen round, by the round's own sum of rewards, and of a network trained on resampled data."""
    model, reference = fresh(started, gamma), fresh(started)
    rounds = RewardRounds(
        ShareReward(Side(), ["right"], form=form), "frozen", samples=SAMPLES, batch_size=1000, seed=seed
    )
    data = mixture(20_000, SHARE, seed + 1)
    fit(model, data, 600, folder / "tuned", seed, rounds)
    assert model.round is not None
    made, weights = model.round.samples, model.round.rewards.double()
    right = (made[:, 0] > 0).double()
    expected = float((right * weights).mean() + gamma * SHARE) / float(weights.mean() + gamma)
    generator = torch.Generator().manual_seed(seed)
    real = int(len(data) * gamma / (float(weights.mean()) + gamma))
    rows = torch.multinomial(weights, len(data) - real, replacement=True, generator=generator)
    fit(reference, torch.cat([made[rows], data[torch.randperm(len(data), generator=generator)[:real]]]), 600,
        folder / "reference", seed)  # fmt: skip
    return share_of(model, seed), expected, share_of(reference, seed)


@pytest.mark.parametrize(("form", "gamma"), [("difference", 0.0), ("ratio", 0.0), ("difference", 0.5), ("ratio", 1.0)])
def test_a_frozen_round_is_the_tilt_by_the_reward(
    started: PointDiffusion, tmp_path: Path, form: Form, gamma: float
) -> None:
    found = np.array([frozen(started, tmp_path / str(seed), form, gamma, seed) for seed in SEEDS])
    share, expected, reference = found.T
    assert within_error(share - expected), found
    assert within_error(share - reference), found


def test_each_round_on_policy_is_the_map_of_the_share_that_was_measured(
    started: PointDiffusion, tmp_path: Path
) -> None:
    rounds, every, apart, last = 5, 300, [], []
    for seed in SEEDS:
        callback = RewardRounds(
            ShareReward(Side(), ["right"]), samples=SAMPLES, every=every, batch_size=1000, seed=seed
        )
        fit(fresh(started, 0.0), mixture(100, SHARE, 0), rounds * every, tmp_path / str(seed), seed, callback)
        share = np.array([one["share of right"] for one in callback.history])
        assert len(share) == rounds
        more, less = 2 - share, 1 + share  # 1 + m_d +- (m_d - m_c), m_d = .5
        mapped = share * more / (share * more + (1 - share) * less)
        apart.append((share[1:] - mapped[:-1]).mean())
        last.append(share[-1])
    assert within_error(np.array(apart)), apart
    assert within_error(np.array(last) - 0.5437), last  # the fifth of exact rounds that begin at .7


def test_ratios_between_points_of_equal_reward_stay(started: PointDiffusion, tmp_path: Path) -> None:
    apart = []
    for seed in SEEDS:
        model = fresh(started, 0.0)
        rounds = RewardRounds(
            ShareReward(Side(), ["right"], form="ratio"), "frozen", SAMPLES, batch_size=1000, seed=seed
        )
        fit(model, mixture(100, SHARE, 0), 600, tmp_path / str(seed), seed, rounds)
        assert model.round is not None
        drawn = model.eval().sample(key_of(seed, "measured", torch.arange(SAMPLES)), torch.zeros(SAMPLES))
        before, after = (
            float((points[points[:, 0] > 0][:, 1] > 0.05).float().mean()) for points in (model.round.samples, drawn)
        )
        apart.append(after - before)
    assert within_error(np.array(apart)), apart
