"""Read files of weights, and copy weights strictly; no code of a file is run, but for TorchScript archives."""

from __future__ import annotations

import logging
import warnings
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from datamodules.common.errors import CheckpointError
from lightning_modules.nn.torch_file import read_torch_file, what_stands_there

log = logging.getLogger(__name__)

WRAPPERS = ("state_dict", "model_state_dict", "model")


def load_state_dict_file(path: str | Path) -> dict[str, Tensor]:
    """Names and tensors of a file of weights, on the CPU.

    Reads safetensors, what ``torch.save`` wrote (with ``weights_only=True``), and TorchScript archives, the form of
    OpenAI's CLIP; these can hold code, so a warning names them. A dictionary inside ``state_dict`` or ``model`` is
    unwrapped; entries that are no tensors are left out where the file holds more than weights.

    Args:
        path: The file.

    Raises:
        CheckpointError: If the file is missing, unreadable, needs code to load, or holds no tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise CheckpointError(f"There is no file of weights at {path}: check the path.")
    loaded = _read(path)
    for wrapper in WRAPPERS:
        if isinstance(loaded, Mapping) and isinstance(loaded.get(wrapper), Mapping):
            loaded = loaded[wrapper]
    state = {str(k): v for k, v in loaded.items() if isinstance(v, Tensor)} if isinstance(loaded, Mapping) else {}
    if not state:
        raise CheckpointError(f"The file {path} holds no named tensors: give a state dict.")
    return state


def _read(path: Path) -> object:
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            why = what_stands_there(path) or str(error)
            raise CheckpointError(f"{path} cannot be read as weights: {why}") from error
    if _is_torchscript(path):
        log.warning("%s is a TorchScript archive, which can hold code: load it only from a source that you trust", path)
        with warnings.catch_warnings():
            # TorchScript is deprecated for new models; OpenAI's files will not change.
            warnings.simplefilter("ignore", FutureWarning)
            return _torchscript(path)
    return read_torch_file(path, "weights")


def _torchscript(path: Path) -> dict[str, Tensor]:
    try:
        return dict(torch.jit.load(str(path), map_location="cpu").state_dict())  # type: ignore[no-untyped-call]  # torch has no types here
    except (OSError, RuntimeError, ValueError) as error:
        raise CheckpointError(f"{path} cannot be read as weights ({str(error).splitlines()[0]})") from error


def _is_torchscript(path: Path) -> bool:
    """Whether a file is a TorchScript archive, told from one of ``torch.save`` by its constants."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def strip_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The entries without a prefix that all of them have (``module.`` of DataParallel); otherwise as they are.

    Example:
        >>> list(strip_prefix({"module.a": torch.zeros(1)}, "module."))
        ['a']
    """
    if state and all(key.startswith(prefix) for key in state):
        return {key.removeprefix(prefix): value for key, value in state.items()}
    return dict(state)


def load_strictly(
    module: nn.Module,
    state: Mapping[str, Tensor],
    covered: Iterable[str],
    origin: str,
    left_out: str | tuple[str, ...] = (),
) -> None:
    """Copy ``state`` into ``module``; it must hold exactly the ``covered`` keys, with the module's shapes.

    Args:
        module: What takes the weights.
        state: Tensors by the module's own keys; floating dtypes are converted.
        covered: Keys of the module that the source is bound to hold.
        origin: What the weights are, for the error.
        left_out: Beginnings of keys that are passed over on both sides.

    Raises:
        CheckpointError: If a key is missing, left over, or of another shape; all are listed, and nothing is copied.
    """
    own = module.state_dict()
    state = {key: value for key, value in state.items() if not key.startswith(left_out)}
    expected = {key for key in covered if not key.startswith(left_out)}
    shapes = [
        f"{key} is {tuple(value.shape)}, the network needs {tuple(own[key].shape)}"
        for key, value in state.items()
        if key in own and value.shape != own[key].shape
    ]
    raise_for_keys(origin, missing=expected - set(state), unexpected=set(state) - expected, shapes=shapes)
    module.load_state_dict(state, strict=False)


def raise_for_keys(
    origin: str, *, missing: Iterable[str] = (), unexpected: Iterable[str] = (), shapes: Iterable[str] = ()
) -> None:
    """Raise `CheckpointError` that lists every key that does not fit; return where all do."""
    lists = {"missing": sorted(missing), "not expected": sorted(unexpected), "of another shape": sorted(shapes)}
    problems = [f"{len(keys)} {name}: {', '.join(keys)}" for name, keys in lists.items() if keys]
    if problems:
        raise CheckpointError(
            f"The weights of {origin} do not fit the network, nothing was loaded; choose the preset and options that "
            f"they were made for. Keys {'; '.join(problems)}."
        )
