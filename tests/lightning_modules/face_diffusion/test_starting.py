"""What a tuning begins from: folders of diffusers that come back the same, and those that cannot be tuned."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from safetensors.torch import load_file, save_file

from callbacks.face_diffusion.diffusers_folder import DiffusersFolder
from datamodules import FaceDiffusionDataModule
from datamodules.common.errors import CheckpointError, ConfigurationError
from datamodules.common.seeded_draws import key_of
from datamodules.faces.renderer.settings import FaceDemoSettings
from lightning_modules import RewardTunedDiffusion
from lightning_modules.face_diffusion.starting import load_model

KEYS = key_of(0, torch.arange(3))
NONE = torch.full((3,), -1)


def small(**options: Any) -> RewardTunedDiffusion:
    torch.manual_seed(1)
    arguments: dict[str, Any] = {
        "image_size": 8,
        "channels": (8, 16),
        "attention_levels": (1,),
        "sampling_steps": 3,
    } | options
    return RewardTunedDiffusion(**arguments)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("folder")
    trainer = L.Trainer(
        accelerator="cpu", logger=False, enable_checkpointing=False, default_root_dir=place, max_epochs=0
    )
    DiffusersFolder().on_fit_end(trainer, small())
    return place / "diffusers"


def test_a_folder_gives_the_same_samples_and_opens_in_diffusers(folder: Path) -> None:
    from diffusers import DDIMPipeline

    model = small()
    again = small(weights=str(folder))
    assert torch.equal(again.eval().sample(KEYS, NONE), model.eval().sample(KEYS, NONE))
    assert again.hparams["unet"]["block_out_channels"] == [8, 16]
    pipeline = DDIMPipeline.from_pretrained(folder, local_files_only=True)
    assert pipeline.scheduler.config.prediction_type == "v_prediction"
    assert pipeline.scheduler.config.timestep_spacing == "trailing"


def test_a_model_with_classes_makes_what_it_is_told() -> None:
    model = small(class_names=["a", "b"]).eval()
    one, two = (model.sample(KEYS, torch.full((3,), label)) for label in (0, 1))
    assert not torch.equal(one, two)
    assert model.labels_for(torch.arange(5)).tolist() == [0, 1, 0, 1, 0]


def changed(folder: Path, copy: Path, name: str, content: str | None) -> Path:
    shutil.copytree(folder, copy)
    if content is None:
        (copy / name).unlink()
    else:
        (copy / name).parent.mkdir(exist_ok=True)
        (copy / name).write_text(content)
    return copy


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("unet/config.json", None, "is no folder of a diffusion model"),
        ("unet/config.json", json.dumps({"_class_name": "UNet2DConditionModel"}), "holds a UNet2DConditionModel"),
        ("unet/config.json", "{", "cannot be read"),
        ("scheduler/scheduler_config.json", None, "lacks scheduler/scheduler_config.json"),
        ("vae/diffusion_pytorch_model.safetensors", "", "works on latents but lacks vae/config.json"),
        ("unet/diffusion_pytorch_model.safetensors", "nothing", "the weights in .* cannot be read"),
    ],
)
def test_a_folder_that_lacks_a_part_is_named(
    folder: Path, tmp_path: Path, name: str, content: str | None, message: str
) -> None:
    with pytest.raises(CheckpointError, match=message):
        load_model(str(changed(folder, tmp_path / "copy", name, content)), "lightning_modules.RewardTunedDiffusion")


def test_weights_that_are_pickled_missing_or_in_part_are_named(folder: Path, tmp_path: Path) -> None:
    name = "diffusion_pytorch_model"
    shutil.copytree(folder, tmp_path / "copy")
    file = tmp_path / "copy" / "unet" / f"{name}.safetensors"
    state = load_file(file)
    save_file({key: value for key, value in state.items() if key != "conv_in.bias"}, file)
    with pytest.raises(CheckpointError, match=r"1 missing: conv_in\.bias"):
        small(weights=str(tmp_path / "copy"))
    file.unlink()
    with pytest.raises(CheckpointError, match="wanted as safetensors, but it has none"):
        small(weights=str(tmp_path / "copy"))
    torch.save(state, file.with_suffix(".bin"))
    with pytest.raises(CheckpointError, match=rf"has {name}\.bin alone, and such a file can hold code"):
        small(weights=str(tmp_path / "copy"))


def test_data_of_other_classes_than_the_network_s_are_refused(tmp_path: Path) -> None:
    demo = FaceDemoSettings(train=4, val=2, test=2)
    told = FaceDiffusionDataModule(image_size=8, classes=["Smiling"], conditional=True, demo=demo)
    for model, data, message in (
        (small(), told, "tell the model 2 classes, but it takes none"),
        (small(class_names=["a", "b"]), FaceDiffusionDataModule(image_size=8, demo=demo), "no classes, but it takes 2"),
    ):
        trainer = L.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False, default_root_dir=tmp_path)
        with pytest.raises(ConfigurationError, match=message):
            trainer.fit(model, datamodule=data)


def test_without_diffusers_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "diffusers", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'appraise\[diffusion\]'"):
        small()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 10, "channels": (8, 8, 8)}, "pictures of 10 pixels cannot be halved 2 times"),
        ({"channels": (8, 12)}, "each must be a multiple of 8"),
        ({"weights": "nowhere.ckpt"}, "There is no checkpoint at nowhere.ckpt"),
        ({"weights": "x", "unet": {}}, "brings its own network and schedule"),
        ({"sampling_steps": 20, "noise_steps": 10}, r"sampling_steps is 20; the model was made for 1\.\.10"),
        ({"noise_schedule": {"beta_schedule": "foo"}}, "makes no noise .*foo is not implemented"),
        ({"noise_schedule": {"prediction_type": "sample"}}, "prediction_type is 'sample', and v_prediction and"),
        ({"eta": 1.5}, r"eta is 1\.5, but must be in 0\.\.1"),
        ({"gamma": float("nan")}, "gamma is nan, but must be at least 0"),
        ({"gamma": -0.5}, r"gamma is -0\.5, but must be at least 0"),
    ],
)
def test_networks_that_cannot_be_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigurationError, CheckpointError), match=message):
        small(**options)
