"""Rebuild the deployed model from its checkpoint, to compare another one with it."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path

import lightning as L
import torch

import lightning_modules
from datamodules.common.errors import CheckpointError, ConfigurationError
from lightning_modules.inspection.mentoring import MentoringMethod
from lightning_modules.nn.checkpoint_loading import load_strictly


def load_deployed_model(path: str) -> MentoringMethod:
    """Build the mentoring method that wrote a checkpoint, with its weights, frozen and in evaluation mode.

    Only tensors and plain values are read, and only public classes of this package are built: nothing in the file can
    run code.

    Args:
        path: A checkpoint of a training run.

    Returns:
        The model on the CPU.

    Raises:
        CheckpointError: If the file is missing, unreadable, or of another kind of model.
    """
    file = Path(path).expanduser()
    if not file.is_file():
        raise CheckpointError(f"There is no checkpoint at {file}: give the deployed model's checkpoint as baseline.")
    try:
        content = torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        raise CheckpointError(
            f"The baseline {file} cannot be read as a checkpoint of tensors and plain values: give a file that a run "
            "wrote."
        ) from error
    saved = content.get("hyper_parameters") if isinstance(content, Mapping) else None
    if not isinstance(saved, Mapping) or "state_dict" not in content:
        raise CheckpointError(f"The baseline {file} holds no hyper-parameters: give a .ckpt file that a run wrote.")
    built = _public_class(str(saved.get("_class_path")), file)
    try:
        model = built(**{name: value for name, value in saved.items() if not name.startswith("_")})
    except TypeError as error:
        raise CheckpointError(
            f"The baseline {file} was written by another version of this package: {error}."
        ) from error
    load_strictly(model, content["state_dict"], model.state_dict(), str(file))
    return model.requires_grad_(False).eval()


def mentoring_method(module: L.LightningModule, callback: str) -> MentoringMethod:
    """Give back ``module`` once it is known to be a mentoring method.

    Raises:
        ConfigurationError: If it is another model.
    """
    if not isinstance(module, MentoringMethod):
        raise ConfigurationError(
            f"{callback} compares detections, but {type(module).__name__} makes none: use it with a mentoring method, "
            "such as MentoringSegmenter."
        )
    return module


def _public_class(class_path: str, file: Path) -> type[MentoringMethod]:
    package, _, name = class_path.rpartition(".")
    found = (
        getattr(lightning_modules, name)
        if package == "lightning_modules" and name in lightning_modules.PUBLIC
        else None
    )
    if not (isinstance(found, type) and issubclass(found, MentoringMethod)):
        raise CheckpointError(
            f"The baseline {file} was written by {class_path}, which is no mentoring method of this package: give the "
            "checkpoint of a MentoringSegmenter or a MentoringDetector."
        )
    return found
