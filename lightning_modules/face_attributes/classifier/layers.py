"""Named layers of a network, and the network cut off above the deepest of those that are wanted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from difflib import get_close_matches

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_attributes.classifier.network import FaceAttributeNetwork
from lightning_modules.face_attributes.classifier.vgg import VGG
from lightning_modules.nn.frozen import Freezable, PartlyFrozen

HEADS = "heads"  # the last layer of a classifier: the logits of its heads


class _DeepestReached(Exception):  # no error: it ends a forward pass at the last wanted layer
    """The last wanted layer is computed."""


def layer_names(network: nn.Module, image_size: int | None = None) -> list[str]:
    """Names of the layers of a network in forward order.

    A `VGG` has those of VGG-Face (``conv5_3`` and ``fc6`` are before the ReLU). Of any other network they are the
    modules that run once and give one tensor. A `FaceAttributeNetwork` has those of its backbone, and ``heads``.

    Args:
        network: A backbone, or a whole classifier.
        image_size: Side of its input in pixels, to run it once; None takes the network's own or 224.

    Example:
        >>> layer_names(nn.Sequential(nn.Conv2d(3, 2, 3), nn.ReLU(), nn.Flatten()), image_size=8)
        ['0', '1', '2']
    """
    backbone = plain_backbone(network)
    heads = [HEADS] if isinstance(network, FaceAttributeNetwork) else []
    if isinstance(backbone, VGG):
        return backbone.layers + heads
    return _modules_in_order(backbone, image_size or int(getattr(network, "image_size", 224))) + heads


def plain_backbone(network: nn.Module) -> nn.Module:
    """The backbone of a classifier without what freezes it; another network as it is."""
    backbone = network.backbone if isinstance(network, FaceAttributeNetwork) else network
    return backbone.module if isinstance(backbone, PartlyFrozen) else backbone


class CutNetwork(Freezable):
    """A network up to the deepest of some layers: nothing above it is computed.

    The network is taken over, not copied: it stays in evaluation mode and its parameters get no gradient from here
    on. Gradients flow to the input.

    Shape:
        - x: ``(B, 3, S, S)``, normalised.
        - returns: the output of each layer by name, ``(B, ...)``, in the order of ``layers``.

    Args:
        network: A backbone, or a whole classifier.
        layers: Names of `layer_names`, each once.

    Raises:
        ConfigurationError: If there is no such layer; the message lists all.

    Example:
        >>> from lightning_modules.face_attributes.classifier.vgg import VGGSettings
        >>> network = VGG(VGGSettings((4, 8), (1, 1), (16,)), image_size=8)
        >>> found = CutNetwork(network, ["conv2_1", "fc6"])(torch.zeros(2, 3, 8, 8))
        >>> {name: tuple(output.shape) for name, output in found.items()}
        {'conv2_1': (2, 8, 4, 4), 'fc6': (2, 16)}
    """

    def __init__(self, network: nn.Module, layers: Sequence[str]) -> None:
        super().__init__()
        self.layers = check_layers(network, layers)
        self.network = network
        work_out_of_place(network)
        with torch.inference_mode(False):  # norms made in inference mode could take part in no backward pass later
            self.freeze()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Outputs of the layers for normalised images ``(B, 3, S, S)``."""
        backbone = plain_backbone(self.network)
        below = [layer for layer in self.layers if layer != HEADS]
        whole = len(below) < len(self.layers)
        if isinstance(backbone, VGG):
            last = backbone.layers[-1]
            found = backbone.activations(x, {*below, last} if whole else below)
            features = found[last].flatten(1) if whole else x
        else:
            found, features = _watched(backbone, x, below, stop=not whole)
        if whole:
            assert isinstance(self.network, FaceAttributeNetwork)  # only that has the layer "heads"
            found = found | {HEADS: self.network.classify(features)}
        return {layer: found[layer] for layer in self.layers}


def work_out_of_place(network: nn.Module) -> None:
    """Let no activation write over its input, which is the output of another layer."""
    for module in network.modules():
        if getattr(module, "inplace", False) is True:
            setattr(module, "inplace", False)  # noqa: B010  # a flag that nn.Module does not declare


def check_layers(network: nn.Module, layers: Sequence[str]) -> tuple[str, ...]:
    """The names as a tuple, when every one of them is a layer of the network and stands there once."""
    known = layer_names(network)
    repeated = [name for name, count in Counter(layers).items() if count > 1]
    if repeated or not layers:
        problem = f"repeat {', '.join(repeated)}" if repeated else "are none"
        raise ConfigurationError(f"The layers {problem}: name each wanted layer once, of {', '.join(known)}.")
    for name in layers:
        if name not in known:
            near = get_close_matches(name, known, n=3)
            hint = f"did you mean {' or '.join(near)}? " if near else ""
            raise ConfigurationError(
                f"The network has no layer {name!r}: {hint}Its layers, from the image to the heads: {', '.join(known)}."
            )
    return tuple(layers)


def _watched(network: nn.Module, x: Tensor, wanted: Collection[str], stop: bool) -> tuple[dict[str, Tensor], Tensor]:
    """Outputs of some modules, and of the network; with ``stop`` the last of them ends the pass, and x comes back."""
    found: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        found[name] = output
        if stop and len(found) == len(wanted):
            raise _DeepestReached

    handles = [
        network.get_submodule(name).register_forward_hook(lambda _m, _i, output, name=name: keep(name, output))
        for name in wanted
    ]
    try:
        x = network(x)
    except _DeepestReached:
        pass
    finally:
        _remove(handles)
    return found, x


def _modules_in_order(network: nn.Module, image_size: int) -> list[str]:
    """Modules that give one tensor and run once, in the order in which they finish, by a run on one grey image."""
    finished: list[str] = []
    several: set[str] = set()

    def note(name: str, output: object) -> None:
        finished.append(name)
        if not isinstance(output, Tensor):
            several.add(name)

    modes = {name: module.training for name, module in network.named_modules()}
    handles = [
        module.register_forward_hook(lambda _m, _i, output, name=name: note(name, output))
        for name, module in network.named_modules()
        if name
    ]
    device = next((parameter.device for parameter in network.parameters()), torch.device("cpu"))
    try:
        with torch.no_grad():
            network.eval()(torch.zeros(1, 3, image_size, image_size, device=device))
    finally:
        _remove(handles)
        for name, module in network.named_modules():
            module.training = modes[name]
    counts = Counter(finished)
    return [name for name in finished if counts[name] == 1 and name not in several]


def _remove(handles: Sequence[RemovableHandle]) -> None:
    for handle in handles:
        handle.remove()
