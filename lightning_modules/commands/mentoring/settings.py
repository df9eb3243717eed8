"""What `appraise mentor-loop` reads from its configuration file."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.rows.results import OptionValue


@dataclass
class RowSettings:
    """One row of the table: a training that differs from the others by options alone.

    Args:
        title: Name in the table.
        options: Options of ``fit``, by name without the dashes. In a text, ``{baseline}`` stands for the deployed
            model's checkpoint, ``{store}`` for the feedback store and ``{masks}`` for the number of images whose full
            masks take the operator as long as the answers did.
    """

    title: str
    options: dict[str, OptionValue] = field(default_factory=dict)


@dataclass
class OperatorSettings:
    """The simulated operator.

    Args:
        error_rate: Share of answers that are wrong, 0..1.
        accept_share: Share of a region's pixels that must show its class for a "yes", 0..1.
        corrects_class: Give a region that lies on another class its right class (a number key of the page), instead of
            the paper's "no".
        healthy_share: Share of the images flagged healthy at acquisition for which the flag is handed on, 0..1.
        seconds_per_answer: Median time of an answer in seconds.
        seconds_per_mask: Time to draw all masks of an image in seconds, for the control ``{masks}``.
    """

    error_rate: float = 0.02
    accept_share: float = 0.3
    corrects_class: bool = False
    healthy_share: float = 1.0
    seconds_per_answer: float = 1.2
    seconds_per_mask: float = 60.0


@dataclass
class FigureSettings:
    """Pictures at the end.

    Args:
        features: Rows whose features at defective areas are drawn side by side.
        false_positives: Row whose false positives that went away are drawn.
    """

    features: list[str] = field(default_factory=list)
    false_positives: str | None = None


@dataclass
class LoopSettings:
    """The loop: baseline, mining, answers, one training a row, table.

    Args:
        fit: Configuration of every training, a file or the name of a shipped one.
        rows: The rows in the order of the table; the first is the baseline, which the others' ``{baseline}`` names.
        mine: Configuration of the mining.
        root: Folder of the data, where the trainings' configuration does not name it.
        seeds: One whole loop for each.
        seed_options: Options of ``fit`` that are set to the seed.
        options: Options of every training; those of ``data`` are the mining's too.
        mine_options: Options of the mining alone.
        rounds: Times that a model is deployed, mined with and answered; the rows are trained in each.
        deploy: Row whose model is deployed after a round.
        answers: Who answers: ``simulated`` (needs complete labels of the new images), or ``page``.
        operator: The simulated operator, and the time that masks take.
        figures: Pictures at the end.
        processes: Trainings at a time, each in a process of its own.
        threads: Threads of each.
        output: Folder of everything; the same command goes on with what is missing there.
    """

    fit: str
    rows: dict[str, RowSettings]
    mine: str = "inspection/mine"
    root: str | None = None
    seeds: list[int] = field(default_factory=lambda: [0, 1, 2])
    seed_options: list[str] = field(default_factory=lambda: ["seed_everything", "data.init_args.seed"])
    options: dict[str, OptionValue] = field(default_factory=dict)
    mine_options: dict[str, OptionValue] = field(default_factory=dict)
    rounds: int = 1
    deploy: str = "transfer"
    answers: Literal["simulated", "page"] = "simulated"
    operator: OperatorSettings = field(default_factory=OperatorSettings)
    figures: FigureSettings = field(default_factory=FigureSettings)
    processes: int = 2
    threads: int = 1
    output: str = "runs/inspection/loop"

    def __post_init__(self) -> None:
        if not self.rows or not self.seeds:
            raise CommandLineError("a loop needs at least one row and one seed: fill `rows` and `seeds`")
        if min(self.rounds, self.processes, self.threads) < 1:
            raise CommandLineError(
                f"rounds {self.rounds}, processes {self.processes} and threads {self.threads} must each be at least 1"
            )
        known = list(self.rows)
        wanted = [*self.figures.features, *([self.figures.false_positives] if self.figures.false_positives else [])]
        wanted += [self.deploy] if self.rounds > 1 else []
        for name in wanted:
            if name not in known:
                raise CommandLineError(f'there is no row "{name}": the rows are {", ".join(known)}')

    @property
    def baseline(self) -> str:
        """Name of the row that is deployed first."""
        return next(iter(self.rows))
