"""A CLIP of `transformers`: a folder with ``config.json`` and weights, or the name of one on the Hub.

The keys are those of `CLIPVisionModel`, below ``vision_model.`` in older files. Dropped by name: the last layer norm,
the projections, and the text tower.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from huggingface_hub.errors import StrictDataclassError
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel

from datamodules.common.errors import CheckpointError
from lightning_modules.nn.checkpoint_loading import load_state_dict_file
from lightning_modules.nn.hub import hub
from lightning_modules.video_quality.key_maps.mapping import Entry, KeyMap, layer, renamed
from lightning_modules.video_quality.key_maps.openai_clip import TEXT, UNUSED
from lightning_modules.video_quality.presets import KSVQEConfig

FILES = ("model.safetensors", "pytorch_model.bin")
POSITION_IDS = "counts from 0; it follows from the number of positions"


def key_map(config: KSVQEConfig, state: Mapping[str, Tensor]) -> KeyMap:
    """Map for a state dict with these keys; without prefix where it is empty."""
    level = "vision_model."
    prefix = level if f"{level}embeddings.class_embedding" in state else ""
    dropped = {f"{prefix}post_layernorm.": UNUSED, "visual_projection.": UNUSED}
    dropped |= {"text_model.": TEXT, "text_projection.": TEXT, "logit_scale": TEXT}
    dropped |= {f"{prefix}embeddings.position_ids": POSITION_IDS}
    return KeyMap(source="the CLIP folder", entries=tuple(_entries(config, prefix)), dropped=dropped)


def _entries(config: KSVQEConfig, prefix: str) -> list[Entry]:
    tower = "content.tower."
    names = ("class_embedding", "patch_embedding.weight", "position_embedding.weight")
    entries = [renamed(f"{prefix}embeddings.{name}", f"{tower}embeddings.{name}") for name in names]
    entries += layer(f"{prefix}pre_layrnorm", f"{tower}pre_norm")
    parts = ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.out_proj")
    for number in range(config.content_layers):
        for part in (*parts, "layer_norm1", "mlp.fc1", "mlp.fc2", "layer_norm2"):
            entries += layer(f"{prefix}encoder.layers.{number}.{part}", f"{tower}blocks.{number}.{part}")
    return entries


def read_folder(folder: str | Path) -> dict[str, Tensor]:
    """Weights of a CLIP folder, or of a name on the Hub where there is no such folder.

    Raises:
        CheckpointError: If the folder holds no weights, or the name cannot be fetched.
    """
    path = Path(folder)
    if path.is_dir():
        for name in FILES:
            if (path / name).is_file():
                return load_state_dict_file(path / name)
        raise CheckpointError(f"The CLIP folder {path} holds neither {' nor '.join(FILES)}: save the model there.")
    try:
        with hub():
            model = CLIPVisionModel.from_pretrained(str(folder))
    except (OSError, ValueError, TypeError, StrictDataclassError) as error:
        raise CheckpointError(
            f"{folder} is neither a folder nor a CLIP that the Hugging Face Hub gives now: check the name, or save the "
            "model in a folder."
        ) from error
    return dict(model.state_dict())


def _side(size: object) -> int:
    """Side of a square given as one number or as two equal ones."""
    sides = {int(n) for n in size} if isinstance(size, list | tuple) else {size}
    side = sides.pop()
    if sides or not isinstance(side, int):
        raise ValueError(f"{size} is no square")
    return side


def content_settings(folder: str | Path) -> dict[str, int | str]:
    """Values of `KSVQEConfig` for the tower of a CLIP folder or name, to build a network that its weights fit.

    Raises:
        CheckpointError: If its ``config.json`` cannot be read.
    """
    path = Path(folder) / "config.json"
    try:
        if path.is_file():
            loaded = json.loads(path.read_text(encoding="utf-8"))
            config = CLIPVisionConfig(**loaded.get("vision_config", loaded))
        else:
            with hub():
                config = CLIPVisionConfig.from_pretrained(str(folder))
    except (OSError, ValueError, TypeError, StrictDataclassError) as error:
        raise CheckpointError(f"The configuration of the CLIP {folder} cannot be read: {error}.") from error
    return {
        "content_width": config.hidden_size,
        "content_layers": config.num_hidden_layers,
        "content_heads": config.num_attention_heads,
        "content_patch": _side(config.patch_size),
        "content_image_size": _side(config.image_size),
        "content_activation": config.hidden_act,
    }
