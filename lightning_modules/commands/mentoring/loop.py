"""``appraise mentor-loop``: baseline, mining, answers, one training a row, and the table of them all."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from filelock import FileLock, Timeout
from jsonargparse import ArgumentParser

from datamodules.common.atomic_write import write_text
from datamodules.common.fingerprint import file_sha256
from lightning_modules.commands.front.config_files import find_config, resolve_config_options
from lightning_modules.commands.front.console import RESULTS, set_up_console
from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.front.parser import errors_in_one_sentence, namespace_at_home
from lightning_modules.commands.mentoring import figures as loop_figures
from lightning_modules.commands.mentoring.settings import LoopSettings
from lightning_modules.commands.mentoring.table import COLUMNS
from lightning_modules.commands.mentoring.tasks import STORE, Mining, Training, mine, train
from lightning_modules.commands.rows.estimates import markdown, per_seed_csv
from lightning_modules.commands.rows.processes import work_through
from lightning_modules.commands.rows.results import OptionValue, Result, filled, read_result

log = logging.getLogger("appraise")
results = logging.getLogger(RESULTS)

Task = Training | Mining


def work(task: Task) -> Result:
    """Do a piece of work, in a process of its own."""
    return mine(task) if isinstance(task, Mining) else train(task)


def run(command: str, arguments: Sequence[str]) -> int:
    """Run the loop, or go on with what its folder lacks; 0 when all is done, 3 when people must answer first."""
    set_up_console()
    resolved, _ = resolve_config_options(arguments)
    settings = parse(resolved)
    loop = Loop(settings)
    loop.folder.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(loop.folder / "loop.lock", timeout=0):
            loop.check_folder()
            if not loop.work():
                return 3
            loop.report()
    except Timeout as error:
        raise CommandLineError(
            f"another mentor-loop works in {loop.folder}: wait for it, or give another --output"
        ) from error
    return 0


def parse(arguments: Sequence[str]) -> LoopSettings:
    """Read the settings.

    Raises:
        CommandLineError: If a file or an option cannot work.
    """
    parser = ArgumentParser(prog="appraise mentor-loop", exit_on_error=False)
    parser.add_argument("--config", action="config", help="configuration file")
    parser.add_class_arguments(LoopSettings, as_group=False)
    with errors_in_one_sentence():
        parsed = parser.instantiate_classes(namespace_at_home(parser.parse_args(list(arguments))))
    values = {name: value for name, value in vars(parsed).items() if name != "config"}
    return LoopSettings(**values)


class Loop:
    """The pieces of work of all seeds and rounds, and which of them can begin.

    Args:
        settings: What to do.
    """

    def __init__(self, settings: LoopSettings) -> None:
        self.settings = settings
        self.folder = Path(settings.output).expanduser().absolute()

    def check_folder(self) -> None:
        """Refuse a folder that holds another loop.

        Raises:
            CommandLineError: If the settings that decide results differ from those that the folder was begun with.
        """
        settings = asdict(self.settings)
        own = {name: settings[name] for name in _DECISIVE}
        own["files"] = [file_sha256(find_config(name).path) for name in (self.settings.fit, self.settings.mine)]
        own["rows"] = {name: row.options for name, row in self.settings.rows.items()}
        file = self.folder / "loop.json"
        if file.is_file():
            begun = json.loads(file.read_text(encoding="utf-8"))
            different = [name for name in own if name in begun and name != "rows" and begun[name] != own[name]]
            rows = begun.get("rows", {})  # other rows may join later
            different += [f"row {name}" for name, options in own["rows"].items() if rows.get(name, options) != options]
            own["rows"] = {**rows, **own["rows"]}
            if different:
                raise CommandLineError(
                    f"{self.folder} holds a loop whose {different[0]} differs from this one's: give another "
                    "--output, or the settings that it was begun with"
                )
        write_text(file, json.dumps(own, indent=1) + "\n")

    # Folders

    def row_folder(self, seed: int, turn: int, row: str) -> Path:
        """Folder of a training; the baseline is trained once for all rounds."""
        return self.folder / f"seed_{seed}" / ("" if row == self.settings.baseline else f"round_{turn}") / row

    def mining_folder(self, seed: int, turn: int) -> Path:
        """Folder of a round's mining."""
        return self.folder / f"seed_{seed}" / f"round_{turn}" / "mining"

    def store(self, seed: int) -> Path:
        """Feedback store of a seed, for all its rounds."""
        return self.folder / f"seed_{seed}" / "store" / STORE

    def deployed(self, seed: int, turn: int) -> Path:
        """Folder of the training whose model is deployed in a round, from 1."""
        if turn == 1:
            return self.row_folder(seed, 1, self.settings.baseline)
        return self.row_folder(seed, turn - 1, self.settings.deploy)

    # Work

    def work(self) -> bool:
        """Do all that can be done; whether nothing is left."""
        settings = self.settings
        work_through(self.ready, work, self._tell, self.folder, settings.processes, settings.threads)
        left = [folder for folder in self.folders() if read_result(folder) is None]
        for seed in self.settings.seeds if left else ():
            self._ask(seed)
        return not left

    def folders(self) -> list[Path]:
        """Folders of all pieces of work."""
        settings, found = self.settings, []
        for seed in settings.seeds:
            found.append(self.row_folder(seed, 1, settings.baseline))
            for turn in range(1, settings.rounds + 1):
                rows = [row for row in settings.rows if row != settings.baseline]
                found += [self.mining_folder(seed, turn), *(self.row_folder(seed, turn, row) for row in rows)]
        return found

    def ready(self) -> Iterator[Task]:
        """Pieces of work that are not done and wait for nothing."""
        for seed in self.settings.seeds:
            for turn in range(1, self.settings.rounds + 1):
                deployed = read_result(self.deployed(seed, turn))
                if deployed is None:
                    if turn == 1:
                        yield self._training(seed, 1, self.settings.baseline, None)
                    break
                if read_result(self.mining_folder(seed, turn)) is None:
                    yield self._mining(seed, turn, deployed)
                    break
                if self._open_questions(seed) > 0:
                    break
                left = [row for row in self.settings.rows if read_result(self.row_folder(seed, turn, row)) is None]
                for row in left:
                    yield self._training(seed, turn, row, deployed)
                if left:  # the next round's answers would reach them through the store
                    break

    def _mining(self, seed: int, turn: int, deployed: Result) -> Mining:
        settings = self.settings
        shared = {name: value for name, value in self._options(seed).items() if name.startswith("data.")}
        return Mining(
            self.mining_folder(seed, turn),
            self.store(seed),
            settings.mine,
            settings.fit,
            Path(deployed.checkpoint),
            {**shared, **settings.mine_options},
            seed,
            settings.operator if settings.answers == "simulated" else None,
        )

    def _training(self, seed: int, turn: int, row: str, deployed: Result | None) -> Training:
        names = {"store": str(self.store(seed))}
        if deployed is not None:
            minutes = self._operator_minutes(seed, turn)
            names["baseline"] = deployed.checkpoint
            names["masks"] = str(max(1, round(minutes * 60 / self.settings.operator.seconds_per_mask)))
        return Training(
            self.row_folder(seed, turn, row),
            self.settings.fit,
            self._options(seed)
            | {name: filled(value, names) for name, value in self.settings.rows[row].options.items()},
            self._first_baseline(seed),
            sheet=row == self.settings.figures.false_positives,
        )

    def _first_baseline(self, seed: int) -> Path | None:
        """Checkpoint of the first row, which false positives are new against in each round; None before it is there."""
        result = read_result(self.row_folder(seed, 1, self.settings.baseline))
        return None if result is None else Path(result.checkpoint)

    def _options(self, seed: int) -> dict[str, OptionValue]:
        root: dict[str, OptionValue] = {"data.init_args.root": self.settings.root} if self.settings.root else {}
        return {**self.settings.options, **root, **dict.fromkeys(self.settings.seed_options, seed)}

    # People

    def _open_questions(self, seed: int) -> int:
        if self.settings.answers == "simulated":
            return 0
        from datamodules.inspection.store.feedback import FeedbackStore

        return FeedbackStore(self.store(seed)).open_questions()

    def _operator_minutes(self, seed: int, turn: int) -> float:
        if self.settings.answers == "simulated":
            done = [read_result(self.mining_folder(seed, number)) for number in range(1, turn + 1)]
            return sum(result.values["operator_minutes"] for result in done if result is not None)
        from datamodules.inspection.store.feedback import FeedbackStore

        return FeedbackStore(self.store(seed)).operator_minutes()

    def _ask(self, seed: int) -> None:
        if self.store(seed).is_file() and (count := self._open_questions(seed)):
            results.info(
                "%d detections wait for an answer: run `appraise mentor --store %s`, then this command again",
                count,
                self.store(seed),
            )

    # Telling

    def _tell(self, task: Task, result: Result) -> None:
        done = sum(read_result(folder) is not None for folder in self.folders())
        shown = [
            f"{header} {result.values[name]:.{digits}f}" for header, name, digits in COLUMNS if name in result.values
        ]
        place = task.folder.relative_to(self.folder)
        log.info("%d of %d: %s: %s", done, len(self.folders()), place, ", ".join(shown))

    def report(self) -> None:
        """Write and print the table, and draw the figures."""
        last = self.settings.rounds
        for turn in range(1, last + 1):
            rows = self.row_values(turn)
            name = "table" if turn == last else f"table_round_{turn}"
            write_text(self.folder / f"{name}.md", markdown(rows, COLUMNS) + "\n")
            write_text(self.folder / f"{name}.csv", per_seed_csv(rows, self.settings.seeds))
        results.info("%s", markdown(self.row_values(last), COLUMNS))
        for picture in self._pictures(last):
            results.info("%s", picture)

    def _pictures(self, turn: int) -> list[Path]:
        """Pictures of the first seed."""
        figures, seed = self.settings.figures, self.settings.seeds[0]
        runs = {}
        for row in self.settings.rows:
            result = read_result(self.row_folder(seed, turn, row))
            if result is not None:
                runs[row] = Path(result.checkpoint).parents[1]
        features = {self.settings.rows[row].title: runs[row] for row in figures.features if row in runs}
        return loop_figures.draw(self.folder, features, runs.get(figures.false_positives or ""))

    def row_values(self, turn: int) -> dict[str, list[dict[str, float]]]:
        """Values of a round by title of the row, a mapping a seed."""
        table: dict[str, list[dict[str, float]]] = {}
        for row, settings in self.settings.rows.items():
            for seed in self.settings.seeds:
                result = read_result(self.row_folder(seed, turn, row))
                values = {} if result is None else dict(result.values)
                if row == self.settings.baseline:
                    values |= self._deployed_false_positives(seed, turn)
                elif any("{store}" in str(value) or "{masks}" in str(value) for value in settings.options.values()):
                    values["operator_minutes"] = self._operator_minutes(seed, turn)
                table.setdefault(settings.title, []).append(values)
        return table

    def _deployed_false_positives(self, seed: int, turn: int) -> dict[str, float]:
        """The baseline's own false positives, which the rows counted beside theirs."""
        name = "false_positives_per_image_new"
        for row in self.settings.rows:
            result = read_result(self.row_folder(seed, turn, row))
            if result is not None and f"test/baseline_{name}" in result.values:
                return {f"test/{name}": result.values[f"test/baseline_{name}"]}
        return {}


# Settings that decide what a result is; the others may change when a loop goes on.
_DECISIVE = (
    "fit", "mine", "root", "seed_options", "options", "mine_options", "rounds", "deploy", "answers", "operator",
)  # fmt: skip
