"""The Swin3D backbone and its head as FAST-VQA, DOVER, KSVQE and Kinetics files name them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from lightning_modules.video_quality.gated_bias import relative_position_index
from lightning_modules.video_quality.key_maps.mapping import Entry, layer, renamed, reshaped
from lightning_modules.video_quality.presets import KSVQEConfig


@dataclass(frozen=True)
class Prefixes:
    """What stands before the keys of backbone and head in one kind of file."""

    backbone: str
    head: str


KNOWN_PREFIXES = (
    Prefixes("fragments_backbone.", "vqa_head."),
    Prefixes("technical_backbone.", "technical_head."),
    Prefixes("KSVQE_backbone.", "KSVQE_head."),
    Prefixes("", "vqa_head."),
)


def find_prefixes(state: Mapping[str, Tensor], preferred: Prefixes) -> Prefixes:
    """Prefixes of a file; ``preferred`` where none is found, so that the error names the keys that one expects."""
    for prefixes in (preferred, *KNOWN_PREFIXES):
        if f"{prefixes.backbone}patch_embed.proj.weight" in state:
            return prefixes
    return preferred


def swin_entries(config: KSVQEConfig, prefix: str, *, fork_tables: bool = False) -> list[Entry]:
    """Entries of the backbone.

    Args:
        config: Of the network.
        prefix: Before the file's keys.
        fork_tables: The file has one bias table per block, and both of ours begin with it.
    """
    entries = [*layer(f"{prefix}patch_embed.proj", "backbone.patch_embed.proj")]
    entries += layer(f"{prefix}patch_embed.norm", "backbone.patch_embed.norm")
    for stage, depth in enumerate(config.depths):
        theirs, ours = f"{prefix}layers.{stage}", f"backbone.stages.{stage}"
        for block in range(depth):
            entries += _block(
                f"{theirs}.blocks.{block}", f"{ours}.blocks.{block}", config.gated_stages[stage], fork_tables
            )
        if stage < config.stages - 1:
            entries.append(renamed(f"{theirs}.downsample.reduction.weight", f"{ours}.downsample.reduction.weight"))
            entries += layer(f"{theirs}.downsample.norm", f"{ours}.downsample.norm")
    return [*entries, *layer(f"{prefix}norm", "backbone.norm")]


def _block(theirs: str, ours: str, gated: bool, fork: bool) -> list[Entry]:
    entries: list[Entry] = []
    for name in ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.fc1", "mlp.fc2"):
        entries += layer(f"{theirs}.{name}", f"{ours}.{name}")
    relative, fragment = "relative_position_bias_table", "fragment_position_bias_table"
    bias = f"{ours}.attn.position_bias"
    if gated and fork:
        pair = (f"{bias}.{relative}", f"{bias}.{fragment}")
        return [*entries, Entry((f"{theirs}.attn.{relative}",), pair, lambda t: [t[0], t[0]], lambda t: [t[0]])]
    entries.append(renamed(f"{theirs}.attn.{relative}", f"{bias}.{relative}"))
    if gated:
        entries.append(renamed(f"{theirs}.attn.{fragment}", f"{bias}.{fragment}"))
    return entries


def head_entries(prefix: str) -> list[Entry]:
    """Entries of the score head: 1 x 1 x 1 convolutions in the files, linear layers here."""
    return [
        reshaped(f"{prefix}fc_hid.weight", "head.hidden.weight", 3),
        renamed(f"{prefix}fc_hid.bias", "head.hidden.bias"),
        reshaped(f"{prefix}fc_last.weight", "head.last.weight", 3),
        renamed(f"{prefix}fc_last.bias", "head.last.bias"),
    ]


def stored_index(config: KSVQEConfig) -> Tensor:
    """The ``relative_position_index`` that a file made for our window holds."""
    return relative_position_index(config.window_size, config.window_size)
