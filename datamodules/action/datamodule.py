"""The data module of action recognition."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import torch
from torch.utils.data import DataLoader

from datamodules.action.batch import ActionBatch, StreamBatch
from datamodules.action.frames.training_half import FrameDataModule
from datamodules.action.settings import ActionDataSettings
from datamodules.action.stream import ActionStream, predict_loader, sources_of
from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import takes, texts
from datamodules.summary.checks import announce
from datamodules.summary.training_data import DataSummary


class ActionDataModule(FrameDataModule):
    """Labelled videos as single frames to learn from, and any source as a stream to annotate.

    Without ``root`` and ``labels`` the data is the generated demo. The chosen frames are decoded once into a
    memory-mapped file; batches follow ``ActionBatch``, those of ``predict`` ``StreamBatch``. Every random draw comes
    from ``seed``, the epoch and the row, none from a global generator.

    Attributes:
        stream: What ``predict`` reads; its ``stop`` ends the run after the chunk at work. None before.

    Raises:
        ConfigurationError: If arguments cannot work, alone or together.
    """

    @takes(ActionDataSettings)
    def __init__(self, settings: ActionDataSettings) -> None:
        super().__init__(settings)
        self.settings = settings
        self.stream: ActionStream | None = None
        self.frame_size = settings.frame_size
        self.path = settings.path
        self.rate = settings.rate
        self.compare_rate = settings.compare_rate
        self.chunk_frames = settings.chunk_frames
        self.clip_length = settings.clip_length
        self.with_source = settings.with_source
        self._excluded: set[str] = set()

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes in the order of their numbers; None where only sources to annotate are given."""
        return None if self._only_path else self._frames.class_names

    @property
    def example_source(self) -> str | None:
        """What to try a trained model on: a video that it did not learn from, or the folder of the demo's long ones."""
        return next((path for path in self._predict_paths() if Path(path).exists()), None)

    @property
    def score_options(self) -> dict[str, object]:
        """Every option that can change a frame's score in ``predict``, plain values."""
        names = ("rate", "compare_rate", "tone_mapping")
        return {"frame_size": self.frame_size, **{name: getattr(self.settings, name) for name in names}}

    def prepare_data(self) -> None:
        """Make the demo and decode the frames once, before the processes of a run part."""
        if self.trainer is None or not self.trainer.predicting:
            self._frames.prepare()
        elif self.path is None and self.settings.is_demo:
            self._frames.demo_folder()

    def setup(self, stage: str) -> None:
        """Read lists and frames; in ``fit``, stop where a class has nothing to train on."""
        if stage == "fit":
            announce(self.data_summary(), generated=self.settings.is_demo)
            self._frames.check_training()
        elif stage != "predict":
            self._frames.splits()

    def data_summary(self) -> DataSummary:
        """Videos of each class in each split, told from the lists, without decoding a frame.

        Raises:
            LabelError: If a list is wrong.
            ConfigurationError: If nothing is given to learn from.
        """
        if self._only_path:
            raise ConfigurationError(
                f"path is {self.path}, which is annotated, not learned from; give labelled videos by root or labels"
            )
        return self._frames.summary()

    def exclude(self, paths: Iterable[str | Path]) -> None:
        """Skip these sources in ``predict``; a resumed run gives those that it has already done."""
        self._excluded |= {str(path) for path in paths}

    def predict_dataloader(self) -> DataLoader[StreamBatch]:
        """Chunks of the sources to annotate, one source after the other."""
        model = getattr(self.trainer, "lightning_module", None)
        self.stream = ActionStream(
            [source for text in self._predict_paths() for source in sources_of(text)],
            self.frame_size,
            rate=self.rate,
            compare_rate=self.compare_rate,
            chunk_frames=self.chunk_frames,
            clip_length=self.clip_length or getattr(model, "clip_length", None) or 1,
            with_source=bool(self.with_source),
            timeout=self.settings.decode_timeout,
            tone_mapping=self.settings.tone_mapping,
            live_timeout=self.settings.live_timeout,
            max_lag=self.settings.max_lag,
            excluded=self._excluded,
        )
        return predict_loader(self.stream)

    def transfer_batch_to_device(
        self, batch: ActionBatch | StreamBatch, device: torch.device, dataloader_idx: int
    ) -> ActionBatch | StreamBatch:
        """Leave the chunks of a stream where they are: the model takes what it scores, full-size pictures stay."""
        if "is_last" in batch:
            return batch
        moved: ActionBatch = super().transfer_batch_to_device(batch, device, dataloader_idx)
        return moved

    @property
    def _only_path(self) -> bool:
        return self.settings.path is not None and self.settings.class_names is None and self.settings.is_demo

    def _predict_paths(self) -> list[str]:
        if self.path is not None:
            return texts(self.path)
        if self.settings.is_demo:
            return [str(self._frames.demo_folder() / "untrimmed")]
        return self._frames.test_paths()
