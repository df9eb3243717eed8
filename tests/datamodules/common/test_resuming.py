"""What a loader of a training refuses; that it goes on where a training stopped is tested with the trainings."""

from __future__ import annotations

from pathlib import Path

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.utils.data import Dataset

from datamodules.common.errors import ConfigurationError
from datamodules.common.resuming import ResumableLoader
from datamodules.common.sampler import PaddedDistributedSampler, SampleIndex
from tests.running import quiet_trainer


class Ones(Dataset[Tensor]):
    """As many as are asked for."""

    def __getitem__(self, place: SampleIndex) -> Tensor:
        return torch.ones(1)


class Toy(L.LightningModule):
    """Has something to train."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def training_step(self, batch: Tensor, batch_idx: int) -> Tensor:
        return self.weight * batch.sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=1.0)


@pytest.mark.parametrize(("rows", "enough"), [(3, False), (4, True)])
def test_every_process_needs_a_sample_to_learn_from(rows: int, enough: bool, tmp_path: Path) -> None:
    sampler = PaddedDistributedSampler(rows, num_replicas=4, rank=3)
    loader = ResumableLoader(Ones(), sampler=sampler)
    assert len(list(loader)) == 1  # whoever only looks gets the padding
    loader.trainer = quiet_trainer(tmp_path, max_epochs=1, use_distributed_sampler=False)
    if enough:
        loader.trainer.fit(Toy(), loader)
    else:
        with pytest.raises(ConfigurationError, match=r"4 processes, but only 3 samples .* at most 3 devices"):
            loader.trainer.fit(Toy(), loader)
