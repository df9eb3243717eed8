"""Networks and adapters as folders that transformers and peft read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final, cast

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel

from datamodules.common.errors import CheckpointError
from lightning_modules.face_benchmark.asking.loading import Loaded, Loading, load
from lightning_modules.face_benchmark.asking.network import Network
from lightning_modules.nn.adapters import peft, without_adapters

ADAPTERS: Final = "adapter_config.json"  # the file by which peft's folders are known
_WEIGHTS: Final = ("adapter_model.safetensors", "adapter_model.bin")
_BASE: Final = "base_model_name_or_path"


def save_network(network: Network, folder: Path) -> None:
    """Write weights, configuration and processor, adapters merged into the layers beside them."""
    merged = cast(PreTrainedModel, without_adapters(network.network))
    merged.save_pretrained(folder)
    network.processor.save_pretrained(folder)


def save_adapters(network: Network, folder: Path, base: str) -> None:
    """Write the adapters alone, as peft does.

    Args:
        network: With adapters.
        folder: Where to.
        base: What they stand beside: a folder or a name on the hub.
    """
    library = peft()
    config = cast(Any, network.network).peft_config["default"]
    place = Path(base).expanduser()
    config.base_model_name_or_path = str(place.resolve()) if place.is_dir() else base
    config.save_pretrained(folder)
    state = library.get_peft_model_state_dict(network.network)
    save_file({name: value.contiguous() for name, value in state.items()}, folder / "adapter_model.safetensors")


def load_folder(weights: str, how: Loading) -> Loaded:
    """A network by its folder or name; from a folder of adapters, the network that it names with them merged in.

    That may be a folder of adapters again.

    Raises:
        CheckpointError: If the folder cannot be read, or does not say what it stands beside.
    """
    return _load(weights, how, ())


def _load(weights: str, how: Loading, above: tuple[str, ...]) -> Loaded:
    folder = Path(weights).expanduser()
    file = folder / ADAPTERS
    if not file.is_file():
        return load(weights, how)
    try:
        base = json.loads(file.read_text(encoding="utf-8")).get(_BASE)
    except (ValueError, OSError) as error:
        raise CheckpointError(f"{file} cannot be read ({error}): give a folder that peft wrote") from error
    if not base:
        raise CheckpointError(f'{file} does not say what its adapters stand beside: put a folder or name as "{_BASE}"')
    if str(folder.resolve()) in above:
        raise CheckpointError(f"the adapters of {folder} stand beside themselves: put another folder as {_BASE!r}")
    loaded = _load(_beside(folder, str(base)), how, (*above, str(folder.resolve())))
    if not any((folder / name).is_file() for name in _WEIGHTS):
        raise CheckpointError(f"{folder} has {ADAPTERS} without weights: put {_WEIGHTS[0]} beside it")
    try:
        adapted = peft().PeftModel.from_pretrained(loaded.network, str(folder))
    except (ValueError, RuntimeError, KeyError, OSError, SafetensorError) as error:
        raise CheckpointError(f"the adapters of {folder} do not fit {base}: {str(error).splitlines()[0]}") from error
    merged: nn.Module = adapted.merge_and_unload()
    return loaded._replace(network=cast(PreTrainedModel, merged.train(False)))


def _beside(folder: Path, base: str) -> str:
    """A base that lies beside its adapters is found where they were moved to."""
    own = folder / base
    return str(own) if not Path(base).is_absolute() and own.is_dir() else base
