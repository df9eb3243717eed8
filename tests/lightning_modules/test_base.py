"""What all methods share: the seed of a micro-batch."""

from __future__ import annotations

from itertools import product
from types import SimpleNamespace

import pytest

from lightning_modules.base import Method


def seed(rank: int, epoch: int, batch: int) -> int:
    method = Method()
    loop = SimpleNamespace(batch_idx=batch)
    trainer = SimpleNamespace(global_rank=rank, current_epoch=epoch, fit_loop=loop, global_step=0)
    object.__setattr__(method, "_trainer", trainer)
    return method.step_seed()


def test_no_two_micro_batches_of_any_process_share_their_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    places = list(product(range(4), range(3), range(8)))
    drawn = [seed(*place) for place in places]
    assert len({number % 2**32 for number in drawn}) == len(places)  # all that torch's generator of the CPU looks at
    assert drawn == [seed(*place) for place in places]
    monkeypatch.setenv("PL_GLOBAL_SEED", "1")
    assert not set(drawn) & {seed(*place) for place in places}
