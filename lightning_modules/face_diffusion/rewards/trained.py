"""Networks that other methods trained, from their checkpoints."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, cast

from torch import nn

from datamodules.common.errors import CheckpointError
from lightning_modules.nn.checkpoint_loading import load_strictly
from lightning_modules.nn.method_checkpoint import read_method_checkpoint

_LABELLED = "labelled_attributes"  # key of its checkpoints
_SHOWN = 12  # names that an error tells
_CLASSIFIER = "FaceAttributeClassifier"


class FaceClassifier(NamedTuple):
    """A `FaceAttributeClassifier`.

    Attributes:
        model: As its checkpoint builds it, frozen.
        columns: Attributes that its training had labels of; what it says of the others means nothing.
        names: Of these.
    """

    model: nn.Module
    columns: list[int]
    names: list[str]


def face_classifier(path: str, argument: str) -> FaceClassifier:
    """Build a `FaceAttributeClassifier` from its checkpoint.

    Raises:
        CheckpointError: If the file is no checkpoint, or of another method.
    """
    saved, state, content = read_method_checkpoint(path, f"lightning_modules.{_CLASSIFIER}", argument)
    method = getattr(importlib.import_module("lightning_modules"), _CLASSIFIER)
    model = cast(nn.Module, method(**{name: value for name, value in saved.items() if not name.startswith("_")}))
    load_strictly(model, state, model.state_dict(), path)
    attributes: Sequence[str] = cast(Any, model).schema.attributes  # known by its checkpoint alone
    labelled = content.get(_LABELLED, attributes)
    columns = [place for place, attribute in enumerate(attributes) if attribute in labelled]
    return FaceClassifier(model.requires_grad_(False).eval(), columns, [attributes[place] for place in columns])


def need_names(names: list[str], wanted: list[str], origin: str) -> list[int]:
    """Columns of names.

    Raises:
        CheckpointError: If one is not there.
    """
    lower = {name.lower(): place for place, name in enumerate(names)}
    absent = [name for name in wanted if name.lower() not in lower]
    if absent:
        near = [one for name in absent for one in get_close_matches(name, names, n=2)]
        hint = f"; nearest: {', '.join(near)}" if near else ""
        shown = [*names[:_SHOWN], *([f"{len(names) - _SHOWN} more"] if len(names) > _SHOWN else [])]
        raise CheckpointError(f"{origin} knows no {', '.join(absent)}{hint}; it knows {', '.join(shown)}")
    return [lower[name.lower()] for name in wanted]
