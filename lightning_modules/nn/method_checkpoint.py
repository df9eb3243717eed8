"""Read a checkpoint that a run of a known method wrote, to take weights over from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from torch import Tensor

from datamodules.common.errors import CheckpointError
from lightning_modules.nn.torch_file import read_torch_file


class MethodCheckpoint(NamedTuple):
    """What a run saved.

    Attributes:
        hyper_parameters: Arguments of the method by name, plain values.
        state_dict: Tensors of the method by their keys, on the CPU.
        content: The whole file, these two included.
    """

    hyper_parameters: dict[str, Any]
    state_dict: dict[str, Tensor]
    content: Mapping[str, Any]


def read_method_checkpoint(path: str, class_path: str | None, argument: str | None = None) -> MethodCheckpoint:
    """Read a checkpoint once it is known to be of one method; no code of the file is run.

    Args:
        path: A checkpoint that a run wrote; ``~`` is the user's folder.
        class_path: Public name of the method's class, which the checkpoint must name too; None takes any.
        argument: Name of the option that gave the path, for the errors; None where a command took it.

    Raises:
        CheckpointError: If the file is missing, unreadable, no checkpoint of a run, or of another method.
    """
    file = Path(path).expanduser()
    what, named = (f"{argument} {file}", f" of {argument}") if argument else (f"The checkpoint {file}", "")
    if not file.is_file():
        raise CheckpointError(f"There is no checkpoint at {file}: correct the path{named}.")
    try:
        content = read_torch_file(file, "a checkpoint")
    except CheckpointError as error:
        raise CheckpointError(f"{argument} {error}" if argument else str(error)) from error
    content = content if isinstance(content, Mapping) else {}
    saved = content.get("hyper_parameters")
    if not isinstance(saved, Mapping) or "state_dict" not in content:
        raise CheckpointError(
            f"{what} holds no hyper-parameters: give a .ckpt file that a run wrote; bare weights of a "
            "backbone go to backbone_weights."
        )
    if class_path is not None and saved.get("_class_path") != class_path:
        raise CheckpointError(
            f"{what} was written by {saved.get('_class_path')}, not by {class_path}: give a checkpoint of that class."
        )
    return MethodCheckpoint(dict(saved), dict(content["state_dict"]), content)
