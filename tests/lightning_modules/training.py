"""How the tests of all methods compare weights, and two trainings that must end at the same ones."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from tests.running import StopAfterOneEpoch

Build = Callable[[], L.LightningModule]
MakeTrainer = Callable[..., L.Trainer]


def whole_batches(*batches: Any) -> DataLoader[Any]:
    """Gives the batches one after another."""
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]  # a sequence is a dataset


def weights(module: torch.nn.Module, prefix: str = "") -> dict[str, Tensor]:
    """A copy of what the module holds."""
    return {name: value.detach().clone() for name, value in module.state_dict().items() if name.startswith(prefix)}


def same(first: dict[str, Tensor], second: dict[str, Tensor]) -> bool:
    """Whether both hold the same names and bits; NaN is equal to NaN."""
    return first.keys() == second.keys() and all(
        torch.equal(first[name].nan_to_num(0.123), second[name].nan_to_num(0.123)) for name in first
    )


def trained(module: L.LightningModule, run: L.Trainer, file: Path, *data: Any) -> str:
    """Train the module and write its checkpoint; returns the path."""
    run.fit(module, *data)
    run.save_checkpoint(file)
    return str(file)


def check_repeats(build: Build, trainer: MakeTrainer, *data: Any) -> None:
    """Two trainings of what ``build`` makes from one seed end at the same weights."""
    modules = []
    for _ in range(2):
        modules.append(build())
        trainer().fit(modules[-1], *data)
    assert same(weights(modules[0]), weights(modules[1]))


def check_resume(
    build: Build, trainer: MakeTrainer, folder: Path, *data: Any, callback: Callable[[], L.Callback] | None = None
) -> list[Any]:
    """A training that stops after the first of two epochs and is resumed ends where the whole one does.

    Returns the callbacks of the whole training, of its first half and of its second.
    """
    watching = [callback() if callback else L.Callback() for _ in range(3)]
    whole = build()
    trainer(max_epochs=2, callbacks=[watching[0]]).fit(whole, *data)
    half = trainer(max_epochs=2, callbacks=[StopAfterOneEpoch(), watching[1]])  # the schedule is that of the whole one
    half.fit(build(), *data)
    half.save_checkpoint(folder / "half.ckpt")
    resumed = build()
    second = trainer(max_epochs=2, callbacks=[watching[2]])
    second.fit(resumed, *data, ckpt_path=str(folder / "half.ckpt"), weights_only=True)
    assert same(weights(resumed), weights(whole))
    return watching
