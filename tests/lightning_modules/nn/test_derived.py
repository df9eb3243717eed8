from __future__ import annotations

import copy
import pickle

import pytest
import torch
from torch import Tensor, nn

from lightning_modules.nn.derived import KeepsDerived


class Squares(KeepsDerived[Tensor]):
    """Keeps the square of its weight, for a number of keys."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([2.0]))

    def forward(self, key: int = 0) -> Tensor:
        return self.derived(key, [self.weight], lambda: self.weight.square())


@pytest.fixture
def squares() -> Squares:
    return Squares().eval()


def test_kept_without_gradient_and_usable_in_training(squares: Squares) -> None:
    with torch.inference_mode():
        kept = squares()
    assert squares() is kept
    assert not kept.requires_grad
    assert not kept.is_inference()


def test_dropped_on_train_load_move_and_write(squares: Squares) -> None:
    squares()
    squares.train()
    assert squares.derived_count == 0
    squares()
    squares.load_state_dict({"weight": torch.tensor([3.0])})
    assert squares.derived_count == 0
    assert squares().item() == 9
    squares.double()
    assert squares.derived_count == 0
    assert squares().dtype == torch.float64
    with torch.no_grad():
        squares.weight.fill_(5)
    assert squares().item() == 25


def test_loading_through_a_parent_counts(squares: Squares) -> None:
    parent = nn.Sequential(squares)
    squares()
    parent.load_state_dict({"0.weight": torch.tensor([4.0])})
    assert squares().item() == 16


def test_only_some_keys_are_kept(squares: Squares) -> None:
    for key in range(5):
        squares(key)
    assert squares.derived_count == squares.derived_limit


def test_copies_and_pickles_are_empty(squares: Squares) -> None:
    squares()
    assert copy.deepcopy(squares).derived_count == 0
    assert pickle.loads(pickle.dumps(squares)).derived_count == 0
