"""The data module of questions about faces."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from datamodules.common.errors import ConfigurationError
from datamodules.common.fingerprint import file_sha256
from datamodules.common.progress import file_progress
from datamodules.common.resuming import ResumableLoader
from datamodules.common.sampler import PaddedDistributedSampler, only
from datamodules.common.settings import takes
from datamodules.common.splits import SPLITS, SplitName
from datamodules.face_benchmark.batch import TASKS, Question, QuestionBatch
from datamodules.face_benchmark.dataset import QuestionDataset, QuestionsOfFiles, QuestionSource, rows_of
from datamodules.face_benchmark.files import names_of, read_questions
from datamodules.face_benchmark.generator.making import QuestionsOfFaces, make_questions
from datamodules.face_benchmark.generator.pool import FacePool
from datamodules.face_benchmark.published import differences
from datamodules.face_benchmark.settings import QuestionDataSettings
from datamodules.faces.demo import DemoFaces
from datamodules.faces.sources import FaceSources
from datamodules.summary.checks import announce, check_pictures
from datamodules.summary.findings import Finding, Findings
from datamodules.summary.training_data import DataSummary, SplitSummary


class FaceXBenchDataModule(LightningDataModule):
    """FaceXBench's questions, or questions that are made from labelled faces.

    Without ``questions``, ``labels`` and ``root`` faces are drawn. Batches follow `QuestionBatch`.

    Raises:
        ConfigurationError: If arguments cannot work, alone or together.
    """

    brings_sampler: ClassVar[bool] = True  # which splits the rows between processes and marks padding

    @takes(QuestionDataSettings)
    def __init__(self, settings: QuestionDataSettings) -> None:
        super().__init__()
        self.settings = settings
        self.findings = Findings(settings.on_error)
        self._faces = FaceSources(settings, settings.demo)
        self._sources: dict[SplitName, QuestionSource] = {}
        self._done: frozenset[tuple[str, int]] = frozenset()

    def setup(self, stage: str) -> None:
        """Read the questions and look at their pictures' files, so that errors come before any answer."""
        splits: dict[str, tuple[SplitName, ...]] = {"fit": ("train", "val"), "validate": ("val",)}
        summary = self._summary(splits.get(stage, ("test",)), published=False)
        announce(summary, generated=self.settings.questions is None)

    def data_summary(self) -> DataSummary:
        """Questions of each split, without a model, and where FaceXBench's files differ from those published."""
        return self._summary(("test",) if self.settings.questions is not None else SPLITS, published=True)

    def _summary(self, splits: Sequence[SplitName], published: bool) -> DataSummary:
        found: list[Finding] = []
        parts: list[SplitSummary] = []
        for split in splits:
            source = self.source(split)
            wanted = _chosen(source.questions, self.settings)
            counts = Counter(question.task for question in wanted)
            facts = [f"{len(names_of(wanted))} pictures"]
            parts.append(SplitSummary(split, len(wanted), len(wanted), dict(counts), facts))
            if isinstance(source, QuestionsOfFiles):
                found += self._of_files(source, wanted, published)
            elif isinstance(source, QuestionsOfFaces) and split == splits[-1]:
                found += [
                    Finding("note", "tasks", f"no {TASKS[name][0]}: it needs {needed}")
                    for name, needed in source.lacking.items()
                    if self.settings.tasks is None or name in self.settings.tasks
                ]
        return DataSummary("questions", parts, [*self.findings.found, *found])

    def _of_files(self, source: QuestionsOfFiles, wanted: Sequence[Question], published: bool) -> list[Finding]:
        names = names_of(wanted)
        check_pictures([str(source.folder / name) for name in names], names, self.findings)
        if not published:
            return []
        return differences(source.questions, _different([str(source.folder / n) for n in names_of(source.questions)]))

    def source(self, split: SplitName) -> QuestionSource:
        """The questions of a split; those of files are a test alone.

        Raises:
            ConfigurationError: If there are none.
        """
        if split not in self._sources:
            self._sources[split] = self._read(split)
        return self._sources[split]

    def dataset(self, split: SplitName) -> QuestionDataset:
        """All questions of a split as they are asked."""
        settings, source = self.settings, self.source(split)
        rows = rows_of(_chosen(source.questions, settings), settings.rotations, settings.pictures, settings.seed)
        return QuestionDataset(source, rows, settings.pictures, settings.black_picture, settings.on_error)

    def exclude(self, done: Iterable[tuple[str, int]]) -> None:
        """Leave out questions by key and rotation: they are answered."""
        self._done = frozenset(done)

    @property
    def score_options(self) -> dict[str, object]:
        """What decides how a question is shown."""
        return {"pictures": self.settings.pictures, "black_picture": self.settings.black_picture}

    def train_dataloader(self) -> DataLoader[QuestionBatch]:
        """Questions of training people, in an order that changes with the epoch."""
        loader = self._loader("train", shuffle=True)
        loader.trainer = self.trainer
        return loader

    def val_dataloader(self) -> DataLoader[QuestionBatch]:
        """Questions of held-out people."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[QuestionBatch]:
        """Questions of the benchmark, or of people that no training saw."""
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader[QuestionBatch]:
        """The same questions."""
        return self._loader("test")

    def transfer_batch_to_device(
        self, batch: QuestionBatch, device: torch.device, dataloader_idx: int
    ) -> QuestionBatch:
        """Leave pictures where they are: a processor takes them there, or a server."""
        return batch

    def _read(self, split: SplitName) -> QuestionSource:
        if self.settings.questions is None:
            return self._made(split)
        if split != "test":
            raise ConfigurationError(
                f"questions {self.settings.questions} is a test, which nothing is taught with: leave it out, and "
                "questions of other people are made for that"
            )
        files = read_questions(self.settings.questions, self.findings)
        self.findings.stop()
        return QuestionsOfFiles(files.folder, files.questions)

    def _made(self, split: SplitName) -> QuestionsOfFaces:
        settings = self.settings
        faces = self._faces.faces(split)
        parameters = None
        if isinstance(faces, DemoFaces):
            faces = faces.still()
            parameters = faces.parameters()
        dataset = "drawn" if parameters is not None else self._faces.kind
        pool = FacePool(faces, self._faces.schema, parameters, dataset)
        number = settings.train_per_task if split == "train" else None
        made = make_questions(pool, number or settings.per_task, settings.seed, split, settings.tasks)
        if not made.questions:
            needs = "; ".join(f"{TASKS[name][0]} needs {made.lacking[name]}" for name in settings.tasks or made.lacking)
            raise ConfigurationError(f"not one question can be made of the {split} faces: {needs}")
        return QuestionsOfFaces(pool, made)

    def _loader(self, split: SplitName, shuffle: bool = False) -> ResumableLoader[Any]:
        settings = self.settings
        dataset = self.dataset(split).without(self._done)
        return ResumableLoader(
            dataset,
            batch_size=settings.batch_size,
            sampler=PaddedDistributedSampler(len(dataset), shuffle=shuffle, seed=settings.seed),
            num_workers=settings.num_workers,
            collate_fn=only,
            persistent_workers=settings.num_workers > 0 and shuffle,
        )


def _different(paths: Sequence[str]) -> int | None:
    """Number of different files; None where some are missing."""
    if not all(Path(path).is_file() for path in paths):
        return None
    digests = set()
    with file_progress("Comparing the pictures", len(paths)) as done:
        for path in paths:
            digests.add(file_sha256(path))
            done(1)
    return len(digests)


def _chosen(questions: Sequence[Question], settings: QuestionDataSettings) -> list[Question]:
    """Questions of the categories and tasks that are wanted, the first of each task.

    Raises:
        ConfigurationError: If none is left.
    """
    kept = [
        question
        for question in questions
        if (settings.categories is None or question.category in settings.categories)
        and (settings.tasks is None or question.task in settings.tasks)
    ]
    if not kept:
        held = ", ".join(dict.fromkeys(question.task for question in questions))
        raise ConfigurationError(f"not one question is of the categories or tasks that are wanted; there are {held}")
    if settings.limit is None:
        return kept
    taken: dict[str, int] = defaultdict(int)
    first = []
    for question in kept:
        taken[question.task] += 1
        if taken[question.task] <= settings.limit:
            first.append(question)
    return first
