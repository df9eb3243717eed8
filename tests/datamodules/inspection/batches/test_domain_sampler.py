"""1:1 on every rank, each image of the longer domain once, the shorter one reshuffled."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datamodules.common.errors import ConfigurationError
from datamodules.common.sampler import SampleIndex
from datamodules.inspection.batches.domain_sampler import BalancedDomainSampler


def samples(domains: list[int], replicas: int = 1, epoch: int = 0, seed: int = 0) -> list[list[SampleIndex]]:
    drawn = []
    for rank in range(replicas):
        sampler = BalancedDomainSampler(domains, seed=seed, num_replicas=replicas, rank=rank)
        sampler.set_epoch(epoch)
        own = list(sampler)
        assert len(own) == len(sampler)
        drawn.append(own)
    return drawn


counts = st.integers(1, 40)


@settings(deadline=None, max_examples=60)  # a busy machine is no failure
@given(originals=counts, news=counts, replicas=st.integers(1, 4), epoch=st.integers(0, 3), seed=st.integers(0, 5))
def test_halves_and_counts(originals: int, news: int, replicas: int, epoch: int, seed: int) -> None:
    domains = [0] * originals + [1] * news
    ranks = samples(domains, replicas, epoch, seed)
    assert len({len(own) for own in ranks}) == 1
    for own in ranks:
        assert [domains[sample.index] for sample in own] == [0, 1] * (len(own) // 2)
        assert all(sample.valid and sample.epoch == epoch for sample in own)
    seen = Counter(sample.index for own in ranks for sample in own)
    longer = 0 if originals >= news else 1
    times = {seen[row] for row, domain in enumerate(domains) if domain == longer}
    assert min(times) >= 1  # every image of the longer domain comes
    assert sum(seen[row] - 1 for row, domain in enumerate(domains) if domain == longer) < replicas
    shorter = [seen[row] for row, domain in enumerate(domains) if domain != longer]
    assert max(shorter) - min(shorter) <= 1  # the shorter one cycles: all once more before any twice more


@settings(deadline=None, max_examples=30)
@given(news=st.integers(4, 12), replicas=st.integers(1, 3))
def test_a_second_pass_inside_an_epoch_is_reshuffled(news: int, replicas: int) -> None:
    domains = [0] * (3 * news) + [1] * news
    ranks = samples(domains, replicas)
    passes: dict[int, list[int]] = {}
    for turn in range(len(ranks[0]) // 2):
        for own in ranks:
            sample = own[2 * turn + 1]
            passes.setdefault(sample.repeat, []).append(sample.index)
    assert all(sorted(passes[repeat]) == list(range(3 * news, 4 * news)) for repeat in range(3))
    assert len({tuple(passes[repeat]) for repeat in range(3)}) > 1


def test_epochs_and_seeds_change_the_order_and_nothing_else_does() -> None:
    domains = [0] * 20 + [1] * 30
    first = samples(domains)
    assert first == samples(domains)
    assert first != samples(domains, epoch=1)
    assert first != samples(domains, seed=1)
    indices = {tuple(sample.index for sample in samples(domains, epoch=epoch)[0]) for epoch in range(4)}
    assert len(indices) == 4


def test_a_domain_without_images_is_named() -> None:
    with pytest.raises(ConfigurationError, match="no training image is new"):
        BalancedDomainSampler([0, 0])
    with pytest.raises(ConfigurationError, match="no training image is original"):
        BalancedDomainSampler([1])
