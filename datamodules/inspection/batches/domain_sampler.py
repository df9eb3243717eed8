"""Batches of which half comes from each domain, over any number of processes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from datamodules.common.errors import ConfigurationError
from datamodules.common.sampler import PaddedDistributedSampler, SampleIndex
from datamodules.inspection.batch import NEW, ORIGINAL


class BalancedDomainSampler(PaddedDistributedSampler):
    """Yield original, new, original, new, ...: any even batch size with ``drop_last`` gives 1:1 on every rank.

    An epoch goes through the longer domain once; the shorter one starts again in another order as often as it takes.
    Where the processes do not divide the longer domain, its next pass lends the last samples, so that no sample is
    padding. Source: section 3.2 of the paper (Cordier, Das, Gutierrez, "Active learning using weakly supervised
    signals for quality inspection", QCAV 2021): without it the new domain is not learnt.

    Args:
        domains: Domain of each row, 0 or 1.
        seed: Seed of the orders.
        num_replicas: Number of processes; None asks ``torch.distributed``.
        rank: Number of this process; None asks ``torch.distributed``.

    Raises:
        ConfigurationError: If a domain has no row.

    Example:
        >>> [sample.index for sample in BalancedDomainSampler([0, 0, 1])][1::2]
        [2, 2]
    """

    def __init__(
        self, domains: Sequence[int], *, seed: int = 0, num_replicas: int | None = None, rank: int | None = None
    ) -> None:
        super().__init__(len(domains), shuffle=True, seed=seed, num_replicas=num_replicas, rank=rank)
        self._members = tuple(np.flatnonzero(np.asarray(domains) == domain) for domain in (ORIGINAL, NEW))
        for name, members in zip(("original", "new"), self._members, strict=True):
            if len(members) == 0:
                raise ConfigurationError(
                    f"balanced batches need images of both domains, but no training image is {name}; give some or "
                    "set balanced: false"
                )

    def __len__(self) -> int:
        """Samples of one rank, the same on every rank and always even."""
        return 2 * self._pairs()

    def samples(self) -> Iterator[SampleIndex]:
        """Pairs of one original and one new row, every ``num_replicas``-th pair."""
        orders = tuple(self._domain_order(domain) for domain in (ORIGINAL, NEW))
        for pair in range(self.rank, self._pairs() * self.num_replicas, self.num_replicas):
            for members, order in zip(self._members, orders, strict=True):
                repeat = pair // len(members)
                yield SampleIndex(int(order[pair]), True, self.epoch, repeat)

    def _pairs(self) -> int:
        return -(-max(map(len, self._members)) // self.num_replicas)

    def _domain_order(self, domain: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
        """Rows of one domain for all pairs of all ranks: pass after pass, each in its own order."""
        members = self._members[domain]
        total = self._pairs() * self.num_replicas
        passes = [
            np.random.default_rng((self.seed, self.epoch, domain, repeat)).permutation(members)
            for repeat in range(-(-total // len(members)))
        ]
        order: np.ndarray[tuple[int], np.dtype[np.int64]] = np.concatenate(passes)[:total]
        return order
