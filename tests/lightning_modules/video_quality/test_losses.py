from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.video_quality.losses import (
    pairwise_rank_loss,
    plcc_loss,
    supervised_contrastive_loss,
    token_labels,
)


def randn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def gradient(loss: Tensor, leaf: Tensor) -> Tensor:
    (found,) = torch.autograd.grad(loss, leaf)
    return found


class TestPLCC:
    @pytest.mark.parametrize("seed", range(5))
    def test_is_the_closed_form_of_the_correlation(self, seed: int) -> None:
        pred, target = randn(12, seed=seed), randn(12, seed=seed + 100)
        r = torch.corrcoef(torch.stack([pred, target]))[0, 1]
        # mean((p - y)^2) = 2 - 2 r and mean((r p - y)^2) = 1 - r^2 for z-scored p and y
        assert float(plcc_loss(pred, target)) == pytest.approx(float((2 - 2 * r + 1 - r**2) / 8), abs=1e-6)

    def test_ends_of_the_range(self) -> None:
        target = randn(8)
        assert float(plcc_loss(3 * target + 1, target)) == pytest.approx(0, abs=1e-7)
        assert float(plcc_loss(-3 * target, target)) == pytest.approx(0.5, abs=1e-7)

    def test_scale_and_offset_do_not_count(self) -> None:
        pred, target = randn(8), randn(8, seed=1)
        assert float(plcc_loss(7 * pred - 2, target)) == pytest.approx(float(plcc_loss(pred, target)), abs=1e-7)


class TestRank:
    def test_equals_the_double_loop(self) -> None:
        pred, target = randn(7), randn(7, seed=1)
        violations = [
            max(0.0, float(pred[i] - pred[j]) * math.copysign(1.0, float(target[j] - target[i])))
            for i in range(7)
            for j in range(7)
            if i != j
        ]
        expected = sum(violations) / (7 * 6) / (1 + max(violations))
        assert float(pairwise_rank_loss(pred, target)) == pytest.approx(expected)

    def test_right_order_and_equal_targets_cost_nothing(self) -> None:
        assert float(pairwise_rank_loss(torch.tensor([1.0, 2.0, 5.0]), torch.tensor([1.0, 3.0, 4.0]))) == 0
        assert float(pairwise_rank_loss(randn(5), torch.ones(5, dtype=torch.float64))) == 0

    def test_one_wrong_pair(self) -> None:
        # (0, 1) and (1, 0) both count 3: 2 * 3 / (2 * 1) / (1 + 3)
        assert float(pairwise_rank_loss(torch.tensor([4.0, 1.0]), torch.tensor([1.0, 2.0]))) == pytest.approx(0.75)


BOTH = pytest.mark.parametrize("loss", [plcc_loss, pairwise_rank_loss])


@BOTH
def test_gradient_shapes_and_dtypes(loss: Callable[[Tensor, Tensor], Tensor]) -> None:
    assert torch.autograd.gradcheck(loss, (randn(6).requires_grad_(), randn(6, seed=1)))
    pred, target = randn(4), randn(4, seed=1)
    assert torch.equal(loss(pred[:, None], target[:, None]), loss(pred, target))
    assert {loss(pred.to(kind), target.to(kind)).dtype for kind in (torch.half, torch.bfloat16)} == {torch.float32}
    with pytest.raises(ConfigurationError, match="shape"):
        loss(pred[:, None], target)


@BOTH
@pytest.mark.parametrize(
    ("pred", "target"),
    [([], []), ([1.0], [2.0]), ([0.1] * 3, [1.0, 2.0, 3.0]), ([1.0, 2.0, 3.0], [0.3] * 3), ([0.1] * 7, [0.3] * 7)],
)
def test_degenerate_batches_give_a_zero_in_the_graph(
    loss: Callable[[Tensor, Tensor], Tensor], pred: list[float], target: list[float]
) -> None:
    leaf = torch.tensor(pred, requires_grad=True)
    value = loss(leaf, torch.tensor(target))
    assert value.item() == 0
    value.backward()
    assert leaf.grad is not None
    assert torch.equal(leaf.grad, torch.zeros_like(leaf)) or loss is pairwise_rank_loss
    assert leaf.grad.isfinite().all()


@settings(deadline=None, max_examples=80)
@given(st.lists(st.tuples(st.floats(-1e3, 1e3, width=32), st.floats(1, 5, width=32)), min_size=1, max_size=10))
def test_losses_are_finite_and_in_range_with_finite_gradients(pairs: list[tuple[float, float]]) -> None:
    target = torch.tensor([mos for _, mos in pairs])
    for loss, top in ((plcc_loss, 0.5), (pairwise_rank_loss, 1.0)):
        leaf = torch.tensor([score for score, _ in pairs], requires_grad=True)
        value = loss(leaf, target)
        assert -1e-5 <= value.item() <= top + 1e-5
        assert gradient(value, leaf).isfinite().all()


def plain_contrast(tokens: Tensor, labels: Tensor, temperature: float) -> Tensor:
    """The definition, token by token."""
    unit = tokens / tokens.norm(dim=1, keepdim=True)
    similarity = unit @ unit.T / temperature
    terms = []
    for i in range(len(tokens)):
        others = [j for j in range(len(tokens)) if j != i]
        positives = [j for j in others if labels[j] == labels[i] and labels[i] != -1]
        if positives:
            terms.append(similarity[i, others].exp().sum().log() - similarity[i, positives].mean())
    return torch.stack(terms).mean() if terms else tokens.sum() * 0


class TestContrastive:
    LABELS = torch.tensor([0, 2, 0, 2, 2, 7, -1, -1, 0])

    @pytest.mark.parametrize("temperature", [0.1, 1.0])
    def test_equals_the_definition(self, temperature: float) -> None:
        tokens = randn(9, 5).requires_grad_()
        found = supervised_contrastive_loss(tokens, self.LABELS, temperature)
        expected = plain_contrast(tokens, self.LABELS, temperature)
        torch.testing.assert_close(found, expected)
        torch.testing.assert_close(gradient(found, tokens), gradient(expected, tokens))

    def test_gradient(self) -> None:
        def loss(tokens: Tensor) -> Tensor:
            return supervised_contrastive_loss(tokens, self.LABELS, 0.5)

        assert torch.autograd.gradcheck(loss, (randn(9, 4).requires_grad_(),))

    def test_equal_tokens_of_one_class(self) -> None:
        tokens = torch.ones(6, 3)
        found = supervised_contrastive_loss(tokens, torch.zeros(6, dtype=torch.int64))
        assert float(found) == pytest.approx(math.log(5), abs=1e-5)  # five others, all as near as can be

    def test_separated_classes_cost_least(self) -> None:
        labels = torch.tensor([0, 0, 1, 1])
        apart = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0], [-1.0, 0.0]])
        mixed = apart[[0, 2, 1, 3]]
        assert supervised_contrastive_loss(apart, labels) < 1e-3
        assert supervised_contrastive_loss(mixed, labels) > 10

    def test_tokens_without_positives_add_nothing_but_push(self) -> None:
        tokens, labels = randn(4, 3), torch.tensor([0, 0, 1, -1])
        pair = supervised_contrastive_loss(tokens[:2], labels[:2])
        assert float(pair) == pytest.approx(0, abs=1e-9)  # the only other token is the positive one
        leaf = tokens.clone().requires_grad_()
        loss = supervised_contrastive_loss(leaf, labels)
        assert loss > 0
        assert (gradient(loss, leaf)[2:].abs().sum(1) > 0).all()

    @pytest.mark.parametrize(("count", "labels"), [(0, []), (1, [3]), (3, [0, 1, 2]), (3, [-1, -1, -1]), (2, [5, -1])])
    def test_no_positive_gives_a_zero_in_the_graph(self, count: int, labels: list[int]) -> None:
        leaf = randn(count, 4).requires_grad_()
        loss = supervised_contrastive_loss(leaf, torch.tensor(labels, dtype=torch.int64))
        assert loss.item() == 0
        assert torch.equal(gradient(loss, leaf), torch.zeros_like(leaf))

    def test_zero_tokens_have_a_finite_gradient(self) -> None:
        leaf = torch.zeros(4, 3, requires_grad=True)
        loss = supervised_contrastive_loss(leaf, torch.tensor([0, 0, 1, 1]))
        assert gradient(loss, leaf).isfinite().all()

    def test_small_temperatures_do_not_overflow(self) -> None:
        leaf = randn(6, 4).float().requires_grad_()
        loss = supervised_contrastive_loss(leaf, torch.tensor([0, 0, 1, 1, 2, 2]), temperature=1e-3)
        assert loss.isfinite()
        assert gradient(loss, leaf).isfinite().all()

    def test_subsampling_draws_tokens_with_the_generator(self) -> None:
        tokens, labels = randn(200, 8), torch.arange(200) % 4
        generator = torch.Generator().manual_seed(1)
        first = supervised_contrastive_loss(tokens, labels, 0.5, 50, generator)
        assert not torch.equal(first, supervised_contrastive_loss(tokens, labels, 0.5, 50, generator))
        drawn = torch.randperm(200, generator=torch.Generator().manual_seed(1))[:50]
        assert torch.equal(first, supervised_contrastive_loss(tokens[drawn], labels[drawn], 0.5))
        assert torch.equal(
            supervised_contrastive_loss(tokens, labels, max_tokens=200), supervised_contrastive_loss(tokens, labels)
        )

    def test_half_precision_and_autocast_compute_in_float32(self) -> None:
        tokens = randn(9, 5).bfloat16()
        plain = supervised_contrastive_loss(tokens.float(), self.LABELS)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(supervised_contrastive_loss(tokens, self.LABELS), plain)

    def test_bad_input_is_named(self) -> None:
        with pytest.raises(ConfigurationError, match="temperature is 0"):
            supervised_contrastive_loss(randn(2, 2), torch.zeros(2), temperature=0)
        with pytest.raises(ConfigurationError, match="max_tokens is 1"):
            supervised_contrastive_loss(randn(2, 2), torch.zeros(2), max_tokens=1)
        with pytest.raises(ConfigurationError, match="flatten"):
            supervised_contrastive_loss(randn(2, 2, 2), torch.zeros(2))
        with pytest.raises(ConfigurationError, match="flatten"):
            supervised_contrastive_loss(randn(3, 2), torch.zeros(2))


def test_videos_without_a_pattern_are_classes_of_their_own() -> None:
    pattern = torch.tensor([0, -1, 0, -1])
    assert token_labels(pattern, 2).tolist() == [0, 0, -3, -3, 0, 0, -5, -5]
    clips = token_labels(pattern, 1, video=torch.tensor([8, 9, 8, 9]))
    assert clips.tolist() == [0, -11, 0, -11]  # two clips of video 9 share a class
    assert -1 not in token_labels(torch.full((5,), -1), 3)


def test_contrastive_gradient_repeats_bit_for_bit_on_two_threads() -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        tokens = torch.randn(2000, 64, generator=torch.Generator().manual_seed(0))
        labels = torch.arange(2000) % 6
        gradients = set()
        for _ in range(8):
            leaf = tokens.clone().requires_grad_()
            supervised_contrastive_loss(leaf, labels).backward()
            assert leaf.grad is not None
            gradients.add(leaf.grad.numpy().tobytes())
        assert len(gradients) == 1
    finally:
        torch.set_num_threads(before)
