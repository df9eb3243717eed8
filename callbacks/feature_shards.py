"""Features of a frozen backbone on disk: one safetensors file a split and view, and a manifest of what they hold."""

from __future__ import annotations

import json
import logging
import struct
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Literal, Self

import torch
from torch import Tensor

from datamodules.common.atomic_write import write_text

log = logging.getLogger(__name__)

FeatureType = Literal["float32", "float16"]
TENSOR = "features"  # name of the tensor in each file
MANIFEST = "manifest.json"

_VERSION = 1  # raise it whenever the files of older ones cannot be used
_TYPES: dict[FeatureType, tuple[torch.dtype, str]] = {
    "float32": (torch.float32, "F32"),
    "float16": (torch.float16, "F16"),
}
_WORDS = {
    "version": "they were written by another version",
    "data": "the data, their sampling or augmentation changed",
    "backbone": "the backbone's weights or the preprocessing changed",
    "views": "the number of augmented views changed",
    "dtype": "the number format changed",
    "precision": "the trainer's precision changed",
}


class ShardWriter:
    """Write a safetensors file with one tensor ``features`` (N, F) block by block, so that memory stays small.

    Args:
        path: File to write.
        rows: N.
        width: F.
        dtype: Format of the numbers.

    Example:
        >>> import tempfile
        >>> from safetensors.torch import load_file
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with ShardWriter(Path(folder) / "a.safetensors", 2, 3, "float16") as writer:
        ...         writer.add(torch.ones(2, 3))
        ...     load_file(Path(folder) / "a.safetensors")["features"].shape
        torch.Size([2, 3])
    """

    def __init__(self, path: Path, rows: int, width: int, dtype: FeatureType) -> None:
        self._dtype, name = _TYPES[dtype]
        self._shape = (rows, width)
        self._written = 0
        size = rows * width * self._dtype.itemsize
        header = json.dumps({TENSOR: {"dtype": name, "shape": self._shape, "data_offsets": [0, size]}}).encode()
        header += b" " * (-len(header) % 8)  # numbers start at a multiple of 8 bytes, as the format wants
        self._stream: IO[bytes] = path.open("wb")
        self._stream.write(struct.pack("<Q", len(header)) + header)

    def add(self, features: Tensor) -> None:
        """Append rows ``(B, F)``.

        Raises:
            ValueError: If they do not fit the announced shape.
        """
        rows, width = self._shape
        if features.dim() != 2 or features.shape[1] != width or self._written + len(features) > rows:
            raise ValueError(
                f"features of shape {tuple(features.shape)} do not fit after row {self._written} of ({rows}, {width})"
            )
        self._stream.write(features.detach().to("cpu", self._dtype).contiguous().numpy().tobytes())
        self._written += len(features)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stream.close()
        if kind is None and self._written != self._shape[0]:
            raise ValueError(f"{self._written} rows of features were written, but {self._shape[0]} announced")


class FeatureFolder:
    """A folder of features, and whether they are those that are wanted.

    Args:
        path: The folder.
        facts: Everything that the features depend on, plain values.
    """

    def __init__(self, path: Path, facts: Mapping[str, object]) -> None:
        self.path = path
        self.facts: dict[str, object] = {"version": _VERSION, **facts}
        self._shards: dict[str, dict[str, int]] = {}

    def open(self) -> None:
        """Read the manifest; files that belong to other facts are removed, with one line in the log that says why."""
        self.path.mkdir(parents=True, exist_ok=True)
        manifest = self._read()
        reason = self._difference(manifest)
        if reason is not None:
            log.info("features in %s are computed anew: %s", self.path, reason)
        self._shards = {} if manifest is None or reason is not None else manifest["shards"]
        for stale in self.path.glob("*.view*.safetensors"):
            if not self.holds(stale.name.removesuffix(".safetensors")):
                stale.unlink()

    def holds(self, shard: str) -> bool:
        """Whether a file is there and whole."""
        told = self._shards.get(shard)
        path = self.file(shard)
        return told is not None and path.is_file() and path.stat().st_size == told["bytes"]

    def file(self, shard: str) -> Path:
        """Path of a file."""
        return self.path / f"{shard}.safetensors"

    def add(self, shard: str, rows: int, width: int) -> None:
        """Enter a file that is complete into the manifest."""
        self._shards[shard] = {"rows": rows, "width": width, "bytes": self.file(shard).stat().st_size}
        content = {"facts": self.facts, "shards": self._shards}
        write_text(self.path / MANIFEST, json.dumps(content, indent=2, sort_keys=True) + "\n")

    def size(self) -> int:
        """Bytes of all files."""
        return sum(shard["bytes"] for shard in self._shards.values())

    def _read(self) -> dict[str, Any] | None:
        try:
            content = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        usable = isinstance(content, dict) and isinstance(content.get("facts"), dict)
        return content if usable and isinstance(content.get("shards"), dict) else None

    def _difference(self, manifest: Mapping[str, Any] | None) -> str | None:
        """Why the files cannot be used; None where they can, or where there are none."""
        if manifest is None:
            found = any(self.path.glob("*.view*.safetensors")) or (self.path / MANIFEST).exists()
            return f"{MANIFEST} is missing or cannot be read" if found else None
        old: dict[str, object] = manifest["facts"]
        changed = [name for name in self.facts if old.get(name) != self.facts[name]]
        changed += [name for name in old if name not in self.facts]
        if not changed:
            return None
        return "; ".join(_WORDS.get(name, f"{name} changed") + _values(name, old, self.facts) for name in changed)


def _values(name: str, old: Mapping[str, object], new: Mapping[str, object]) -> str:
    """Both values, where they tell something to a reader."""
    return "" if name in ("data", "backbone") else f" ({old.get(name)}, now {new.get(name)})"
