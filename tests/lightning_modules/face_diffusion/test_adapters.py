"""Named parts and low-rank adapters: what learns, what stays as it was, and how both come back from files."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor, nn

from callbacks.face_diffusion.diffusers_folder import DiffusersFolder
from callbacks.training.parameter_ema import ParameterEMA
from datamodules import FaceDiffusionDataModule
from datamodules.common.errors import ConfigurationError
from datamodules.faces.renderer.settings import FaceDemoSettings
from lightning_modules import RewardTunedDiffusion
from lightning_modules.face_diffusion.network import build_unet, unet_config
from lightning_modules.nn.adapters import Adapters, add_adapters, without_adapters
from tests.lightning_modules.face_diffusion.test_starting import KEYS, NONE, small

ADAPTERS: dict[str, Any] = {"adapter_rank": 2, "adapter_targets": ["*.to_q", "*.conv1"]}


def fitted(model: RewardTunedDiffusion, folder: Path, *callbacks: L.Callback, image_size: int = 8) -> Path:
    """Checkpoint of a training of four steps."""
    data = FaceDiffusionDataModule(image_size=image_size, batch_size=4, demo=FaceDemoSettings(train=8, val=4, test=4))
    trainer = L.Trainer(
        max_steps=4, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=folder, callbacks=list(callbacks), limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(model, datamodule=data)
    trainer.save_checkpoint(folder / "tuned.ckpt")
    return folder / "tuned.ckpt"


def copied(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in module.state_dict().items()}


def moved(before: dict[str, Tensor], module: nn.Module) -> set[str]:
    return {name for name, value in module.state_dict().items() if not torch.equal(before[name], value)}


@pytest.mark.parametrize(
    ("options", "learns"),
    [
        (
            {"train_only": ["mid_block.attentions", "*.norm?.bias"]},
            ("mid_block.attentions", "norm1.bias", "norm2.bias"),
        ),
        (ADAPTERS, ("lora_",)),
        ({**ADAPTERS, "train_only": ["conv_out"]}, ("lora_", "conv_out")),
    ],
)
def test_what_is_not_named_stays_bit_for_bit(options: dict[str, Any], learns: tuple[str, ...], tmp_path: Path) -> None:
    model = small(**options)
    before = copied(model.unet)
    wanted = {name for name in before if any(word in name for word in learns)}
    assert {name for name, value in model.unet.named_parameters() if value.requires_grad} == wanted
    assert 0 < len(wanted) < len(before)
    fitted(model, tmp_path, ParameterEMA(decay=0.5))
    found = moved(before, model.unet)
    assert found <= wanted
    assert len(found) > len(wanted) / 2  # a softmax does not see the bias of its keys
    groups = model.default_optimizer(model.parameter_groups()).param_groups
    assert sum(len(group["params"]) for group in groups) == len(wanted)


def test_frozen_parts_stay_in_evaluation_mode() -> None:
    model = small(train_only=["mid_block"]).eval().train()
    assert not model.unet.get_submodule("down_blocks.0.resnets.0.dropout").training
    assert model.unet.get_submodule("mid_block.resnets.0.dropout").training
    assert small().unet.get_submodule("down_blocks.0.resnets.0.dropout").training


@pytest.mark.parametrize(
    "targets", [["*.to_q", "*.to_k", "*.to_v", "*.to_out"], ["*.conv1", "conv_in", "*.conv_shortcut"]]
)
def test_merged_adapters_say_what_they_said_beside_the_layers(targets: list[str]) -> None:
    torch.manual_seed(0)
    network = build_unet(unet_config(8, (8, 16), 1, (1,), None)).double()
    plain = set(network.state_dict())
    noisy, time = torch.randn(2, 3, 8, 8, dtype=torch.float64), torch.tensor([3, 700])
    at_first = network(noisy, time)[0]
    add_adapters(network, Adapters(3, 6.0, targets))
    torch.testing.assert_close(network(noisy, time)[0], at_first, rtol=0, atol=1e-12)
    for name, value in network.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(value, std=0.1)
    merged = without_adapters(network)
    said = network(noisy, time)[0]
    assert (said - at_first).abs().max() > 1e-3
    torch.testing.assert_close(merged(noisy, time)[0], said, rtol=0, atol=1e-10)
    assert set(merged.state_dict()) == plain
    assert all(value.requires_grad for value in merged.parameters())
    assert any("lora_A" in name for name in network.state_dict())  # which is left as it was


def test_a_tuned_checkpoint_predicts_and_begins_another_tuning(tmp_path: Path) -> None:
    model = small(**ADAPTERS)
    checkpoint = fitted(model, tmp_path, ParameterEMA(decay=0.5), DiffusersFolder())
    again = RewardTunedDiffusion.load_from_checkpoint(checkpoint, weights_only=True)
    made = model.eval().sample(KEYS, NONE)
    assert torch.equal(again.eval().sample(KEYS, NONE), made)
    signal = model.sample_signal(KEYS, NONE)
    for weights in (checkpoint, tmp_path / "diffusers"):
        started = small(weights=str(weights))
        assert not any("lora" in name for name in started.state_dict())
        assert all(value.requires_grad for value in started.unet.parameters())
        torch.testing.assert_close(started.eval().sample_signal(KEYS, NONE), signal, rtol=0, atol=1e-4)
    another = small(weights=str(checkpoint), train_only=["mid_block"], adapter_rank=1)
    torch.testing.assert_close(another.eval().sample_signal(KEYS, NONE), signal, rtol=0, atol=1e-4)


def test_diffusers_opens_a_folder_of_merged_adapters(tmp_path: Path) -> None:
    from diffusers import UNet2DModel

    model = small(**ADAPTERS)
    fitted(model, tmp_path, DiffusersFolder())
    unet = UNet2DModel.from_pretrained(tmp_path / "diffusers" / "unet", local_files_only=True).eval()
    assert set(unet.state_dict()) == set(small().unet.state_dict())
    noisy, time = torch.randn(2, 3, 8, 8), torch.tensor([3, 700])
    torch.testing.assert_close(unet(noisy, time)[0], model.eval().unet(noisy, time)[0], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train_only": ["mid_blok"]}, "train_only names 'mid_blok'.*no such part.*mid_block"),
        ({"train_only": []}, "train_only is empty"),
        ({"adapter_rank": 2, "adapter_targets": ["*.to_qq"]}, r"adapter_targets names '\*\.to_qq'.*\*\.to_q"),
        ({"adapter_rank": 2, "adapter_targets": ["*.norm1"]}, r"adapter_targets names '\*\.norm1'.*no such part"),
        ({"adapter_rank": 2, "adapter_targets": []}, "adapter_targets is empty"),
        ({"adapter_rank": 0}, "adapter_rank is 0, but must be at least 1"),
        ({"adapter_rank": 2, "attention_levels": ()}, "adapter_targets names"),
    ],
)
def test_parts_that_are_not_there_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        small(**options)


def test_without_peft_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(ConfigurationError, match=r"adapters need the package peft.*appraise\[diffusion\]"):
        small(adapter_rank=1)
