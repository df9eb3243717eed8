"""The smallest method and data module on which every behaviour of the command line can be seen."""

from __future__ import annotations

import lightning as L
import torch
from lightning.pytorch.cli import OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

FEATURES = 3


class ToyModel(L.LightningModule):
    """A linear regression.

    Args:
        width: Hidden units.
        num_classes: Classes, a fact that the data owns.
        depth: Layers.
        weights: File of weights to begin from.
        optimizer: Builds the optimiser; None takes SGD.
    """

    def __init__(
        self,
        width: int = 4,
        num_classes: int | None = None,
        depth: int = 1,
        weights: str | None = None,
        optimizer: OptimizerCallable | None = None,
    ) -> None:
        super().__init__()
        self.save_hyperparameters(ignore=["optimizer"])
        self.width, self.num_classes, self.depth, self.weights = width, num_classes, depth, weights
        self.make_optimizer = optimizer
        self.net = nn.Sequential(nn.Linear(FEATURES, width), *[nn.Linear(width, width) for _ in range(depth)])

    def loss(self, batch: list[Tensor]) -> Tensor:
        predicted: Tensor = self.net(batch[0]).mean(1)
        return (predicted - batch[0].mean(1)).square().mean()

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        loss = self.loss(batch)
        self.log("train/loss", loss, prog_bar=True)
        return loss

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/srcc", -self.loss(batch), batch_size=2)

    def test_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("test/srcc", 0.83, batch_size=2)

    def predict_step(self, batch: list[Tensor], batch_idx: int) -> dict[str, Tensor]:
        return {"score_raw": self.net(batch[0]).mean(1)}

    def configure_optimizers(self) -> OptimizerLRScheduler:
        if self.make_optimizer is not None:
            return self.make_optimizer(self.parameters())
        return torch.optim.SGD(self.parameters(), lr=0.01)


class OtherModel(ToyModel):
    """A second method that shares argument names with the first.

    Args:
        width: Hidden units.
        bias: Its own argument.
    """

    def __init__(self, width: int = 7, bias: bool = True) -> None:
        super().__init__(width=width)
        self.bias = bias


class ToyData(L.LightningDataModule):
    """Random numbers.

    Args:
        batch_size: Samples a step.
        num_classes: Classes that the labels name.
        size: Samples.
        path: What to predict.
    """

    def __init__(
        self, batch_size: int = 2, num_classes: int | None = 5, size: int = 6, path: str | None = None
    ) -> None:
        super().__init__()
        self.batch_size, self.num_classes, self.size, self.path = batch_size, num_classes, size, path

    def loader(self) -> DataLoader[tuple[Tensor, ...]]:
        data = torch.rand(self.size, FEATURES, generator=torch.Generator().manual_seed(0))
        return DataLoader(TensorDataset(data), batch_size=self.batch_size)

    train_dataloader = val_dataloader = test_dataloader = predict_dataloader = loader


class OtherData(ToyData):
    """A second data module that shares argument names with the first.

    Args:
        batch_size: Samples a step.
    """

    def __init__(self, batch_size: int = 3) -> None:
        super().__init__(batch_size=batch_size)
