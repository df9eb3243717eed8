"""What a training begins from: a checkpoint of this method, or a folder in the layout of diffusers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

from torch import nn

from datamodules.common.errors import CheckpointError
from lightning_modules.face_diffusion.autoencoder import KINDS, Autoencoder
from lightning_modules.face_diffusion.library import diffusers
from lightning_modules.face_diffusion.network import build_unet
from lightning_modules.nn.adapters import Adapters, add_adapters, without_adapters
from lightning_modules.nn.checkpoint_loading import load_strictly, raise_for_keys
from lightning_modules.nn.method_checkpoint import read_method_checkpoint

_INDEX = "model_index.json"
_LATENT = ("vae", "vqvae")  # folders of autoencoders


class Loaded(NamedTuple):
    """What a folder of diffusers holds.

    Attributes:
        unet: Its configuration.
        scheduler: Its configuration.
        autoencoder: Its configuration; None where the model works on pixels.
    """

    unet: dict[str, Any]
    scheduler: dict[str, Any]
    autoencoder: dict[str, Any] | None


class Started(NamedTuple):
    """A network to begin from.

    Attributes:
        unet: Its configuration.
        schedule: Configuration of its noise.
        network: The network with its weights.
        autoencoder: In front of it; None where it works on pixels.
    """

    unet: dict[str, Any]
    schedule: dict[str, Any]
    network: nn.Module
    autoencoder: Autoencoder | None


def load_model(weights: str, class_path: str) -> Started:
    """The network of a checkpoint or folder.

    Args:
        weights: A file, or a folder.
        class_path: Public name of the method that wrote the file.

    Raises:
        CheckpointError: If it holds no network that can be tuned.
    """
    if Path(weights).expanduser().is_dir():
        loaded = read_folder(weights)
        autoencoder = None
        if loaded.autoencoder is not None:
            autoencoder = load_autoencoder(str(Path(weights) / loaded.autoencoder["_folder"]))
        return Started(loaded.unet, loaded.scheduler, load_unet(weights), autoencoder)
    saved, state, _ = read_method_checkpoint(weights, class_path, "weights")
    network = build_unet(saved["unet"])
    if saved.get("adapter_rank") is not None:
        add_adapters(network, Adapters(*(saved[f"adapter_{name}"] for name in Adapters._fields)))
    autoencoder = None if saved.get("autoencoder_config") is None else Autoencoder(saved["autoencoder_config"])
    for prefix, part in (("unet.", network), ("autoencoder.", autoencoder)):
        if part is not None:
            own = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
            load_strictly(part, own, part.state_dict(), weights)
    return Started(dict(saved["unet"]), dict(saved["noise_schedule"]), without_adapters(network), autoencoder)


def read_folder(folder: str) -> Loaded:
    """What stands in a folder that diffusers wrote, without its weights.

    Raises:
        CheckpointError: If a part is missing, or it is no unconditional or class-conditional picture model.
    """
    place = Path(folder).expanduser()
    index = _json(place / _INDEX) if (place / _INDEX).is_file() else {}
    if not (place / "unet" / "config.json").is_file():
        held = ", ".join(sorted(one.name for one in place.iterdir())) if place.is_dir() else "no folder"
        raise CheckpointError(
            f"{place} is no folder of a diffusion model: it needs unet/config.json and "
            f"scheduler/scheduler_config.json, as save_pretrained writes them ({held})"
        )
    unet = _json(place / "unet" / "config.json")
    if unet.get("_class_name") != "UNet2DModel":
        raise CheckpointError(
            f"{place} holds a {unet.get('_class_name')}, which is steered by text or other pictures; a UNet2DModel, "
            "free or with classes, can be tuned"
        )
    if not (place / "scheduler" / "scheduler_config.json").is_file():
        raise CheckpointError(f"{place} lacks scheduler/scheduler_config.json: copy it from where the model was saved")
    latent = next((name for name in _LATENT if name in index or (place / name).is_dir()), None)
    autoencoder = None
    if latent is not None:
        if not (place / latent / "config.json").is_file():
            raise CheckpointError(f"{place} works on latents but lacks {latent}/config.json: copy that folder too")
        autoencoder = {**_json(place / latent / "config.json"), "_folder": latent}
    return Loaded(unet, _json(place / "scheduler" / "scheduler_config.json"), autoencoder)


def load_unet(folder: str) -> nn.Module:
    """The UNet of a folder, with its weights; nothing is fetched.

    Raises:
        CheckpointError: If the weights cannot be read.
    """
    return _pretrained("UNet2DModel", Path(folder).expanduser() / "unet").train()


def load_autoencoder(folder: str) -> Autoencoder:
    """The autoencoder of a folder, with its weights; nothing is fetched.

    Raises:
        CheckpointError: If it holds none, or the weights cannot be read.
    """
    place = Path(folder).expanduser()
    if not (place / "config.json").is_file():
        raise CheckpointError(
            f"autoencoder {place} holds no config.json: name the folder that an autoencoder's save_pretrained wrote, "
            f"such as {' or '.join(_LATENT)} of a whole model"
        )
    config = _json(place / "config.json")
    name = place.name if place.name in _LATENT else _LATENT[-1]
    kind = str(config.get("_class_name"))
    return Autoencoder({**config, "_folder": name}, _pretrained(kind, place) if kind in KINDS else None)


def _pretrained(kind: str, place: Path) -> nn.Module:
    if not any(place.glob("*.safetensors")):
        pickled = sorted(one.name for one in place.glob("*.bin"))
        why = f"it has {', '.join(pickled)} alone, and such a file can hold code" if pickled else "it has none"
        raise CheckpointError(
            f"the weights of {place} are wanted as safetensors, but {why}: save it again with diffusers' "
            "save_pretrained, which writes safetensors"
        )
    try:
        loaded, said = getattr(diffusers(), kind).from_pretrained(
            place, local_files_only=True, use_safetensors=True, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError) as error:
        raise CheckpointError(
            f"the weights in {place} cannot be read ({' '.join(str(error).split())[:300]})"
        ) from error
    raise_for_keys(str(place), missing=said["missing_keys"], unexpected=said["unexpected_keys"])
    return cast(nn.Module, loaded)


def save_folder(folder: Path, unet: nn.Module, scheduler: Mapping[str, Any], autoencoder: Autoencoder | None) -> None:
    """Write a folder in the layout of diffusers; adapters are merged into their layers.

    `DDIMPipeline` loads it, `LDMPipeline` that of a latent model; one whose autoencoder lies in ``vae``, for which
    diffusers has no pipeline without a text, is loaded part by part.
    """
    library = diffusers()
    parts: dict[str, Any] = {
        "unet": without_adapters(unet),
        "scheduler": library.DDIMScheduler.from_config(dict(scheduler)),
    }
    if autoencoder is None:
        library.DDIMPipeline(**parts).save_pretrained(folder, safe_serialization=True)
        return
    name = str(autoencoder.config.get("_folder", _LATENT[-1]))
    parts[name] = autoencoder.network
    if name == "vqvae":
        library.LDMPipeline(**parts).save_pretrained(folder, safe_serialization=True)
        return
    for part, saved in parts.items():
        saved.save_pretrained(folder / part)
    index = {name: ["diffusers", type(saved).__name__] for name, saved in parts.items()}
    (folder / _INDEX).write_text(json.dumps({"_diffusers_version": library.__version__, **index}, indent=2) + "\n")


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read ({error})") from error
    if not isinstance(content, dict):
        raise CheckpointError(f"{file} holds no object")
    return content
