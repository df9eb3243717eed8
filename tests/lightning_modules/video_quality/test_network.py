from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from lightning_modules.video_quality.network import KSVQENetwork, KSVQEOutput, key_frame_groups
from lightning_modules.video_quality.presets import KSVQEConfig

Smallest = Callable[..., KSVQEConfig]
Clips = Callable[..., tuple[Tensor, Tensor]]
Make = Callable[..., tuple[KSVQENetwork, tuple[Tensor, Tensor]]]


@pytest.fixture
def make(smallest: Smallest, clips: Clips) -> Make:
    """Make a smallest network and what it is given."""

    def network_and_inputs(batch: int = 2, **overrides: Any) -> tuple[KSVQENetwork, tuple[Tensor, Tensor]]:
        config = smallest(**overrides)
        return KSVQENetwork(config), clips(config, batch)

    return network_and_inputs


def loss_of(output: KSVQEOutput) -> Tensor:
    return output.score.square().sum() + output.distortion_tokens.square().sum()


def test_output_shapes(make: Make) -> None:
    network, inputs = make(3)
    output = network(*inputs)
    assert output.score.shape == (3,)
    assert output.importance.shape == (3, 4, 2, 2)
    assert output.selection.region.shape == (3, 3, 8, 56, 56)
    assert output.selection.index.shape == (3, 4)
    assert output.distortion_tokens.shape == (3, 4 * 49, 12)


@pytest.mark.parametrize(
    "overrides",
    [
        {},
        {"grid_size": 7},
        {"grid_size": 9},
        {"grid_size": 10},
        {"gate": "binary"},
        {"qrs": False},
        {"cam": False},
        {"dam": False},
        {"cam": False, "dam": False},
        {"qrs": False, "cam": False},
        {"qrs": False, "cam": False, "dam": False},
        {"content_adapter": False},
        {"distortion_adapter": False},
        {"dam_self_attention": False},
        {"fusion": "concat"},
        {"fusion": "concat", "cam": False},
        {"fusion": "concat", "dam": False},
        {"attention_scale": "channel", "attention_heads": (4, 2)},
        {"tuning_stage": 1},
        {"key_frame_layout": "official"},
        {"num_key_frames": 2, "content_size": 48},
        {"freeze_content": True},
        {"freeze_distortion": True},
        {"drop_path": 0.2},
    ],
    ids=str,
)
def test_every_switch_learns(overrides: dict[str, Any], make: Make) -> None:
    """Forward and backward: all that may learn gets a gradient, nothing frozen does, and evaluation repeats exactly."""
    torch.manual_seed(0)
    network, inputs = make(**overrides)
    config = network.config
    network.train()
    for _ in range(2):
        loss_of(network(*inputs)).backward()
    idle = {"qrs", "drop_path"} & set(overrides)  # without QRS nothing asks for the class token's adapters
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            assert parameter.grad is None, name
            assert name.startswith(("content.tower.", "distortion.extractor.")), name
        elif not idle and not (config.grid_size == config.window and name.startswith("content.")):
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
    network.eval()
    with torch.no_grad():
        assert torch.equal(network(*inputs).score, network(*inputs).score)


def test_evaluation_with_and_without_gradient_agree(make: Make) -> None:
    network, inputs = make()
    network.eval()
    with torch.no_grad():
        quick = network(*inputs).score
    torch.testing.assert_close(quick, network(*inputs).score, rtol=1e-4, atol=1e-5)


def test_training_after_evaluation_uses_the_new_tables(make: Make) -> None:
    network, inputs = make()
    with torch.inference_mode():
        before = network.eval()(*inputs).score.clone()
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    loss_of(network.train()(*inputs)).backward()
    optimizer.step()
    with torch.inference_mode():
        after = network.eval()(*inputs).score
    fresh = KSVQENetwork(network.config).eval()
    fresh.load_state_dict(network.state_dict())
    with torch.inference_mode():
        assert torch.equal(fresh(*inputs).score, after)
    assert not torch.equal(before, after)


def test_a_copy_is_independent(make: Make) -> None:
    network, inputs = make()
    network.eval()
    with torch.no_grad():
        expected = network(*inputs).score
        twin = copy.deepcopy(network)
        for parameter in network.parameters():
            parameter.zero_()
        assert torch.equal(twin(*inputs).score, expected)


def test_bfloat16_autocast(make: Make) -> None:
    torch.manual_seed(0)
    network, inputs = make()
    with torch.autocast("cpu", torch.bfloat16):
        loss_of(network(*inputs)).backward()
    network.eval()
    with torch.no_grad():
        exact = network(*inputs)
        with torch.autocast("cpu", torch.bfloat16):
            rough = network(*inputs)
    assert rough.score.dtype == torch.float32
    torch.testing.assert_close(rough.score, exact.score, rtol=0.1, atol=0.05)


def test_state_dict_holds_no_derived_tensors(make: Make) -> None:
    network, inputs = make()
    network.eval()
    before = set(network.state_dict())
    with torch.no_grad():
        network(*inputs)
    assert set(network.state_dict()) == before
    assert not any("index" in key or "mask" in key or "gate" in key for key in before)


def test_official_key_frames_change_the_group_at_their_index() -> None:
    groups = key_frame_groups("official", 32, 4).tolist()
    assert [groups.index(g) for g in range(4)] == [0, 7, 15, 23]
    assert groups == sorted(groups)


def test_contrique_joins_the_network(make: Make) -> None:
    sizes = {"fragment_size": 32, "patch_size": (2, 16, 16)}
    network, inputs = make(1, distortion_arch="contrique", freeze_distortion=True, **sizes)
    output = network.train()(*inputs)
    loss_of(output).backward()
    assert network.distortion is not None
    assert not network.distortion.extractor.training
    assert all(p.grad is None for p in network.distortion.extractor.parameters())
    assert network.distortion.adapter is not None
    assert all(p.grad is not None for p in network.distortion.adapter.parameters())
