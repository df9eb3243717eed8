from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.frozen import FrozenBatchNorm
from lightning_modules.video_quality.distortion import ContriqueDistortion, UnitPixels
from lightning_modules.video_quality.preprocess import IMAGENET_MEAN, IMAGENET_STD
from lightning_modules.video_quality.small_distortion import BlockTransformFront, SmallDistortion


@pytest.fixture(scope="module")
def extractor() -> ContriqueDistortion:
    """CONTRIQUE with weights and statistics far from their start."""
    torch.manual_seed(0)
    extractor = ContriqueDistortion(pixels="imagenet")
    with torch.no_grad():
        for module in extractor.modules():
            if isinstance(module, FrozenBatchNorm):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.5)
                module.bias.normal_(std=0.1)
    return extractor


def unfolded(extractor: ContriqueDistortion, patches: Tensor) -> Tensor:
    with torch.no_grad():
        features = extractor.encoder(patches).mean((2, 3))
        tokens: Tensor = extractor.projector(F.normalize(features, dim=1))
    return tokens


@pytest.mark.parametrize("size", [16, 32, 64])
def test_folded_equals_the_network(extractor: ContriqueDistortion, size: int) -> None:
    patches = torch.randn(3, 3, size, size)
    expected = unfolded(extractor, patches)
    assert (extractor(patches) - expected).abs().max() <= 1e-4 * expected.std()


def test_folded_in_bfloat16(extractor: ContriqueDistortion) -> None:
    patches = torch.randn(3, 3, 32, 32)
    expected = unfolded(extractor, patches)
    with torch.autocast("cpu", torch.bfloat16):
        tokens = extractor(patches)
    assert tokens.dtype == torch.bfloat16
    assert (tokens - expected).abs().max() <= 0.2 * expected.std()


def test_frozen_stays_frozen(extractor: ContriqueDistortion) -> None:
    before = {key: value.clone() for key, value in extractor.state_dict().items()}
    extractor.train()
    assert not any(module.training for module in extractor.modules())
    tokens = extractor(torch.randn(2, 3, 32, 32, requires_grad=True))
    assert not tokens.requires_grad
    assert not any(p.requires_grad for p in extractor.parameters())
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(extractor)
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in converted.modules())
    assert all(torch.equal(value, before[key]) for key, value in extractor.state_dict().items())


def test_loading_drops_the_folded_weights(extractor: ContriqueDistortion) -> None:
    patches = torch.randn(2, 3, 32, 32)
    first = extractor(patches)
    assert extractor.derived_count == 1
    state = {key: value.clone() for key, value in extractor.state_dict().items()}
    extractor.load_state_dict({**state, "projector.4.bias": state["projector.4.bias"] + 1})
    assert extractor.derived_count == 0
    torch.testing.assert_close(extractor(patches), first + 1, rtol=1e-4, atol=1e-4)
    extractor.load_state_dict(state)


def test_free_extractor_learns() -> None:
    extractor = ContriqueDistortion(freeze=False).train()
    extractor(torch.randn(3, 3, 32, 32)).sum().backward()
    assert all(p.grad is not None for p in extractor.parameters())


def test_unit_pixels_undo_the_normalisation() -> None:
    pixels = torch.rand(2, 3, 4, 4)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    torch.testing.assert_close(UnitPixels()((pixels * 255 - mean) / std), pixels)


def test_block_transform_measures_grey_levels_of_luma() -> None:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (IMAGENET_MEAN, IMAGENET_STD))
    rows = torch.cos(torch.pi * (2 * torch.arange(8.0) + 1) * 3 / 16)
    pixels = torch.full((1, 3, 19, 16), 128.0)  # the last rows are no whole block
    pixels[:, :, 8:16, 8:] += 10 * rows[:, None]  # basis picture (3, 0): 8 columns of amplitude 10
    pixels[:, :, :8, :8] += 4  # the mean (0, 0)
    magnitudes = BlockTransformFront()((pixels - mean) / std)
    assert magnitudes.shape == (1, 4, 64)
    expected = torch.zeros(1, 4, 64)
    expected[0, 3, 3 * 8] = math.log1p(10 * 4 / (1 / 8) ** 0.5 * (2 / 8) ** 0.5)
    expected[0, 0, 0] = math.log1p(4 * 8)
    torch.testing.assert_close(magnitudes, expected, atol=1e-3, rtol=1e-3)


def test_block_transform_names_patches_that_are_too_small() -> None:
    with pytest.raises(ConfigurationError, match="fragment_size"):
        BlockTransformFront()(torch.zeros(1, 3, 7, 7))


@pytest.mark.parametrize("freeze", [False, True])
def test_small_extractor(freeze: bool) -> None:
    extractor = SmallDistortion(dim=6, width=4, freeze=freeze).train()
    tokens = extractor(torch.randn(5, 3, 32, 32))
    assert tokens.shape == (5, 6)
    assert tokens.requires_grad is not freeze
    if not freeze:
        tokens.square().sum().backward()
        for name, parameter in extractor.named_parameters():
            assert parameter.grad is not None, name
