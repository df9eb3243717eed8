from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError
from lightning_modules.video_quality.modulation import (
    ContentModulation,
    CrossAttention,
    DistortionModulation,
    GuideTokens,
    StageModulation,
    TemporalSelfAttention,
)


@pytest.mark.parametrize("scale", ["head", "channel"])
def test_cross_attention_by_hand(scale: str) -> None:
    attention = CrossAttention(8, 2, scale)  # type: ignore[arg-type]
    x, guide, group = torch.randn(1, 3, 5, 8), torch.randn(1, 2, 4, 8), torch.tensor([0, 0, 1])
    mixed = attention(x, guide, group)
    for frame in range(3):
        query, tokens = attention.query(x[0, frame]), guide[0, group[frame]]
        key, value = attention.key(tokens), attention.value(tokens)
        for head in (slice(0, 4), slice(4, 8)):
            logits = query[:, head] @ key[:, head].T / (8**0.5 if scale == "channel" else 2.0)
            torch.testing.assert_close(mixed[0, frame][:, head], logits.softmax(-1) @ value[:, head])


def test_channels_must_be_a_multiple_of_heads() -> None:
    with pytest.raises(ConfigurationError, match="multiple"):
        CrossAttention(10, 4, "head")


def test_self_attention_is_over_time_at_each_place() -> None:
    attention = TemporalSelfAttention(8, 2)
    x = torch.randn(2, 3, 4, 8)
    mixed = attention(x)
    changed = x.clone()
    changed[:, :, 1] += 1
    same = [0, 2, 3]
    torch.testing.assert_close(attention(changed)[:, :, same], mixed[:, :, same])
    query, key, value = attention.qkv(x[0, :, 1]).chunk(3, dim=-1)
    heads = [(query[:, h] @ key[:, h].T / 2.0).softmax(-1) @ value[:, h] for h in (slice(0, 4), slice(4, 8))]
    torch.testing.assert_close(mixed[0, :, 1], attention.out(torch.cat(heads, dim=1)))


def guide(dim: int, groups: int, frames: int) -> GuideTokens:
    return GuideTokens(torch.randn(2, groups, 4, dim), torch.arange(frames) * groups // frames)


def test_content_modulation_is_a_map_over_places() -> None:
    modulation = ContentModulation(8, 6, 3, 2, "head")
    x, tokens = torch.randn(2, 4, 9, 8), guide(6, 2, 4)
    content = modulation.describe(x, tokens)
    expected = torch.sigmoid(modulation.gamma(content)) * x + modulation.beta(content)
    torch.testing.assert_close(modulation(x, tokens), expected)


@pytest.mark.parametrize("self_attention", [True, False])
@pytest.mark.parametrize("width", [0, 3])
def test_distortion_modulation_is_a_vector_over_channels(width: int, self_attention: bool) -> None:
    modulation = DistortionModulation(8, 6, width, 2, "head", self_attention)
    x, tokens = torch.randn(2, 4, 9, 8), guide(6, 4, 4)
    described = modulation.describe(x, tokens)
    gamma = torch.sigmoid(modulation.gamma(described.std((1, 2))))
    beta = modulation.beta(described.mean((1, 2)))
    torch.testing.assert_close(modulation(x, tokens), gamma[:, None, None] * x + beta[:, None, None])


def test_deviation_of_equal_tokens_has_a_finite_gradient() -> None:
    modulation = DistortionModulation(8, 6, 3, 2, "head", False)
    x = torch.zeros(1, 2, 3, 8, requires_grad=True)
    modulation(x, GuideTokens(torch.zeros(1, 2, 4, 6), torch.arange(2))).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in modulation.parameters() if p.grad is not None)


def test_fusion_weighs_the_branches() -> None:
    content, distortion = ContentModulation(8, 6, 3, 2, "head"), DistortionModulation(8, 5, 3, 2, "head", True)
    x, seen, heard = torch.randn(2, 4, 9, 8), guide(6, 2, 4), guide(5, 4, 4)
    a1, a2 = torch.tensor([0.5]), torch.tensor([2.0])
    both = StageModulation(8, content, distortion, "modulation")(x, seen, heard, a1, a2)
    torch.testing.assert_close(both, (0.5 * distortion(x, heard) + 2 * content(x, seen)) / 2)
    one = StageModulation(8, content, None, "modulation")(x, seen, None, a1, a2)
    torch.testing.assert_close(one, 2 * content(x, seen))
    assert StageModulation(8, None, None, "modulation")(x, None, None, a1, a2) is x


def test_concatenation_joins_descriptions() -> None:
    content, distortion = ContentModulation(8, 6, 3, 2, "head"), DistortionModulation(8, 5, 3, 2, "head", True)
    stage = StageModulation(8, content, distortion, "concat")
    x, seen, heard = torch.randn(2, 4, 9, 8), guide(6, 2, 4), guide(5, 4, 4)
    joined = torch.cat([x, content.describe(x, seen), distortion.describe(x, heard)], dim=-1)
    assert stage.join is not None
    one = torch.ones(1)
    torch.testing.assert_close(stage(x, seen, heard, one, one), F.linear(joined, stage.join.weight, stage.join.bias))
    assert not any("gamma" in name or "beta" in name for name, _ in stage.named_parameters())


def test_groups_hold_even_when_there_are_as_many_as_frames() -> None:
    attention = CrossAttention(8, 2, "head")
    x, guide_tokens = torch.randn(1, 3, 5, 8), torch.randn(1, 3, 4, 8)
    group = torch.tensor([0, 0, 2])
    torch.testing.assert_close(attention(x, guide_tokens, group), attention(x, guide_tokens[:, group]))
