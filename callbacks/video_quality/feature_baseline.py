"""The baseline that a learned model must beat: the best single hand-made feature."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from datamodules.video.reading.contract import VideoInfo
from datamodules.video.reading.reader import KeepFrames, read_video
from datamodules.video_quality.features import handmade_features
from lightning_modules.video_quality.metrics import srcc

if TYPE_CHECKING:
    from datamodules.video_quality.labels import LabelledVideo

log = logging.getLogger(__name__)


class FeatureBaseline(Callback):
    """Log the test SRCC of the hand-made feature that ranks the training videos best.

    Feature and sign are chosen on the training split alone; ``test/best_feature_srcc`` is then measured on the test
    split, and the feature is named in the log.

    Args:
        frames: Frames read from each video, evenly spaced.
    """

    def __init__(self, frames: int = 8) -> None:
        self.frames = frames

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Measure on both splits; one process does the work."""
        data: Any = getattr(trainer, "datamodule", None)
        value = torch.full((), torch.nan, device=pl_module.device)
        if data is not None and trainer.is_global_zero and not getattr(trainer, "fast_dev_run", False):
            value.fill_(self._measure(data.videos("train"), data.videos("test")))
        value = trainer.strategy.broadcast(value)
        if bool(torch.isfinite(value)):
            pl_module.log("test/best_feature_srcc", value)

    def _measure(self, train: list[LabelledVideo], test: list[LabelledVideo]) -> float:
        if len(train) < 3 or len(test) < 3:
            return float("nan")
        train_table, test_table = self._table(train), self._table(test)
        train_mos = torch.tensor([video.mos for video in train], dtype=torch.float64)
        test_mos = torch.tensor([video.mos for video in test], dtype=torch.float64)
        ranks = {name: float(srcc(column, train_mos)) for name, column in train_table.items()}
        best = max(ranks, key=lambda name: abs(ranks[name]))
        sign = 1.0 if ranks[best] >= 0 else -1.0
        log.info("best hand-made feature: %s%s", "" if sign > 0 else "-", best)
        return float(srcc(sign * test_table[best], test_mos))

    def _table(self, videos: list[LabelledVideo]) -> dict[str, torch.Tensor]:
        rows = []
        log.info("measuring the hand-made features of %d videos", len(videos))
        terminal = Console(stderr=True)
        for video in track(videos, "hand-made features", console=terminal, disable=not terminal.is_terminal):
            kept = EvenFrames(self.frames)
            read_video(str(video.path), kept, again=True)
            rows.append(handmade_features(kept.frames()))
        return {name: torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in rows[0]}


class EvenFrames(KeepFrames):
    """Keep at most ``count`` frames, evenly spaced from the first to the last."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self._count = count

    def start(self, info: VideoInfo) -> NDArray[np.int64]:
        """Ask for the frames."""
        self._asked = np.linspace(0, info.frames - 1, min(self._count, info.frames)).round().astype(np.int64)
        return super().start(info)
