"""Methods from their checkpoints: the generator that makes the faces that are judged, and their judges."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, cast

import torch

from lightning_modules.base import Method
from lightning_modules.commands.front.checkpoint import read_saved_model
from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier
from lightning_modules.face_attributes.classifier.transfer import read_checkpoint
from lightning_modules.face_attributes.generator.module import AttributeFaceGenerator
from lightning_modules.nn.checkpoint_loading import load_strictly

MethodT = TypeVar("MethodT", bound=Method)


def rebuild(method: type[MethodT], path: str, stated: Mapping[str, object] | None = None) -> MethodT:
    """Build a method from its checkpoint, with ``stated`` arguments in place of those in it.

    Raises:
        CheckpointError: If the file is missing, unreadable or of another method.
    """
    arguments, state = read_checkpoint(path, method.class_path())
    plain = {name: value for name, value in arguments.items() if not name.startswith("_")}
    model = method(**cast(dict[str, Any], plain | dict(stated or {})))
    load_strictly(model, state, model.state_dict(), path)
    return model.eval()


def load_generator(path: str, statistics: str | None, stated: Mapping[str, object]) -> AttributeFaceGenerator:
    """Build a generator from its checkpoint, or from a classifier's and the file of its statistics.

    ``stated`` arguments stand in place of the checkpoint's.

    Raises:
        CheckpointError: If a file is missing, unreadable or of another method, or statistics are another network's.
        CommandLineError: If a classifier has no statistics, or a generator is given some.
    """
    saved = read_saved_model(path)
    if saved is None:
        raise CommandLineError(f"{path} names no file: give the path of a checkpoint")
    extra = cast(dict[str, Any], dict(stated))
    if saved.class_path == FaceAttributeClassifier.class_path():
        if statistics is None:
            raise CommandLineError(
                f"{path} is a classifier, which knows no statistics of activations: add --statistics FILE, the "
                "statistics.safetensors of `validate --config face_attributes/statistics`"
            )
        return AttributeFaceGenerator(classifier_weights=path, statistics_weights=statistics, **extra).eval()
    if statistics is not None:
        raise CommandLineError(f"{path} holds its own statistics: leave --statistics {statistics} out")
    generator = rebuild(AttributeFaceGenerator, path, extra)
    generator.on_load_checkpoint(torch.load(Path(path).expanduser(), map_location="cpu", weights_only=True))
    return generator
