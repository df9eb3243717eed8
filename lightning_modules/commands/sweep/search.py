"""``appraise sweep``: a sweep file of W&B, with an account on its server, without one on this machine alone."""

from __future__ import annotations

import argparse
import json
import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

from filelock import FileLock, Timeout

from datamodules.common.atomic_write import write_text
from lightning_modules.commands.front.bare_options import SentenceParser, split_at_dashes
from lightning_modules.commands.front.config_files import find_config, printed_config
from lightning_modules.commands.front.console import RESULTS, set_up_console
from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.sweep.plan import Plan, arguments, read_plan
from lightning_modules.commands.sweep.points import Outcome, Point, is_done, read_outcome, run_points
from lightning_modules.commands.sweep.server import check_account, hand_over
from lightning_modules.commands.sweep.space import Values

log = logging.getLogger("appraise")
results = logging.getLogger(RESULTS)


def build_parser() -> SentenceParser:
    """Options of the command."""
    parser = SentenceParser(prog="appraise sweep")
    parser.add_argument("file")
    parser.add_argument("--count", type=int)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--offline", action="store_true")
    parser.add_argument("--output", type=Path)
    return parser


def run(command: str, words: Sequence[str]) -> int:
    """Run a sweep, or go on with one that was stopped.

    Args:
        command: ``sweep``.
        words: What follows it; after ``--`` what goes to ``fit``.

    Returns:
        0, or 1 where every training failed; with an account what the agents end with.

    Raises:
        CommandLineError: If something cannot work; nothing was trained then.
    """
    set_up_console()
    own, further = split_at_dashes(words)
    options = build_parser().parse_args(own)
    for name in ("count", "jobs"):
        if (number := getattr(options, name)) is not None and number < 1:
            raise CommandLineError(f"--{name} is {number}, but at least 1 is needed")
    if not options.offline:
        return _on_the_server(options, further)
    plan = read_plan(find_config(options.file).path, further)
    folder = (options.output or Path("runs", "sweeps", plan.path.stem)).expanduser().absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandLineError(
            f"the folder {folder} cannot be made ({error.strerror or error}): give another --output"
        ) from error
    try:
        with FileLock(folder / "sweep.lock", timeout=0), _stopped_by_signals():
            return _here(plan, folder, options)
    except Timeout as error:
        raise CommandLineError(f"another sweep works in {folder}: wait for it, or give another --output") from error


def _on_the_server(options: argparse.Namespace, further: Sequence[str]) -> int:
    check_account(", or add --offline, which needs none")
    output = [f"--output={options.output}"] if options.output else []
    plan = read_plan(find_config(options.file).path, [*further, *output])
    _check_names(plan, plan.points(1, options.seed)[0])
    return hand_over(plan, options.count, options.jobs)


def _check_names(plan: Plan, values: Values) -> None:
    """Let the real command line read one point; it names a parameter that the method does not have."""
    printed_config(plan.words(values), "nothing was trained")


def _here(plan: Plan, folder: Path, options: argparse.Namespace) -> int:
    """Sweep on this machine alone."""
    points = _points(plan, folder, options.count, options.seed)
    left = [point for point in points if not is_done(point)]
    if left:
        _check_names(plan, left[0].values)
    _check_folder(plan, folder, options.seed)
    if plan.content["method"] == "bayes":
        log.info("bayes learns from the trainings before on W&B's server: offline the points are random")
    if left and "early_terminate" in plan.content:
        log.info("early_terminate is W&B's server's: offline every training runs to its end")
    done = len(points) - len(left)
    log.info("points: %d, done before: %d, at a time: %d, in %s", len(points), done, options.jobs, folder)
    with closing(run_points(plan, left, options.jobs)) as ended:
        for point, outcome in ended:
            done += 1
            log.info("%d of %d: point %d, %s", done, len(points), point.number, _told(plan, point, outcome))
    numbers = (path.name.removeprefix("point_") for path in folder.glob("point_*"))
    there = max((int(number) + 1 for number in numbers if number.isdecimal()), default=0)
    return _report(plan, _points(plan, folder, max(there, len(points)), options.seed), folder)


def _points(plan: Plan, folder: Path, count: int | None, seed: int) -> list[Point]:
    """Points of the sweep; those of a smaller count are the first of a larger one."""
    values = plan.points(count, seed)
    return [Point(number, own, folder / f"point_{number}") for number, own in enumerate(values)]


def _check_folder(plan: Plan, folder: Path, seed: int) -> None:
    """Refuse a folder that holds another sweep.

    Raises:
        CommandLineError: Naming what differs.
    """
    decisive = ("method", "metric", "parameters", "command")
    own = json.loads(json.dumps({"seed": seed, **{name: plan.content[name] for name in decisive}}))
    file = folder / "sweep.json"
    begun = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else own
    for name, value in own.items():
        if begun.get(name) != value:
            raise CommandLineError(
                f"{folder} holds a sweep that was begun with another value of {name}: give another --output, or that "
                "value"
            )
    write_text(file, json.dumps(own, indent=1) + "\n")


def _told(plan: Plan, point: Point, outcome: Outcome) -> str:
    said = f"failed: {outcome.failure}" if outcome.best is None else f"{plan.metric} {outcome.best:.4g}"
    return f"{said} ({' '.join(arguments(point.values))})"


def _report(plan: Plan, points: Sequence[Point], folder: Path) -> int:
    """Write and print what came of it."""
    from lightning_modules.commands.sweep.report import write_report

    rows = [(point, outcome) for point in points if (outcome := read_outcome(point)) is not None]
    for line in write_report(plan, rows, folder):
        results.info("%s", line)
    return 0 if any(outcome.best is not None for _, outcome in rows) else 1


@contextmanager
def _stopped_by_signals() -> Iterator[None]:
    """End as after Ctrl-C when the system asks, so that no training is left behind."""

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        raise SystemExit(128 + number)

    kinds = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = {kind: signal.signal(kind, stop) for kind in kinds}
    try:
        yield
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)
