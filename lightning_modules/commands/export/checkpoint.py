"""The method of a checkpoint, built and in evaluation, and what its run says of its data."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
import yaml

import lightning_modules
from datamodules.common.errors import CheckpointError, ExportError
from lightning_modules.base import Method
from lightning_modules.commands.exported.predict import RUNNERS
from lightning_modules.commands.front.checkpoint import read_saved_model

_REFUSED = {
    "AttributeFaceGenerator": (
        "it makes a face by optimising a picture, so that there is no network from a request to an answer: export the "
        "FaceAttributeClassifier it is built on"
    ),
    "PretrainedActionClassifier": "its network is one of transformers, which optimum exports: use optimum-cli",
}


def load_method(path: str) -> Method:
    """Build the method of a checkpoint.

    Raises:
        CommandLineError: If there is no such file.
        CheckpointError: If it is no checkpoint, or its weights do not fit.
        ExportError: If its method has no graph.
    """
    saved = read_saved_model(path)
    if saved is None or saved.class_path is None:
        raise CheckpointError(f"{path} does not name the class of its model: give a checkpoint that `fit` wrote")
    package, _, name = saved.class_path.rpartition(".")
    if package != lightning_modules.__name__ or name not in RUNNERS:
        why = _REFUSED.get(name, f"what can be exported are {', '.join(RUNNERS)}")
        raise ExportError(f"{saved.path} is of {name}, which cannot be exported: {why}")
    method = cast(type[Method], getattr(lightning_modules, name))
    try:
        model = method.load_from_checkpoint(saved.path, map_location="cpu", weights_only=True)
    except (RuntimeError, TypeError, KeyError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise CheckpointError(f"{saved.path} does not fit {name} of this version ({reason}): train again") from error
    return model.eval()


def run_folder(checkpoint: Path) -> Path | None:
    """Folder of the run that wrote a checkpoint, by its ``config.yaml``; None where it lies alone."""
    return next((parent for parent in checkpoint.absolute().parents[:2] if (parent / "config.yaml").is_file()), None)


def run_config(checkpoint: Path) -> Mapping[str, Any]:
    """What the run was made with; empty where it is not known."""
    folder = run_folder(checkpoint)
    if folder is None:
        return {}
    try:
        content = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    return content if isinstance(content, dict) else {}


def data_options(checkpoint: Path, stated: Mapping[str, Any]) -> dict[str, Any]:
    """Options of the data that decide what the network sees: those of the run, then those that are stated.

    How clips are drawn follows from ``predict``'s own configuration, not from the training.
    """
    data = run_config(checkpoint).get("data")
    own = data.get("init_args") if isinstance(data, Mapping) else None
    kept = {name: value for name, value in (own or {}).items() if name == "image_size"}
    return {**kept, **data_state(checkpoint, "InspectionDataModule"), **stated}


def data_state(checkpoint: Path, name: str) -> dict[str, Any]:
    """What the data module of a class wrote into a checkpoint, such as the white level that was trained with."""
    content = torch.load(checkpoint, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(checkpoint))
    return dict(content.get(name) or {})
