"""Precision, recall and F1 of every class, and who is taken for whom."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import classification_report, confusion_matrix
from torch import Tensor

from callbacks.action.confusion_figure import draw_confusion
from callbacks.figures.collect import CollectTestResults
from callbacks.figures.pictures import save_figure
from datamodules.common.atomic_write import write_text
from datamodules.common.errors import ConfigurationError
from datamodules.tables.csv import csv_text

log = logging.getLogger(__name__)

Unit = Literal["frames", "videos"]
_SHOWN = 30  # classes up to which the terminal shows the report too
_AVERAGES = ("accuracy", "macro avg", "weighted avg")


class ClassificationReport(CollectTestResults):
    """Report the test split class by class, as scikit-learn does.

    Writes into the run's folder, for frames and, by the mean score of each video, for videos:
    ``classification_report.txt``, ``.csv`` and ``.json`` (with the confusion matrix) and ``confusion_matrix.png``;
    the files of videos end in ``_videos``. Logs ``test/macro_f1`` of the frames. Frames without a label, without a
    score, and the sampler's padding are left out. Averages run over the classes that are in the labels or the answers.

    The step returns ``scores`` ``(B, C)`` and ``label`` ``(B,)`` (of the batch where it returns none), and
    ``video_index`` ``(B,)`` where videos are wanted.

    Args:
        videos: Report videos too.
        figures: Draw the confusion matrices; they go to TensorBoard and W&B where they log.
    """

    def __init__(self, videos: bool = True, figures: bool = True) -> None:
        super().__init__()
        self.videos = videos
        self.figures = figures

    def columns(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Scores, labels and videos.

        Raises:
            ConfigurationError: If the model's test step gives no class scores.
        """
        if "scores" not in outputs:
            raise ConfigurationError(
                "ClassificationReport needs a model whose test step returns the classes' `scores`, but this one "
                f"returns {', '.join(outputs) or 'nothing'}: leave the callback out"
            )
        picked = {name: outputs[name] if name in outputs else batch[name] for name in ("scores", "label")}
        picked["scores"] = picked["scores"].float()
        video = outputs.get("video_index", batch.get("video_index"))
        if self.videos and video is not None:
            picked["video_index"] = video
        return picked

    def finish(self, trainer: L.Trainer, module: L.LightningModule, table: dict[str, Tensor]) -> None:
        """Write the files on rank zero; log on all."""
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # a collective call: all processes make it
        answered = torch.isfinite(table["scores"]).all(dim=1)
        if missing := int((~answered).sum()):
            log.warning("%d of %d frames have no score (NaN) and are left out of the report", missing, len(answered))
        table = {name: column[answered & (table["label"] >= 0)] for name, column in table.items()}
        names = class_names(trainer, module, table["scores"].shape[1])
        if len(table["label"]) == 0:
            log.warning("no frame of the test split has a label and a score: there is nothing to report")
            return
        frames = make_report(table["scores"], table["label"], names)
        module.log("test/macro_f1", frames.macro_f1)
        if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        self._write(trainer, folder, "frames", frames)
        if "video_index" in table:
            scores, labels = mean_per_video(table["scores"], table["label"], table["video_index"])
            self._write(trainer, folder, "videos", make_report(scores, labels, names))

    def _write(self, trainer: L.Trainer, folder: Path, unit: Unit, report: Report) -> None:
        ending = "" if unit == "frames" else f"_{unit}"
        base = folder / f"classification_report{ending}"
        write_text(base.with_suffix(".txt"), report.text)
        write_text(base.with_suffix(".csv"), report_csv(report))
        write_text(base.with_suffix(".json"), json.dumps(plain(report, unit), indent=2, ensure_ascii=False) + "\n")
        table = f"\n{report.text.rstrip()}" if len(report.class_names) <= _SHOWN else ""
        log.info("classification report of %s: %s%s", unit, base.with_suffix(".txt"), table)
        if not self.figures:
            return
        figure = draw_confusion(report.confusion, report.class_names, unit)
        save_figure(trainer, figure, folder / f"confusion_matrix{ending}.png", f"test/confusion_{unit}")


class Report(NamedTuple):
    """What a test says of the classes.

    Attributes:
        class_names: All classes of the model.
        rows: ``precision``, ``recall``, ``f1-score`` and ``support`` of each class that occurs, then of the averages;
            ``accuracy`` is a number.
        confusion: int64 ``(C, C)``; row is the true class, column the answer.
        text: The same as a table to read.
    """

    class_names: list[str]
    rows: dict[str, Any]
    confusion: NDArray[np.int64]
    text: str

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes."""
        return float(self.rows["macro avg"]["f1-score"])


def make_report(scores: Tensor, labels: Tensor, names: Sequence[str]) -> Report:
    """Compare the best class of finite scores ``(N, C)`` with the label, int64 ``(N,)``; ties go to the first."""
    true, answer = labels.numpy(), scores.numpy().argmax(axis=1)
    present = sorted({int(index) for index in np.concatenate([true, answer])})
    unique = distinct(names)
    options = {"labels": present, "target_names": [unique[index] for index in present], "zero_division": 0}
    rows: dict[str, Any] = classification_report(true, answer, output_dict=True, **options)
    text = classification_report(true, answer, digits=3, **options)
    absent = [unique[index] for index in range(len(names)) if index not in present]
    if absent:
        text += f"\nneither labelled nor answered: {', '.join(absent)}\n"
    matrix = confusion_matrix(true, answer, labels=list(range(len(names))))
    return Report(unique, rows, matrix, text)


def mean_per_video(scores: Tensor, labels: Tensor, videos: Tensor) -> tuple[Tensor, Tensor]:
    """Mean score ``(V, C)`` and label ``(V,)`` of each video, from the scores of its frames."""
    numbers, rows, counts = torch.unique(videos, return_inverse=True, return_counts=True)
    total = torch.zeros(len(numbers), scores.shape[1], dtype=torch.float64).index_add_(0, rows, scores.double())
    label = torch.zeros(len(numbers), dtype=labels.dtype).scatter_(0, rows, labels)  # one video has one label
    return total / counts[:, None], label


def class_names(trainer: L.Trainer, module: L.LightningModule, number: int) -> list[str]:
    """Names of the classes as the model, or else the data, knows them; numbers where neither does."""
    data = getattr(trainer, "datamodule", None)
    own = module.hparams.get("class_names")
    for names in (getattr(module, "class_names", None), own, getattr(data, "class_names", None)):
        if names is not None and len(names) == number:
            return [str(name) for name in names]
    return [str(index) for index in range(number)]


def distinct(names: Sequence[str]) -> list[str]:
    """Names that differ from each other and from the averages' rows.

    Example:
        >>> distinct(["drinking", "accuracy"])
        ['drinking', 'accuracy (class 1)']
    """
    taken = [*names, *_AVERAGES]
    return [name if taken.count(name) == 1 else f"{name} (class {index})" for index, name in enumerate(names)]


def report_csv(report: Report) -> str:
    """The rows of a report as csv; a class that does not occur has a support of 0 and empty numbers."""
    rows: list[list[object]] = []
    total = int(report.confusion.sum())
    for name in [*report.class_names, *_AVERAGES]:
        row = report.rows.get(name)
        if name == "accuracy":
            rows.append([name, "", "", f"{row:.6g}", total])
        elif row is None:
            rows.append([name, "", "", "", 0])
        else:
            numbers = [f"{row[key]:.6g}" for key in ("precision", "recall", "f1-score")]
            rows.append([name, *numbers, int(row["support"])])
    return csv_text(["class", "precision", "recall", "f1", "support"], rows)


def plain(report: Report, unit: Unit) -> dict[str, Any]:
    """A report as plain values for JSON."""
    return {
        "unit": unit,
        "accuracy": float(report.rows["accuracy"]),
        "classes": {name: _numbers(report.rows[name]) for name in report.class_names if name in report.rows},
        "macro": _numbers(report.rows["macro avg"]),
        "weighted": _numbers(report.rows["weighted avg"]),
        "class_names": report.class_names,
        "confusion": report.confusion.tolist(),
    }


def _numbers(row: Mapping[str, float]) -> dict[str, float | int]:
    return {
        "precision": float(row["precision"]),
        "recall": float(row["recall"]),
        "f1": float(row["f1-score"]),
        "support": int(row["support"]),
    }
