"""What a sweep ends with: a table, a csv, a picture of the metric against each parameter, and the best config."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from callbacks.figures.fonts import figure_families
from callbacks.figures.pictures import write_figure
from datamodules.common.atomic_write import write_text
from datamodules.tables.csv import csv_text, short_numbers
from lightning_modules.commands.sweep.plan import Plan
from lightning_modules.commands.sweep.points import Outcome, Point
from lightning_modules.commands.sweep.space import Parameter, Value

Rows = Sequence[tuple[Point, Outcome]]

_COLUMNS = 4  # panels in a row
_DOT, _BEST = "#2166ac", "#d6604d"
_MANY = 8  # values up to which each has a place of its own on the axis
_MARGIN = 0.05  # of a range, beside it
_LONGEST = 18  # letters of a value on the axis


def ranked(rows: Rows, goal: str) -> list[tuple[Point, Outcome]]:
    """The best first, those that failed at the end."""
    sign = 1 if goal == "minimize" else -1

    def key(row: tuple[Point, Outcome]) -> tuple[float, int]:
        return (math.inf if row[1].best is None else sign * row[1].best, row[0].number)

    return sorted(rows, key=key)


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Last parts of dotted names, or the whole where two end alike.

    Example:
        >>> short_names(["model.init_args.width", "data.init_args.width", "trainer.max_epochs"])["trainer.max_epochs"]
        'max_epochs'
    """
    last = [name.rpartition(".")[2] for name in names]
    return {name: short if last.count(short) == 1 else name for name, short in zip(names, last, strict=True)}


def markdown(plan: Plan, rows: Rows) -> str:
    """The table, the best first; a training that failed has its sentence in place of numbers."""
    names = short_names(list(plan.space))
    table = [["point", *names.values(), f"best {plan.metric}", "last", "seconds"]]
    for point, outcome in ranked(rows, plan.goal):
        values = short_numbers(point.values[name] for name in names)
        if outcome.failure:
            numbers = [f"failed: {outcome.failure}", "", ""]
        else:
            numbers = [f"{outcome.best:.4g}", f"{outcome.last:.4g}", f"{outcome.seconds:.0f}"]
        table.append([str(cell).replace("|", "\\|") for cell in (point.number, *values, *numbers)])
    widths = [max(len(row[place]) for row in table if "failed: " not in row[place]) for place in range(len(table[0]))]
    table.insert(1, ["-" * width for width in widths])
    return "\n".join("| " + " | ".join(map(str.ljust, row, widths)) + " |" for row in table)


def csv_rows(plan: Plan, rows: Rows) -> str:
    """The same in full as csv text, by number."""
    header = ["point", *plan.space, f"best {plan.metric}", f"last {plan.metric}", "seconds", "failure", "folder"]
    lines = [
        [point.number, *point.values.values(), outcome.best, outcome.last, f"{outcome.seconds:.1f}", outcome.failure,
         point.folder]
        for point, outcome in rows
    ]  # fmt: skip
    return csv_text(header, [["" if cell is None else cell for cell in line] for line in lines])


def draw(plan: Plan, rows: Rows) -> Figure:
    """The metric against each parameter; a dot a training, the best one marked."""
    known = [(point, outcome.best) for point, outcome in ranked(rows, plan.goal) if outcome.best is not None]
    names = short_names(list(plan.space))
    lines = -(-len(names) // _COLUMNS)
    columns = -(-len(names) // lines)
    figure = Figure(figsize=(1.0 + 2.6 * columns, 0.7 + 2.7 * lines), layout="constrained")
    panels = figure.subplots(lines, columns, squeeze=False, sharey=True).flat
    for axes, (name, short) in zip(panels, names.items(), strict=False):
        places = _lay_out(axes, plan.space[name], [point.values[name] for point, _ in known])
        heights = [height for _, height in known]
        axes.scatter(places[1:], heights[1:], s=24, color=_DOT, alpha=0.8, linewidths=0)
        axes.scatter(places[:1], heights[:1], s=70, color=_BEST, marker="*", zorder=3)
        axes.set_xlabel(short)
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in list(figure.axes)[len(names) :]:
        axes.set_visible(False)
    for axes in figure.axes[::columns]:
        axes.set_ylabel(plan.metric)
    told = f"{len(known)} training{'' if len(known) == 1 else 's'}"
    figure.suptitle(f"{plan.content.get('name', plan.path.stem)}: {told}, best one starred", fontsize=10)
    return figure


def _lay_out(axes: Axes, parameter: Parameter, values: Sequence[Value]) -> list[float]:
    """Set up the axis of a parameter, and say where on it each value stands."""
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    if len(numbers) == len(values) and (not parameter.choices or len(parameter.choices) > _MANY):
        _lay_out_range(axes, parameter)
        return numbers
    choices = list(parameter.choices)
    labels = [str(choice) if len(str(choice)) <= _LONGEST else f"{str(choice)[:_LONGEST]}..." for choice in choices]
    axes.set_xticks(range(len(choices)), labels, family=figure_families(labels))
    if sum(map(len, labels)) > 2 * _LONGEST:
        axes.tick_params(axis="x", rotation=30)
        for label in axes.get_xticklabels():
            label.set(ha="right", rotation_mode="anchor")
    axes.set_xlim(-0.6, len(choices) - 0.4)
    return [float(choices.index(value)) for value in values]


def _lay_out_range(axes: Axes, parameter: Parameter) -> None:
    """The whole range with a few numbers, whichever part of it was drawn."""
    low, high = parameter.low, parameter.high
    if not parameter.logarithmic:
        if low < high:  # else many values of a list
            axes.set_xlim(low - _MARGIN * (high - low), high + _MARGIN * (high - low))
        axes.xaxis.set_major_locator(MaxNLocator(4))
        return
    ratio = high / low
    axes.set_xscale("log")
    axes.set_xlim(low / ratio**_MARGIN, high * ratio**_MARGIN)
    axes.xaxis.set_major_locator(
        LogLocator(
            subs=(1.0,) if ratio > 100 else (1.0, 3.0) if ratio > 10 else (1, 2, 5) if ratio > 4 else (1, 2, 3, 5, 7)
        )
    )
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def write_best(point: Point, target: Path) -> Path | None:
    """Write the configuration of the best training as a file for ``fit``; None where it kept none."""
    record = point.folder / "config.yaml"
    if not record.is_file():
        return None
    config: Mapping[str, object] = yaml.safe_load(record.read_text(encoding="utf-8"))
    began_anew = {**config, **({"ckpt_path": None} if "ckpt_path" in config else {})}  # a point may have gone on
    text = yaml.safe_dump(began_anew, sort_keys=False, allow_unicode=True)
    write_text(target, f"# appraise fit --config {target}\n#\n# Point {point.number} of a sweep.\n\n{text}")
    return target


def write_report(plan: Plan, rows: Rows, folder: Path) -> list[str]:
    """Write everything into the sweep's folder.

    Returns:
        Lines for the terminal: the table, the files, and how to train the best again.
    """
    write_text(folder / "results.csv", csv_rows(plan, rows))
    lines = [markdown(plan, rows), "", f"table {folder / 'results.csv'}"]
    (point, outcome), *_ = ranked(rows, plan.goal)
    if outcome.best is None:
        return lines
    write_figure(draw(plan, rows), folder / "results.png")
    lines.append(f"picture {folder / 'results.png'}")
    best = write_best(point, folder / "best.yaml")
    lines.append(f"best: point {point.number}, {plan.metric} {outcome.best:.4g}, {point.folder}")
    return lines if best is None else [*lines, f"next: appraise fit --config {best}"]
