"""DOVER: ``technical_backbone.*`` and ``technical_head.*``; its aesthetic half is another network and is left behind.

References:
    https://github.com/VQAssessment/DOVER (weights: S-Lab licence, non-commercial).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lightning_modules.video_quality.key_maps.mapping import KeyMap
from lightning_modules.video_quality.key_maps.swin import (
    Prefixes,
    find_prefixes,
    head_entries,
    stored_index,
    swin_entries,
)
from lightning_modules.video_quality.presets import KSVQEConfig

CANONICAL = Prefixes("technical_backbone.", "technical_head.")
AESTHETIC = "the aesthetic branch is a ConvNeXt that KSVQE has no part for"


def key_map(config: KSVQEConfig, state: Mapping[str, Tensor]) -> KeyMap:
    """Map for a file with these keys; the canonical prefixes where the file is empty."""
    prefixes = find_prefixes(state, CANONICAL)
    return KeyMap(
        source="DOVER",
        entries=tuple(swin_entries(config, prefixes.backbone)),
        optional={"head": tuple(head_entries(prefixes.head))},
        dropped={"aesthetic_backbone.": AESTHETIC, "aesthetic_head.": AESTHETIC},
        index=stored_index(config),
    )
