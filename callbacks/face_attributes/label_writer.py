"""What a classifier says of each face, as lists that can be read as labels again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import lightning as L
from lightning.pytorch.trainer.states import TrainerFn

from callbacks.face_attributes.answers import FaceAnswer, face_answer, no_answer, write_answers
from callbacks.figures.plain import read_json_lines
from callbacks.figures.prediction_writer import PredictionWriter
from datamodules.common.errors import ConfigurationError, ImageError
from datamodules.face_attributes.batch import FaceBatch


class AttributeWriter(PredictionWriter[FaceBatch]):
    """Write ``attributes.csv`` (1 and 0) and ``probabilities.csv`` while predicting faces, a row a face.

    An attribute of which the model can say nothing, since no training face had a label for it, stays empty in both. A
    picture that could not be read has an empty row with the reason in a column ``error``; that not one could be read is
    an error.

    ``attributes.csv`` is a list of labels as the data module of faces reads it. While the run lasts, the answers are in
    ``answers.rank*.jsonl``, flushed a batch at a time; both lists are made of them at the end, in the order of the
    data, also when the run is broken off.

    The step returns ``probability`` and ``decision`` ``(B, K)``, NaN and -1 where nothing can be said.

    Args:
        output: Folder of the files; None takes the run's folder.
    """

    def __init__(self, output: str | None = None) -> None:
        super().__init__(output)
        self._stream: IO[str] | None = None
        self._names: list[str] = []

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open this process's own file, without what an earlier run left."""
        self._names = attribute_names(pl_module)
        folder = self.folder(trainer)
        folder.mkdir(parents=True, exist_ok=True)
        if trainer.is_global_zero:
            for stale in shards(folder):
                stale.unlink()
        trainer.strategy.barrier()
        self._stream = (folder / f"answers.rank{trainer.global_rank}.jsonl").open("w", encoding="utf-8")

    def write(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Mapping[str, Any], batch: FaceBatch
    ) -> None:
        """Write the answers of a batch and flush them.

        Raises:
            ConfigurationError: If the model's step gives no answers by attribute.
        """
        if not isinstance(outputs, dict) or not {"probability", "decision"} <= outputs.keys():
            raise ConfigurationError(
                "AttributeWriter needs a model whose predict step returns `probability` and `decision`: leave it out."
            )
        assert self._stream is not None  # opened in on_predict_start
        errors = batch.get("error") or [""] * len(batch["file"])
        for place, file in enumerate(batch["file"]):
            if errors[place]:
                answer = no_answer(int(batch["index"][place]), file, len(self._names), errors[place])
                self._stream.write(json.dumps(answer._asdict(), ensure_ascii=False) + "\n")
            elif bool(batch["valid"][place]):
                decision, probability = outputs["decision"][place].tolist(), outputs["probability"][place].tolist()
                answer = face_answer(int(batch["index"][place]), file, decision, probability)
                self._stream.write(json.dumps(answer._asdict(), ensure_ascii=False) + "\n")
        self._stream.flush()

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Make the lists of the answers of all processes."""
        self.close()
        trainer.strategy.barrier()
        if trainer.is_global_zero:
            self._write_lists(self.folder(trainer))

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Make the lists of the answers that there are; other processes may still be writing, so theirs stay."""
        if self._stream is None:
            return
        self.close()
        if trainer.state.fn == TrainerFn.PREDICTING and trainer.world_size == 1:
            self._write_lists(self.folder(trainer))

    def close(self) -> None:
        """Close what is open."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _write_lists(self, folder: Path) -> None:
        answers = sorted({answer.row: answer for file in shards(folder) for answer in read_answers(file)}.values())
        write_answers(folder, self._names, answers)
        for file in shards(folder):
            file.unlink()
        if answers and all(answer.error for answer in answers):
            raise ImageError(f"not one of the {len(answers)} pictures could be read, the first: {answers[0].error}")


def shards(folder: Path) -> list[Path]:
    """Files of answers that the processes of a run write."""
    return sorted(folder.glob("answers.rank*.jsonl"))


def read_answers(file: Path) -> list[FaceAnswer]:
    """Answers of one process; a last line that was cut off is left out."""
    return read_json_lines(file, lambda row: FaceAnswer(**row), "no answer")


def attribute_names(module: L.LightningModule) -> list[str]:
    """Names of the attributes of a module, in the order of its answers.

    Raises:
        ConfigurationError: If the module has no schema.
    """
    schema: Any = getattr(module, "attribute_schema", None)
    if not isinstance(schema, dict) or "attributes" not in schema:
        raise ConfigurationError(
            f"AttributeWriter needs a model with attribute_schema, but {type(module).__name__} has none: leave it out."
        )
    return list(schema["attributes"])
