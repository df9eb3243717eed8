from __future__ import annotations

import pytest
import torch
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel

from datamodules.common.errors import ConfigurationError
from lightning_modules.video_quality.content import ClipContent, ClipTower


def small_tower() -> ClipTower:
    torch.manual_seed(0)
    return ClipTower(width=16, layers=3, heads=2, patch_size=8, image_size=32)


def reference(tower: ClipTower, images: Tensor) -> Tensor:
    """Last hidden state of the CLIP of `transformers` with the tower's weights."""
    config = CLIPVisionConfig(
        hidden_size=16,
        intermediate_size=64,
        num_hidden_layers=3,
        num_attention_heads=2,
        image_size=32,
        patch_size=8,
        hidden_act="quick_gelu",
    )
    model = CLIPVisionModel(config)
    names = {"pre_norm.": "pre_layrnorm.", "blocks.": "encoder.layers."}
    state = model.state_dict()
    for key, value in tower.state_dict().items():
        for ours, theirs in names.items():
            key = key.replace(ours, theirs) if key.startswith(ours) else key
        state[key] = value
    model.load_state_dict(state)
    hidden: Tensor = model.eval()(images, interpolate_pos_encoding=True).last_hidden_state
    return hidden


@pytest.mark.parametrize("size", [32, 16, 40])
def test_tower_is_the_clip_of_transformers(size: int) -> None:
    content = ClipContent(small_tower(), adapted_blocks=0)
    images = torch.randn(2, 3, size, size)
    tokens = content(images)
    expected = reference(content.tower, images)
    torch.testing.assert_close(tokens.class_token, expected[:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(tokens.patch_tokens, expected[:, 1:], rtol=1e-4, atol=1e-5)
    assert tokens.patch_tokens.shape[1] == (size // 8) ** 2
    assert content.map_size(size, size) == (size // 8, size // 8)


def test_adapters_blend_into_the_class_token_only() -> None:
    content = ClipContent(small_tower(), adapted_blocks=1, adapter_width=4)
    images = torch.randn(2, 3, 16, 16)
    plain = ClipContent(content.tower, adapted_blocks=0)(images)
    tokens = content(images)
    adapted = content.adapters[0](plain.class_token)
    torch.testing.assert_close(tokens.class_token, 0.5 * adapted + 0.5 * plain.class_token)
    assert torch.equal(tokens.patch_tokens, plain.patch_tokens)


def test_only_adapters_of_a_frozen_tower_learn() -> None:
    content = ClipContent(small_tower(), adapted_blocks=2, adapter_width=4).train()
    assert not content.tower.training
    tokens = content(torch.randn(2, 3, 16, 16))
    (tokens.class_token.sum() + tokens.patch_tokens.square().sum()).backward()
    assert all(p.grad is None and not p.requires_grad for p in content.tower.parameters())
    for name, parameter in content.adapters.named_parameters():
        assert parameter.grad is not None, name


def test_more_adapters_than_blocks_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="content tower has 3 blocks"):
        ClipContent(small_tower(), adapted_blocks=4)
