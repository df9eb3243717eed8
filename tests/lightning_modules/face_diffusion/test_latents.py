"""Latent diffusion: what stands before the network, what a round keeps, and folders that come back the same."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from callbacks.face_diffusion.diffusers_folder import DiffusersFolder
from callbacks.face_diffusion.reward_rounds import RewardRounds
from callbacks.training.parameter_ema import ParameterEMA
from datamodules.common.errors import CheckpointError, ConfigurationError
from datamodules.common.seeded_draws import normals
from lightning_modules import RewardTunedDiffusion
from lightning_modules.face_diffusion.autoencoder import Autoencoder
from lightning_modules.face_diffusion.guidance import ShareGuidance
from lightning_modules.face_diffusion.rewards.judges import Judge
from lightning_modules.face_diffusion.starting import save_folder
from tests.lightning_modules.face_diffusion.bright import Bright
from tests.lightning_modules.face_diffusion.test_adapters import copied, fitted, moved
from tests.lightning_modules.face_diffusion.test_starting import KEYS, NONE, small

ENDS = {"block_out_channels": [8, 8], "down_block_types": ["DownEncoderBlock2D"] * 2}
ENDS |= {"up_block_types": ["UpDecoderBlock2D"] * 2, "norm_num_groups": 4, "sample_size": 16}
KL = {"_class_name": "AutoencoderKL", "latent_channels": 4, **ENDS}
VQ = {"_class_name": "VQModel", "latent_channels": 5, "vq_embed_dim": 2, "num_vq_embeddings": 8, **ENDS}
PICTURES = torch.randint(0, 256, (3, 3, 16, 16), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)


def latent(config: dict[str, Any] = KL, **options: Any) -> RewardTunedDiffusion:
    return small(**{"image_size": 16, "autoencoder_config": config, **options})


def saved(model: RewardTunedDiffusion, folder: Path) -> Path:
    save_folder(folder, model.unet, model.schedule.config, model.autoencoder)
    return folder


@pytest.mark.parametrize("config", [KL, VQ])
def test_the_network_sees_latents_and_makes_pictures(config: dict[str, Any]) -> None:
    model = latent(config).eval()
    channels = 4 if config is KL else 2
    assert model.sample_shape == (channels, 8, 8)
    assert model.image_size == 16
    assert model.unet.config.in_channels == channels
    signal = model.signal(PICTURES, KEYS)
    assert signal.shape == (3, channels, 8, 8)
    assert torch.equal(model.signal(signal, KEYS), signal)
    made = model.sample(KEYS, NONE)
    assert (made.dtype, made.shape) == (torch.uint8, (3, 3, 16, 16))
    drawn = model.drawn(KEYS, NONE)
    assert drawn.is_floating_point()
    assert torch.equal(model.pictures(drawn), made)
    assert not any(value.requires_grad for value in model.autoencoder.parameters())
    assert not model.train().autoencoder.network.training
    assert model.losses(PICTURES, NONE, KEYS).requires_grad


def test_a_latent_is_the_scaled_draw_of_its_key() -> None:
    torch.manual_seed(0)
    statistics = {"latents_mean": [0.1, 0.2, 0.3, 0.4], "latents_std": [1.0, 2.0, 3.0, 4.0]}
    for config, shift, scale in (
        ({**KL, "scaling_factor": 0.5, "shift_factor": 0.25}, 0.25, torch.tensor(0.5)),
        (
            {**KL, "scaling_factor": 2.0, **statistics},
            torch.tensor(statistics["latents_mean"]).reshape(4, 1, 1),
            2 / torch.tensor(statistics["latents_std"]).reshape(4, 1, 1),
        ),
    ):
        autoencoder = Autoencoder(config)
        spread = autoencoder.network.encode(PICTURES / 127.5 - 1).latent_dist
        drawn = spread.mean + spread.std * normals(KEYS, "latent", (4, 8, 8))
        found = autoencoder.encode(PICTURES, KEYS)
        torch.testing.assert_close(found, (drawn - shift) * scale, rtol=1e-5, atol=1e-5)
        alone = autoencoder.encode(PICTURES[1:2], KEYS[1:2])
        torch.testing.assert_close(alone, found[1:2], rtol=1e-4, atol=1e-5)
        decoded = autoencoder.network.decode(drawn).sample
        wanted = ((decoded.clamp(-1, 1) + 1) * 127.5).round()
        assert (autoencoder.decode(found).float() - wanted).abs().max() <= 1


def test_latents_are_never_clipped(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    assert latent().schedule.config["clip_sample"] is False
    folder = saved(latent(), tmp_path / "folder")
    scheduler = folder / "scheduler" / "scheduler_config.json"
    scheduler.write_text(json.dumps({**json.loads(scheduler.read_text()), "clip_sample": True}))
    with caplog.at_level(logging.INFO):
        model = small(weights=str(folder))
    assert "clip_sample is turned off" in caplog.text
    assert model.schedule.config["clip_sample"] is False
    assert model.eval().sample_signal(KEYS, NONE).abs().max() > 1.2  # beyond what would have been cut off


@pytest.mark.parametrize(("config", "name"), [(KL, "vae"), (KL, "vqvae"), (VQ, "vqvae")])
def test_a_folder_comes_back_with_its_autoencoder(config: dict[str, Any], name: str, tmp_path: Path) -> None:
    import diffusers

    model = latent({**config, "_folder": name}).eval()
    folder = saved(model, tmp_path / "folder")
    assert (folder / name / "config.json").is_file()
    again = small(weights=str(folder)).eval()
    assert torch.equal(again.sample(KEYS, NONE), model.sample(KEYS, NONE))
    assert again.image_size == 16
    twice = saved(again, tmp_path / "twice")
    assert {one.name for one in twice.iterdir()} == {one.name for one in folder.iterdir()}
    kind = getattr(diffusers, config["_class_name"])
    loaded = kind.from_pretrained(folder, subfolder=name, local_files_only=True)
    for key, value in loaded.state_dict().items():
        assert torch.equal(value, model.autoencoder.network.state_dict()[key])
    if name == "vqvae":
        pipeline = diffusers.LDMPipeline.from_pretrained(folder, local_files_only=True)
        pipeline.set_progress_bar_config(disable=True)
        assert pipeline(num_inference_steps=2).images[0].size == (16, 16)


def test_a_new_model_takes_an_autoencoder_from_its_folder(tmp_path: Path) -> None:
    folder = saved(latent({**KL, "_folder": "vae"}), tmp_path / "folder")
    model = small(image_size=16, autoencoder=str(folder / "vae"))
    held = load_file(folder / "vae" / "diffusion_pytorch_model.safetensors")
    assert all(torch.equal(model.autoencoder.network.state_dict()[key], value) for key, value in held.items())
    bare = tmp_path / "bare"  # of which the autoencoder lies elsewhere
    shutil.copytree(folder, bare, ignore=lambda _, names: [one for one in names if one in ("vae", "model_index.json")])
    assert small(weights=str(bare), autoencoder=str(folder / "vae")).image_size == 16


def test_a_tuning_keeps_latents_and_leaves_the_autoencoder(tmp_path: Path) -> None:
    model = latent(gamma=0.5)
    before = copied(model.autoencoder)
    rounds = RewardRounds(Bright(), samples=6, batch_size=4, every=3)
    checkpoint = fitted(model, tmp_path, ParameterEMA(decay=0.5), rounds, DiffusersFolder(), image_size=16)
    assert not moved(before, model.autoencoder)
    assert model.round.samples.shape == (6, 4, 8, 8)
    pictures = model.pictures(model.round.samples).float().mean(dim=(1, 2, 3)) / 255
    torch.testing.assert_close(model.round.scored.reward, pictures, rtol=0, atol=1e-6)
    made = model.eval().sample(KEYS, NONE)
    for again in (
        RewardTunedDiffusion.load_from_checkpoint(checkpoint, weights_only=True),
        small(weights=str(checkpoint)),
        small(weights=str(tmp_path / "diffusers")),
    ):
        assert torch.equal(again.eval().sample(KEYS, NONE), made)


class Shine(Judge):
    """Says whether a picture is bright."""

    def __init__(self) -> None:
        super().__init__()
        self.names = ["bright"]

    def forward(self, pictures: Tensor) -> Tensor:
        return torch.sigmoid((pictures.float().mean(dim=(1, 2, 3)) - 127) / 8)[:, None]


def test_guidance_looks_at_decoded_pictures() -> None:
    model = latent().eval()
    guidance = ShareGuidance(Shine(), ["bright"], target=1.0, scale=20.0)
    guidance.load()
    batch = {"noise_key": KEYS, "label": NONE, "index": torch.arange(3), "valid": torch.ones(3, dtype=torch.bool)}
    plain = model.predict_step(batch, 0)["image"]
    model.guidance = guidance
    led = model.predict_step(batch, 0)["image"]
    assert bool((led.float().mean(dim=(1, 2, 3)) > plain.float().mean(dim=(1, 2, 3)) + 1).all())


def changed(config: dict[str, Any], **values: Any) -> dict[str, Any]:
    return {**config, **values}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"autoencoder_config": changed(KL, _class_name="AutoencoderTiny")}, "is a AutoencoderTiny, and AutoencoderKL"),
        ({"autoencoder_config": changed(KL, in_channels=1)}, "goes from 1 channels to 3, but pictures have 3"),
        ({"autoencoder_config": KL, "image_size": 15}, "image_size is 15.*multiple of 2"),
        ({"autoencoder_config": KL, "image_size": 6, "channels": (8, 8, 8)}, "latents of 3 pixels cannot be halved"),
        ({"autoencoder_config": KL, "unet": {"sample_size": 8}}, "channels to 3, but the autoencoder's latents have 4"),
        ({"unet": {"sample_size": 8, "in_channels": 4, "out_channels": 4}}, "for a model of latents name its autoen"),
        ({"unet": {"sample_size": [8, 16]}}, r"sample_size of the UNet of the configuration is \[8, 16\]"),
        ({"unet": {"layers_per_block": 1}}, "sample_size of the UNet of the configuration is None"),
        ({"autoencoder_config": KL, "weights": "x"}, "leave it out"),
        ({"autoencoder": "nowhere"}, "autoencoder nowhere holds no config.json"),
    ],
)
def test_latents_that_do_not_fit_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises((ConfigurationError, CheckpointError), match=message):
        small(**{"image_size": 16, **options})


def test_folders_of_latents_that_lack_something_are_refused(tmp_path: Path) -> None:
    folder = saved(latent({**KL, "_folder": "vae"}), tmp_path / "folder")
    with pytest.raises(ConfigurationError, match="brings its own autoencoder"):
        small(weights=str(folder), autoencoder=str(folder / "vae"))
    (folder / "vae" / "diffusion_pytorch_model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"the weights of .*vae are wanted as safetensors, but it has none"):
        small(weights=str(folder))
    shutil.rmtree(folder / "vae")
    with pytest.raises(CheckpointError, match=r"works on latents but lacks vae/config\.json"):
        small(weights=str(folder))
    (folder / "model_index.json").unlink()
    with pytest.raises(ConfigurationError, match="for a model of latents name its autoencoder"):
        small(weights=str(folder))


def test_pictures_of_another_side_are_refused_before_the_first_step(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="the data give pictures of 16 pixels, but the model makes them of 8"):
        fitted(small(), tmp_path, image_size=16)
