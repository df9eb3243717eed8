"""Begin from another classifier's checkpoint; of other heads, all but the heads is taken over.

What a checkpoint says of the people that it learnt from goes along, so that a later one names those of every training.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn

from datamodules.common.errors import CheckpointError
from lightning_modules.face_attributes.classifier.training_facts import labelled_of
from lightning_modules.nn.checkpoint_loading import load_strictly
from lightning_modules.nn.method_checkpoint import read_method_checkpoint

log = logging.getLogger(__name__)

BEFORE = "learnt_before"  # key of a checkpoint
_PEOPLE = "FaceAttributeDataModule"  # where Lightning keeps the state of that class

HEAD_WEIGHTS = "network.heads."
BUILD = ("backbone", "image_size")  # what most often differs where weights do not fit
SAME_HEADS = ("attribute_schema", "layout")  # two classifiers that agree in these have the same outputs


class Transferred(NamedTuple):
    """What was taken over.

    Attributes:
        heads: Whether the heads were, too.
        labelled: Attributes that the checkpoint's training had labels for; None where it does not say.
        learnt: As of `learnt_in`.
    """

    heads: bool
    labelled: frozenset[str] | None
    learnt: list[Tensor | None]


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
    saved, state, content = read_method_checkpoint(path, class_path, "weights")
    same_heads = all(saved.get(name) == own.get(name) for name in SAME_HEADS)
    if not same_heads:
        log.info("%s has other heads, so the heads begin anew", path)
    try:
        load_strictly(module, state, module.state_dict(), path, () if same_heads else HEAD_WEIGHTS)
    except CheckpointError as error:
        other = [name for name in BUILD if saved.get(name) != own.get(name)]
        if not other:
            raise
        differing = " and ".join(f"{name} {saved.get(name)}, not {own.get(name)}" for name in other)
        raise CheckpointError(
            f"weights {path} was trained with {differing}: set model.init_args.backbone and "
            "data.init_args.image_size as they were."
        ) from error
    return Transferred(same_heads, labelled_of(content), learnt_in(content))


def learnt_in(checkpoint: Mapping[str, Any]) -> list[Tensor | None]:
    """Whom a checkpoint learnt from: for each training that made it, in their order, a sketch of people ``(n,)`` int64.

    None stands for a training that does not say.
    """
    state = checkpoint.get(_PEOPLE)
    people = state.get("people") if isinstance(state, Mapping) else None
    return [*checkpoint.get(BEFORE, []), people if isinstance(people, Tensor) else None]


def read_checkpoint(path: str, class_path: str) -> tuple[dict[str, object], dict[str, Tensor]]:
    """Hyper-parameters and tensors of a checkpoint of a class, on the CPU; no code of the file is run.

    Raises:
        CheckpointError: If the file is missing, unreadable or of another method.
    """
    saved, state, _ = read_method_checkpoint(path, class_path)
    return saved, state
