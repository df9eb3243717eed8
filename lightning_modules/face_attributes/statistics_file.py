"""The file of statistics: safetensors with the fingerprints of the network that they belong to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from datamodules.common.fingerprint import tensors_digest
from lightning_modules.face_attributes.statistics import FaceStatistics


@dataclass(frozen=True, slots=True)
class Provenance:
    """What statistics belong to.

    Attributes:
        layers: By layer, the fingerprint of all weights up to it, from `network_fingerprint`.
        preprocessing: Plain values that say how an image becomes the network's input.
        attribute_schema: The schema as plain values.
    """

    layers: dict[str, str]
    preprocessing: dict[str, Any]  # whatever the preprocessing has: compared as JSON, never interpreted
    attribute_schema: dict[str, Any]  # as AttributeSchema.plain gives it


def network_fingerprint(network: nn.Module) -> str:
    """Fingerprint of every weight and buffer of a network, such as one that is cut at a layer."""
    state: dict[str, Tensor] = network.state_dict()
    return tensors_digest(state)


def save_statistics(path: str | Path, statistics: FaceStatistics, provenance: Provenance) -> None:
    """Write statistics to one safetensors file, at once."""
    raise NotImplementedError


def load_statistics(path: str | Path, provenance: Provenance | None = None) -> FaceStatistics:
    """Read statistics.

    Args:
        path: File of `save_statistics`.
        provenance: What they must belong to; only the layers that it names are compared. None reads without a check.

    Raises:
        CheckpointError: If the file is missing or unreadable, or belongs to another network, preprocessing or schema;
            the message says which.
    """
    raise NotImplementedError
