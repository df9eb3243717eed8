"""``appraise reward-study``: train, tune, sample and measure every row, and put them into one table."""

from __future__ import annotations

import json
import logging
from argparse import ArgumentError
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, cast

from filelock import FileLock, Timeout
from jsonargparse import ArgumentParser

from datamodules import FaceDiffusionDataModule
from datamodules.common.atomic_write import write_text
from datamodules.common.fingerprint import file_sha256
from lightning_modules.commands.front.config_files import find_config, resolve_config_options
from lightning_modules.commands.front.console import RESULTS, set_up_console
from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.front.parser import errors_in_one_sentence, namespace_at_home
from lightning_modules.commands.measures.command import parse as parse_measures
from lightning_modules.commands.measures.measuring import measured_whole
from lightning_modules.commands.reward_study.figures import draw
from lightning_modules.commands.reward_study.settings import StudyFigure, StudyRow, StudySettings
from lightning_modules.commands.reward_study.table import COLUMNS
from lightning_modules.commands.reward_study.tasks import (
    Measuring,
    Training,
    measure_arguments,
    training_pictures,
    work,
    write_pictures,
)
from lightning_modules.commands.rows.estimates import RowValues, differences, markdown, per_seed_csv
from lightning_modules.commands.rows.processes import work_through
from lightning_modules.commands.rows.results import OptionValue, Result, filled, names_in, read_result

log = logging.getLogger("appraise")
results = logging.getLogger(RESULTS)


def run(command: str, arguments: Sequence[str]) -> int:
    """Run the study, or go on with what its folder lacks."""
    set_up_console()
    if not any(word.split("=")[0] in ("--config", "--rows") for word in arguments):
        raise CommandLineError("name what is studied: add --config FILE, for example --config face_diffusion/study")
    resolved, _ = resolve_config_options(arguments)
    study = Study(parse(resolved))
    facts = study.facts()
    study.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(study.folder / "study.lock", timeout=0):
            study.check_folder(facts)
            study.work()
            study.report()
    except Timeout as error:
        raise CommandLineError(
            f"another reward-study works in {study.folder}: wait for it, or give another --output"
        ) from error
    return 0


def parse(arguments: Sequence[str]) -> StudySettings:
    """Read the settings.

    Raises:
        CommandLineError: If a file or an option cannot work.
    """
    parser = ArgumentParser(prog="appraise reward-study", exit_on_error=False)
    parser.add_argument("--config", action="config", help="configuration file")
    parser.add_class_arguments(StudySettings, as_group=False, skip={"held_out"})
    parser.add_subclass_arguments(FaceDiffusionDataModule, "held_out", required=False)
    with errors_in_one_sentence():
        parsed = namespace_at_home(parser.parse_args(list(arguments)))
        # Classes among the options are those of other commands, and are not built here.
        plain = parsed.clone(with_meta=False).as_dict()
    plain.pop("config", None)
    rows = {name: StudyRow(**row) for name, row in plain.pop("rows").items()}
    return StudySettings(rows=rows, figure=StudyFigure(**plain.pop("figure")), **plain)


def built(config: Mapping[str, object]) -> FaceDiffusionDataModule:
    """The data that a configuration names, read.

    Raises:
        CommandLineError: If it cannot be built.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(FaceDiffusionDataModule, "held_out")
    try:
        made = parser.instantiate(parser.parse_object({"held_out": dict(config)}))
    except (ArgumentError, TypeError, KeyError, ValueError) as error:
        raise CommandLineError(f"held_out: {' '.join(str(error).split())}") from error
    data = cast(FaceDiffusionDataModule, made.held_out)
    data.prepare_data()
    data.setup("fit")
    return data


class Study:
    """The pieces of work of all rows and seeds, and which of them can begin.

    Args:
        settings: What to do.
    """

    def __init__(self, settings: StudySettings) -> None:
        self.settings = settings
        self.folder = Path(settings.output).expanduser().absolute()
        self._held_out: Path | None = None

    def facts(self) -> dict[str, Any]:
        """What decides the results, plain values.

        Raises:
            CommandLineError: If a configuration does not exist.
        """
        settings = self.settings
        own = {name: getattr(settings, name) for name in _DECISIVE}
        own |= {f"row {name}": _decisive(asdict(row)) for name, row in settings.rows.items()}
        configs = {settings.sample, *(row.fit for row in settings.rows.values() if row.fit is not None)}
        own |= {f"file {name}": file_sha256(find_config(name).path) for name in configs}
        return cast(dict[str, Any], json.loads(json.dumps(own)))  # as the file holds it

    def check_folder(self, facts: Mapping[str, Any]) -> None:
        """Refuse a folder that holds another study; rows and seeds may join later.

        Raises:
            CommandLineError: If what decides results differs from what the folder was begun with.
        """
        file = self.folder / "study.json"
        begun = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        different = [name for name, value in facts.items() if name in begun and begun[name] != value]
        if different:
            raise CommandLineError(
                f"{self.folder} holds a study whose {different[0]} differs from this one's: give another --output, or "
                "the settings that it was begun with"
            )
        write_text(file, json.dumps({**begun, **facts}, indent=1) + "\n")

    # Folders

    def row_folder(self, row: str, seed: int) -> Path:
        """Folder of a row's training."""
        trained = self.settings.trained(row)
        once = self.settings.rows[trained].once
        return self.folder / trained / ("once" if once else f"seed_{seed}")

    def measured_folder(self, row: str, seed: int) -> Path:
        """Folder of a row's samples and measures."""
        return self.folder / row / f"seed_{seed}" / "measured"

    # Work

    def work(self) -> None:
        """Do all that is left."""
        settings = self.settings
        if settings.held_out is not None:
            pictures = built(settings.held_out).training_pictures()
            self._held_out = write_pictures(pictures, self.folder / "held_out")
        work_through(self.ready, work, self._tell, self.folder, settings.processes, settings.threads)

    def folders(self) -> list[Path]:
        """Folders of all pieces of work."""
        found: dict[Path, None] = {}
        for seed in self.settings.seeds:
            for name, row in self.settings.rows.items():
                if row.fit is not None:
                    found[self.row_folder(name, seed)] = None
                if row.title:
                    found[self.measured_folder(name, seed)] = None
        return list(found)

    def ready(self) -> Iterator[Training | Measuring]:
        """Pieces of work that are not done and wait for nothing; one seed after the other."""
        offered: set[Path] = set()
        for seed in self.settings.seeds:
            checkpoints = self._checkpoints(seed)
            for name, row in self.settings.rows.items():
                if not self.settings.needs(name) <= checkpoints.keys():
                    continue
                folder = self.row_folder(name, seed)
                if row.fit is not None and name not in checkpoints and folder not in offered:
                    offered.add(folder)
                    yield self._training(name, seed, checkpoints)
                waits = row.title and read_result(self.measured_folder(name, seed)) is None
                if waits and self._can_measure(name, checkpoints):
                    yield self._measuring(name, seed, checkpoints)

    def _can_measure(self, name: str, checkpoints: Mapping[str, str]) -> bool:
        needs = names_in(self.settings.rows[name].sampling) | names_in(self.settings.measure)
        return needs | {self.settings.trained(name)} <= checkpoints.keys()

    def _checkpoints(self, seed: int) -> dict[str, str]:
        """Checkpoints of the rows that are trained."""
        found = {}
        for name, row in self.settings.rows.items():
            result = read_result(self.row_folder(name, seed)) if row.fit is not None else None
            if result is not None:
                found[name] = result.checkpoint
        return found

    def _training(self, name: str, seed: int, checkpoints: dict[str, str]) -> Training:
        row = self.settings.rows[name]
        assert row.fit is not None  # the caller looked
        seeded = {} if row.once else dict.fromkeys(self.settings.seed_options, seed)
        options = {**self.settings.options, **seeded}
        options |= {option: filled(value, checkpoints) for option, value in row.options.items()}
        return Training(self.row_folder(name, seed), row.fit, options, self.folder / "pictures")

    def _measuring(self, name: str, seed: int, checkpoints: dict[str, str]) -> Measuring:
        settings, row = self.settings, self.settings.rows[name]
        sampling: dict[str, OptionValue] = {
            "data.init_args.samples": settings.samples,
            "data.init_args.sample_seed": seed,
            **{option: filled(value, checkpoints) for option, value in row.sampling.items()},
        }
        return Measuring(
            self.measured_folder(name, seed),
            row.title,
            settings.sample,
            checkpoints[settings.trained(name)],
            training_pictures(self.row_folder(name, seed), self.folder / "pictures"),
            self._held_out,
            sampling,
            {option: filled(value, checkpoints) for option, value in settings.measure.items()},
        )

    # Telling

    def _tell(self, task: Training | Measuring, result: Result) -> None:
        done = sum(read_result(folder) is not None for folder in self.folders())
        shown = [
            f"{header} {result.values[name]:.{digits}f}" for header, name, digits in COLUMNS if name in result.values
        ]
        log.info("%d of %d: %s: %s", done, len(self.folders()), task.folder.relative_to(self.folder), ", ".join(shown))

    def report(self) -> None:
        """Write and print the table, draw the figure, and write the page of the first seed."""
        rows = self.row_values()
        write_text(self.folder / "table.md", markdown(rows, COLUMNS) + "\n")
        write_text(self.folder / "table.csv", per_seed_csv(rows, self.settings.seeds))
        results.info("%s", markdown(rows, COLUMNS))
        if self.settings.against is not None:
            base = self.settings.rows[self.settings.against].title
            less = markdown(differences(rows, base), COLUMNS)
            write_text(self.folder / "differences.md", less + "\n")
            results.info("less %s, seed by seed:\n%s", base, less)
        if self.settings.figure.y:
            results.info("figure: %s", draw(self.settings, rows, self.folder / "figure.png"))
        results.info("page: %s", self._page())

    def row_values(self) -> RowValues:
        """Values by title of the row, a mapping a seed."""
        return {
            self.settings.rows[name].title: [
                {} if (result := read_result(self.measured_folder(name, seed))) is None else result.values
                for seed in self.settings.seeds
            ]
            for name in self.settings.measured
        }

    def _page(self) -> Path:
        """Page of ``measure-generated`` for the rows that are compared, those of the first one's training pictures."""
        settings, seed = self.settings, self.settings.seeds[0]
        names = settings.compare or settings.measured
        tasks = [self._measuring(name, seed, self._checkpoints(seed)) for name in names]
        made = {task.title: task.samples for task in tasks if task.training == tasks[0].training}
        measured_whole(parse_measures(measure_arguments(tasks[0], made, self.folder / "page")))
        return self.folder / "page" / "page.html"


# Settings that decide what a result is, beside the rows; the others may change when a study goes on.
_DECISIVE = ("seed_options", "options", "sample", "samples", "measure", "held_out")


def _decisive(row: dict[str, OptionValue]) -> dict[str, OptionValue]:
    """What decides the result of a row."""
    return {name: value for name, value in row.items() if name not in ("title", "line", "place", "places")}
