"""What `appraise reward-study` reads from its configuration file."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from lightning_modules.commands.front.errors import CommandLineError, did_you_mean
from lightning_modules.commands.rows.results import OptionValue, filled, names_in


@dataclass
class StudyRow:
    """A model that is trained, or another row's model that is sampled in another way.

    Args:
        title: Name in the table; empty for what others need and nobody measures, such as a judge.
        fit: Configuration of its training.
        model: Row whose model is sampled, where nothing is trained.
        options: Options of ``fit``, by name without the dashes. In a text ``{NAME}`` stands for the checkpoint of
            another row.
        sampling: Options of ``predict``; likewise.
        once: Train it once for all seeds, with those of its own configuration.
        line: Line of the figure that the row is a point of.
        place: Its place on that line.
        places: Several places, each a row of its own (``NAME_0.1``), in whose texts ``{place}`` stands for it.
    """

    title: str = ""
    fit: str | None = None
    model: str | None = None
    options: dict[str, OptionValue] = field(default_factory=dict)
    sampling: dict[str, OptionValue] = field(default_factory=dict)
    once: bool = False
    line: str | None = None
    place: float | None = None
    places: list[float] = field(default_factory=list)

    def at_each_place(self, name: str) -> dict[str, StudyRow]:
        """The rows that it stands for, by name.

        Example:
            >>> row = StudyRow("gamma {place}", fit="tune", options={"gamma": "{place}"}, places=[0, 0.1])
            >>> [(name, one.title, one.options) for name, one in row.at_each_place("tuned").items()]
            [('tuned_0', 'gamma 0', {'gamma': 0}), ('tuned_0.1', 'gamma 0.1', {'gamma': 0.1})]
        """
        found = {}
        for place in self.places:
            at = {"place": int(place) if float(place).is_integer() else place}  # pictures are counted, not measured
            options, sampling = ({k: filled(v, at) for k, v in held.items()} for held in (self.options, self.sampling))
            title = self.title.replace("{place}", f"{place:g}")
            own = replace(self, title=title, options=options, sampling=sampling, place=place, places=[])
            found[f"{name}_{place:g}"] = own
        return found or {name: self}


@dataclass
class StudyFigure:
    """The figure at the end: a panel for each measure, a line for each ``line`` of the rows.

    Args:
        x: Measure along the panels; None takes the rows' ``place``.
        y: Measures up the panels.
        place: What the rows' ``place`` is.
        wanted: Values of ``x`` that are aimed at, as a band.
    """

    x: str | None = None
    y: list[str] = field(default_factory=list)
    place: str = ""
    wanted: list[float] | None = None


@dataclass
class StudySettings:
    """Many ways to train and tune a diffusion model, each measured alike.

    Args:
        rows: The rows in the order of the table.
        seeds: Everything anew for each.
        seed_options: Options of ``fit`` that are set to the seed.
        options: Options of every ``fit``.
        sample: Configuration of the sampling.
        samples: Pictures of a row.
        measure: Options of ``measure-generated``; in a text ``{NAME}`` stands for the checkpoint of a row.
        held_out: Data whose training pictures are the real ones that nobody learnt from; None has none.
        against: Row that the others are measured against: a second table has the differences seed by seed.
        compare: Rows that the page shows side by side, for the first seed; empty shows all.
        figure: The figure.
        processes: Pieces of work at a time, each in a process of its own.
        threads: Threads of each.
        output: Folder of everything; the same command goes on with what is missing there.
    """

    rows: dict[str, StudyRow]
    seeds: list[int] = field(default_factory=lambda: [0])
    seed_options: list[str] = field(default_factory=lambda: ["seed_everything", "data.init_args.seed"])
    options: dict[str, OptionValue] = field(default_factory=dict)
    sample: str = "face_diffusion/sample"
    samples: int = 2560
    measure: dict[str, OptionValue] = field(default_factory=dict)
    held_out: dict[str, OptionValue] | None = None
    against: str | None = None
    compare: list[str] = field(default_factory=list)
    figure: StudyFigure = field(default_factory=StudyFigure)
    processes: int = 2
    threads: int = 1
    output: str = "runs/face_diffusion/study"

    def __post_init__(self) -> None:
        if not self.rows or not self.seeds:
            raise CommandLineError("a study needs at least one row and one seed: fill `rows` and `seeds`")
        if min(self.samples, self.processes, self.threads) < 1:
            raise CommandLineError(
                f"samples {self.samples}, processes {self.processes} and threads {self.threads} must each be at least 1"
            )
        self.rows = {key: one for name, row in self.rows.items() for key, one in row.at_each_place(name).items()}
        for name, row in self.rows.items():
            if (row.fit is None) == (row.model is None):
                raise CommandLineError(f'row "{name}" needs either `fit`, a training, or `model`, a row to sample from')
        for where, names in self._named().items():
            for wanted in names:
                if wanted not in self.rows:
                    raise CommandLineError(
                        f'{where} names the row "{wanted}", and there is none{did_you_mean(wanted, list(self.rows))}'
                    )
        self._check_order()

    @property
    def measured(self) -> list[str]:
        """Rows of the table."""
        return [name for name, row in self.rows.items() if row.title]

    def needs(self, name: str) -> set[str]:
        """Rows that must be trained before a row is."""
        row = self.rows[name]
        return names_in(row.options) | ({row.model} if row.model else set())

    def trained(self, name: str) -> str:
        """Row that trained what a row samples."""
        model = self.rows[name].model
        return name if model is None else self.trained(model)

    def _named(self) -> dict[str, set[str]]:
        found = {f'row "{name}"': self.needs(name) | names_in(row.sampling) for name, row in self.rows.items()}
        found |= {"measure": names_in(self.measure), "compare": set(self.compare)}
        return found if self.against is None else {**found, "against": {self.against}}

    def _check_order(self) -> None:
        """Refuse rows that wait for one another."""
        done: set[str] = set()
        while left := [name for name in self.rows if name not in done]:
            ready = [name for name in left if self.needs(name) <= done]
            if not ready:
                raise CommandLineError(f"the rows {', '.join(left)} wait for one another: let one begin from nothing")
            done |= set(ready)
