"""Steps of training and sampling beside the bare network's passes over the same batches, and the memory of rounds."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor

from callbacks import ParameterEMA, RewardRounds
from datamodules import FaceDiffusionDataModule
from datamodules.common.seeded_draws import key_of
from datamodules.faces.renderer.settings import FaceDemoSettings
from lightning_modules import RewardTunedDiffusion
from lightning_modules.face_diffusion.rewards.contract import Reward, Scored
from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import in_new_process, in_turns, resident
from tests.running import threads

pytestmark = [pytest.mark.benchmark, pytest.mark.face_diffusion]

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
STEPS, WARM, BATCH = 12, 3, 64


class Bright(Reward):
    """More for bright pictures."""

    def score(self, pictures: Tensor) -> Scored:
        return Scored(pictures.float().mean(dim=(1, 2, 3)).cpu() / 255)


class Clock(L.Callback):
    """Seconds of the steps after the first few."""

    def __init__(self) -> None:
        self.began = self.seconds = 0.0

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: object, batch_idx: int
    ) -> None:
        if batch_idx == WARM:
            self.began = time.perf_counter()

    def on_train_batch_end(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        outputs: object,
        batch: Mapping[str, Tensor],
        batch_idx: int,
    ) -> None:
        if batch_idx == WARM + STEPS - 1:
            self.seconds = time.perf_counter() - self.began


def data() -> FaceDiffusionDataModule:
    faces = FaceDemoSettings(train=BATCH * (STEPS + WARM), val=8, test=8)
    return FaceDiffusionDataModule(image_size=16, batch_size=BATCH, demo=faces)


def model(gamma: float | None) -> RewardTunedDiffusion:
    torch.manual_seed(0)
    return RewardTunedDiffusion(gamma=gamma, sampling_steps=10)


def fitted(gamma: float | None, folder: Path) -> float:
    """Seconds of some steps of a whole training: data, noise, loss, optimiser, averages."""
    clock = Clock()
    callbacks: list[L.Callback] = [clock, ParameterEMA()]
    if gamma is not None:
        callbacks.append(RewardRounds(Bright(), "frozen", samples=BATCH, batch_size=BATCH))
    trainer = L.Trainer(
        max_epochs=1, accelerator=DEVICE.type, devices=1, logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0, callbacks=callbacks,
        default_root_dir=folder,
    )  # fmt: skip
    trainer.fit(model(gamma), datamodule=data())
    return clock.seconds


def passes(batches: int) -> Callable[[], float]:
    """Seconds of as many forward and backward passes of the bare network, of so many batches a step."""
    network = model(None).unet.to(DEVICE)
    pictures = torch.randn(BATCH, 3, 16, 16, device=DEVICE)
    moments = torch.randint(1000, (BATCH,), device=DEVICE)

    def run() -> float:
        began = time.perf_counter()
        for _ in range(STEPS):
            for _ in range(batches):
                network(pictures, moments).sample.square().mean().backward()
            network.zero_grad()
        if DEVICE.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - began

    return run


@pytest.mark.parametrize(("name", "gamma"), [("diffusion training", None), ("diffusion tuning", 0.1)])
def test_steps_of_a_training_beside_bare_passes(name: str, gamma: float | None, tmp_path: Path, speed: Speed) -> None:
    bare = passes(1 if gamma is None else 2)
    with threads(1):
        taken = in_turns({"ours": lambda: fitted(gamma, tmp_path), "bare": bare}, clock=lambda work: work())
    speed.add(name, taken["bare"] / taken["ours"], STEPS / float(np.median(taken["bare"])), "steps/s")


def test_steps_of_sampling_beside_bare_passes(speed: Speed) -> None:
    method, batch = model(None).to(DEVICE).eval(), 128
    keys, labels = key_of(0, torch.arange(batch)), -torch.ones(batch, dtype=torch.int64)
    noisy, moments = torch.randn(batch, 3, 16, 16, device=DEVICE), torch.zeros(batch, dtype=torch.int64, device=DEVICE)

    @torch.no_grad()
    def bare() -> None:
        for _ in range(method.config.sampling_steps):
            method.unet(noisy, moments).sample.cpu()

    with threads(1):
        taken = in_turns({"ours": lambda: method.sample(keys, labels), "bare": bare})
    speed.add(
        "diffusion sampling",
        taken["bare"] / taken["ours"],
        method.config.sampling_steps / float(np.median(taken["bare"])),
        "steps/s",
    )


ROUND = 16_384  # samples


def memory_of_rounds(folder: Path) -> list[int]:
    """Bytes of this process after each of 16 rounds."""
    found: list[int] = []

    class Look(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, *_: object) -> None:
            found.append(resident())

    faces = FaceDiffusionDataModule(image_size=16, batch_size=8, demo=FaceDemoSettings(train=128, val=8, test=8))
    trainer = L.Trainer(
        max_epochs=1, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, limit_val_batches=0, default_root_dir=folder,
        callbacks=[RewardRounds(Bright(), samples=ROUND, every=1, batch_size=1024), Look()],
    )  # fmt: skip
    small = RewardTunedDiffusion(gamma=0.1, sampling_steps=1, channels=(8, 8), attention_levels=())
    trainer.fit(small, datamodule=faces)
    return found


def test_the_memory_of_rounds_is_flat(tmp_path: Path) -> None:
    held = in_new_process(memory_of_rounds, tmp_path)
    assert len(held) == 16
    # Eight rounds that were kept would be eight times as much; what the allocator holds goes up and down by one.
    grown = max(held[8:]) - max(held[:8])
    assert grown < 2 * ROUND * 3 * 16 * 16, [f"{size / 2**20:.0f} MiB" for size in held]
