"""Video Swin trained on Kinetics-400: ``backbone.*``, one bias table per block, and an action classifier.

Each bias table is forked: inside and between fragments begin with the same numbers, so that the gate has no effect
until training tells them apart. Written back, the table between fragments is the one that counts.

References:
    Liu et al., "Video Swin Transformer", CVPR 2022 (https://github.com/SwinTransformer/Video-Swin-Transformer).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lightning_modules.video_quality.key_maps.mapping import KeyMap
from lightning_modules.video_quality.key_maps.swin import stored_index, swin_entries
from lightning_modules.video_quality.presets import KSVQEConfig


def key_map(config: KSVQEConfig, state: Mapping[str, Tensor]) -> KeyMap:
    """Map for a file with these keys; with the prefix ``backbone.`` where the file is empty."""
    prefix = "" if "patch_embed.proj.weight" in state else "backbone."
    return KeyMap(
        source="Swin3D on Kinetics-400",
        entries=tuple(swin_entries(config, prefix, fork_tables=True)),
        dropped={"cls_head.": "400 actions are no quality score"},
        index=stored_index(config),
    )
