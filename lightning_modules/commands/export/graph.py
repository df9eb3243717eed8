"""A plan as a graph: one program of torch, and from it ONNX."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from datamodules.common.atomic_write import write_bytes
from datamodules.common.errors import ExportError
from lightning_modules.commands.export.plan import Plan
from lightning_modules.commands.exported.session import INSTALL

OPSET = 20  # newest that every supported onnxruntime runs


def trace(plan: Plan) -> torch.export.ExportedProgram:
    """The network as one program of torch, for batches of any size.

    Raises:
        ExportError: If a part of it cannot be traced; the message names it.
    """
    try:
        with torch.no_grad(), _quiet():
            return torch.export.export(plan.module, plan.examples(), dynamic_shapes=(plan.free_axes(),), strict=False)
    except (RuntimeError, ValueError, TypeError, AttributeError) as error:
        raise ExportError(
            f"{plan.method} cannot be traced into one graph ({_reason(error)}); a part of it depends on values"
        ) from error


def write_program(program: torch.export.ExportedProgram, path: Path) -> None:
    """Write a program for ``torch.export.load``."""
    content = io.BytesIO()
    torch.export.save(program, content)
    write_bytes(path, content.getvalue())


def write_onnx(plan: Plan, program: torch.export.ExportedProgram, path: Path) -> None:
    """Translate a program and write it.

    Raises:
        ExportError: If onnx is not installed, or a part has no counterpart in ONNX; the message names it.
    """
    check_installed()
    try:
        with torch.no_grad(), _quiet():
            made = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET,
                input_names=[one.name for one in plan.inputs],
                output_names=[one.name for one in plan.outputs],
                verbose=False,
            )
    except torch.onnx.OnnxExporterError as error:
        raise ExportError(
            f"{_part_of(program, error)} has no counterpart in ONNX (opset {OPSET}): --format torch_export holds it"
        ) from error
    assert made is not None  # with dynamo there is a program
    write_bytes(path, made.model_proto.SerializeToString())


def check_installed() -> None:
    """Refuse to begin without what ONNX needs.

    Raises:
        ExportError: If it is not installed, with the command that installs it.
    """
    try:
        for package in ("onnx", "onnxruntime", "onnxscript"):
            import_module(package)
    except ImportError as error:
        raise ExportError(f"{error.name} is not installed, which ONNX needs: {INSTALL}") from error


def _part_of(program: torch.export.ExportedProgram, error: Exception) -> str:
    """Name of the operator that could not be translated, and of the module that calls it."""
    chain: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        chain.append(str(cause))
        cause = cause.__cause__
    found = re.search(r"OpOverload\(op='(\w+)\.(\w+)'", "\n".join(chain))
    if found is None:
        return f"a part of the network ({_reason(error)})"
    name = f"{found[1]}.{found[2]}"
    for node in program.graph.nodes:
        if str(node.target).startswith(name):
            stack: dict[str, Any] = node.meta.get("nn_module_stack") or {}
            module = [place for place, _ in stack.values()][-1:] or ["the network"]
            return f"{name} in {module[0] or 'the network'}"
    return name


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:200] if lines else type(error).__name__


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's notes about itself off the terminal."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir", "torch.export")]
    levels = [one.level for one in loggers]
    for one in loggers:
        one.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for one, level in zip(loggers, levels, strict=True):
            one.setLevel(level)
