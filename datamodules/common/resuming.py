"""A loader that goes on where a training was stopped."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from typing import TYPE_CHECKING, TypeVar

from torch.utils.data import DataLoader

from datamodules.common.errors import ConfigurationError
from datamodules.common.sampler import PaddedDistributedSampler

if TYPE_CHECKING:
    from lightning import Trainer

ItemT = TypeVar("ItemT", covariant=True)


class ResumableLoader(DataLoader[ItemT]):
    """A loader that looks up epoch and batch when its first batch is asked for.

    Lightning begins the loader of a resumed training before it knows either, so that worker processes would read ahead
    in the order of epoch 0, and a training stopped in the middle of an epoch would begin that epoch anew.

    Attributes:
        trainer: The trainer whose training it feeds; None begins every pass at its first batch.
    """

    trainer: Trainer | None = None

    def __iter__(self) -> Iterator[ItemT]:  # type: ignore[override]  # torch asks for its own private class
        """Yield the batches of an epoch that the training has not seen yet.

        Raises:
            ConfigurationError: If a process of the training would have padding alone.
        """
        trainer, sampler = self.trainer, self.sampler
        trains = trainer is not None and trainer.training and trainer.train_dataloader is self
        seen = int(trainer.fit_loop.batch_idx) + 1 if trainer is not None and trains else 0
        if isinstance(sampler, PaddedDistributedSampler):
            if trains and sampler.rows < sampler.num_replicas:
                raise ConfigurationError(
                    f"The training has {sampler.num_replicas} processes, but only {sampler.rows} samples to share: "
                    f"take at most {sampler.rows} devices, or more data."
                )
            sampler.skipped = seen * (self.batch_size or 1)
        yield from super().__iter__()

    def state_dict(self) -> dict[str, int]:
        """Nothing: the trainer counts. Lightning takes a loader with a state for one that can go on."""
        return {}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Nothing to load."""


def leaves_one(sampler: Sized, batch_size: int) -> bool:
    """Whether the last of several batches has one sample, of which no statistics of a batch can be taken.

    Example:
        >>> leaves_one(range(9), 4), leaves_one(range(10), 4), leaves_one(range(1), 4)
        (True, False, False)
    """
    return len(sampler) > batch_size > 1 and len(sampler) % batch_size == 1
