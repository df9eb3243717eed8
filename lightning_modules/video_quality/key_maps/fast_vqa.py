"""FAST-VQA: ``fragments_backbone.*`` and ``vqa_head.*``, in ``{"state_dict": ...}``.

Backbone files without prefix or head are taken too. Content, distortion and modulation stay as they are.

References:
    https://github.com/VQAssessment/FAST-VQA-and-FasterVQA (MIT).
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

CANONICAL = Prefixes("fragments_backbone.", "vqa_head.")


def key_map(config: KSVQEConfig, state: Mapping[str, Tensor]) -> KeyMap:
    """Map for a file with these keys; the canonical prefixes where the file is empty."""
    prefixes = find_prefixes(state, CANONICAL)
    return KeyMap(
        source="FAST-VQA",
        entries=tuple(swin_entries(config, prefixes.backbone)),
        optional={"head": tuple(head_entries(prefixes.head))},
        index=stored_index(config),
    )
