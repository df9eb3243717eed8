"""Weights of a VGG from the layouts in which they are published; the network always sees RGB afterwards."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal

from torch import Tensor

from datamodules.common.errors import CheckpointError
from lightning_modules.face_attributes.classifier.preprocess import ChannelOrder
from lightning_modules.face_attributes.classifier.vgg import FIRST_FULLY, VGG
from lightning_modules.nn.checkpoint_loading import load_state_dict_file, load_strictly, strip_prefix

VGGLayout = Literal["plain", "underscored", "torchvision"]
# Order of the colours that the published files of each layout expect.
LAYOUT_ORDER: dict[VGGLayout, ChannelOrder] = {"plain": "rgb", "underscored": "bgr", "torchvision": "rgb"}
_TORCHVISION = re.compile(r"(features|classifier)\.\d+\.")


def load_vgg_weights(network: VGG, file: str, channel_order: ChannelOrder | None = None) -> VGGLayout:
    """Fill a VGG from a file; the layers above its last one (classes of persons or objects) are left out.

    Known layouts: ``plain`` (``conv1_1.weight``; vgg_face_dag, RGB), ``underscored`` (``conv_1_1.weight``; converted
    from the Torch file of VGG-Face, BGR) and ``torchvision`` (``features.0.weight``, RGB).

    Args:
        network: The VGG; its first convolution takes RGB afterwards, whatever the file expects.
        file: State dict, by ``torch.save`` or as safetensors.
        channel_order: Order of the colours that the file's network takes; None: as the published files of its layout.

    Returns:
        The layout that the file has.

    Raises:
        CheckpointError: If the file is unreadable, of no known layout, or a weight is missing, left over or of another
            shape.
    """
    state = strip_prefix(load_state_dict_file(file), "module.")
    layout = vgg_layout(state, file)
    renamed = _renamed(network, state, layout)
    own = network.state_dict()
    if (channel_order or LAYOUT_ORDER[layout]) == "bgr" and "conv1_1.weight" in renamed:
        renamed["conv1_1.weight"] = renamed["conv1_1.weight"].flip(1)
    covered = [key for key in own if key in renamed or not key.endswith("num_batches_tracked")]
    load_strictly(network, renamed, covered, f"{file} ({layout} layout)")
    return layout


def vgg_layout(state: Mapping[str, Tensor], origin: str) -> VGGLayout:
    """Which layout the keys of a state dict have.

    Raises:
        CheckpointError: If it is none of them.

    Example:
        >>> import torch
        >>> vgg_layout({"conv_1_1.weight": torch.zeros(1)}, "a file")
        'underscored'
    """
    if "conv1_1.weight" in state:
        return "plain"
    if "conv_1_1.weight" in state:
        return "underscored"
    if "features.0.weight" in state:
        return "torchvision"
    raise CheckpointError(
        f"The weights of {origin} begin with {', '.join(list(state)[:3])}, which is no VGG: give a file with "
        "conv1_1.weight, conv_1_1.weight or features.0.weight."
    )


def _renamed(network: VGG, state: Mapping[str, Tensor], layout: VGGLayout) -> dict[str, Tensor]:
    """The entries under the names of the network, without those of layers above it."""
    if layout == "torchvision":
        names = torchvision_names(network)
        top = max((_place(name) for name in names if name.startswith("classifier")), default=-1)
        kept = {key: value for key, value in state.items() if not key.startswith("classifier") or _place(key) <= top}
        return {names.get(_prefix(key), _prefix(key)) + key.removeprefix(_prefix(key)): kept[key] for key in kept}
    above = tuple(f"fc{number}." for number in range(FIRST_FULLY + len(network.settings.fully), FIRST_FULLY + 3))
    plain = {re.sub(r"^conv_(\d)", r"conv\1", key): value for key, value in state.items()}
    return {key: value for key, value in plain.items() if not key.startswith(above)}


def torchvision_names(network: VGG) -> dict[str, str]:
    """Name of each layer with weights in torchvision's numbering, with its own name; both end in a dot.

    Example:
        >>> from lightning_modules.face_attributes.classifier.vgg import VGGSettings
        >>> list(torchvision_names(VGG(VGGSettings((4, 8), (1, 2), (16, 16)), image_size=8)).items())[-2:]
        [('classifier.0.', 'fc6.'), ('classifier.3.', 'fc7.')]
    """
    names: dict[str, str] = {}
    place = 0
    for name, _ in network.steps:
        if name.startswith("dropout"):
            continue
        if name.startswith("fc"):
            names[f"classifier.{3 * (int(name[2:]) - FIRST_FULLY)}."] = f"{name}."
        elif not name.startswith(("relu6", "relu7")):
            if name.startswith(("conv", "norm")):
                names[f"features.{place}."] = f"{name}."
            place += 1
    return names


def _prefix(key: str) -> str:
    found = _TORCHVISION.match(key)
    return found.group(0) if found else ""


def _place(key: str) -> int:
    """Number of a module in torchvision's sequence."""
    return int(key.split(".")[1])
