"""Write one row per scored video as soon as it is scored, and reuse rows of a stopped run."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from itertools import zip_longest
from pathlib import Path
from typing import IO, Any

import lightning as L

from callbacks.figures.prediction_writer import PredictionWriter
from callbacks.figures.run_key import run_key
from callbacks.video_quality.score_rows import SCORES, append_score, read_rows, score_row, write_rows
from datamodules.common.atomic_write import BEYOND_UTF8
from datamodules.common.errors import VideoError, number_of
from datamodules.common.fingerprint import config_digest, file_key
from datamodules.video_quality.batch import VideoQualityBatch, VideoRecord

log = logging.getLogger(__name__)


class ScoreWriter(PredictionWriter[VideoQualityBatch]):
    """Write ``scores.csv`` and ``scores.jsonl`` while predicting, flushed a row at a time.

    A row of an earlier run is reused, and its video not scored again, only if the file's size and modification time,
    the weights and every option that can change a score agree; rows that disagree are dropped. A file that could not
    be read gets a row with status ``error`` and the reason; it is tried again in the next run.

    Args:
        output: Folder of the two files; None takes the run's folder.
    """

    def __init__(self, output: str | None = None) -> None:
        super().__init__(output)
        self._rows: dict[str, dict[str, Any]] = {}
        self._files: list[IO[str]] = []
        self._run_key = ""
        self._started = 0.0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Read the rows of an earlier run and tell the data module which videos are done."""
        if stage != "predict":
            return
        data: Any = getattr(trainer, "datamodule", None)
        self._run_key = run_key(trainer, pl_module, data)
        self._rows = {}
        folder = self.folder(trainer)
        for shard in [folder / "scores.jsonl", *sorted(folder.glob("scores.rank*.jsonl"))]:
            self._rows |= self._reusable_rows(shard)
        trainer.strategy.barrier()
        if data is not None and self._rows:
            data.exclude(list(self._rows))
            log.info("%s scored before, reused from %s", number_of(len(self._rows), "video"), folder)

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open this process's files, beginning with the reused rows."""
        folder = self.folder(trainer)
        folder.mkdir(parents=True, exist_ok=True)
        if trainer.is_global_zero:
            write_rows(folder, list(self._rows.values()))
            for stale in folder.glob("scores.rank*.jsonl"):
                stale.unlink()
            names = ["scores.jsonl", "scores.csv"]
        else:
            names = [f"scores.rank{trainer.global_rank}.jsonl"]
        trainer.strategy.barrier()
        self._files = [(folder / name).open("a", encoding="utf-8", errors=BEYOND_UTF8, newline="") for name in names]

    def on_predict_batch_start(
        self,
        trainer: L.Trainer,
        pl_module: L.LightningModule,
        batch: VideoQualityBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Start the clock of the network."""
        self._started = time.perf_counter()

    def write(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Mapping[str, Any], batch: VideoQualityBatch
    ) -> None:
        """Write the batch's rows and flush them to disk."""
        network_seconds = (time.perf_counter() - self._started) / max(1, len(batch["video"]))
        for position, record in enumerate(batch["record"]):
            failed = record["status"] == "error"
            if not failed and not bool(batch["valid"][position]):
                continue  # padding of the sampler: another process has this video
            append_score(self._files, self._row(record, outputs, position, network_seconds))

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Join the rows of all processes and say how many failed.

        Raises:
            VideoError: If not one video could be read.
        """
        self.close()
        trainer.strategy.barrier()
        folder = self.folder(trainer)
        failed = self._join(trainer, folder) if trainer.is_global_zero else False
        if trainer.strategy.broadcast(failed):
            raise VideoError(f"not one video can be read: {folder / 'scores.csv'} says why")

    def _join(self, trainer: L.Trainer, folder: Path) -> bool:
        """Write the rows of all processes; True where all of them are of files that cannot be read."""
        shards = [folder / f"scores.rank{rank}.jsonl" for rank in range(1, trainer.world_size)]
        first, *others = (read_rows(shard) for shard in (folder / "scores.jsonl", *shards))
        reused, own = first[: len(self._rows)], first[len(self._rows) :]
        # Videos were dealt to the processes in turn.
        turns = [row for turn in zip_longest(own, *others) for row in turn if row is not None]
        rows: dict[str, dict[str, Any]] = {}
        for row in (*reused, *turns):
            rows.setdefault(row["file"], row)  # padding that cannot be read is told twice
        write_rows(folder, list(rows.values()))
        for shard in shards:
            shard.unlink()
        failed = [row["status"] for row in rows.values()].count("error")
        log.info(
            "%s scored, %d not readable: %s", number_of(len(rows) - failed, "video"), failed, folder / "scores.csv"
        )
        return 0 < failed == len(rows)

    def _reusable_rows(self, path: Path) -> dict[str, dict[str, Any]]:
        rows = {row["file"]: row for row in read_rows(path) if row["status"] == "ok"}
        return {file: row for file, row in rows.items() if row.get("key") == self._key(Path(file))}

    def _key(self, path: Path) -> str:
        try:
            return config_digest({"run": self._run_key, "file": file_key(path)}) if path.is_file() else ""
        except OSError:  # gone since
            return ""

    def _row(self, record: VideoRecord, outputs: Mapping[str, Any], position: int, seconds: float) -> dict[str, Any]:
        key = self._key(Path(record["path"]))
        if record["status"] == "error":
            return score_row(record, key, seconds)
        scores = {name: float(outputs[name][position]) for name in SCORES}
        return score_row(record, key, seconds, int(outputs["clips"]), scores)

    def close(self) -> None:
        """Close what is open."""
        for file in self._files:
            file.close()
        self._files = []
