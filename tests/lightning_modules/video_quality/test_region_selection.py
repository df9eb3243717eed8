from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.perturbed_topk import ScoresError
from lightning_modules.video_quality.region_selection import QualityAwareRegionSelection, importance_map
from tests.lightning_modules.memory import LargestTensor

CASES = [(7, 7), (8, 7), (9, 7), (10, 7), (12, 7), (5, 3), (4, 1)]
FS, FRAMES, KEYS, BATCH = 3, 6, 2, 2


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def inputs(grid: int, dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor, Tensor]:
    source = generator(grid)
    fragments = torch.randn(BATCH, 3, FRAMES, grid * FS, grid * FS, generator=source, dtype=dtype)
    importance = torch.rand(BATCH, KEYS, 7, 7, generator=source, dtype=dtype)
    return fragments, importance, torch.tensor([0, 0, 0, 1, 1, 1])


def selection(grid: int, window: int, **options: Any) -> QualityAwareRegionSelection:
    return QualityAwareRegionSelection(grid, window, FS, generator=generator(3), **options)


def unfolded(fragments: Tensor, window: int) -> Tensor:
    """All windows, ``(B, C, 3, T, window * FS, window * FS)``: what the module must never make."""
    batch, channels, frames, size, _ = fragments.shape
    images = fragments.transpose(1, 2).reshape(batch * frames, channels, size, size)
    columns = F.unfold(images, window * FS, stride=FS)
    pixels = window * FS
    windows = columns.view(batch, frames, channels, pixels, pixels, -1)
    return windows.permute(0, 5, 2, 1, 3, 4)


@pytest.mark.parametrize(("grid", "window"), CASES)
def test_training_equals_the_weighted_sum_of_unfolded_windows(grid: int, window: int) -> None:
    fragments, importance, group = inputs(grid)
    fragments.requires_grad_()
    importance.requires_grad_()
    module = selection(grid, window, num_samples=40).train()
    found = module(fragments, importance, group)
    weights = found.indicator[:, group]  # (B, T, C)
    expected = torch.einsum("bnctyx,btn->bctyx", unfolded(fragments, window), weights)
    torch.testing.assert_close(found.region, expected)

    grad = torch.randn(expected.shape, generator=generator(1), dtype=torch.float64)
    ours = torch.autograd.grad(found.region, (fragments, importance), grad, retain_graph=True, allow_unused=True)
    theirs = torch.autograd.grad(expected, (fragments, importance), grad, allow_unused=True)
    torch.testing.assert_close(ours[0], theirs[0])
    if grid == window:
        assert ours[1] is None  # one candidate: nothing to choose
    else:
        torch.testing.assert_close(ours[1], theirs[1])
        assert ours[1].abs().sum() > 0


@pytest.mark.parametrize(("grid", "window"), CASES)
def test_evaluation_is_a_slice_bit_for_bit(grid: int, window: int) -> None:
    fragments, importance, group = inputs(grid, torch.float32)
    module = selection(grid, window).eval()
    found = module(fragments, importance, group)
    side, size = grid - window + 1, window * FS
    for clip in range(BATCH):
        for frame in range(FRAMES):
            row, column = divmod(int(found.index[clip, group[frame]]), side)
            piece = fragments[clip, :, frame, row * FS : row * FS + size, column * FS : column * FS + size]
            assert torch.equal(found.region[clip, :, frame], piece)
    assert torch.equal(found.indicator, F.one_hot(found.index, side**2).float())
    assert torch.equal(module(fragments.requires_grad_(), importance, group).region, found.region)
    assert found.region.is_contiguous()


def test_evaluation_with_a_gradient_to_the_fragments() -> None:
    fragments, importance, group = inputs(9)
    module = selection(9, 7).eval()
    plain = module(fragments, importance, group).region
    fragments.requires_grad_()
    tracked = module(fragments, importance, group).region
    assert torch.equal(plain, tracked)
    tracked.sum().backward()
    assert fragments.grad.sum() == plain.numel()
    assert set(fragments.grad.unique().tolist()) <= {0.0, 1.0}


@pytest.mark.parametrize(("grid", "window"), CASES)
def test_candidate_scores_are_normalised_window_means(grid: int, window: int) -> None:
    _, importance, _ = inputs(grid)
    side = grid - window + 1
    scores = selection(grid, window).candidate_scores(importance)
    nearest = [math.floor(i * 7 / grid) for i in range(grid)]
    resized = importance[..., nearest, :][..., nearest]
    means = torch.stack(
        [resized[..., y : y + window, x : x + window].mean(dim=(-2, -1)) for y in range(side) for x in range(side)],
        dim=-1,
    )
    low, high = means.amin(-1, keepdim=True), means.amax(-1, keepdim=True)
    torch.testing.assert_close(scores, (means - low) / (high - low + 1e-5))
    assert scores.shape == (BATCH, KEYS, side**2)


@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 2), (1, 1), (2, 1)])
def test_the_window_goes_to_the_important_corner(row: int, column: int) -> None:
    fragments, _, group = inputs(9)
    importance = torch.zeros(BATCH, KEYS, 9, 9)
    importance[:, 1, row : row + 7, column : column + 7] = 1.0
    index = selection(9, 7).eval()(fragments, importance, group).index
    assert (index[:, 1] == row * 3 + column).all()


def test_training_moves_the_importance_towards_the_useful_window() -> None:
    fragments = torch.zeros(1, 3, 2, 9 * FS, 9 * FS)
    fragments[..., 7 * FS :, 7 * FS :] = 1.0  # only the last candidate sees all of this corner
    importance = torch.zeros(1, 1, 9, 9, requires_grad=True)
    start = torch.rand(1, 1, 9, 9, generator=generator(2)) * 0.1
    module = selection(9, 7).train()
    optimiser = torch.optim.Adam([importance], lr=0.05)
    for _ in range(40):
        optimiser.zero_grad()
        region = module(fragments, importance + start, torch.zeros(2, dtype=torch.int64)).region
        (-region.mean()).backward()
        optimiser.step()
    index = module.eval()(fragments, importance + start, torch.zeros(2, dtype=torch.int64)).index
    assert int(index) == 8


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("grid", "central"), [(7, 0), (8, 0), (9, 4), (10, 5)])
def test_switched_off_it_takes_the_central_window(grid: int, central: int, training: bool) -> None:
    fragments, importance, group = inputs(grid)
    importance.requires_grad_()
    found = selection(grid, 7, enabled=False).train(training)(fragments, importance, group)
    start = (grid - 7) // 2 * FS
    assert torch.equal(found.region, fragments[..., start : start + 7 * FS, start : start + 7 * FS])
    assert (found.index == central).all()
    assert not found.region.requires_grad
    assert not found.candidate_scores.requires_grad


@pytest.mark.parametrize("training", [True, False])
def test_no_tensor_is_larger_than_one_region(training: bool) -> None:
    fragments, importance, group = inputs(9)
    importance.requires_grad_()
    module = selection(9, 7, num_samples=20).train(training)
    with LargestTensor() as largest:
        found = module(fragments, importance, group)
        if training:
            found.region.square().sum().backward()
    assert largest.elements == found.region.numel()


def test_one_generator_state_gives_one_result() -> None:
    fragments, importance, group = inputs(9)
    module = selection(9, 7, num_samples=10).train()
    first = module(fragments, importance, group).indicator
    assert not torch.equal(first, module(fragments, importance, group).indicator)
    module.topk.generator = generator(3)
    assert torch.equal(first, module(fragments, importance, group).indicator)
    twin = copy.deepcopy(module)  # weight averaging copies the network
    assert torch.equal(twin(fragments, importance, group).region, module(fragments, importance, group).region)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
def test_half_precision(dtype: torch.dtype, training: bool) -> None:
    fragments, importance, group = inputs(9, torch.float32)
    found = selection(9, 7, num_samples=50).train(training)(fragments.to(dtype), importance.to(dtype), group)
    assert found.region.dtype == dtype
    assert found.candidate_scores.dtype == torch.float32
    wide = selection(9, 7, num_samples=50).train(training)(fragments, importance.to(dtype).float(), group)
    torch.testing.assert_close(found.region.float(), wide.region, atol=0.1, rtol=0.1)


def test_autocast_changes_nothing() -> None:
    fragments, importance, group = inputs(9, torch.float32)
    grads = []
    for enabled in (False, True):
        leaf = importance.clone().requires_grad_()
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=enabled):
            selection(9, 7).train()(fragments, leaf, group).region.square().mean().backward()
        grads.append(leaf.grad)
    assert torch.equal(grads[0], grads[1])


def test_a_flat_map_has_finite_scores_and_gradient() -> None:
    fragments, _, group = inputs(9)
    importance = torch.full((BATCH, KEYS, 7, 7), 0.3, dtype=torch.float64, requires_grad=True)
    found = selection(9, 7).train()(fragments, importance, group)
    found.region.sum().backward()
    assert importance.grad.isfinite().all()


def test_evaluation_can_be_exported() -> None:
    fragments, importance, group = inputs(9, torch.float32)
    module = selection(9, 7).eval()
    program = torch.export.export(module, (fragments, importance, group))
    found, expected = program.module()(fragments, importance, group), module(fragments, importance, group)
    assert torch.equal(found.region, expected.region)
    assert torch.equal(found.index, expected.index)


def test_importance_is_a_cosine_in_float32_at_least() -> None:
    class_token = torch.randn(3, 5, generator=generator(1), dtype=torch.float64)
    patches = torch.randn(3, 4, 5, generator=generator(2), dtype=torch.float64)
    expected = (patches @ class_token[..., None])[..., 0] / patches.norm(dim=-1) / class_token.norm(dim=-1)[:, None]
    torch.testing.assert_close(importance_map(class_token, patches), expected)
    assert importance_map(class_token.bfloat16(), patches.bfloat16()).dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: QualityAwareRegionSelection(6), "grid_size is 6"),
        (lambda: QualityAwareRegionSelection(window=0), "window is 0"),
        (lambda: QualityAwareRegionSelection(fragment_size=0), "fragment_size is 0"),
        (lambda: QualityAwareRegionSelection(num_samples=0), "num_samples is 0"),
        (lambda: QualityAwareRegionSelection(sigma=0.0), "sigma is 0.0"),
    ],
)
def test_bad_options_are_named(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        call()


def test_bad_tensors_are_named() -> None:
    fragments, importance, group = inputs(9)
    module = selection(9, 7)
    with pytest.raises(ConfigurationError, match="same grid"):
        module(fragments[..., :-1], importance, group)
    with pytest.raises(ConfigurationError, match="importance has shape"):
        module(fragments, importance[:1], group)
    with pytest.raises(ConfigurationError, match="frame_group has shape"):
        module(fragments, importance, group[:-1])
    for wrong in (group - 1, group + 1):
        with pytest.raises(ConfigurationError, match="frame_group names key frames"):
            module(fragments, importance, wrong)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("grid", "enabled"), [(9, True), (9, False), (7, True)])
def test_importance_without_a_rank_is_named(grid: int, enabled: bool, training: bool) -> None:
    fragments, importance, group = inputs(grid)
    importance[0, 1, 0, 0] = math.nan
    with pytest.raises(ScoresError, match="NaN"):
        selection(grid, 7, enabled=enabled).train(training)(fragments, importance, group)
