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

_VERSION = 2  # raise it whenever the files of older ones cannot be used
_TYPES: dict[FeatureType, tuple[torch.dtype, str]] = {
    "float32": (torch.float32, "F32"),
    "float16": (torch.float16, "F16"),
}
_WORDS = {
    "version": "they were written by another version",
    "data": "the videos, their frames or their splits changed",
    "backbone": "the backbone's weights or the preprocessing changed",
    "preprocessing": "the preprocessing changed",
    "views": "the number of augmented views changed",
    "seed": "the seed of the augmentation changed",
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
        facts: Everything that all features depend on, plain values.
        training: What those of the training frames depend on besides, plain values.
    """

    def __init__(self, path: Path, facts: Mapping[str, object], training: Mapping[str, object]) -> None:
        self.path = path
        self.facts: dict[str, object] = {"version": _VERSION, **facts}
        self.training: dict[str, object] = dict(training)
        self._shards: dict[str, dict[str, int]] = {}

    def open(self) -> None:
        """Read the manifest; files that belong to other facts are removed, with one line in the log that says why."""
        self.path.mkdir(parents=True, exist_ok=True)
        manifest = self._read()
        self._shards, reason = self._usable(manifest)
        if reason:
            which = "training features" if self._shards else "features"
            log.info("%s in %s are computed anew: %s", which, self.path, reason)
            self._write()  # before a file changes: who reads the folder can see that it is another one now
        for stale in self.path.glob("*.view*.safetensors"):
            if not self.holds(stale.name.removesuffix(".safetensors")):
                stale.unlink()

    def is_unchanged(self) -> bool:
        """Whether the folder still holds what was wanted, and no other run has replaced it since."""
        manifest = self._read()
        return manifest is not None and (manifest["facts"], manifest["training"]) == (self.facts, self.training)

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
        self._write()

    def size(self) -> int:
        """Bytes of all files."""
        return sum(shard["bytes"] for shard in self._shards.values())

    def _write(self) -> None:
        content = {"facts": self.facts, "training": self.training, "shards": self._shards}
        write_text(self.path / MANIFEST, json.dumps(content, indent=2, sort_keys=True) + "\n")

    def _read(self) -> dict[str, Any] | None:
        try:
            content = json.loads((self.path / MANIFEST).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(content, dict) or not isinstance(content.get("facts"), dict):
            return None
        content.setdefault("training", {})  # older versions have none
        return content if all(isinstance(content.get(part), dict) for part in ("training", "shards")) else None

    def _usable(self, manifest: Mapping[str, Any] | None) -> tuple[dict[str, dict[str, int]], str]:
        """Entries of the files that can be used, and why others cannot; empty where all can, or none is there."""
        if manifest is None:
            found = any(self.path.glob("*.view*.safetensors")) or (self.path / MANIFEST).exists()
            return {}, f"{MANIFEST} is missing or cannot be read" if found else ""
        if reason := _difference(manifest["facts"], self.facts):
            return {}, reason
        shards: dict[str, dict[str, int]] = manifest["shards"]
        if reason := _difference(manifest["training"], self.training):
            return {name: told for name, told in shards.items() if not name.startswith("train.")}, reason
        return shards, ""


def _difference(old: Mapping[str, object], new: Mapping[str, object]) -> str:
    """What differs; empty where nothing does. A new version, or preprocessing, explains what else does."""
    changed = [name for name in {**new, **old} if name not in old or name not in new or old[name] != new[name]]
    if "version" in changed:
        changed = ["version"]
    if "preprocessing" in changed:
        changed = [name for name in changed if name != "backbone"]  # its digest is of both
    told = [name for name in changed if name in old and name in new] or changed
    return "; ".join(_words(name) + _values(name, old, new) for name in told)


def _words(name: str) -> str:
    return _WORDS.get(name, f"{name} of the augmentation changed")


def _values(name: str, old: Mapping[str, object], new: Mapping[str, object]) -> str:
    """Both values, where they tell something to a reader."""
    return "" if name in ("data", "backbone") else f" ({old.get(name)}, now {new.get(name)})"
