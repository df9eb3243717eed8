"""Short, stable names for the content of files, configurations and tensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

_BLOCK = 1 << 20  # bytes read at a time


def file_key(path: str | Path) -> str:
    """Return a cheap key of a file's state, ``size-mtime_ns``: it changes when the file is rewritten.

    Raises:
        OSError: If the file does not exist.
    """
    state = Path(path).stat()
    return f"{state.st_size}-{state.st_mtime_ns}"


def file_sha256(path: str | Path) -> str:
    """Return the SHA-256 of a file's content, 64 hexadecimal digits, read in blocks of 1 MiB.

    Raises:
        OSError: If the file cannot be read.
    """
    digest = hashlib.sha256()
    with Path(path).open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def config_digest(config: Mapping[str, object]) -> str:
    """Return the SHA-256 of a configuration, the same for any order of its keys.

    Args:
        config: Nested mappings, lists and plain values, as a parsed YAML file has them.

    Raises:
        TypeError: If a value is not plain: its text could differ from run to run.

    Example:
        >>> config_digest({"a": 1, "b": [2.5, None]}) == config_digest({"b": [2.5, None], "a": 1})
        True
    """
    text = json.dumps(config, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()  # a file's name may be no UTF-8


def tensors_digest(tensors: Mapping[str, Tensor], most: int | None = None) -> str:
    """Return the SHA-256 over names, dtypes, shapes and values of tensors, the same for any order of the names.

    Args:
        tensors: Named tensors of any dtype and device, for example a state dict.
        most: Look at so many values of a larger tensor, spread over it, since all of a large network take minutes;
            None looks at all.

    Example:
        >>> import torch
        >>> tensors_digest({"w": torch.zeros(2)}) == tensors_digest({"w": torch.zeros(2, 1)})
        False
    """
    from torch import uint8  # not needed for files, which are named without torch too

    digest = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].detach()
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        if most is not None and tensor.numel() > most:
            tensor = tensor.reshape(-1)[:: tensor.numel() // most + 1]
        tensor = tensor.cpu().contiguous()
        digest.update(tensor.reshape(-1).view(uint8).numpy().tobytes() if tensor.numel() else b"")
    return digest.hexdigest()
