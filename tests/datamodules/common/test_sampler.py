"""The sampler deals every row once and marks what only pads."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import DistributedSampler

from datamodules.common.sampler import PaddedDistributedSampler, SampleIndex
from datamodules.inspection.batches.domain_sampler import BalancedDomainSampler


def deal(rows: int, world: int, *, shuffle: bool, seed: int = 0, epoch: int = 0) -> list[list[SampleIndex]]:
    ranks = []
    for rank in range(world):
        sampler = PaddedDistributedSampler(rows, shuffle=shuffle, seed=seed, num_replicas=world, rank=rank)
        sampler.set_epoch(epoch)
        ranks.append(list(sampler))
    return ranks


@settings(max_examples=200, deadline=None)
@given(
    rows=st.integers(0, 97),
    world=st.integers(1, 9),
    shuffle=st.booleans(),
    seed=st.integers(0, 99),
    epoch=st.integers(0, 9),
)
def test_every_row_is_valid_once_over_all_ranks(rows: int, world: int, shuffle: bool, seed: int, epoch: int) -> None:
    ranks = deal(rows, world, shuffle=shuffle, seed=seed, epoch=epoch)
    valid = Counter(sample.index for rank in ranks for sample in rank if sample.valid)
    assert valid == Counter(range(rows))
    assert {len(rank) for rank in ranks} == {-(-rows // world)}
    padding = [sample for rank in ranks for sample in rank if not sample.valid]
    assert len(padding) == -(-rows // world) * world - rows
    assert all(0 <= sample.index < rows and sample.epoch == epoch for rank in ranks for sample in rank)
    assert all(sample.repeat == 0 for rank in ranks for sample in rank)


@settings(max_examples=50, deadline=None)
@given(rows=st.integers(1, 60), world=st.integers(1, 6), epoch=st.integers(0, 5))
def test_the_order_does_not_depend_on_the_number_of_processes(rows: int, world: int, epoch: int) -> None:
    ranks = deal(rows, world, shuffle=True, seed=3, epoch=epoch)
    together = [rank[step].index for step in range(len(ranks[0])) for rank in ranks if rank[step].valid]
    assert together == [sample.index for sample in deal(rows, 1, shuffle=True, seed=3, epoch=epoch)[0]]


def test_the_order_changes_with_the_epoch_and_repeats() -> None:
    first, second = (deal(50, 1, shuffle=True, epoch=epoch)[0] for epoch in (0, 1))
    assert [s.index for s in first] != [s.index for s in second]
    assert first == deal(50, 1, shuffle=True, epoch=0)[0]
    moved = deal(50, 1, shuffle=True, seed=1)[0]  # another seed is no other epoch
    assert [s.index for s in moved] != [s.index for s in second]


def test_without_shuffle_one_process_sees_the_list_in_order() -> None:
    sampler = PaddedDistributedSampler([10, 20, 30])
    assert [sample.index for sample in sampler] == [0, 1, 2]
    assert len(sampler) == 3


@pytest.mark.parametrize(
    "sampler", [PaddedDistributedSampler(9, shuffle=True), BalancedDomainSampler([0] * 5 + [1] * 4)]
)
def test_a_pass_may_begin_behind_what_was_seen(sampler: PaddedDistributedSampler) -> None:
    whole = list(sampler)
    sampler.skipped = 4
    assert list(sampler) == whole[4:]
    assert len(sampler) == len(whole)


def test_lightning_leaves_the_sampler_alone() -> None:
    # Lightning replaces every sampler in a distributed run but instances of this class
    assert isinstance(PaddedDistributedSampler(3), DistributedSampler)


def test_the_process_group_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.distributed, "get_world_size", lambda: 2)
    monkeypatch.setattr(torch.distributed, "get_rank", lambda: 1)
    assert [sample.index for sample in PaddedDistributedSampler(4)] == [1, 3]
