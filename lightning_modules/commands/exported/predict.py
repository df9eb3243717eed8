"""``appraise run-exported FOLDER INPUT --output DIR``: the rows of ``predict`` from an exported network."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol, cast

from datamodules.common.errors import ExportError
from lightning_modules.commands.exported.manifest import NAME, Manifest, read_manifest
from lightning_modules.commands.exported.outcome import Outcome
from lightning_modules.commands.exported.session import Array, Graph
from lightning_modules.commands.front.bare_options import SentenceParser
from lightning_modules.commands.front.console import set_up_console
from lightning_modules.commands.front.errors import CommandLineError

# What an export's method is called -> the file here that runs it.
RUNNERS = {
    "KSVQE": "videos",
    "FaceAttributeClassifier": "faces",
    "FrameAveragingActionRecognizer": "streams",
    "MentoringSegmenter": "parts",
    "MentoringDetector": "parts",
}


class Runner(Protocol):
    """What such a file can do."""

    def inputs(self, facts: Mapping[str, Any], place: str) -> Iterator[dict[str, Array]]:
        """What the graph takes of each file of a place."""

    def run(self, graph: Graph, manifest: Manifest, place: str, output: Path, sha256: str) -> Outcome:
        """Write the rows of all files."""


def runner_of(method: str) -> Runner:
    """The file that runs a method.

    Raises:
        ExportError: If there is none.
    """
    if method not in RUNNERS:
        raise ExportError(f"{NAME} is of {method}, which run-exported does not know: it runs {', '.join(RUNNERS)}")
    return cast(Runner, import_module(f"lightning_modules.commands.exported.{RUNNERS[method]}"))


def build_parser() -> argparse.ArgumentParser:
    """Options of the command."""
    parser = SentenceParser(
        prog="appraise run-exported",
        description="Run an exported network on files, by onnxruntime, without PyTorch: the rows of predict.",
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="what `appraise export` wrote")
    parser.add_argument("input", metavar="INPUT", help="a file, or a folder that is searched with its sub-folders")
    parser.add_argument("--output", type=Path, required=True, metavar="DIR", help="folder of the rows")
    parser.add_argument(
        "--precision", choices=("float32", "int8"), default="float32", help="which graph to run (default: float32)"
    )
    parser.add_argument("--threads", type=int, default=0, metavar="N", help="processors to use (default: all)")
    return parser


def run(command: str, arguments: Sequence[str]) -> int:
    """Run an exported network.

    Returns:
        Exit code: 0, or 1 where not one file could be read.

    Raises:
        CommandLineError: If an option cannot work.
        ExportError: If the folder holds no export that runs.
    """
    set_up_console()
    options = build_parser().parse_args(list(arguments))
    if options.threads < 0:
        raise CommandLineError(f"--threads is {options.threads}, but it counts from 0 (all processors): raise it")
    manifest = read_manifest(options.folder)
    if manifest.format != "onnx":
        raise ExportError(
            f"{options.folder} holds a program of torch ({manifest.graph.file}), which torch.export.load reads: export "
            "with --format onnx for run-exported"
        )
    int8 = options.precision == "int8"
    path = manifest.graph_path(options.folder, int8)
    runner = runner_of(manifest.method)
    graph = Graph(path, options.threads)
    _make_folder(options.output)
    sha256 = (manifest.int8 if int8 and manifest.int8 is not None else manifest.graph).sha256
    outcome = runner.run(graph, manifest, options.input, options.output, sha256)
    if outcome.failed:
        sys.stderr.write(f"{outcome.failed} of the files cannot be read, or not to the end\n")
    return 0 if outcome.read else 1


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandLineError(f"--output {folder} cannot be made ({error.strerror}): give another folder") from error
