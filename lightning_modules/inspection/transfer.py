"""Begin from another model of the same method: transfer learning, and a frozen teacher for distillation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.checkpoint_loading import load_strictly
from lightning_modules.nn.frozen import Freezable
from lightning_modules.nn.method_checkpoint import read_method_checkpoint

# Parts that a model has or has not by its options; each is taken over only where both have it.
OPTIONAL_PARTS = ("domain_segmenter.", "teacher.")
TEACHER_PARTS = ("preprocess.", "network.")


class Teacher(Freezable):
    """Preprocessing and network of the deployed model, frozen.

    Args:
        preprocess: uint8 images to what ``network`` takes.
        network: Of the same build as the student's.
    """

    def __init__(self, preprocess: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.network = network
        self.freeze()

    def freeze(self) -> Self:
        """Fix all weights and statistics.

        The batch norms stay as they are: those of timm hold the activation too, so nothing can stand in for them, and
        in evaluation mode their statistics do not move.
        """
        self.requires_grad_(False)
        self.frozen = True
        return self.train(False)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """What the network says of uint8 ``(B, 3, H, W)``, without gradient."""
        with torch.no_grad():
            output: tuple[Tensor, ...] = self.network(self.preprocess(image))
            return output


def read_model(path: str, class_path: str, class_names: Sequence[str], argument: str) -> dict[str, Tensor]:
    """Weights of a checkpoint, once it is known to be of the same method and classes.

    Args:
        path: A checkpoint of a training run.
        class_path: Public name of the method's class.
        class_names: Classes that the new model has.
        argument: Name of the option that gave the path, for the errors.

    Raises:
        CheckpointError: If the file is missing, unreadable or of another method.
        ConfigurationError: If its classes differ.
    """
    saved, state, _ = read_method_checkpoint(path, class_path, argument)
    if list(saved.get("class_names") or []) != list(class_names):
        raise ConfigurationError(
            f"{argument} {path} knows the classes {saved.get('class_names')}, but the data has {list(class_names)}: "
            "name the same classes in the same order, for example with --data.init_args.classes."
        )
    return state


def load_transfer(module: nn.Module, state: Mapping[str, Tensor], origin: str) -> None:
    """Copy all weights of another model of the same build; optional parts only where both have them.

    ``origin`` says what the weights are, for the error.

    Raises:
        CheckpointError: If a key is missing, left over or of another shape.
    """
    own = set(module.state_dict())
    covered = {key for key in own if key in state or not key.startswith(OPTIONAL_PARTS)}
    picked = {key: value for key, value in state.items() if key in own or not key.startswith(OPTIONAL_PARTS)}
    load_strictly(module, picked, covered, origin)


def load_teacher(teacher: Teacher, state: Mapping[str, Tensor], origin: str) -> None:
    """Fill a teacher of the student's build from the deployed model's checkpoint; ``origin`` is for the error.

    Raises:
        CheckpointError: If the deployed model was built in another way.
    """
    picked = {key: value for key, value in state.items() if key.startswith(TEACHER_PARTS)}
    load_strictly(teacher, picked, teacher.state_dict(), origin)
