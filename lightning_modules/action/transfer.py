"""Begin from another recogniser's checkpoint; of other classes, all but the class layer is taken over."""

from __future__ import annotations

import logging

from torch import nn

from lightning_modules.nn.checkpoint_loading import load_strictly
from lightning_modules.nn.method_checkpoint import read_method_checkpoint

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
    saved, state, _ = read_method_checkpoint(path, class_path, "weights")
    own = module.state_dict()
    if saved.get("class_names") != getattr(module, "class_names", None):
        log.info("%s knows other classes, so the class layer begins anew", path)
        state = {key: value for key, value in state.items() if not key.startswith(CLASS_LAYER)}
        own = {key: value for key, value in own.items() if not key.startswith(CLASS_LAYER)}
    load_strictly(module, state, own, path)
