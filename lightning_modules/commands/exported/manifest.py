"""``export.json``: all that an exported graph needs around it, written by ``export`` and read without torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

from datamodules.common.errors import ExportError
from datamodules.common.fingerprint import file_sha256

NAME = "export.json"
SCHEMA = 1  # raised when an older reader would misread a file
GraphFormat = Literal["onnx", "torch_export"]


@dataclass(frozen=True)
class TensorFacts:
    """An input or output of a graph.

    Attributes:
        name: Its name in the graph.
        dtype: NumPy's name of its type.
        shape: Its axes: numbers, and names of those that are free, such as ``batch``.
        step: What the free axes of a picture must be a multiple of.
    """

    name: str
    dtype: str
    shape: tuple[int | str, ...]
    step: int = 1


@dataclass(frozen=True)
class GraphFile:
    """A graph and how it is known again."""

    file: str
    sha256: str
    bytes: int

    @classmethod
    def of(cls, path: Path) -> GraphFile:
        """What is known of a file."""
        return cls(path.name, file_sha256(path), path.stat().st_size)


@dataclass(frozen=True)
class Manifest:
    """What an export holds.

    Attributes:
        method: Name of the method's class.
        format: What the graph is.
        graph: The float32 graph.
        int8: A quantised graph beside it, or None.
        opset: Operators' version of the ONNX graph; None for a program of torch.
        inputs: What it takes, in order.
        outputs: What it gives, in order.
        facts: What the method needs before and after the graph: sampling, classes, thresholds, maps of scores.
        versions: Of the packages that made it.
        checkpoint: File and SHA-256 of the checkpoint.
        parity: How far the graph was from torch on real input when it was made.
        schema: Of this file.
    """

    method: str
    format: GraphFormat
    graph: GraphFile
    int8: GraphFile | None
    opset: int | None
    inputs: tuple[TensorFacts, ...]
    outputs: tuple[TensorFacts, ...]
    facts: dict[str, Any]
    versions: dict[str, str]
    checkpoint: dict[str, str]
    parity: dict[str, Any]
    schema: int = SCHEMA

    def text(self) -> str:
        """The content of ``export.json``."""
        return json.dumps(asdict(self), indent=2, ensure_ascii=False, allow_nan=False) + "\n"

    def graph_path(self, folder: Path, int8: bool = False) -> Path:
        """Path of a graph, when it is the one that was exported.

        Raises:
            ExportError: If there is none, or it was changed.
        """
        own = self.int8 if int8 else self.graph
        if own is None:
            raise ExportError(f"{folder} holds no int8 graph: export again with --int8, or leave --precision out")
        path = folder / own.file
        if not path.is_file():
            raise ExportError(f"{folder / NAME} names {own.file}, but it is not there: export again")
        if file_sha256(path) != own.sha256:
            raise ExportError(f"{path} is not the file that {NAME} describes (its SHA-256 differs): export again")
        return path


def read_manifest(folder: Path) -> Manifest:
    """Read the ``export.json`` of a folder.

    Raises:
        ExportError: If there is none, it is damaged, or newer than this version of appraise.
    """
    path = folder / NAME
    if not path.is_file():
        raise ExportError(f"{folder} holds no {NAME}: give a folder that `appraise export` wrote")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        schema = content["schema"]
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ExportError(f"{path} is no description of an export ({error}): export again") from error
    if not isinstance(schema, int) or schema > SCHEMA:
        raise ExportError(
            f"{path} has schema {schema}, but this version of appraise reads up to {SCHEMA}: update appraise"
        )
    try:
        return _manifest(content)
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise ExportError(f"{path} is damaged ({type(error).__name__}: {error}): export again") from error


def _manifest(content: Mapping[str, Any]) -> Manifest:
    known = {field.name for field in fields(Manifest)}
    values = {name: value for name, value in content.items() if name in known}
    values["graph"] = GraphFile(**content["graph"])
    values["int8"] = None if content["int8"] is None else GraphFile(**content["int8"])
    for name in ("inputs", "outputs"):
        values[name] = tuple(TensorFacts(**{**one, "shape": tuple(one["shape"])}) for one in content[name])
    if not isinstance(values["facts"], dict):
        raise TypeError("facts must be a mapping")
    return Manifest(**values)
