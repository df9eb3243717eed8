"""``appraise export``: a checkpoint as a graph that runs elsewhere, with what it needs beside it."""

from __future__ import annotations

import argparse
import logging
import platform
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from lightning import LightningDataModule

from datamodules.common.atomic_write import atomic_folder, write_text
from datamodules.common.errors import AppraiseError, ExportError
from datamodules.common.fingerprint import file_sha256
from lightning_modules.base import Method
from lightning_modules.commands.export.card import NAME as CARD
from lightning_modules.commands.export.card import card_text
from lightning_modules.commands.export.checkpoint import data_options, load_method
from lightning_modules.commands.export.graph import OPSET, check_installed, trace, write_onnx, write_program
from lightning_modules.commands.export.measures import measured, speed_ratio
from lightning_modules.commands.export.methods import check_data, plan_of
from lightning_modules.commands.export.parity import Run, compare
from lightning_modules.commands.export.plan import Plan, rows_of
from lightning_modules.commands.export.quantise import quantise
from lightning_modules.commands.export.run_data import inputs_of, labelled_batches, run_data
from lightning_modules.commands.exported.manifest import NAME, GraphFile, Manifest
from lightning_modules.commands.exported.predict import runner_of
from lightning_modules.commands.exported.session import Array, Arrays, Graph
from lightning_modules.commands.front.bare_options import SentenceParser
from lightning_modules.commands.front.console import set_up_console
from lightning_modules.commands.front.errors import CommandLineError

log = logging.getLogger("appraise")

GRAPHS = {"onnx": "model.onnx", "torch_export": "model.pt2"}
INT8 = "model.int8.onnx"
_COMPARED = 32  # single inputs, at most
_CALIBRATED = 64  # likewise
_PACKAGES = ("appraise", "torch", "onnx", "onnxruntime", "onnxscript", "numpy")


def build_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = SentenceParser(
        prog="appraise export", description="Write a trained network as one graph, checked against torch on your files."
    )
    add = parser.add_argument
    add("--ckpt_path", required=True, metavar="FILE", help="that `fit` wrote; --run FOLDER stands for a run's best")
    add("--output", type=Path, required=True, metavar="DIR", help="new folder of the export")
    add("--format", choices=tuple(GRAPHS), default="onnx", help="what the graph is (default: onnx)")
    add("--input", metavar="PLACE", help="files to compare the graph with torch on (default: the run's test split)")
    add("--int8", metavar="PLACE", help="write a quantised graph too, by ranges seen on these training files")
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
    if options.int8 is not None and options.format != "onnx":
        raise CommandLineError("--int8 quantises an ONNX graph, but --format is torch_export: leave one of them out")
    if options.format == "onnx":
        check_installed()
    checkpoint = Path(options.ckpt_path).expanduser()
    model = load_method(options.ckpt_path)
    stated = stated_options(options.data)
    check_data(type(model).__name__, stated)
    plan = plan_of(model, data_options(checkpoint, stated))
    try:
        with atomic_folder(options.output) as folder:
            manifest = _write(plan, model, folder, checkpoint, options)
    except AppraiseError:  # some are errors of the system too, and say what they are of
        raise
    except OSError as error:
        raise ExportError(
            f"the export cannot be written to {options.output} ({error.strerror or error}): make room, or give another "
            "--output; nothing was left there"
        ) from error
    for path in sorted(options.output.iterdir()):
        sys.stdout.write(f"{path}: {path.stat().st_size / 1e3:,.0f} kB\n")
    if manifest.graph.file.endswith(".onnx"):
        precision = " [--precision int8]" if options.int8 is not None else ""
        sys.stdout.write(f"next: appraise run-exported {options.output} INPUT --output DIR{precision}\n")
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


def _write(plan: Plan, model: Method, folder: Path, checkpoint: Path, options: argparse.Namespace) -> Manifest:
    data = run_data(checkpoint) if options.input is None or options.int8 is not None else None
    rows, source = _rows(plan, options.input, data)
    path = folder / GRAPHS[options.format]
    program = trace(plan)
    if options.format == "onnx":
        write_onnx(plan, program, path)
    else:
        write_program(program, path)
    run = _runner(plan, path)
    parity = compare(plan, run, rows)
    sys.stdout.write(parity.table() + "\n")
    parity.check()
    int8 = None if options.int8 is None else _quantised(plan, model, path, options.int8, rows, data)
    manifest = Manifest(
        method=plan.method,
        format=options.format,
        graph=GraphFile.of(path),
        int8=int8,
        opset=OPSET if options.format == "onnx" else None,
        inputs=plan.inputs,
        outputs=plan.outputs,
        facts=plan.facts,
        versions=_versions(),
        checkpoint={"file": checkpoint.name, "sha256": file_sha256(checkpoint)},
        parity={
            "differences": parity.differences,
            "equal_choices": parity.equal,
            "inputs": parity.rows,
            "of": source,
        },
    )
    write_text(folder / NAME, manifest.text())
    write_text(folder / CARD, card_text(manifest, checkpoint))
    return manifest


def _rows(plan: Plan, place: str | None, data: LightningDataModule | None) -> tuple[list[dict[str, Array]], str]:
    """Single inputs to compare on, and what they are of: files, the run's own test split, or random bytes."""
    if place is not None:
        rows = rows_of(runner_of(plan.method).inputs(plan.facts, place), _COMPARED)
        if not rows:
            raise CommandLineError(f"--input {place} holds no file that can be read: give others, or leave it out")
        return rows, Path(place).name
    if data is not None:
        return rows_of((inputs_of(plan.method, batch) for batch in labelled_batches(data)), _COMPARED), "its test split"
    log.warning("warning: without --input or the run's own data the graph is compared on random bytes alone")
    example = {one.name: tensor.numpy() for one, tensor in zip(plan.inputs, plan.examples(), strict=True)}
    return rows_of(iter([example]), _COMPARED), "random bytes"


def _quantised(
    plan: Plan,
    model: Method,
    graph: Path,
    place: str,
    rows: Sequence[Arrays],
    data: LightningDataModule | None,
) -> GraphFile:
    """Write the int8 graph beside the other, and say what it costs and saves."""
    target = graph.with_name(INT8)
    quantise(graph, target, rows_of(runner_of(plan.method).inputs(plan.facts, place), _CALIBRATED))
    whole, small = Graph(graph), Graph(target)
    parity = compare(plan, small, rows)
    sys.stdout.write(f"int8, {parity.table()}\n")
    if data is None:
        sys.stdout.write("  no labels are at hand, so that the loss of the metric is not known\n")
    else:
        before = measured(plan, model, plan.torch_outputs, labelled_batches(data))
        after = measured(plan, model, small, labelled_batches(data))
        loss = before.value - after.value
        sys.stdout.write(
            f"  {before.name} {before.value:.4f} in float32, {after.value:.4f} in int8: loses {loss:.4f}\n"
        )
    ratio = speed_ratio(whole, small, rows[0])
    told = "slower than float32: it saves room alone" if ratio > 1 else "faster"
    size = target.stat().st_size / graph.stat().st_size
    sys.stdout.write(f"  {size:.2f} of the size, {ratio:.2f} of the time: {told}\n")
    return GraphFile.of(target)


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
