"""Write answers as they come, a line each, and the tables of all of them at the end."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

import lightning as L
from filelock import FileLock, Timeout

from callbacks.face_benchmark.questions import draw_questions
from callbacks.face_benchmark.tables import write_tables
from callbacks.figures.pictures import costs_itself, write_image
from callbacks.figures.prediction_writer import PredictionWriter, of_all_processes
from datamodules import FaceXBenchDataModule
from datamodules.common.atomic_write import flush_row, write_text
from datamodules.common.errors import ConfigurationError, number_of
from datamodules.common.progress import file_progress
from datamodules.face_benchmark.batch import QuestionBatch
from datamodules.face_benchmark.dataset import QuestionDataset
from datamodules.tables.csv import csv_text
from lightning_modules import FaceXBenchEvaluator
from lightning_modules.face_benchmark.prompts import Asked, prompt_key, prompt_of
from lightning_modules.face_benchmark.results.outcome import Outcome, read_again, read_line, tokens_of
from lightning_modules.face_benchmark.results.scores import scores_of

log = logging.getLogger(__name__)

_ANSWERS = "answers.jsonl"
_SETTINGS = "settings.json"
_TOGETHER = 32  # questions whose pictures are drawn at once
_Place = tuple[str, int]  # key of a question, and its rotation


class AnswerWriter(PredictionWriter[QuestionBatch]):
    """Write the answers of a `FaceXBenchEvaluator` while it is tested or predicts.

    Into the output folder go ``answers.jsonl``, a line for each question as soon as it is answered, ``settings.json``
    with all that an answer depends on, and at the end the tables and a sheet of questions. The same command goes on
    with a folder: what was answered under the same model, words, pictures and settings is not asked again, and answers
    to questions that are not asked now stay in it, but not in the tables. A folder of other settings is refused, and
    so is one that another run is writing.

    Args:
        output: Folder; None takes the run's.
        title: Name of the model in tables; None takes that of its weights.
    """

    def __init__(self, output: str | None = None, title: str | None = None) -> None:
        super().__init__(output)
        self.title = title
        self._lock: FileLock | None = None
        self._file: IO[str] | None = None
        self._order: dict[_Place, int] = {}
        self._answered: dict[_Place, Outcome] = {}
        self._kept: list[Outcome] = []  # answers to questions that are not asked now
        self._failed: dict[str, str] = {}

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Take the folder, read what is answered, and leave that out.

        Raises:
            ConfigurationError: If the folder holds answers of other settings, or another run is writing it.
        """
        data = getattr(trainer, "datamodule", None)
        if (
            stage not in ("test", "predict")
            or not isinstance(pl_module, FaceXBenchEvaluator)
            or not isinstance(data, FaceXBenchDataModule)
        ):
            return
        folder = self.folder(trainer)
        if trainer.is_global_zero:
            self._lock = _taken(folder)
            _check_settings(folder, _settings(pl_module, data))
        trainer.strategy.barrier()
        dataset = data.dataset("test")
        self._order = {(row.question.key, row.rotation): place for place, row in enumerate(dataset.rows)}
        held = {(one.key, one.rotation): one for one in _read_answers(folder)}
        self._kept = [one for place, one in held.items() if place not in self._order]
        self._answered = _still_right(held, pl_module, dataset)
        trainer.strategy.barrier()  # nobody writes before all have looked
        data.exclude(self._answered)
        pl_module.answerer.resume(*tokens_of([*self._answered.values(), *self._kept]))
        if self._answered:
            log.info("%d of %s are answered in %s", len(self._answered), number_of(len(dataset), "question"), folder)
        if trainer.is_global_zero:
            _write_answers(folder, [*self._answered.values(), *self._kept])
            if len(self._answered) == len(dataset):  # nothing is asked, so that no later hook is called
                self._finish(folder, pl_module, list(self._answered.values()), dataset)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open this process's file."""
        self._open(trainer)

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open this process's file."""
        self._open(trainer)

    on_test_batch_end = PredictionWriter.on_predict_batch_end  # a test writes what a prediction does

    def write(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Mapping[str, Any], batch: QuestionBatch
    ) -> None:
        """Write the answers of a batch down to the disk."""
        assert self._file is not None  # a test or prediction has started
        self.take_unreadable([question.key for question in batch["question"]], batch)
        self._failed |= outputs["failed"]
        for outcome in outputs["outcome"]:
            self._answered[outcome.key, outcome.rotation] = outcome
            self._file.write(outcome.line() + "\n")
        flush_row(self._file)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Join the answers of all processes, write the tables, and log accuracies."""
        outcomes = self._join(trainer)
        whole = next(iter(scores_of(outcomes)), None)
        if whole is None:
            return
        values = {"accuracy": whole.strict, "official_accuracy": whole.official, "unparsed": whole.unparsed}
        pl_module.log_dict({f"test/{name}": one.value for name, one in values.items()}, rank_zero_only=False)

    def on_predict_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Join the answers of all processes, and write the tables."""
        self._join(trainer)

    def close(self) -> None:
        """Close the file, and give the folder free."""
        if self._file is not None:
            self._file.close()
            self._file = None
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def _open(self, trainer: L.Trainer) -> None:
        name = _ANSWERS if trainer.is_global_zero else f"answers.rank{trainer.global_rank}.jsonl"
        self._file = (self.folder(trainer) / name).open("a", encoding="utf-8", newline="")

    def _join(self, trainer: L.Trainer) -> list[Outcome]:
        parts = of_all_processes(trainer, (list(self._answered.values()), self._failed))
        failed = {key: why for _, own in parts for key, why in own.items()}
        # those of earlier runs stand in every part
        found = {(one.key, one.rotation): one for part, _ in parts for one in part}
        outcomes = sorted(found.values(), key=lambda one: self._order.get((one.key, one.rotation), len(self._order)))
        folder = self.folder(trainer)
        self.report_unreadable(trainer, folder, len(outcomes), "questions")
        if trainer.is_global_zero:
            assert self._file is not None  # a test or prediction has started
            self._file.close()
            self._file = None
            _write_answers(folder, [*outcomes, *self._kept])
            for shard in folder.glob("answers.rank*.jsonl"):
                shard.unlink()
            _report_failed(folder, failed)
            data = getattr(trainer, "datamodule", None)
            assert isinstance(data, FaceXBenchDataModule)  # setup has looked
            self._finish(folder, trainer.lightning_module, outcomes, data.dataset("test"))
        trainer.strategy.barrier()
        return outcomes

    def _finish(
        self, folder: Path, module: L.LightningModule, outcomes: list[Outcome], dataset: QuestionDataset
    ) -> None:
        assert isinstance(module, FaceXBenchEvaluator)  # setup has looked
        settings = json.loads((folder / _SETTINGS).read_text(encoding="utf-8"))
        server = module.config.server
        price = server.price(*tokens_of(outcomes)) if server is not None else 0.0
        write_tables(folder, self.title or str(settings["model"]), outcomes, settings, len(dataset), price)
        sheet = folder / "questions.png"
        if outcomes:
            with costs_itself(sheet):
                write_image(draw_questions(outcomes, dataset), sheet)
        told = number_of(len(outcomes), "question")
        if len(outcomes) < len(dataset):
            told = f"{len(outcomes)} of {number_of(len(dataset), 'question')}"
        log.info("%s answered: %s", told, folder / "results.md")


def _taken(folder: Path) -> FileLock:
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "answers.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise ConfigurationError(f"another run is writing {folder}: wait for it, or name another output") from error
    return lock


def _settings(module: FaceXBenchEvaluator, data: FaceXBenchDataModule) -> dict[str, Any]:
    """All that an answer depends on, beside question, words and pictures, which each answer names itself."""
    config = module.config
    facts: dict[str, Any] = {
        **module.answerer.facts(),
        "setting": config.setting,
        "scoring": config.scoring,
        "max_new_tokens": config.max_new_tokens,
        **data.score_options,
    }
    return json.loads(json.dumps(facts, sort_keys=True)) if facts else {}


def _check_settings(folder: Path, settings: Mapping[str, Any]) -> None:
    """Write the settings, or compare them with those of the folder.

    Raises:
        ConfigurationError: If they differ.
    """
    file = folder / _SETTINGS
    if file.is_file() and (folder / _ANSWERS).is_file():
        held = json.loads(file.read_text(encoding="utf-8"))
        if differ := sorted(name for name in held.keys() | settings.keys() if held.get(name) != settings.get(name)):
            told = "; ".join(f"{name} {held.get(name)!r} there, {settings.get(name)!r} now" for name in differ[:3])
            raise ConfigurationError(
                f"{folder} holds answers of other settings ({told}): name another output, or the same settings"
            )
    write_text(file, json.dumps(settings, indent=1, sort_keys=True, ensure_ascii=False) + "\n")


def _read_answers(folder: Path) -> list[Outcome]:
    """What earlier runs have written, those of ranks that did not come to join theirs among it; torn lines are not."""
    files = [folder / _ANSWERS, *sorted(folder.glob("answers.rank*.jsonl"))]
    lines = [file.read_text(encoding="utf-8", errors="replace").split("\n") for file in files if file.is_file()]
    turns = (line for turn in zip_longest(*lines) for line in turn if line)
    return [found for line in turns if (found := read_line(line)) is not None]


def _still_right(
    held: Mapping[_Place, Outcome], module: FaceXBenchEvaluator, dataset: QuestionDataset
) -> dict[_Place, Outcome]:
    """Those whose words and pictures are as they were, read by the questions as they are now."""
    if not held:
        return {}
    kept: dict[_Place, Outcome] = {}
    places = [place for place, row in enumerate(dataset.rows) if (row.question.key, row.rotation) in held]
    with file_progress("Comparing what is answered", len(places)) as done:
        for start in range(0, len(places), _TOGETHER):
            own = places[start : start + _TOGETHER]
            dataset.prepare(own)
            for place in own:
                row = dataset.rows[place]
                one = held[row.question.key, row.rotation]
                words = prompt_key(Asked(row.question, prompt_of(row.question, module.config.setting), []))
                if one.prompt == words and list(one.picture_hashes) == dataset.hashes(place):
                    kept[one.key, one.rotation] = read_again(one, row.question)
                done(1)
    if len(kept) < len(places):
        changed = number_of(len(places) - len(kept), "question")
        log.warning("warning: %s changed since they were answered, and are asked again", changed)
    return kept


def _write_answers(folder: Path, outcomes: Iterable[Outcome]) -> None:
    write_text(folder / _ANSWERS, "".join(f"{one.line()}\n" for one in outcomes))


def _report_failed(folder: Path, failed: Mapping[str, str]) -> None:
    file = folder / "unanswered.csv"
    file.unlink(missing_ok=True)
    if failed:
        write_text(file, csv_text(("question", "error"), sorted(failed.items())))
        log.warning(
            "warning: %s not answered, see %s; the same command asks them again",
            number_of(len(failed), "question"),
            file,
        )
