"""One sampler for every data module: each sample counts once, over any number of processes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch
import torch.distributed
from torch.utils.data import Dataset, DistributedSampler

from datamodules.common.seeded_draws import key_of


@dataclass(frozen=True, slots=True)
class SampleIndex:
    """What the sampler asks of a dataset.

    Attributes:
        index: Row of the sample.
        valid: False for a repeat that only pads the ranks to equal length: load nothing, count nothing.
        epoch: Epoch that the sampler is in. It travels with the index because workers that persist keep a copy of the
            dataset from the first epoch and would otherwise never learn of the next.
        repeat: How often the row came before in this epoch. Random draws follow from the seed, the epoch, the row and
            this number alone: neither the process nor the place in a batch tells.
    """

    index: int
    valid: bool = True
    epoch: int = 0
    repeat: int = 0


class PaddedDistributedSampler(DistributedSampler[SampleIndex]):
    """Deal the rows of a dataset to the processes of a run and mark what is only padding.

    A subclass of torch's ``DistributedSampler`` by intent: Lightning replaces any other sampler when
    ``use_distributed_sampler`` is true (its default), which would split the rows twice and count padding as samples;
    it leaves a ``DistributedSampler`` alone. Without an initialised process group it is one process that sees all.

    Args:
        rows: The dataset, or the number of its rows.
        shuffle: Draw the rows in an order that changes with the epoch; the same order on every rank.
        seed: Seed of that order, which follows from seed and epoch.
        num_replicas: Number of processes; None asks ``torch.distributed``.
        rank: Number of this process; None asks ``torch.distributed``.

    Example:
        >>> [list(PaddedDistributedSampler(3, num_replicas=2, rank=rank)) for rank in range(2)][1]
        [SampleIndex(index=1, valid=True, epoch=0, repeat=0), SampleIndex(index=0, valid=False, epoch=0, repeat=0)]

    Attributes:
        skipped: Samples that this process has had before in the epoch; the next pass begins behind them.
    """

    def __init__(
        self,
        rows: Sized | int,
        *,
        shuffle: bool = False,
        seed: int = 0,
        num_replicas: int | None = None,
        rank: int | None = None,
    ) -> None:
        running = torch.distributed.is_available() and torch.distributed.is_initialized()
        replicas = num_replicas if num_replicas is not None else torch.distributed.get_world_size() if running else 1
        own = rank if rank is not None else torch.distributed.get_rank() if running else 0
        self.rows = rows if isinstance(rows, int) else len(rows)
        self.skipped = 0
        dealt = range(self.rows)
        super().__init__(dealt, replicas, own, shuffle, seed)  # type: ignore[arg-type]  # its length is all that counts

    def __iter__(self) -> Iterator[SampleIndex]:
        """Yield the rows of this rank."""
        return islice(self.samples(), self.skipped, None)

    def samples(self) -> Iterator[SampleIndex]:
        """All rows of this rank: every ``num_replicas``-th one, then padding where the last round is short."""
        order = self._order()
        for position in range(self.rank, len(self) * self.num_replicas, self.num_replicas):
            valid = position < self.rows
            yield SampleIndex(order[position if valid else 0], valid, self.epoch)

    def __len__(self) -> int:
        """Samples of one rank, padding included; the same on every rank."""
        return -(-self.rows // self.num_replicas)

    def _order(self) -> list[int]:
        if not self.shuffle:
            return list(range(self.rows))
        generator = torch.Generator().manual_seed(int(key_of(self.seed, self.epoch)))
        order: list[int] = torch.randperm(self.rows, generator=generator).tolist()
        return order


BatchT = TypeVar("BatchT")


class WholeBatches(ABC, Dataset[BatchT]):
    """A dataset that is asked for a whole batch at a time; its loader collates by `only`."""

    def __getitem__(self, sample: SampleIndex | int) -> BatchT:
        """A batch of one."""
        return self.batch([sample])

    def __getitems__(self, samples: Sequence[SampleIndex | int]) -> list[BatchT]:
        """One whole batch, alone in a list: a loader asks so for all its samples at once, and hands on a list."""
        return [self.batch(samples)]

    def batch(self, samples: Sequence[SampleIndex | int]) -> BatchT:
        """A batch; padding is marked."""
        return self.read([SampleIndex(sample) if isinstance(sample, int) else sample for sample in samples])

    @abstractmethod
    def read(self, samples: Sequence[SampleIndex]) -> BatchT:
        """Read the rows of a batch."""


def only(batches: Sequence[BatchT]) -> BatchT:
    """Collate: the dataset gives whole batches."""
    return batches[0]
