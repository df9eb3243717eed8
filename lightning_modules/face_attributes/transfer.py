"""Begin from another classifier's checkpoint; of other heads, all but the heads is taken over."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn

from datamodules.common.errors import CheckpointError
from lightning_modules.face_attributes.labelled import labelled_of
from lightning_modules.nn.checkpoint_loading import load_strictly

log = logging.getLogger(__name__)

HEAD_WEIGHTS = "network.heads."
SAME_HEADS = ("attribute_schema", "layout")  # two classifiers that agree in these have the same outputs


class Transferred(NamedTuple):
    """What was taken over.

    Attributes:
        heads: Whether the heads were, too.
        labelled: Attributes that the checkpoint's training had labels for; None where it does not say.
    """

    heads: bool
    labelled: frozenset[str] | None


def load_transfer(module: nn.Module, own: Mapping[str, object], path: str, class_path: str) -> Transferred:
    """Copy the weights of a checkpoint of the same method.

    Args:
        module: The new classifier.
        own: Its hyper-parameters.
        path: A checkpoint that a run wrote.
        class_path: Public name of the method's class.

    Raises:
        CheckpointError: If the file is missing, unreadable, of another method or of another build.
    """
    content = _read(path, class_path)
    saved, state = content["hyper_parameters"], dict(content["state_dict"])
    expected = module.state_dict()
    same_heads = all(saved.get(name) == own.get(name) for name in SAME_HEADS)
    if not same_heads:
        log.info("%s has other heads, so the heads begin anew", path)
        state = {key: value for key, value in state.items() if not key.startswith(HEAD_WEIGHTS)}
        expected = {key: value for key, value in expected.items() if not key.startswith(HEAD_WEIGHTS)}
    load_strictly(module, state, expected, path)
    return Transferred(same_heads, labelled_of(content))


def read_checkpoint(path: str, class_path: str) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Hyper-parameters and tensors of a checkpoint of a class, on the CPU; no code of the file is run.

    Raises:
        CheckpointError: If the file is missing, unreadable or of another method.
    """
    content = _read(path, class_path)
    return dict(content["hyper_parameters"]), dict(content["state_dict"])


def _read(path: str, class_path: str) -> Mapping[str, Any]:
    file = Path(path).expanduser()
    if not file.is_file():
        raise CheckpointError(f"There is no checkpoint at {file}: correct the path.")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"{file} cannot be read as a checkpoint of tensors and plain values "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}): give a file that a run wrote."
        ) from error
    saved = content.get("hyper_parameters") if isinstance(content, Mapping) else None
    if not isinstance(saved, Mapping) or "state_dict" not in content:
        raise CheckpointError(
            f"{file} holds no hyper-parameters: give a .ckpt file that a run wrote; bare weights of a backbone go to "
            "backbone_weights."
        )
    if saved.get("_class_path") != class_path:
        raise CheckpointError(
            f"{file} was written by {saved.get('_class_path')}, not by {class_path}: give a checkpoint of that class."
        )
    return cast(Mapping[str, Any], content)
