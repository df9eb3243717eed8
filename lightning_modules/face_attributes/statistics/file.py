"""The file of statistics: safetensors with the fingerprints of the weights and the preprocessing before each layer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from datamodules.common.atomic_write import write_with
from datamodules.common.errors import CheckpointError
from datamodules.common.fingerprint import tensors_digest
from lightning_modules.face_attributes.classifier.layers import HEADS, CutNetwork, plain_backbone
from lightning_modules.face_attributes.classifier.preprocess import FacePreprocess
from lightning_modules.face_attributes.statistics.collecting import FaceStatistics

FORMAT = "appraise face statistics 1"
_COUNTER = "num_batches_tracked"  # of batch norms; it changes no output
Offered = Callable[[Iterable[str]], dict[str, str]]
_AGAIN = "collect them with this model by a validate run, or name the model that they were collected with"


@dataclass(frozen=True, slots=True)
class Provenance:
    """What statistics belong to.

    Attributes:
        layers: By layer, the fingerprint of all weights up to it, from `layer_fingerprints`.
        preprocessing: How an image becomes the network's input, from `preprocessing_facts`.
        attribute_schema: The schema as plain values.
    """

    layers: dict[str, str]
    preprocessing: dict[str, Any]  # whatever the preprocessing has: compared as JSON, never interpreted
    attribute_schema: dict[str, Any]  # as AttributeSchema.plain gives it


def save_statistics(path: str | Path, statistics: FaceStatistics, provenance: Provenance) -> None:
    """Write statistics to one safetensors file, at once.

    Args:
        path: File to write.
        statistics: What a pass left.
        provenance: What they belong to; it must name every layer that they hold.

    Raises:
        CheckpointError: If a layer has no fingerprint.
    """
    nameless = [name for name in statistics.layers if name not in provenance.layers]
    if nameless:
        raise CheckpointError(
            f"The statistics of {', '.join(nameless)} have no fingerprint, so nothing could tell later which network "
            "they belong to: give one for every layer."
        )
    metadata = {"format": FORMAT, "provenance": _plain(asdict(provenance))}
    tensors = {name: part.contiguous() for name, part in statistics.state().items()}
    write_with(path, lambda temporary: save_file(tensors, temporary, metadata))


def load_statistics(
    path: str | Path, provenance: Provenance | None = None, offered: Offered | None = None
) -> FaceStatistics:
    """Read statistics.

    Args:
        path: File of `save_statistics`.
        provenance: What they must belong to; only the layers that it names are compared. None reads without a check.
        offered: Gives the fingerprints of those of some layers that the model has, so that a message names only layers
            that can be taken in place of a missing one.

    Raises:
        CheckpointError: If the file is missing or unreadable, or belongs to another network, preprocessing or schema;
            the message says which.
    """
    file = Path(path)
    saved, state = _read(file)
    if provenance is not None:
        wanted = Provenance(**json.loads(_plain(asdict(provenance))))  # plain values, as the file holds them
        _check_provenance(saved, wanted, str(file), offered)
    try:
        return FaceStatistics.from_state(state)
    except CheckpointError as error:
        raise CheckpointError(f"{file}: {error}") from error


def _check_provenance(saved: Provenance, wanted: Provenance, origin: str, offered: Offered | None) -> None:
    """Make sure that statistics belong to a model; only the layers that it names are compared."""
    if saved.attribute_schema != wanted.attribute_schema:
        raise CheckpointError(
            f"The statistics {origin} were collected with other attributes: "
            f"{_schema_difference(saved.attribute_schema, wanted.attribute_schema)}; {_AGAIN}."
        )
    if saved.preprocessing != wanted.preprocessing:
        raise CheckpointError(
            f"The statistics {origin} were collected with other preprocessing, {_plain(saved.preprocessing)}, than "
            f"that of this model, {_plain(wanted.preprocessing)}: {_AGAIN}."
        )
    _check_layers(saved, wanted, origin, offered)
    for name, fingerprint in wanted.layers.items():
        if saved.layers[name] != fingerprint:
            raise CheckpointError(
                f"The statistics {origin} belong to another network: its weights up to {name} have the fingerprint "
                f"{saved.layers[name][:12]}, those of this model {fingerprint[:12]}; {_AGAIN}."
            )


def _check_layers(saved: Provenance, wanted: Provenance, origin: str, offered: Offered | None) -> None:
    """Refuse statistics that lack a wanted layer, with those of their layers that can be taken in its place."""
    missing = [name for name in wanted.layers if name not in saved.layers]
    if not missing:
        return
    held = f"hold the layers {', '.join(saved.layers)} but not {', '.join(missing)}"
    known = wanted.layers if offered is None else offered(saved.layers)
    usable = [name for name, fingerprint in saved.layers.items() if known.get(name) == fingerprint]
    if not usable and offered is not None:
        raise CheckpointError(
            f"The statistics {origin} belong to another network: they {held}, and none of theirs has the weights of "
            f"this model; {_AGAIN}."
        )
    choice = f"choose as layers among {', '.join(usable)}, or " if usable else ""
    raise CheckpointError(f"The statistics {origin} {held}: {choice}collect them again with the layer added.")


def _schema_difference(saved: dict[str, Any], wanted: dict[str, Any]) -> str:
    """The first thing that differs between two schemas in plain values."""
    theirs, ours = saved.get("attributes", []), wanted.get("attributes", [])
    gone, new = [name for name in theirs if name not in ours], [name for name in ours if name not in theirs]
    if gone or new:
        return f"{', '.join(gone) or 'none'} stand only there, {', '.join(new) or 'none'} only in the model"
    return "the order, the heads or the contradictions differ"


def _read(file: Path) -> tuple[Provenance, dict[str, Tensor]]:
    if not file.is_file():
        raise CheckpointError(f"There are no statistics at {file}: name the statistics.safetensors of a validate run.")
    try:
        opened = safe_open(file, framework="pt")
    except (OSError, SafetensorError) as error:
        raise CheckpointError(
            f"The statistics {file} cannot be read ({error}): name the statistics.safetensors of a validate run."
        ) from error
    with opened as content:
        facts = content.metadata() or {}
        if facts.get("format") != FORMAT or "provenance" not in facts:
            raise CheckpointError(
                f'{file} holds no statistics of the format "{FORMAT}": name the statistics.safetensors of a validate '
                "run."
            )
        tensors = {name: content.get_tensor(name) for name in content.keys()}  # noqa: SIM118 - it is no mapping
        return Provenance(**json.loads(facts["provenance"])), tensors


def _plain(values: dict[str, Any]) -> str:
    return json.dumps(values, sort_keys=True, ensure_ascii=False)


def layer_fingerprints(network: nn.Module, layers: Sequence[str], image_size: int) -> dict[str, str]:
    """Fingerprint of every weight and buffer that the activations of each layer depend on.

    What runs after a layer does not count: heads trained further leave the statistics of a frozen layer valid.

    Args:
        network: A backbone or a whole classifier; it is frozen, as by `CutNetwork`.
        layers: Names of its layers.
        image_size: Side of its input in pixels, to see by one grey image which modules run.

    Raises:
        ConfigurationError: If there is no such layer.

    Example:
        >>> network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Conv2d(2, 1, 3))
        >>> before = layer_fingerprints(network, ["1", "2"], 8)
        >>> _ = nn.init.zeros_(network[2].weight)
        >>> after = layer_fingerprints(network, ["1", "2"], 8)
        >>> before["1"] == after["1"], before["2"] == after["2"]
        (True, False)
    """
    return {name: _fingerprint(network, name, image_size) for name in layers}


def preprocessing_facts(preprocess: FacePreprocess) -> dict[str, Any]:
    """How an image becomes the input of a network, as plain values that can be compared."""
    facts: dict[str, Any] = {"size": preprocess.side, "channel_order": preprocess.channel_order}
    for name, tensor in preprocess.state_dict().items():
        facts[name] = tensor.flatten().tolist() if tensor.numel() <= 3 else tensors_digest({name: tensor})
    return facts


def _fingerprint(network: nn.Module, layer: str, image_size: int) -> str:
    cut = CutNetwork(network, [layer])
    backbone = plain_backbone(network)
    if layer == HEADS:
        return _digest(network.state_dict())
    below, everything = _modules_run(backbone, cut, image_size), _modules_run(backbone, backbone, image_size)
    # A module that never runs is one whose weights another uses directly, as attention does: it counts.
    names = [name for name, _ in backbone.named_modules() if name in below or name not in everything]
    return _digest({key: part for key, part in backbone.state_dict().items() if key.rpartition(".")[0] in names})


def _modules_run(backbone: nn.Module, whole: nn.Module, image_size: int) -> set[str]:
    """Names of the modules of ``backbone`` that a pass of ``whole`` enters; the backbone itself always counts."""
    entered = {""}
    handles = [
        module.register_forward_pre_hook(lambda _m, _i, name=name: entered.add(name))
        for name, module in backbone.named_modules()
    ]
    device = next((parameter.device for parameter in backbone.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad():
            whole(torch.zeros(1, 3, image_size, image_size, device=device))
    finally:
        for handle in handles:
            handle.remove()
    return entered


def _digest(state: dict[str, Tensor]) -> str:
    return tensors_digest({name: part for name, part in state.items() if not name.endswith(_COUNTER)})
