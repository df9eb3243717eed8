"""Read what ``torch.save`` wrote, without running code of the file; say what stands there in its place."""

from __future__ import annotations

import pickle
import re
import zipfile
from pathlib import Path

import numpy as np
import torch

from datamodules.common.errors import CheckpointError

_GLOBAL = re.compile(r"(?:GLOBAL|global) ([\w.]+)")
_HEAD = 512  # bytes looked at
_SAFETENSORS = 9  # length of the header as eight bytes, then a brace


def allow_numpy_scalars() -> None:
    """Let checkpoints hold NumPy's numbers and arrays, which are plain values: many programs keep a score so."""
    kinds = [type(np.dtype(code)) for code in "?bBhHiIlLqQefdgFD"]
    makers = [value.__reduce__()[0] for value in (np.float64(0), np.zeros(1))]
    for maker in makers:
        if callable(maker):
            old = (maker, f"numpy.core.multiarray.{maker.__name__}")  # as NumPy 1 wrote it
            torch.serialization.add_safe_globals([maker, old])
    torch.serialization.add_safe_globals([np.ndarray, np.dtype, *kinds])


def read_torch_file(path: Path, what: str, mapped: bool = False) -> object:
    """Content of a file of ``torch.save``, on the CPU.

    Args:
        path: The file.
        what: What it should be, for the error: "a checkpoint", "weights".
        mapped: Map the tensors into memory in place of reading them, for looking at the rest.

    Raises:
        CheckpointError: If it is missing, cut off, something else, or holds objects whose loading could run code.
    """
    allow_numpy_scalars()
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped and zipfile.is_zipfile(path))
    except FileNotFoundError as error:
        raise CheckpointError(f"there is no file {path}: check the path") from error
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, pickle.UnpicklingError) as error:
        other = what_stands_there(path)
        if other is not None:
            raise CheckpointError(f"{path} cannot be read as {what}: {other}") from error
        found = _GLOBAL.search(str(error))
        if isinstance(error, pickle.UnpicklingError) and found:
            raise CheckpointError(
                f"{path} cannot be read as {what} of tensors and plain values alone (it holds {found[1]}): other "
                "objects could run code; where you trust it, save its state_dict alone"
            ) from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(f"{path} cannot be read as {what} ({reason}): is it complete?") from error


def what_stands_there(path: Path) -> str | None:
    """What a file is that is none of ``torch.save``, and what to do; None where that cannot be told.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     _ = file.write(b"version https://git-lfs.github.com/spec/v1") and file.flush()
        ...     what_stands_there(Path(file.name))
        'it is a pointer of Git LFS in place of the file: run `git lfs pull` where it came from, or download it'
    """
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD)
    except OSError as error:
        return error.strerror or "it cannot be opened"
    start = head.lstrip().lower()
    if not head:
        return "it is empty, so it was not copied or downloaded whole"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page, saved in place of the file: download the file itself"
    if head.startswith(b"version https://git-lfs"):
        return "it is a pointer of Git LFS in place of the file: run `git lfs pull` where it came from, or download it"
    if head.startswith(b"PK"):
        return _zip_content(path)
    if head[8:_SAFETENSORS] == b"{":
        return "it is in the form of safetensors: bare weights go to --model.init_args.weights, or backbone_weights"
    if head.startswith(b"\x93NUMPY"):
        return "it is an array of NumPy"
    if head.startswith(b"\x89HDF"):
        return "it is HDF5, as Keras writes it: weights of PyTorch are needed"
    if all(byte in b"\t\n\r" or byte >= 32 for byte in head) and b"\0" not in head:
        return f'it is text that begins with "{head.decode("utf-8", "replace").split()[0][:40]}"'
    return None


def _zip_content(path: Path) -> str | None:
    if not zipfile.is_zipfile(path):
        return "its end is missing: copy or download it again"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if any(name.endswith("data.pkl") for name in names):
        return None
    if names and all(name.endswith(".npy") for name in names):
        return "it is an archive of NumPy's arrays"
    return f"it is an archive of other files ({names[0] if names else 'none'}): unpack it, and name the one inside"
