"""``appraise runs FOLDER``: one table of all trainings below a folder, the best first."""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import yaml

from datamodules.common.atomic_write import write_text
from datamodules.tables.csv import csv_text, short_numbers
from lightning_modules.commands.front.bare_options import SentenceParser
from lightning_modules.commands.front.early.words import pairs
from lightning_modules.commands.front.errors import CommandLineError, did_you_mean

_LOWER = ("loss", "error", "distance", "false_positives")  # measures of which less is better, where no run says so


@dataclass(frozen=True)
class Run:
    """A training.

    Attributes:
        folder: Its folder.
        config: Configurations of its command line, or the run that it went on with; empty where there was none.
        settings: Its effective configuration.
        seed: Its seed.
        seconds: From its start to the last thing that it wrote; NaN where that is unknown.
        metrics: Values of each metric in the order of its logs, with their epochs.
        monitor: Metric that chose its checkpoint; None where nothing did.
        lower: Whether less of it is better.
        checkpoint: The best checkpoint, else the newest; None where there is none.
    """

    folder: Path
    config: str
    settings: Mapping[str, object]
    seed: object
    seconds: float
    metrics: Mapping[str, Sequence[tuple[int, float]]]
    monitor: str | None
    lower: bool
    checkpoint: Path | None

    def best(self, metric: str) -> float:
        """Best value of a metric; NaN where it has none."""
        values = [value for _, value in self.metrics.get(metric, ()) if not math.isnan(value)]
        return (min(values) if self.less_is_better(metric) else max(values)) if values else math.nan

    def less_is_better(self, metric: str) -> bool:
        """Whether less of a metric is better: as the run says of its own, by the name of others."""
        return self.lower if metric == self.monitor else any(word in metric for word in _LOWER)


def build_parser() -> SentenceParser:
    """Options of the command."""
    parser = SentenceParser(prog="appraise runs", description="One table of all trainings, the best first.")
    add = parser.add_argument
    add("folders", nargs="*", default=["runs"], metavar="FOLDER", help="where the runs are (default: runs)")
    add("--metric", metavar="NAME", help="what is compared (default: the metric that chose each checkpoint)")
    add("--by", action="append", default=[], metavar="KEY", help="a setting to show, such as learning_rate")
    add("--csv", type=Path, metavar="FILE", help="write the table as csv too")
    add("--figure", type=Path, metavar="FILE", help="draw the metric of all runs over the epochs")
    return parser


def run(command: str, arguments: Sequence[str]) -> int:
    """Print the table; 0.

    Raises:
        CommandLineError: If a folder holds no run, or no run has the metric or the setting.
    """
    options = build_parser().parse_args(list(arguments))
    found = [one for folder in options.folders for one in find_runs(Path(folder).expanduser())]
    if not found:
        raise CommandLineError(
            f"there is no training in {', '.join(options.folders)}: `appraise fit` leaves config.yaml and checkpoints "
            "in a folder of its own, below runs unless --output says otherwise"
        )
    known = sorted({name for one in found for name in one.metrics})
    if options.metric is not None and options.metric not in known:
        raise CommandLineError(f"no run has the metric {options.metric}{did_you_mean(options.metric, known)}")
    for key in options.by:
        if not any(setting_of(one.settings, key) for one in found):
            names = {path.rpartition(".")[2] for one in found for path, _ in _leaves("", one.settings)}
            raise CommandLineError(f"no run has the setting {key}{did_you_mean(key, names)}")
    rows = sorted(found, key=lambda one: _rank(one, options.metric))
    header, table = _table(rows, options.metric, options.by)
    sys.stdout.write(_aligned([header, *table]))
    if options.csv is not None:
        write_text(options.csv.expanduser(), csv_text(header, table))
    if options.figure is not None:
        _draw(rows, options.metric, options.by, options.figure.expanduser())
        sys.stderr.write(f"figure: {options.figure}\n")
    return 0


def find_runs(folder: Path) -> Iterator[Run]:
    """Trainings below a folder, the folder itself among them, in the order of their names.

    Raises:
        CommandLineError: If there is no such folder.
    """
    if not folder.is_dir():
        hint = did_you_mean(str(folder), [str(folder.parent / one.name) for one in folder.parent.glob("*/")])
        raise CommandLineError(f"there is no folder {folder}{hint or ': name one that holds runs'}")
    for file in sorted({*folder.glob("config.yaml"), *folder.rglob("config.yaml")}):
        one = read_run(file.parent)
        if one is not None:
            yield one


def read_run(folder: Path) -> Run | None:
    """What a folder says of its training; None where it is that of a test, a prediction or something else."""
    try:
        settings = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        record = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        words = [str(word) for word in record["command"]]
    except (OSError, ValueError, yaml.YAMLError, KeyError, TypeError):
        return None
    if not isinstance(settings, dict) or ("fit" not in words[:3] and not (folder / "checkpoints").is_dir()):
        return None
    monitor, lower = _monitor(settings)
    metrics = read_metrics(folder / "metrics.csv")
    for name, values in read_metrics(folder / "test" / "metrics.csv").items():
        metrics.setdefault(name, values)
    checkpoints = [folder / "checkpoints" / name for name in ("best.ckpt", "last.ckpt")]
    checkpoints += sorted((folder / "checkpoints").glob("*.ckpt"))
    return Run(
        folder,
        _configs(words),
        settings,
        record.get("seed"),
        _seconds(folder, record.get("started")),
        metrics,
        monitor,
        lower,
        next((path for path in checkpoints if path.is_file()), None),
    )


def read_metrics(file: Path) -> dict[str, list[tuple[int, float]]]:
    """Values of each column of a run's ``metrics.csv`` with their epochs; nothing where there is no such file."""
    if not file.is_file():
        return {}
    found: dict[str, list[tuple[int, float]]] = {}
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            epoch = row.pop("epoch", "") or "0"
            for name, text in row.items():
                if text and name not in ("step", None):
                    try:
                        found.setdefault(name, []).append((int(float(epoch)), float(text)))
                    except ValueError:
                        continue  # a row that a kill cut off
    return found


def setting_of(settings: Mapping[str, object], key: str) -> str:
    """Value of a setting by its path, or by the last part of it, as text; empty where there is none.

    Example:
        >>> setting_of({"model": {"init_args": {"width": 8}}}, "width")
        '8'
    """
    for path, value in _leaves("", settings):
        if path == key or path.endswith(f".{key}"):
            return str(value)
    return ""


def _leaves(before: str, value: object) -> Iterator[tuple[str, object]]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _leaves(f"{before}.{name}" if before else str(name), one)
    else:
        yield before, value


def _configs(words: Sequence[str]) -> str:
    given = [(name, value or "") for name, value in pairs(words[2:])]
    named = [value for name, value in given if name in ("--config", "-c")]
    return " + ".join(named or [f"as {value}" for name, value in given if name == "--run"])


def _monitor(settings: Mapping[str, object]) -> tuple[str | None, bool]:
    trainer = settings.get("trainer")
    callbacks = trainer.get("callbacks") if isinstance(trainer, Mapping) else None
    for callback in callbacks or ():
        arguments = callback.get("init_args") if isinstance(callback, Mapping) else None
        name = str(callback.get("class_path", "")).rpartition(".")[2] if isinstance(callback, Mapping) else ""
        if name in ("BestAndLast", "ModelCheckpoint") and isinstance(arguments, Mapping) and arguments.get("monitor"):
            return str(arguments["monitor"]), arguments.get("mode", "min") == "min"
    return None, False


def _seconds(folder: Path, started: object) -> float:
    files = [folder / "metrics.csv", *(folder / "checkpoints").glob("*.ckpt")]
    written = [file.stat().st_mtime for file in files if file.is_file()]
    try:
        return max(written) - datetime.fromisoformat(str(started)).timestamp()
    except ValueError:
        return math.nan


def _rank(one: Run, metric: str | None) -> tuple[str, float, str]:
    name = metric or one.monitor or "~"  # those that nothing chose come last
    value = one.best(name)
    return name, math.inf if math.isnan(value) else value if one.less_is_better(name) else -value, str(one.folder)


def _table(rows: Sequence[Run], metric: str | None, by: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    header = ["run", "config", "seed", *by, "metric", "best", "epochs", "time", "checkpoint"]
    table = []
    for one in rows:
        name = metric or one.monitor or ""
        epochs = {epoch for key, values in one.metrics.items() if not key.startswith("test/") for epoch, _ in values}
        best = one.best(name)
        table.append(
            [
                str(one.folder),
                one.config,
                str(one.seed),
                *(setting_of(one.settings, key) for key in by),
                name,
                "" if math.isnan(best) else str(short_numbers([best])[0]),
                str(len(epochs)),
                "" if math.isnan(one.seconds) else _time(one.seconds),
                str(one.checkpoint.relative_to(one.folder)) if one.checkpoint else "none",
            ]
        )
    return header, table


def _time(seconds: float) -> str:
    """Hours, minutes and seconds.

    Example:
        >>> _time(3725.4)
        '1:02:05'
    """
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "\n".join(lines) + "\n"


def _draw(rows: Sequence[Run], metric: str | None, by: Sequence[str], file: Path) -> None:
    from callbacks.figures.pictures import write_figure
    from callbacks.training.run_comparison import ComparedRun, draw_runs, draw_values

    name = metric or rows[0].monitor
    if name is None:
        raise CommandLineError("no checkpoint of these runs was chosen by a metric: name one with --metric")
    compared = []
    for one in rows:
        label = ", ".join(setting_of(one.settings, key) for key in by) or str(one.folder)
        epochs = {epoch: {name: value} for epoch, value in one.metrics.get(name, ())}
        compared.append(ComparedRun(label, str(one.folder), epochs))
    draw = draw_values if all(len(one.epochs) <= 1 for one in compared) else draw_runs
    write_figure(draw(compared, ", ".join(by) or "run", name), file)
