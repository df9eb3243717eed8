"""A sampler that shows every class equally often."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from datamodules.common.sampler import PaddedDistributedSampler, SampleIndex


class BalancedSampler(PaddedDistributedSampler):
    """Draw as many rows as there are, each class as often as any other (to within one row).

    Rows of a small class come again within an epoch, those of a large one take turns between epochs. The same on every
    number of processes.

    Args:
        labels: Class of each row, int64 ``(N,)``.
        seed: Seed of the order.
        num_replicas: Number of processes; None asks ``torch.distributed``.
        rank: Number of this process; None asks ``torch.distributed``.

    Example:
        >>> sampler = BalancedSampler(np.array([0, 0, 0, 1]))
        >>> sorted(sample.index == 3 for sample in sampler)
        [False, False, True, True]
    """

    def __init__(
        self, labels: NDArray[np.int64], *, seed: int = 0, num_replicas: int | None = None, rank: int | None = None
    ) -> None:
        super().__init__(len(labels), shuffle=True, seed=seed, num_replicas=num_replicas, rank=rank)
        self._members = [np.flatnonzero(labels == label) for label in np.unique(labels)]

    def __iter__(self) -> Iterator[SampleIndex]:
        """Yield the rows of this rank; the last round is filled up with further rows, so that all of them count."""
        total = len(self) * self.num_replicas
        generator = np.random.default_rng((self.seed, self.epoch))
        share = -(-total // len(self._members))
        drawn = [self._draw(members, share, generator) for members in self._members]
        order = np.stack(drawn, axis=1).reshape(-1)[:total]  # in turns, so that cutting the end costs one row a class
        for row in generator.permutation(order)[self.rank :: self.num_replicas].tolist():
            yield SampleIndex(row, True, self.epoch, self.rank)

    @staticmethod
    def _draw(members: NDArray[np.int64], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Pass after pass over the rows of a class, each in its own order."""
        passes = [generator.permutation(members) for _ in range(-(-count // len(members)))]
        return np.concatenate(passes)[:count]
