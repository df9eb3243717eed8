from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from lightning_modules.video_quality import swin3d
from lightning_modules.video_quality.gated_bias import Triple
from lightning_modules.video_quality.swin3d import DropPath, PatchEmbed, PatchMerging, SwinTransformer3D, reorder


def plain_stage(stage: swin3d.SwinStage, x: Tensor, window: Triple) -> Tensor:
    """A Swin stage as the papers write it: roll, partition, dense mask of -100 on all axes, softmax, and back."""
    size = x.shape[1:4]
    for number, block in enumerate(stage.blocks):
        assert isinstance(block, swin3d.SwinBlock)
        move = [w // 2 if number % 2 and s > w else 0 for s, w in zip(size, window, strict=True)]
        y = torch.roll(block.norm1(x), [-m for m in move], (1, 2, 3))
        region = torch.zeros(size)
        for axis, (n, w, m) in enumerate(zip(size, window, move, strict=True)):
            place = torch.arange(n)
            part = (place >= n - w).float() + (place >= n - m).float() if m else torch.zeros(n)
            region = region + part.view([-1 if a == axis else 1 for a in range(3)]) * 3**axis
        row, column = (
            torch.roll((torch.arange(size[a]) * 7 // size[a]), -move[a]).view([-1 if b == a else 1 for b in range(3)])
            for a in (1, 2)
        )

        def cut(values: Tensor) -> Tensor:
            d, h, w = (s // n for s, n in zip(size, window, strict=True))
            values = values.reshape(-1, d, window[0], h, window[1], w, window[2], values.shape[-1])
            return values.permute(0, 1, 3, 5, 2, 4, 6, 7).flatten(4, 6).flatten(0, 3)

        def pairs(values: Tensor) -> Tensor:
            flat = cut(values.expand(size).float()[None, ..., None])[..., 0]
            return flat[:, None, :] - flat[:, :, None]

        bias = block.attn.position_bias
        gate = (pairs(row).abs() + pairs(column).abs())[:, None]
        index = stage.geometries(size, x.device)[0].relative  # type: ignore[arg-type]
        between = bias.relative_position_bias_table[index].permute(2, 0, 1)
        dense = between[None]
        if bias.fragment_position_bias_table is not None:
            dense = between * gate + bias.fragment_position_bias_table[index].permute(2, 0, 1) * (1 - gate)
        dense = dense + torch.where(pairs(region) == 0, 0.0, -100.0)[:, None]
        windows = cut(y)
        heads = block.attn.heads
        q, k, v = block.attn.qkv(windows).view(*windows.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
        logits = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1]) + dense.repeat(len(x), 1, 1, 1)
        mixed = block.attn.proj((logits.softmax(-1) @ v).transpose(1, 2).flatten(2))
        d, h, w = (s // n for s, n in zip(size, window, strict=True))
        mixed = mixed.view(len(x), d, h, w, *window, -1).permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(x.shape)
        x = x + torch.roll(mixed, move, (1, 2, 3))
        x = x + block.mlp(block.norm2(x))
    return x


@pytest.mark.parametrize("frames", [2, 4])
@pytest.mark.parametrize("gated", [True, False])
def test_stage_equals_the_textbook(frames: int, gated: bool) -> None:
    torch.manual_seed(0)
    window = (2, 7, 7)
    stage = swin3d.SwinStage(8, 2, window, 2.0, (0.0, 0.0, 0.0), gated, False, 7, "distance").eval()
    for parameter in stage.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    x = torch.randn(2, frames, 14, 14, 8)
    torch.testing.assert_close(stage(x), plain_stage(stage, x, window), rtol=1e-4, atol=1e-4)


def test_a_few_windows_at_a_time_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    stage = swin3d.SwinStage(8, 2, (2, 7, 7), 2.0, (0.0, 0.0), True, True, 7, "distance").eval()
    x = torch.randn(2, 4, 28, 28, 8)
    before = x.clone()
    whole = stage(x)
    for windows in (1, 3, 16):
        monkeypatch.setattr(swin3d, "CPU_CHUNK_BYTES", windows * 2 * 98**2 * 4)
        with torch.no_grad():
            torch.testing.assert_close(stage(x), whole)
    assert torch.equal(x, before), "the input is not written over"


def test_gradients_reach_every_parameter() -> None:
    network = SwinTransformer3D(8, (2, 1), (1, 2), window=(2, 7, 7), patch_size=(2, 8, 8), gated_stages=(True, False))
    x = torch.randn(1, 3, 8, 112, 112, requires_grad=True)
    network(x).square().sum().backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().sum() > 0, name
    assert x.grad is not None


def test_reorder_inverts_itself_and_its_gradient_follows() -> None:
    index = torch.randperm(6)
    inverse = torch.argsort(index)
    x = torch.randn(2, 6, 3, dtype=torch.float64, requires_grad=True)
    assert torch.equal(reorder(reorder(x, index, inverse), inverse, index), x)
    assert torch.autograd.gradcheck(lambda t: reorder(t, index, inverse), (x,))


def test_patch_embedding_is_its_convolution() -> None:
    embed = PatchEmbed((2, 4, 4), 5)
    x = torch.randn(2, 3, 4, 8, 12)
    expected = embed.norm(embed.proj(x).permute(0, 2, 3, 4, 1))
    torch.testing.assert_close(embed(x), expected)


def test_merging_joins_columns_first_and_fills_odd_maps() -> None:
    merge = PatchMerging(1)
    x = torch.arange(4.0).view(1, 1, 2, 2, 1)
    seen: list[Tensor] = []
    merge.norm.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    merge(x)
    assert seen[0].flatten().tolist() == [0.0, 2.0, 1.0, 3.0]
    assert merge(torch.ones(1, 2, 3, 5, 1)).shape == (1, 2, 2, 3, 2)


def test_drop_path_keeps_the_mean() -> None:
    torch.manual_seed(0)
    drop = DropPath(0.25)
    dropped = drop(torch.ones(4000, 2))
    assert dropped.unique().tolist() == pytest.approx([0.0, 4 / 3])
    assert dropped.mean() == pytest.approx(1.0, abs=0.05)
    assert torch.equal(drop.eval()(torch.ones(3, 2)), torch.ones(3, 2))
