"""Curves of several trainings in one figure, and their final numbers in one table."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import lightning as L
from matplotlib.figure import Figure

from callbacks.figures.fonts import figure_families
from callbacks.figures.palette import distinct_looks
from callbacks.figures.pictures import save_figure
from callbacks.training.curves import dress_epochs
from callbacks.training.epoch_numbers import EpochNumbers, EpochRow
from datamodules.common.atomic_write import write_text
from datamodules.common.errors import ConfigurationError
from datamodules.tables.csv import csv_text, short_numbers

log = logging.getLogger(__name__)

RECORD = "run_comparison.json"  # what each run keeps in its own folder
_COLUMN = 14  # labels in a column of the legend
_MARKED = 40  # epochs up to which each has a dot


@dataclass
class ComparedRun:
    """What a comparison knows of a run.

    Attributes:
        label: Value of the setting that the runs differ in.
        run: Name of the run's folder.
        epochs: The compared metrics of each epoch; an epoch without any is left out.
        final: Last value of each metric that was logged in training, and every metric of a test that followed.
    """

    label: str
    run: str
    epochs: dict[int, dict[str, float]] = field(default_factory=dict)
    final: dict[str, float] = field(default_factory=dict)


class RunComparison(EpochNumbers):
    """Compare a run with the others below the same folder: one figure of their curves, one row each in a table.

    A run is a training. Each keeps its numbers as ``run_comparison.json`` in its own folder. When it has trained, and
    again when it was tested right after, ``run_comparison.png`` and ``run_comparison.csv`` are written for all runs of
    the folder; runs of other seeds have the colour of their label. The figure goes to TensorBoard and W&B where they
    log. A test without a training writes nothing: it is no run to compare, and its folder has others' above it.

    Args:
        by: Hyper-parameters of the model in which the runs differ, such as ``freeze_below``.
        metric: What is drawn over the epochs.
        columns: Metrics of the table beside the best ``metric``: the last value of a training, or that of the test.
        folder: Where the runs are; None takes the folder above the run's own.
    """

    def __init__(
        self,
        by: str | list[str],
        metric: str = "val/loss",
        columns: tuple[str, ...] = ("train/accuracy", "test/accuracy"),
        folder: str | None = None,
    ) -> None:
        super().__init__()
        self.by = [by] if isinstance(by, str) else list(by)
        self.metric = metric
        self.columns = columns
        self.folder = folder
        self._own: ComparedRun | None = None
        self._place: Path | None = None
        self._resumed: dict[int, dict[str, float]] = {}
        self._resumed_final: dict[str, float] = {}

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Begin the record of this run; a resumed run continues its own."""
        super().on_fit_start(trainer, pl_module)
        self._begin(trainer, pl_module)
        if self._own is not None:
            self._own.epochs, self._resumed = self._resumed, {}
            self._own.final, self._resumed_final = self._resumed_final, {}

    def epoch_done(self, trainer: L.Trainer, row: EpochRow) -> None:
        """Keep the epoch's numbers."""
        if self._own is None:
            return
        if self.metric in row.values:
            self._own.epochs[row.epoch] = {self.metric: row.values[self.metric]}
        self._own.final.update(row.values)

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compare after training."""
        super().on_train_end(trainer, pl_module)
        self._compare(trainer)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Add the numbers of the test to those of the training before it, and compare again."""
        if self._own is not None:
            metrics: dict[str, Any] = trainer.callback_metrics
            self._own.final.update({name: float(value) for name, value in metrics.items()})
            self._compare(trainer)

    def state_dict(self) -> dict[str, Any]:
        """The record so far."""
        if self._own is None:
            return super().state_dict()
        own = {"epochs": {str(epoch): values for epoch, values in self._own.epochs.items()}, "final": self._own.final}
        return super().state_dict() | own

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the curve of a resumed training."""
        super().load_state_dict(state_dict)
        # A test restores its checkpoint too; only a training that begins takes what is kept here.
        self._resumed = {int(epoch): dict(values) for epoch, values in state_dict.get("epochs", {}).items()}
        self._resumed_final = dict(state_dict.get("final", {}))

    def _begin(self, trainer: L.Trainer, module: L.LightningModule) -> None:
        for name in self.by:
            if name not in module.hparams:
                raise ConfigurationError(
                    f"RunComparison compares runs by {name!r}, which is no hyper-parameter of "
                    f"{type(module).__name__}: name one of {', '.join(sorted(map(str, module.hparams)))}."
                )
        self._place = Path(trainer.default_root_dir)
        self._own = ComparedRun(", ".join(str(module.hparams[name]) for name in self.by), self._place.name)

    def _compare(self, trainer: L.Trainer) -> None:
        if self._own is None or self._place is None:
            return
        if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        write_text(self._place / RECORD, json.dumps(asdict(self._own), indent=2) + "\n")
        folder = Path(self.folder) if self.folder is not None else self._place.resolve().parent
        runs, by = read_runs(folder, self._place), ", ".join(self.by)
        write_text(folder / "run_comparison.csv", table_text(runs, by, self.metric, self.columns))
        picture = folder / "run_comparison.png"
        save_figure(trainer, draw_runs(runs, by, self.metric), picture, "runs/comparison")
        log.info("comparison of %d runs: %s", len(runs), picture)


def read_runs(folder: Path, own: Path | None = None) -> list[ComparedRun]:
    """Records of all runs below a folder and of ``own``, in the order of their labels and names.

    A record that cannot be read is named and left out.
    """
    files = {file.resolve() for file in folder.rglob(RECORD)}
    if own is not None:
        files.add((own / RECORD).resolve())
    runs = []
    for file in sorted(files):
        try:
            plain = json.loads(file.read_text(encoding="utf-8"))
            epochs = {int(epoch): dict(values) for epoch, values in plain["epochs"].items()}
            runs.append(ComparedRun(str(plain["label"]), str(plain["run"]), epochs, dict(plain["final"])))
        except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
            log.warning("%s is no record of a run and is left out of the comparison (%s)", file, error)
    return sorted(runs, key=lambda run: (run.label, run.run))


def table_text(runs: Sequence[ComparedRun], by: str, metric: str, columns: Sequence[str]) -> str:
    """Runs as csv text: label, run, epochs, smallest ``metric``, and the final value of each column.

    Example:
        >>> run = ComparedRun("fc6", "a", {0: {"val/loss": 2.0}, 1: {"val/loss": 1.0}}, {"test/accuracy": 0.75})
        >>> print(table_text([run], "freeze_below", "val/loss", ["test/accuracy"]), end="")
        freeze_below,run,epochs,smallest val/loss,test/accuracy
        fc6,a,2,1,0.75
    """
    rows = []
    for run in runs:
        smallest = min((values[metric] for values in run.epochs.values() if metric in values), default=math.nan)
        numbers = [smallest, *(run.final.get(name, math.nan) for name in columns)]
        rows.append([run.label, run.run, len(run.epochs), *short_numbers(numbers)])
    return csv_text([by, "run", "epochs", f"smallest {metric}", *columns], rows)


def draw_runs(runs: Sequence[ComparedRun], by: str, metric: str) -> Figure:
    """One line a run over the epochs; runs of one label share its colour and its entry in the legend."""
    labels = sorted({run.label for run in runs})
    figure = Figure(figsize=(6.0 + 1.2 * -(-len(labels) // _COLUMN), 3.7), layout="constrained")
    axes = figure.add_subplot()
    looks = dict(zip(labels, distinct_looks(len(labels)), strict=True))
    drawn: Mapping[str, set[str]] = {label: set() for label in labels}
    for run in runs:
        points = [(epoch, row[metric]) for epoch, row in sorted(run.epochs.items()) if metric in row]
        if not points:
            continue
        colour, dashes = looks[run.label]
        axes.plot(
            *zip(*points, strict=True),
            color=colour,
            linestyle=dashes,
            marker="o" if len(points) <= _MARKED else None,
            markersize=3,
            linewidth=1.6,
            label=None if drawn[run.label] else run.label,
        )
        drawn[run.label].add(run.run)
    dress_epochs(axes)
    axes.set_ylabel(metric)
    if any(drawn.values()):
        # beside the panel: the curves of many runs leave no corner free
        figure.legend(
            loc="outside right upper",
            title=by,
            frameon=False,
            prop={"family": figure_families(labels), "size": 9},
            handlelength=3.4,  # room for a dash and its dots
            ncols=-(-len(labels) // _COLUMN),
        )
    return figure


def draw_values(runs: Sequence[ComparedRun], by: str, metric: str) -> Figure:
    """One bar a run, the first at the top, for a metric that each has once, such as one of a test."""
    figure = Figure(figsize=(7.0, 0.9 + 0.32 * len(runs)), layout="constrained")
    axes = figure.add_subplot()
    labels = sorted({run.label for run in runs})
    looks = dict(zip(labels, distinct_looks(len(labels)), strict=True))
    for place, run in enumerate(runs):
        value = next((row[metric] for row in run.epochs.values() if metric in row), math.nan)
        axes.barh(place, value, height=0.62, color=looks[run.label][0])
        if not math.isnan(value):
            axes.annotate(f"{value:.4g}", (value, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_yticks(range(len(runs)), [run.label for run in runs], family=figure_families(labels))
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel(metric)
    axes.set_ylabel(by)
    axes.spines[["top", "right"]].set_visible(False)
    return figure
