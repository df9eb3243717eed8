"""What all classifiers of streams share: chunks come in, a probability of each class for each frame goes out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import Tensor

from datamodules.action.batch import StreamBatch, StreamPrediction
from lightning_modules.base import Method


class StreamMethod(Method, ABC):
    """Base of methods that score the frames of a stream, without any memory from chunk to chunk.

    A subclass sets ``class_names`` and the hyper-parameter ``predict_batch``.
    """

    class_names: list[str]

    @property
    def half_precision(self) -> bool:
        """Whether prediction on a GPU runs in half precision."""
        return bool(self.hparams["half"])

    @abstractmethod
    def frame_scores(self, frames: Tensor) -> Tensor:
        """Probabilities ``(T, C)`` of uint8 frames ``(T, 3, H, W)`` on the module's device."""

    def chunk_scores(self, frames: Tensor) -> Tensor:
        """Probabilities ``(T, C)``, float32 on the CPU, of one or more frames ``(T, 3, H, W)``."""
        return torch.cat([self._score(part) for part in torch.split(frames, int(self.hparams["predict_batch"]))])

    def _score(self, frames: Tensor) -> Tensor:
        """What `frame_scores` says of frames on any device, in half precision where that is asked for."""
        half = self.half_precision and self.device.type == "cuda"
        with torch.autocast(self.device.type, dtype=torch.float16, enabled=half):
            return self.frame_scores(frames.to(self.device, non_blocking=True)).float().cpu()

    def predict_step(self, batch: StreamBatch, batch_idx: int) -> StreamPrediction:
        """Score the frames of a chunk, ``predict_batch`` at a time; a chunk may be empty."""
        frames = batch["frames"]
        return {
            "scores": self.chunk_scores(frames) if len(frames) else torch.zeros(0, len(self.class_names)),
            "times": batch["times"].cpu(),
            "video_id": batch["video_id"],
            "is_last": batch["is_last"],
        }
