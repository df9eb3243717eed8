"""Networks that other methods trained, from their checkpoints."""

from __future__ import annotations

import importlib
from typing import cast

from torch import nn

from datamodules.common.errors import CheckpointError
from lightning_modules.nn.checkpoint_loading import load_strictly
from lightning_modules.nn.method_checkpoint import read_method_checkpoint

_CLASSIFIER = "FaceAttributeClassifier"


def face_classifier(path: str, argument: str) -> nn.Module:
    """A `FaceAttributeClassifier` as its checkpoint builds it, frozen.

    Raises:
        CheckpointError: If the file is no checkpoint, or of another method.
    """
    saved, state, _ = read_method_checkpoint(path, f"lightning_modules.{_CLASSIFIER}", argument)
    method = getattr(importlib.import_module("lightning_modules"), _CLASSIFIER)
    model = cast(nn.Module, method(**{name: value for name, value in saved.items() if not name.startswith("_")}))
    load_strictly(model, state, model.state_dict(), path)
    return model.requires_grad_(False).eval()


def need_names(names: list[str], wanted: list[str], origin: str) -> list[int]:
    """Columns of names.

    Raises:
        CheckpointError: If one is not there.
    """
    lower = {name.lower(): place for place, name in enumerate(names)}
    absent = [name for name in wanted if name.lower() not in lower]
    if absent:
        raise CheckpointError(f"{origin} knows no {', '.join(absent)}; it knows {', '.join(names)}")
    return [lower[name.lower()] for name in wanted]
