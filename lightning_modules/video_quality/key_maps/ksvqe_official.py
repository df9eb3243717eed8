"""The released KSVQE: everything below ``KSVQE_backbone.``, and the head below ``KSVQE_head.``.

References:
    https://github.com/lixinustc/KVQ-Challenge-CVPR-NTIRE2024 (names and shapes of its state dict only).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lightning_modules.video_quality.key_maps.contrique import contrique_entries
from lightning_modules.video_quality.key_maps.mapping import Entry, KeyMap, layer, renamed, reshaped
from lightning_modules.video_quality.key_maps.openai_clip import clip_entries, unused_keys
from lightning_modules.video_quality.key_maps.swin import head_entries, stored_index, swin_entries
from lightning_modules.video_quality.presets import KSVQEConfig

BACKBONE = "KSVQE_backbone."
HEAD = "KSVQE_head."


def _adapter(theirs: str, ours: str) -> list[Entry]:
    return [*layer(f"{theirs}.0", f"{ours}.down"), *layer(f"{theirs}.2", f"{ours}.up")]


def _cross(theirs: str, ours: str) -> list[Entry]:
    names = {"fc_q": "query", "fc_k": "key", "fc_v": "value"}
    return [entry for t, o in names.items() for entry in layer(f"{theirs}.{t}", f"{ours}.{o}")]


def _content_modulation(number: int) -> list[Entry]:
    ours = f"modulation.{number}.content"
    entries = _adapter(f"{BACKBONE}semantic_adapter.{number}", f"{ours}.adapter")
    entries += _cross(f"{BACKBONE}semantic_cross.{number}", f"{ours}.cross")
    for theirs, mine in (("conv_gama", "gamma"), ("conv_beta", "beta")):
        prefix = f"{BACKBONE}semantic_mod.{number}.{theirs}"
        entries += [
            reshaped(f"{prefix}.weight", f"{ours}.{mine}.weight", 2),
            renamed(f"{prefix}.bias", f"{ours}.{mine}.bias"),
        ]
    return entries


def _distortion_modulation(number: int) -> list[Entry]:
    ours = f"modulation.{number}.distortion"
    entries = _adapter(f"{BACKBONE}distortion_adapter.{number}", f"{ours}.adapter")
    entries += _cross(f"{BACKBONE}distortion_cross.{number}", f"{ours}.cross")
    entries.append(renamed(f"{BACKBONE}distortion_self.{number}.to_qkv.weight", f"{ours}.temporal.qkv.weight"))
    entries += layer(f"{BACKBONE}distortion_self.{number}.to_out.0", f"{ours}.temporal.out")
    for name in ("gamma", "beta"):
        entries += layer(f"{BACKBONE}distortion_mod.{number}.get_{name}", f"{ours}.{name}")
    return entries


def key_map(config: KSVQEConfig, state: Mapping[str, Tensor]) -> KeyMap:
    """Map for the released network; the preset must be ``official`` with the file's ``tuning_stage``."""
    visual = f"{BACKBONE}CLIP_tool.visual."
    entries = [renamed(f"{BACKBONE}{name}", name) for name in ("a1", "a2")]
    entries += swin_entries(config, BACKBONE)
    entries += clip_entries(config, visual)
    for number in range(config.content_adapter_layers):
        entries += _adapter(f"{BACKBONE}CLIP_tool.adapter_layer.{number}", f"content.adapters.{number}")
    entries += contrique_entries(f"{BACKBONE}distortion_tool.", "distortion.extractor.")
    for number in (0, 2):
        entries += layer(f"{BACKBONE}dist_adapter.{number}", f"distortion.adapter.{number}")
    for number in range(len(config.modulated_stages)):
        entries += _content_modulation(number) + _distortion_modulation(number)
    return KeyMap(
        source="KSVQE (official)",
        entries=(*entries, *head_entries(HEAD)),
        dropped=unused_keys(visual),
        index=stored_index(config),
    )
