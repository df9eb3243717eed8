"""Loss and accuracy over the epochs, as a picture and a table."""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import lightning as L
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.trainer.states import TrainerFn
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from callbacks.figures.palette import dash
from callbacks.figures.pictures import save_figure
from callbacks.training.epoch_numbers import EpochNumbers, EpochRow
from datamodules.common.atomic_write import write_text
from datamodules.tables.csv import csv_text

log = logging.getLogger(__name__)

PANELS = {
    "loss": ["train/loss", "val/loss"],
    "accuracy": ["train/accuracy", "val/accuracy", "val/video_accuracy"],
}
_COLOURS = {"train": "#2166ac", "val": "#b2182b"}  # metrics of one colour in one panel differ in their dashes
_OTHER = "#4d4d4d"
_GREY = "#777777"
_INSIDE = 5  # metrics whose names find room in their panel; those of more stand beside it
_COLUMN = 14  # names in a column there
_MARKED = 40  # epochs up to which each has a dot


class BestEpoch(NamedTuple):
    """The epoch that ModelCheckpoint kept.

    Attributes:
        epoch: Its number.
        text: What is written beside its line.
    """

    epoch: int
    text: str


class TrainingCurves(EpochNumbers):
    """Write ``training_curves.csv`` after every epoch and draw ``training_curves.png`` when training ends.

    The table has a row an epoch: its number, the learning rate, every logged metric. The picture has a panel for each
    group of ``panels`` of which something was logged, and a line at the epoch that ModelCheckpoint kept. It is drawn
    too when the training breaks off, and goes to TensorBoard and W&B where they log; no logger is needed. A resumed
    training continues the curves of its checkpoint.

    Args:
        filename: Name of the picture inside the run's folder; the table has the same stem.
        panels: Name of each panel, and the metrics in it; None takes loss and accuracy of training and validation.
    """

    def __init__(self, filename: str = "training_curves.png", panels: dict[str, list[str]] | None = None) -> None:
        super().__init__()
        self.filename = filename
        self.panels = PANELS if panels is None else panels
        self._rows: dict[int, dict[str, float]] = {}
        self._folder: Path | None = None

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Forget an earlier training; a checkpoint that is resumed is read after this."""
        super().setup(trainer, pl_module, stage)
        if stage == "fit":
            self._rows = {}
            self._folder = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Find the run's folder; a collective call, which all processes make."""
        super().on_fit_start(trainer, pl_module)
        self._folder = Path(trainer.log_dir or trainer.default_root_dir)

    def epoch_done(self, trainer: L.Trainer, row: EpochRow) -> None:
        """Add the row and write the table."""
        self._rows[row.epoch] = row.values
        if self._folder is not None and self._writes(trainer):
            write_text((self._folder / self.filename).with_suffix(".csv"), table_text(self._rows))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Complete the table and draw the picture."""
        super().on_train_end(trainer, pl_module)
        self._draw(trainer)

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Draw what there is."""
        super().on_exception(trainer, pl_module, exception)
        if trainer.state.fn == TrainerFn.FITTING:
            self._draw(trainer)

    def state_dict(self) -> dict[str, Any]:
        """Rows so far, too."""
        return super().state_dict() | {"rows": {str(epoch): dict(values) for epoch, values in self._rows.items()}}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Continue the curves of a resumed training."""
        super().load_state_dict(state_dict)
        self._rows = {int(epoch): dict(values) for epoch, values in state_dict.get("rows", {}).items()}

    @staticmethod
    def _writes(trainer: L.Trainer) -> bool:
        return trainer.is_global_zero and not getattr(trainer, "fast_dev_run", False)

    def _draw(self, trainer: L.Trainer) -> None:
        if self._folder is None or not self._writes(trainer):  # broke off before it began
            return
        figure = draw_curves(self._rows, self.panels, best_epoch(trainer, self._rows))
        if figure is None:
            return
        path = self._folder / self.filename
        save_figure(trainer, figure, path, "train/curves")
        log.info("training curves: %s", path)


def table_text(rows: Mapping[int, Mapping[str, float]]) -> str:
    """Rows as csv text, metrics in alphabetical order; a number that an epoch does not have is an empty field.

    Example:
        >>> print(table_text({0: {"val/loss": 0.5, "learning_rate": 0.1}, 1: {"learning_rate": 0.1}}), end="")
        epoch,learning_rate,val/loss
        0,0.1,0.5
        1,0.1,
    """
    names = sorted({name for values in rows.values() for name in values})
    table = [
        [epoch, *(f"{values[n]:.6g}" if n in values else "" for n in names)] for epoch, values in sorted(rows.items())
    ]
    return csv_text(["epoch", *names], table)


def best_epoch(trainer: L.Trainer, rows: Mapping[int, Mapping[str, float]]) -> BestEpoch | None:
    """The epoch with the best value of the metric that a ModelCheckpoint monitors; None without one."""
    for saver in trainer.checkpoint_callbacks:
        monitor = saver.monitor if isinstance(saver, ModelCheckpoint) else None
        if monitor is None:
            continue
        values = {epoch: row[monitor] for epoch, row in rows.items() if math.isfinite(row.get(monitor, math.nan))}
        if values:
            pick = min if getattr(saver, "mode", "min") == "min" else max
            epoch = pick(values, key=lambda epoch: values[epoch])  # the first of equals, as ModelCheckpoint keeps it
            return BestEpoch(epoch, f"epoch {epoch}: best {monitor}, {values[epoch]:.3g}")
    return None


def draw_curves(
    rows: Mapping[int, Mapping[str, float]], panels: Mapping[str, Sequence[str]], best: BestEpoch | None = None
) -> Figure | None:
    """Draw a panel for each group of metrics, and mark the best epoch; None where nothing of any panel was logged."""
    logged = {name for values in rows.values() for name in values}
    shown = {title: [name for name in names if name in logged] for title, names in panels.items()}
    shown = {title: names for title, names in shown.items() if names}
    if not shown:
        return None
    beside = sum(-(-len(names) // _COLUMN) for names in shown.values() if len(names) > _INSIDE)
    figure = Figure(figsize=(0.6 + 4.4 * len(shown) + 1.8 * beside, 3.7), layout="constrained")
    for number, (title, names) in enumerate(shown.items(), start=1):
        axes = figure.add_subplot(1, len(shown), number)
        _draw_panel(axes, title, names, rows)
        if best is not None:
            axes.axvline(best.epoch, color=_GREY, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
    if best is not None:
        figure.suptitle(best.text, fontsize=9, color=_GREY)
    return figure


def _draw_panel(axes: Axes, title: str, names: Sequence[str], rows: Mapping[int, Mapping[str, float]]) -> None:
    used: Counter[str] = Counter()
    for name in names:
        colour = _COLOURS.get(name.partition("/")[0], _OTHER)
        dashes = dash(used[colour])
        used[colour] += 1
        points = [(epoch, row[name]) for epoch, row in sorted(rows.items()) if math.isfinite(row.get(name, math.nan))]
        epochs, values = zip(*points, strict=True) if points else ((), ())
        (line,) = axes.plot(epochs, values, color=colour, linestyle=dashes, linewidth=1.6, label=_label(name))
        line.set(marker="o" if len(rows) <= _MARKED else "", markersize=3)
    axes.set_title(title, fontsize=11, loc="left")
    dress_epochs(axes)
    if title == "accuracy":
        axes.set_ylim(top=1.02)
    if len(names) <= _INSIDE:
        axes.legend(frameon=False, fontsize=9, handlelength=3.0)
    else:
        beside = {"bbox_to_anchor": (1.0, 1.0), "ncols": -(-len(names) // _COLUMN)}
        axes.legend(frameon=False, fontsize=9, handlelength=4.5, loc="upper left", **beside)


def dress_epochs(axes: Axes) -> None:
    """Count whole epochs along the axis, and leave out what is not needed."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)


def _label(name: str) -> str:
    """Name in a legend: stage, and what is more than the panel says.

    Example:
        >>> [_label(name) for name in ("train/loss", "val/video_accuracy", "lr")]
        ['training', 'validation, by video', 'lr']
    """
    stage, _, metric = name.partition("/")
    words = {"train": "training", "val": "validation"}
    if stage not in words:
        return name
    if metric in ("loss", "accuracy"):
        return words[stage]
    return f"{words[stage]}, by video" if metric == "video_accuracy" else f"{words[stage]}, {metric.replace('_', ' ')}"
