"""Networks of timm by name: built without classes, filled from a file or with timm's weights, and their input."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.checkpoint_loading import load_state_dict_file, load_strictly, strip_prefix
from lightning_modules.nn.hub import hub

if TYPE_CHECKING:
    from timm.models import PretrainedCfg

log = logging.getLogger(__name__)

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # of pixels in 0..1, RGB
IMAGENET_STD = (0.229, 0.224, 0.225)

# timm is slow to import, and of no use to `--help`: each function that needs it imports it.


def check_name(name: str, own: Sequence[str] = ()) -> None:
    """Refuse a name that timm does not know.

    Args:
        name: Of a network.
        own: Names beside timm's that may be chosen, for the error.

    Raises:
        ConfigurationError: If there is no such network; the message names the nearest ones.

    Example:
        >>> check_name("resnet18")
    """
    import timm

    if timm.is_model(name):
        return
    near = get_close_matches(name, [*own, *timm.list_models()], n=3)
    raise ConfigurationError(
        f"There is no backbone {name!r}: use {', '.join(own)}{', or ' if own else ''}a name of timm"
        + (f" such as {', '.join(near)}." if near else " (timm.list_models()).")
    )


def build_pooled(name: str, size: int, argument: str, own: Sequence[str] = ()) -> tuple[nn.Module, int]:
    """Make a network of pooled features, with random weights and without classes.

    Args:
        name: Of timm.
        size: Side of its input in pixels; networks of a fixed size, such as ViT, are built for it.
        argument: Name of the option that gave the size, for the errors.
        own: See `check_name`.

    Returns:
        The network, ``(B, 3, size, size)`` to ``(B, F)``, and F.

    Raises:
        ConfigurationError: If the name is unknown, the size does not fit, or the features are not pooled.

    Example:
        >>> network, features = build_pooled("test_resnet", 64, "image_size")
        >>> features, tuple(network(torch.zeros(1, 3, 64, 64)).shape)
        (96, (1, 96))
    """
    import timm

    check_name(name, own)
    try:
        network: nn.Module = timm.create_model(name, **_pooled_options(name, size))
    except (TypeError, AssertionError) as error:
        raise ConfigurationError(
            f"The backbone {name!r} cannot be built for images of {size} pixels ({error}): choose another {argument}."
        ) from error
    return network, _output_width(network, name, size, argument)


def _pooled_options(name: str, size: int) -> dict[str, Any]:
    """What timm must be told for pooled features of images of ``size`` pixels."""
    return {"num_classes": 0, **({} if fixed_side(name) is None else {"img_size": size})}


def _output_width(network: nn.Module, name: str, size: int, argument: str) -> int:
    """Number of pooled features, by one image: timm's own numbers do not always say."""
    mode = network.training
    try:
        with torch.no_grad():
            shape = tuple(network.eval()(torch.zeros(1, 3, size, size)).shape)
    except (RuntimeError, AssertionError) as error:
        raise ConfigurationError(
            f"The backbone {name!r} does not take images of {size} pixels ({error}): choose another {argument}."
        ) from error
    network.train(mode)
    if len(shape) != 2:
        raise ConfigurationError(f"The backbone {name!r} gives {shape}, not pooled features: choose another one.")
    return int(shape[1])


def fill_from_file(network: nn.Module, name: str, file: str) -> None:
    """Fill a network of `build_pooled` from a local state dict in timm's or torchvision's layout, without its classes.

    Raises:
        CheckpointError: If the file is unreadable, or a weight is missing, left over or of another shape.
    """
    _fill(network, read_state(file), f"{name} in {file}", _class_layers(name))


def fill_from_timm(network: nn.Module, name: str, size: int) -> None:
    """Fill a network of `build_pooled` with timm's pretrained weights, from its cache or the network.

    Raises:
        ConfigurationError: If there are none for this name, or they cannot be fetched.
    """
    _fill(network, pretrained_state(name, size), f"{name} of timm")


def read_state(file: str) -> dict[str, Tensor]:
    """Names and tensors of a published file, without the prefix that ``DataParallel`` puts before them.

    Raises:
        CheckpointError: If the file is missing or unreadable.
    """
    return strip_prefix(load_state_dict_file(file), "module.")


def pretrained_state(name: str, pooled_size: int | None = None) -> dict[str, Tensor]:
    """Names and tensors of timm's pretrained weights, from its cache or the network.

    Args:
        name: Of timm.
        pooled_size: Leave out its classes, for pooled features of images of so many pixels; None keeps them.

    Raises:
        ConfigurationError: If there are none for this name, or they cannot be fetched.
    """
    import timm

    log.info("taking timm's weights of %s from this disk or from its hub", name)
    try:
        options = {} if pooled_size is None else _pooled_options(name, pooled_size)
        with hub():
            network: nn.Module = timm.create_model(name, pretrained=True, **options)
    except (RuntimeError, OSError) as error:
        reason = " ".join(str(error).split())
        raise ConfigurationError(
            f"No pretrained weights of {name!r} can be had ({reason}): begin from random weights with "
            "--model.init_args.pretrained false, or name a file with --model.init_args.backbone_weights FILE."
        ) from error
    return network.state_dict()


def _fill(network: nn.Module, state: Mapping[str, Tensor], origin: str, left_out: tuple[str, ...] = ()) -> None:
    own = network.state_dict()
    picked = {key: value for key, value in state.items() if key in own or not key.startswith(left_out)}
    # Files from before PyTorch 0.4.1, torchvision's first ResNets among them, do not count batches.
    covered = [key for key in own if key in picked or not key.endswith("num_batches_tracked")]
    load_strictly(network, picked, covered, origin)


def _class_layers(name: str) -> tuple[str, ...]:
    """Prefixes of the weights of a network's own classes."""
    named = getattr(_published(name), "classifier", None) or "fc"
    return tuple(f"{layer}." for layer in ((named,) if isinstance(named, str) else named))


def fixed_side(name: str) -> int | None:
    """Side in pixels that a network is made for, if it takes no other one; otherwise None.

    Example:
        >>> fixed_side("resnet18"), fixed_side("vit_tiny_patch16_224")
        (None, 224)
    """
    published = _published(name)
    return int(published.input_size[-1]) if published is not None and published.fixed_input_size else None


def published_side(name: str) -> int | None:
    """Side in pixels of the images that a network's published weights learnt from; None where timm does not say."""
    published = _published(name)
    return None if published is None or not published.input_size else int(published.input_size[-1])


def input_statistics(name: str) -> tuple[tuple[float, ...], tuple[float, ...]] | None:
    """Mean and deviation of pixels in 0..1, RGB, that a network was made for; None where timm does not say.

    Example:
        >>> input_statistics("vit_tiny_patch16_224"), input_statistics("none")
        (((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)), None)
    """
    import timm

    published = _published(name) if timm.is_model(name) else None
    return None if published is None else (tuple(published.mean), tuple(published.std))


def statistics_or_imagenet(name: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Statistics as of `input_statistics`; ImageNet's where timm does not say."""
    return input_statistics(name) or (IMAGENET_MEAN, IMAGENET_STD)


def _published(name: str) -> PretrainedCfg | None:
    """What timm knows about the published weights of a network."""
    import timm

    return timm.get_pretrained_cfg(name, allow_unregistered=True)
