"""A classifier of colours in place of a trained network, and runs of the writer with it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import lightning as L
import numpy as np
import torch
from numpy.typing import NDArray

from callbacks.action.segment_writer import SegmentWriter
from datamodules.action.batch import StreamBatch, StreamPrediction
from datamodules.action.datamodule import ActionDataModule
from tests.running import quiet_trainer

NAMES = ["drinking", "cooking", "飲む"]
COLOURS = torch.tensor([(200.0, 40, 40), (40, 200, 40), (40, 40, 200)])
FPS = 20
PART = 20  # frames of one colour


class ColourClassifier(L.LightningModule):
    """Scores a frame by the distance of its mean colour; can fail, be stopped, or give NaN at chosen frames."""

    def __init__(self, class_names: list[str] | None = None) -> None:
        super().__init__()
        self.class_names = NAMES if class_names is None else class_names
        self.seen = 0
        self.fails_at: dict[int, BaseException] = {}
        self.unknown: set[int] = set()

    def predict_step(self, batch: StreamBatch, batch_idx: int) -> StreamPrediction:
        mean = batch["frames"].float().mean(dim=(2, 3))
        scores = torch.softmax(-torch.cdist(mean, COLOURS) / 60, dim=1)
        for place in range(len(scores)):
            if self.seen + place in self.unknown:
                scores[place] = torch.nan
            if self.seen + place in self.fails_at:
                raise self.fails_at[self.seen + place]
        self.seen += len(scores)
        return StreamPrediction(
            scores=scores, times=batch["times"], video_id=batch["video_id"], is_last=batch["is_last"]
        )


def frames(parts: list[int], height: int = 48, width: int = 64, part: int = PART) -> Iterator[NDArray[np.uint8]]:
    for colour in parts:
        for _ in range(part):
            yield np.full((height, width, 3), COLOURS[colour].numpy(), np.uint8)


def annotate(
    source: Path,
    output: Path,
    module: ColourClassifier | None = None,
    data: dict[str, Any] | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Run a prediction; the content of summary.json."""
    writer = SegmentWriter(**{"seconds": 0.5, "mode": "centred", "video": False, "figures": False, **options})
    trainer = quiet_trainer(output, writer)
    stream = ActionDataModule(path=str(source), frame_size=16, **(data or {}))
    trainer.predict(module or ColourClassifier(), datamodule=stream, return_predictions=False)
    return dict(json.loads((output / "summary.json").read_text(encoding="utf-8")))


def pictures(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])
