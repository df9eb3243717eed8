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

    def samples(self) -> Iterator[SampleIndex]:
        """The rows of this rank; the last round is filled up with further rows, so that all of them count."""
        total = len(self) * self.num_replicas
        share = -(-total // len(self._members))
        drawn = [self._draw(label, share) for label in range(len(self._members))]
        turns = np.stack(drawn, axis=1).reshape(-1, 2)[:total]  # in turns: cutting the end costs one row a class
        order = np.random.default_rng((self.seed, self.epoch)).permutation(self.rows)
        order = np.concatenate([order, np.arange(self.rows, total)])  # what fills up comes last
        for row, repeat in turns[order[self.rank :: self.num_replicas]].tolist():
            yield SampleIndex(row, True, self.epoch, repeat)

    def _draw(self, label: int, count: int) -> NDArray[np.int64]:
        """Pass after pass over the rows of a class, each in its own order: row and pass, ``(count, 2)``."""
        members = self._members[label]
        passes = [
            np.stack([self._shuffled(members, label, repeat), np.full_like(members, repeat)], axis=1)
            for repeat in range(-(-count // len(members)))
        ]
        return np.concatenate(passes)[:count]

    def _shuffled(self, members: NDArray[np.int64], label: int, repeat: int) -> NDArray[np.int64]:
        return np.random.default_rng((self.seed, self.epoch, label, repeat)).permutation(members)
