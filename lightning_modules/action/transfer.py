"""Begin from another recogniser's checkpoint; of other classes, all but the class layer is taken over."""

from __future__ import annotations

import logging
import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from datamodules.common.errors import CheckpointError
from lightning_modules.nn.checkpoint_loading import load_strictly

log = logging.getLogger(__name__)

CLASS_LAYER = "network.classes."


def load_transfer(module: nn.Module, path: str, class_path: str) -> None:
    """Copy the weights of a checkpoint of the same method.

    Args:
        module: The new recogniser, with ``class_names``.
        path: A checkpoint that a run wrote.
        class_path: Public name of the method's class.

    Raises:
        CheckpointError: If the file is missing, unreadable, of another method or of another build.
    """
    saved, state = _read(path, class_path)
    own = module.state_dict()
    if saved.get("class_names") != getattr(module, "class_names", None):
        log.info("%s knows other classes, so the class layer begins anew", path)
        state = {key: value for key, value in state.items() if not key.startswith(CLASS_LAYER)}
        own = {key: value for key, value in own.items() if not key.startswith(CLASS_LAYER)}
    load_strictly(module, state, own, path)


def _read(path: str, class_path: str) -> tuple[Mapping[str, object], dict[str, Tensor]]:
    file = Path(path).expanduser()
    if not file.is_file():
        raise CheckpointError(f"There is no checkpoint at {file}: correct weights.")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"weights {file} cannot be read as a checkpoint of tensors and plain values "
            f"({str(error).splitlines()[0] if str(error) else type(error).__name__}): give a file that a run wrote."
        ) from error
    saved = content.get("hyper_parameters") if isinstance(content, Mapping) else None
    if not isinstance(saved, Mapping) or "state_dict" not in content:
        raise CheckpointError(
            f"weights {file} holds no hyper-parameters: give a .ckpt file that a run wrote; bare weights of the "
            "backbone go to backbone_weights."
        )
    if saved.get("_class_path") != class_path:
        raise CheckpointError(
            f"weights {file} was written by {saved.get('_class_path')}, not by {class_path}: give a checkpoint of the "
            "same method."
        )
    return saved, dict(content["state_dict"])
