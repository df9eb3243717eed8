"""The Swin3D backbone and its head as FAST-VQA, DOVER, KSVQE and Kinetics files name them.

References:
    FAST-VQA: https://github.com/VQAssessment/FAST-VQA-and-FasterVQA (MIT).
    DOVER: https://github.com/VQAssessment/DOVER (weights: S-Lab licence, non-commercial).
    Kinetics-400: Liu et al., "Video Swin Transformer", CVPR 2022
    (https://github.com/SwinTransformer/Video-Swin-Transformer).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lightning_modules.video_quality.gated_bias import relative_position_index
from lightning_modules.video_quality.key_maps.mapping import Entry, KeyMap, layer, renamed, reshaped
from lightning_modules.video_quality.presets import KSVQEConfig

FAST_VQA = ("fragments_backbone.", "vqa_head.")  # before the keys of backbone and head
DOVER = ("technical_backbone.", "technical_head.")
KNOWN_PREFIXES = (FAST_VQA, DOVER, ("KSVQE_backbone.", "KSVQE_head."), ("", "vqa_head."))
AESTHETIC = "the aesthetic branch is a ConvNeXt that KSVQE has no part for"


def fast_vqa(config: KSVQEConfig, state: Mapping[str, Tensor]) -> KeyMap:
    """Map for ``fragments_backbone.*`` and ``vqa_head.*``; files without prefix or head are taken too."""
    return _scored("FAST-VQA", FAST_VQA, config, state)


def dover(config: KSVQEConfig, state: Mapping[str, Tensor]) -> KeyMap:
    """Map for ``technical_backbone.*`` and ``technical_head.*``; the aesthetic half is left behind."""
    dropped = {"aesthetic_backbone.": AESTHETIC, "aesthetic_head.": AESTHETIC}
    return _scored("DOVER", DOVER, config, state, dropped)


def _scored(
    source: str,
    canonical: tuple[str, str],
    config: KSVQEConfig,
    state: Mapping[str, Tensor],
    dropped: Mapping[str, str] | None = None,
) -> KeyMap:
    """Map of backbone and head; the canonical prefixes where none is found, so that errors name the expected keys."""
    every = (canonical, *KNOWN_PREFIXES)
    backbone, head = next((one for one in every if f"{one[0]}patch_embed.proj.weight" in state), canonical)
    return KeyMap(
        source=source,
        entries=tuple(swin_entries(config, backbone)),
        optional={"head": tuple(head_entries(head))},
        dropped=dropped or {},
        index=stored_index(config),
    )


def swin_k400(config: KSVQEConfig, state: Mapping[str, Tensor]) -> KeyMap:
    """Map for ``backbone.*`` of Kinetics-400, one bias table per block, beside an action classifier.

    Each bias table is forked: inside and between fragments begin with the same numbers, so that the gate has no effect
    until training tells them apart. Written back, the table between fragments is the one that counts.
    """
    prefix = "" if "patch_embed.proj.weight" in state else "backbone."
    return KeyMap(
        source="Swin3D on Kinetics-400",
        entries=tuple(swin_entries(config, prefix, fork_tables=True)),
        dropped={"cls_head.": "400 actions are no quality score"},
        index=stored_index(config),
    )


def swin_entries(config: KSVQEConfig, prefix: str, *, fork_tables: bool = False) -> list[Entry]:
    """Entries of the backbone, with a prefix before the file's keys.

    ``fork_tables``: the file has one bias table per block, and both of ours begin with it.
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
