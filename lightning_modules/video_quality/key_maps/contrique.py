"""CONTRIQUE: ``encoder.0`` to ``encoder.7`` are a torchvision ResNet-50 in order, ``projector.*`` its projector.

References:
    https://github.com/pavancm/CONTRIQUE (CONTRIQUE_checkpoint25.tar, a plain state dict).
"""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from lightning_modules.video_quality.key_maps.mapping import Entry, KeyMap, batch_norm, layer
from lightning_modules.video_quality.presets import KSVQEConfig

BLOCKS = (3, 4, 6, 3)  # of ResNet-50


def contrique_entries(prefix: str, ours: str) -> list[Entry]:
    """Entries of ResNet-50 and projector between a file's prefix and ours."""
    encoder = f"{ours}encoder"
    entries = [*layer(f"{prefix}encoder.0", f"{encoder}.conv1", ("weight",))]
    entries += batch_norm(f"{prefix}encoder.1", f"{encoder}.bn1")
    for number, depth in enumerate(BLOCKS):
        for block in range(depth):
            theirs, mine = f"{prefix}encoder.{number + 4}.{block}", f"{encoder}.layer{number + 1}.{block}"
            for part in (1, 2, 3):
                entries += layer(f"{theirs}.conv{part}", f"{mine}.conv{part}", ("weight",))
                entries += batch_norm(f"{theirs}.bn{part}", f"{mine}.bn{part}")
            if block == 0:
                entries += layer(f"{theirs}.downsample.0", f"{mine}.downsample.0", ("weight",))
                entries += batch_norm(f"{theirs}.downsample.1", f"{mine}.downsample.1")
    for number in (0, 3):
        entries += layer(f"{prefix}projector.{number}", f"{ours}projector.{number}", ("weight",))
        entries += batch_norm(f"{prefix}projector.{number + 1}", f"{ours}projector.{number + 1}")
    return entries


def key_map(config: KSVQEConfig, state: Mapping[str, Tensor]) -> KeyMap:
    """Map for CONTRIQUE's file; backbone, content and modulation stay as they are."""
    return KeyMap(source="CONTRIQUE", entries=tuple(contrique_entries("", "distortion.extractor.")))
