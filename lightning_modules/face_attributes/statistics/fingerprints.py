"""What activations of a layer depend on, in short: the weights below it and the preprocessing before it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from datamodules.common.fingerprint import tensors_digest
from lightning_modules.face_attributes.classifier.layers import HEADS, CutNetwork, plain_backbone
from lightning_modules.face_attributes.classifier.preprocess import FacePreprocess

_COUNTER = "num_batches_tracked"  # of batch norms; it changes no output


def layer_fingerprints(network: nn.Module, layers: Sequence[str], image_size: int) -> dict[str, str]:
    """Fingerprint of every weight and buffer that the activations of each layer depend on.

    What runs after a layer does not count: heads trained further leave the statistics of a frozen layer valid.

    Args:
        network: A backbone or a whole classifier; it is frozen, as by `CutNetwork`.
        layers: Names of its layers.
        image_size: Side of its input in pixels, to see by one grey image which modules run.

    Raises:
        ConfigurationError: If there is no such layer.
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
