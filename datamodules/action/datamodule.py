"""The data module of action recognition."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal

import torch
from torch.utils.data import DataLoader

from datamodules.action.batch import ActionBatch, StreamBatch
from datamodules.action.demo.settings import ActionDemoSettings
from datamodules.action.frames.augmentation import ActionAugmentation
from datamodules.action.frames.half import FrameDataModule
from datamodules.action.frames.labelled import LabelledFrames
from datamodules.action.frames.loaders import FrameLoaders
from datamodules.action.frames.sampling import FrameSampling
from datamodules.action.frames.sparse import FrameReading
from datamodules.action.lists.sources import ActionSources, LabelFormat
from datamodules.action.lists.splits import ActionSplitSettings, SplitUnit
from datamodules.action.stream import ActionStream, predict_loader, sources_of
from datamodules.common.errors import ConfigurationError
from datamodules.video.reading.reader import check_time_limit


class ActionDataModule(FrameDataModule):
    """Labelled videos as single frames to learn from, and any source as a stream to annotate.

    Without ``root`` and ``labels`` the data is the generated demo. The chosen frames are decoded once into a
    memory-mapped file; batches follow ``ActionBatch``, those of ``predict`` ``StreamBatch``. Every random draw comes
    from ``seed``, the epoch and the row, none from a global generator.

    Args:
        root: Folder with a folder for each class, or the folder that the names of a list are relative to.
        labels: A csv ``video,class[,start,end,split,group]``, lists of Kinetics, or the folder of the lists of UCF101.
        label_format: What ``root`` or ``labels`` is; "auto" looks.
        fold: Division of UCF101, from 1.
        classes: Classes that are kept; None keeps all.
        class_names: Names of the classes in the order of their numbers; None sorts those of the data. In ``predict``
            they are the checkpoint's.
        path: What to annotate: a file, a folder, an address, ``camera:0`` or ``-``; several in a list. By default the
            long videos of the demo, or the videos of the test split.
        frame_size: Side in pixels of the square that whole frames are resized to.
        frames_per_video: Frames taken of each video, evenly; by default 16, of videos stored as pictures all.
        sampling_rate: Frames a second taken instead.
        split: Shares of train, val and test, where a list names no splits.
        split_by: "video" keeps each video, and its group, in one split; "frame" parts even neighbouring frames, as the
            original script did, and measures memory.
        stratified: Give each class these shares.
        split_seed: Seed of the split.
        val_is_test: Select the model on the test split, as the original script did.
        class_balance: "sampler" shows every class equally often; weights of the loss are the model's.
        augmentation: What happens to training frames; None takes the original script's ranges.
        batch_size: Frames of a batch.
        num_workers: Worker processes of a loader; the frames are mapped from the disk, so 0 is usually best.
        seed: Seed of order and augmentation.
        decode_timeout: Seconds that decoding one labelled file may take, and a stream may stand still.
        demo: What the generated demo holds; None takes its defaults.
        rate: Frames a second that ``predict`` looks at; None looks at all.
        compare_rate: Look at all, and mark those that ``rate`` would have taken.
        chunk_frames: Frames of a chunk in ``predict``; None goes by its bytes.
        clip_length: Chunks hold a multiple of so many frames; None asks the model.
        with_source: Hand over the full-size pictures too; None leaves it to the callbacks that need them.
        live_timeout: Seconds without a frame after which a live source counts as broken off.
        max_lag: Seconds that a live source may lag before frames are dropped; None never drops. "auto" never drops from
            standard input, where a full pipe makes the sender wait, and allows 0.5 s elsewhere: a network or a camera
            waits for nobody.

    Attributes:
        stream: What ``predict`` reads; its ``stop`` ends the run after the chunk at work. None before.

    Raises:
        ConfigurationError: If arguments cannot work, alone or together.
    """

    def __init__(
        self,
        root: str | None = None,
        labels: str | list[str] | None = None,
        label_format: LabelFormat = "auto",
        fold: int = 1,
        classes: list[str] | None = None,
        class_names: list[str] | None = None,
        path: str | list[str] | None = None,
        frame_size: int = 224,
        frames_per_video: int | None = None,
        sampling_rate: float | None = None,
        split: tuple[float, float, float] = (0.7, 0.15, 0.15),
        split_by: SplitUnit = "video",
        stratified: bool = True,
        split_seed: int = 0,
        val_is_test: bool = False,
        class_balance: Literal["none", "sampler"] = "none",
        augmentation: ActionAugmentation | None = None,
        batch_size: int = 32,
        num_workers: int = 0,
        seed: int = 0,
        decode_timeout: float = 60.0,
        demo: ActionDemoSettings | None = None,
        rate: float | None = None,
        compare_rate: bool = False,
        chunk_frames: int | None = None,
        clip_length: int | None = None,
        with_source: bool | None = None,
        live_timeout: float = 10.0,
        max_lag: float | Literal["auto"] | None = "auto",
    ) -> None:
        check_time_limit(decode_timeout)
        frames = LabelledFrames(
            ActionSources(root, _texts(labels) or (), label_format, fold, _texts(classes), _texts(class_names)),
            FrameReading(frame_size, FrameSampling(frames_per_video, sampling_rate), decode_timeout),
            ActionSplitSettings(split, split_by, stratified, val_is_test, split_seed),
            demo or ActionDemoSettings(),
        )
        augmented = augmentation or ActionAugmentation()
        balanced = class_balance == "sampler"
        super().__init__(frames, FrameLoaders(frames, augmented, batch_size, num_workers, seed, balanced))
        self._only_path = path is not None and class_names is None and self._frames.is_demo
        self._timeout = decode_timeout
        self._live_timeout = live_timeout
        self._max_lag = max_lag
        self.stream: ActionStream | None = None
        self.frame_size = frame_size
        self.path = path
        self.rate = rate
        self.compare_rate = compare_rate
        self.chunk_frames = chunk_frames
        self.clip_length = clip_length
        self.with_source = with_source
        self._excluded: set[str] = set()

    @property
    def class_names(self) -> list[str] | None:
        """Names of the classes in the order of their numbers; None where only sources to annotate are given."""
        return None if self._only_path else self._frames.class_names

    @property
    def score_options(self) -> dict[str, object]:
        """Every option that can change a frame's score in ``predict``, plain values."""
        return {"frame_size": self.frame_size, "rate": self.rate, "compare_rate": self.compare_rate}

    def prepare_data(self) -> None:
        """Make the demo and decode the frames once, before the processes of a run part."""
        if self.trainer is None or not self.trainer.predicting:
            self._frames.prepare()
        elif self.path is None and self._frames.is_demo:
            self._frames.demo_folder()

    def setup(self, stage: str) -> None:
        """Read lists and frames; in ``fit``, stop where a class has nothing to train on."""
        if stage == "fit":
            if self._only_path:
                raise ConfigurationError(
                    f"path is {self.path}, which is annotated, not learned from; give labelled videos by root or labels"
                )
            self._frames.check_training()
        elif stage != "predict":
            self._frames.splits()

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
            timeout=self._timeout,
            live_timeout=self._live_timeout,
            max_lag=self._max_lag,
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

    def _predict_paths(self) -> list[str]:
        if self.path is not None:
            return [self.path] if isinstance(self.path, str) else list(self.path)
        if self._frames.is_demo:
            return [str(self._frames.demo_folder() / "untrimmed")]
        return self._frames.test_paths()


def _texts(value: str | list[str] | None) -> tuple[str, ...] | None:
    """One text or several as a tuple."""
    return None if value is None else (value,) if isinstance(value, str) else tuple(value)
