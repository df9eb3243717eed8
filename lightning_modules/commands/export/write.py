"""``appraise export``: a checkpoint as a graph that runs elsewhere, with what it needs beside it."""

from __future__ import annotations

import argparse
import logging
import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from datamodules.common.atomic_write import atomic_folder, write_text
from datamodules.common.errors import ExportError
from datamodules.common.fingerprint import file_sha256
from lightning_modules.commands.export.checkpoint import data_options, load_method
from lightning_modules.commands.export.graph import OPSET, check_installed, trace, write_onnx, write_program
from lightning_modules.commands.export.methods import plan_of
from lightning_modules.commands.export.parity import Parity, Run, compare
from lightning_modules.commands.export.plan import Plan, rows_of
from lightning_modules.commands.exported.manifest import NAME, GraphFile, Manifest
from lightning_modules.commands.exported.predict import runner_of
from lightning_modules.commands.exported.session import Array, Arrays, Graph
from lightning_modules.commands.front.bare_options import SentenceParser
from lightning_modules.commands.front.console import set_up_console
from lightning_modules.commands.front.errors import CommandLineError

log = logging.getLogger("appraise")

GRAPHS = {"onnx": "model.onnx", "torch_export": "model.pt2"}
_COMPARED = 32  # rows of real input, at most
_PACKAGES = ("appraise", "torch", "onnx", "onnxruntime", "onnxscript", "numpy")


def build_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = SentenceParser(
        prog="appraise export", description="Write a trained network as one graph, checked against torch on your files."
    )
    add = parser.add_argument
    add("--ckpt_path", required=True, metavar="FILE", help="checkpoint that `fit` wrote")
    add("--output", type=Path, required=True, metavar="DIR", help="new folder of the export")
    add("--format", choices=tuple(GRAPHS), default="onnx", help="what the graph is (default: onnx)")
    add("--input", metavar="PLACE", help="files that the graph is compared with torch on; random bytes without it")
    add("--data", action="append", default=[], metavar="NAME=VALUE", help="option of the data, such as image_size=320")
    add("--force", action="store_true", help="replace an earlier export")
    return parser


def run(command: str, arguments: Sequence[str]) -> int:
    """Export a network.

    Returns:
        Exit code.

    Raises:
        CommandLineError: If an option cannot work.
        CheckpointError: If the checkpoint cannot be read.
        ExportError: If the network cannot be exported, or the graph differs from it; nothing is written then.
    """
    set_up_console()
    options = build_parser().parse_args(list(arguments))
    check_target(options.output, options.force)
    if options.format == "onnx":
        check_installed()
    checkpoint = Path(options.ckpt_path).expanduser()
    model = load_method(options.ckpt_path)
    plan = plan_of(model, data_options(checkpoint, stated_options(options.data)))
    try:
        with atomic_folder(options.output) as folder:
            manifest = _write(plan, folder, checkpoint, options)
    except OSError as error:
        raise ExportError(
            f"the export cannot be written to {options.output} ({error.strerror or error}): make room, or give another "
            "--output; nothing was left there"
        ) from error
    sys.stdout.write(f"{options.output / manifest.graph.file}: {manifest.graph.bytes / 1e6:.1f} MB\n")
    if options.format == "onnx":
        sys.stdout.write(f"next: appraise run-exported {options.output} INPUT --output DIR\n")
    return 0


def check_target(folder: Path, force: bool) -> None:
    """Refuse a folder that holds something else, or an export that is not to be replaced.

    Raises:
        CommandLineError: If so.
    """
    if folder.exists() and not folder.is_dir():
        raise CommandLineError(f"--output {folder} is a file: give a new folder")
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not (folder / NAME).is_file():
        raise CommandLineError(f"--output {folder} is not empty and holds no export: give a new folder")
    if not force:
        raise CommandLineError(
            f"--output {folder} holds an earlier export: give a new folder, or replace it by --force"
        )


def stated_options(words: Sequence[str]) -> dict[str, Any]:
    """Options of the data from ``NAME=VALUE``.

    Raises:
        CommandLineError: If one is written otherwise.

    Example:
        >>> stated_options(["image_size=320"])
        {'image_size': 320}
    """
    pairs = [word.partition("=") for word in words]
    wrong = next((word for word, (name, equals, _) in zip(words, pairs, strict=True) if not (name and equals)), None)
    if wrong is not None:
        raise CommandLineError(f"--data is {wrong}, but it is NAME=VALUE, such as image_size=320")
    return {name: yaml.safe_load(value) for name, _, value in pairs}


def _write(plan: Plan, folder: Path, checkpoint: Path, options: argparse.Namespace) -> Manifest:
    path = folder / GRAPHS[options.format]
    program = trace(plan)
    if options.format == "onnx":
        write_onnx(plan, program, path)
    else:
        write_program(program, path)
    parity = compare(plan, _runner(plan, path), rows_of(_inputs(plan, options.input), _COMPARED))
    sys.stdout.write(parity.table() + "\n")
    parity.check()
    manifest = Manifest(
        method=plan.method,
        format=options.format,
        graph=GraphFile.of(path),
        int8=None,
        opset=OPSET if options.format == "onnx" else None,
        inputs=plan.inputs,
        outputs=plan.outputs,
        facts=plan.facts,
        versions=_versions(),
        checkpoint={"file": checkpoint.name, "sha256": file_sha256(checkpoint)},
        parity=_parity_facts(parity, options.input),
    )
    write_text(folder / NAME, manifest.text())
    return manifest


def _parity_facts(parity: Parity, place: str | None) -> dict[str, Any]:
    return {
        "differences": parity.differences,
        "equal_choices": parity.equal,
        "inputs": parity.rows,
        "of": "random bytes" if place is None else Path(place).name,
    }


def _inputs(plan: Plan, place: str | None) -> Iterator[Mapping[str, Array]]:
    """What the graph takes of real files, or random bytes, which is said."""
    if place is None:
        log.warning("warning: without --input the graph is compared with torch on random bytes alone")
        yield {one.name: tensor.numpy() for one, tensor in zip(plan.inputs, plan.examples(), strict=True)}
        return
    yield from runner_of(plan.method).inputs(plan.facts, place)


def _runner(plan: Plan, path: Path) -> Run:
    if path.suffix == ".onnx":
        return Graph(path)
    module = torch.export.load(path).module()

    def call(inputs: Arrays) -> dict[str, Array]:
        with torch.no_grad():
            found = module(*(torch.from_numpy(np.ascontiguousarray(inputs[one.name])) for one in plan.inputs))
        return {one.name: value.numpy() for one, value in zip(plan.outputs, found, strict=True)}

    return call


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
