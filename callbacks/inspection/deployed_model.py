"""Rebuild the deployed model from its checkpoint, to compare another one with it."""

from __future__ import annotations

import lightning as L

import lightning_modules
from datamodules.common.errors import CheckpointError, ConfigurationError
from lightning_modules.inspection.mentoring import MentoringMethod
from lightning_modules.nn.checkpoint_loading import load_strictly
from lightning_modules.nn.method_checkpoint import read_method_checkpoint


def load_deployed_model(path: str) -> MentoringMethod:
    """Build the mentoring method that wrote a checkpoint, with its weights, on the CPU, frozen and in evaluation mode.

    Only tensors and plain values are read, and only public classes of this package are built: nothing in the file can
    run code.

    Raises:
        CheckpointError: If the file is missing, unreadable, or of another kind of model.
    """
    saved, state, _ = read_method_checkpoint(path, None, "baseline")
    built = _public_class(str(saved.get("_class_path")), path)
    try:
        model = built(**{name: value for name, value in saved.items() if not name.startswith("_")})
    except TypeError as error:
        raise CheckpointError(
            f"The baseline {path} was written by another version of this package ({error}): train it anew."
        ) from error
    load_strictly(model, state, model.state_dict(), path)
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


def _public_class(class_path: str, path: str) -> type[MentoringMethod]:
    package, _, name = class_path.rpartition(".")
    found = (
        getattr(lightning_modules, name)
        if package == "lightning_modules" and name in lightning_modules.PUBLIC
        else None
    )
    if not (isinstance(found, type) and issubclass(found, MentoringMethod)):
        raise CheckpointError(
            f"The baseline {path} was written by {class_path}, which is no mentoring method of this package: give the "
            "checkpoint of a MentoringSegmenter or a MentoringDetector."
        )
    return found
