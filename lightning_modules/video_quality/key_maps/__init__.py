"""Weights from elsewhere: one map of keys per source, forwards and back, and one strict loader for all."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from torch import Tensor

from datamodules.common.errors import CheckpointError
from lightning_modules.nn.checkpoint_loading import load_state_dict_file, load_strictly, strip_prefix
from lightning_modules.video_quality.key_maps import clip_folder, contrique, ksvqe_official, openai_clip, swin
from lightning_modules.video_quality.key_maps.clip_folder import content_settings
from lightning_modules.video_quality.key_maps.mapping import KeyMap
from lightning_modules.video_quality.network import KSVQENetwork
from lightning_modules.video_quality.presets import KSVQEConfig

__all__ = [
    "LoadReport",
    "WeightSource",
    "content_settings",
    "detect_source",
    "export_weights",
    "load_weights",
]

log = logging.getLogger(__name__)

NamedSource = Literal["fast_vqa", "dover", "ksvqe_official", "swin_k400", "contrique", "openai_clip", "clip_folder"]
WeightSource = Literal["auto", NamedSource]

_MAPS: dict[NamedSource, Callable[[KSVQEConfig, Mapping[str, Tensor]], KeyMap]] = {
    "fast_vqa": swin.fast_vqa,
    "dover": swin.dover,
    "ksvqe_official": ksvqe_official.key_map,
    "swin_k400": swin.swin_k400,
    "contrique": contrique.key_map,
    "openai_clip": openai_clip.key_map,
    "clip_folder": clip_folder.key_map,
}
FILE_SUFFIXES = (".bin", ".ckpt", ".pt", ".pth", ".safetensors", ".tar")  # anything else may be a name on the Hub
_TRAINED_WITH_DISTANCE: tuple[NamedSource, ...] = ("fast_vqa", "dover", "ksvqe_official")


@dataclass(frozen=True)
class LoadReport:
    """What a load did.

    Attributes:
        source: Format of the weights.
        loaded: Keys of the network that were filled.
        kept: Keys of the network that the source does not speak of, and that stay as they were.
        dropped: Keys of the file that were left behind by name.
        key_map: The map that was used; its ``write`` gives the file's names back.
        parts: Optional parts that the file had, for ``write``.
    """

    source: NamedSource
    loaded: tuple[str, ...]
    kept: tuple[str, ...]
    dropped: tuple[str, ...]
    key_map: KeyMap
    parts: tuple[str, ...]

    def write_back(self, network: KSVQENetwork) -> dict[str, Tensor]:
        """The network's tensors under exactly the names that were loaded."""
        return self.key_map.write(network.state_dict(), self.parts)


def detect_source(state: Mapping[str, Tensor]) -> NamedSource:
    """Format of weights, read off their keys (without a ``module.`` before all of them).

    Raises:
        CheckpointError: If the keys are of no known format.

    Example:
        >>> import torch
        >>> detect_source({"encoder.0.weight": torch.zeros(1)})
        'contrique'
    """
    fragment_tables = any("fragment_position_bias_table" in key for key in state)
    signs: tuple[tuple[NamedSource, bool], ...] = (
        ("ksvqe_official", any(".CLIP_tool." in key for key in state)),
        ("dover", any(key.startswith(("technical_backbone.", "aesthetic_backbone.")) for key in state)),
        ("fast_vqa", any(key.startswith("fragments_backbone.") for key in state) or fragment_tables),
        ("swin_k400", any(key.removeprefix("backbone.") == "patch_embed.proj.weight" for key in state)),
        ("contrique", "encoder.0.weight" in state),
        ("openai_clip", any(key.removeprefix("visual.") == "conv1.weight" for key in state)),
        ("clip_folder", any(key.removeprefix("vision_model.") == "embeddings.class_embedding" for key in state)),
    )
    for source, present in signs:
        if present:
            return source
    first = ", ".join(sorted(state)[:5])
    raise CheckpointError(
        f"The weights are of no format that is known here (first keys: {first}); name the format, one of "
        f"{', '.join(_MAPS)}."
    )


def load_weights(
    network: KSVQENetwork, weights: str | Path | Mapping[str, Tensor], source: WeightSource = "auto"
) -> LoadReport:
    """Fill the part of a network that a file of weights speaks of.

    Args:
        network: Takes the weights, in place; nothing is copied when anything does not fit.
        weights: A file, a CLIP folder or name, or a state dict.
        source: Format of the weights; ``auto`` reads it off the keys.

    Raises:
        CheckpointError: If the file cannot be read, or any key is missing, left over or of another shape.
    """
    state = dict(weights) if isinstance(weights, Mapping) else _read(weights, source)
    state = strip_prefix(state, "module.")
    chosen = detect_source(state) if source == "auto" else source
    key_map = _MAPS[chosen](network.config, state)
    own = network.state_dict()
    _check_part(network, key_map, state, own)
    ours = key_map.read(state)
    load_strictly(network, ours, key_map.covered(state), key_map.source)
    if network.config.gate == "binary" and chosen in _TRAINED_WITH_DISTANCE:
        log.warning(
            "The weights of %s were trained with the distance between fragments as gate, but this network's gate is "
            "binary: expect other scores than theirs, or set gate to 'distance'.",
            key_map.source,
        )
    return LoadReport(
        source=chosen,
        loaded=tuple(ours),
        kept=tuple(key for key in own if key not in ours),
        dropped=tuple(key for key in state if key_map.drops(key)),
        key_map=key_map,
        parts=tuple(key_map.present_parts(state)),
    )


def export_weights(network: KSVQENetwork, source: NamedSource) -> dict[str, Tensor]:
    """The part of a network that a source speaks of, under the source's own names (with its usual prefixes).

    Keys that loading drops by name, and ``relative_position_index``, are not there.

    Raises:
        CheckpointError: If the network lacks a part that the source has.
    """
    key_map = _MAPS[source](network.config, {})
    own = network.state_dict()
    _check_part(network, key_map, {}, own)
    return key_map.write(own)


def _read(weights: str | Path, source: WeightSource) -> dict[str, Tensor]:
    path = Path(weights)
    a_name = source == "auto" and not path.exists() and path.suffix not in FILE_SUFFIXES
    if source == "clip_folder" or path.is_dir() or a_name:
        return clip_folder.read_folder(weights)
    return load_state_dict_file(path)


def _check_part(network: KSVQENetwork, key_map: KeyMap, state: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> None:
    """Raise where the source speaks of a part that this network was built without."""
    absent = sorted(key_map.covered(state) - set(own))
    if absent:
        raise CheckpointError(
            f"The weights of {key_map.source} fill {len(absent)} tensors that this network does not have (preset and "
            f"options build it otherwise): {', '.join(absent)}."
        )
