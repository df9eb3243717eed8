"""Compute what a frozen backbone says of each frame once; every epoch then trains the head alone."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sized
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import lightning as L
import torch
from filelock import FileLock
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.utils.data import DataLoader

from callbacks.training.feature_shards import FeatureFolder, FeatureType, ShardWriter
from datamodules.common.atomic_write import atomic_path
from datamodules.common.cache_folder import cache_folder
from datamodules.common.errors import AppraiseError, CheckpointError, ConfigurationError
from datamodules.common.fingerprint import config_digest
from datamodules.common.progress import file_progress

log = logging.getLogger(__name__)

SPLITS = ("train", "val", "test")


@runtime_checkable
class FrameModel(Protocol):
    """What the cache asks of a model."""

    @property
    def backbone_is_frozen(self) -> bool:
        """Whether nothing that the features depend on learns."""

    def frame_features(self, frames: Tensor) -> Tensor:
        """Features float32 ``(B, F)`` of frames uint8 ``(B, 3, S, S)``."""

    def feature_digest(self) -> str:
        """Digest of all that the features depend on inside the model."""


@runtime_checkable
class FrameData(Protocol):
    """What the cache asks of a data module."""

    def frame_batches(self, split: Any) -> DataLoader[Any]:  # noqa: ANN401  # data modules name their splits themselves
        """All frames of a split in the order of their rows, without augmentation."""

    def augment_view(self, frames: Tensor, index: Tensor, view: int) -> Tensor:
        """One augmented view of training frames, the one that epoch ``view`` would see."""

    def use_features(self, folder: Path) -> None:
        """Give the features of a folder in place of frames from now on."""

    def data_fingerprint(self) -> str:
        """Digest of all that the frames of the splits and their order depend on."""

    def view_facts(self) -> dict[str, object]:
        """What ``augment_view`` depends on besides the frames: the seed and each setting, plain values."""


class FeatureCache(Callback):
    """Train the head on stored features of a frozen backbone.

    Before the training begins, the backbone sees every frame of each split once, or ``views`` augmented views of each
    training frame; epoch e then reads view e mod ``views``. The numbers go into ``<split>.view<k>.safetensors``, with a
    ``manifest.json`` that says what they depend on: data, weights, preprocessing, precision, and for augmented views
    their number, the augmentation and its seed. They are used again where all of it is the same and computed anew,
    with one line in the log that names what differs, where it is not; a stopped run goes on after the last whole file.
    Processes that want features of one folder wait for the one that computes them. Runs beside each other that differ
    in weights or augmentation compute anew in turn: give each a ``folder`` to keep all.

    Args:
        folder: Where the features are kept; None takes one below ``APPRAISE_CACHE`` (or the user's cache) that is named
            by the backbone and the data.
        views: Augmented views of each training frame; 0 stores the frames as they are, without augmentation.
        dtype: Format of the numbers on disk; float16 halves the room and rounds to three digits.

    Raises:
        ConfigurationError: If ``views`` is negative; when a training begins, if the model's backbone is not frozen,
            model or data cannot work with features, the folder cannot be written, or another run has replaced the
            features before they were read.

    References:
        Gjorjian, "Deep Learning Action Recognition: Drinking-Cooking": its frozen network is run anew every epoch.
    """

    def __init__(self, folder: str | None = None, views: int = 0, dtype: FeatureType = "float32") -> None:
        if views < 0:
            raise ConfigurationError(f"views is {views}, but must be 0 (frames as they are) or more")
        self.folder = folder
        self.views = views
        self.dtype: FeatureType = dtype
        self._digest: str | None = None
        self._kept: FeatureFolder | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Compute the features that are not there yet, and let the data give them."""
        model, data = frozen_model(pl_module), frame_data(trainer)
        if getattr(trainer, "fast_dev_run", False):
            log.info("a trial run of a few steps stores no features")
            return
        self._digest = model.feature_digest()
        facts: dict[str, object] = {
            "data": data.data_fingerprint(),
            "backbone": self._digest,
            "preprocessing": _named(pl_module, "preprocessing"),
            "dtype": self.dtype,
            "precision": str(trainer.precision),
        }
        training = {"views": self.views, **(data.view_facts() if self.views else {})}
        path = default_folder(pl_module, data) if self.folder is None else Path(self.folder).expanduser()
        folder = FeatureFolder(path, facts, training)
        try:
            with _one_at_a_time(folder.path, trainer):
                folder.open()
                self._fill(folder, trainer, pl_module, data)
        except OSError as error:
            if isinstance(error, AppraiseError):  # a video that cannot be read
                raise
            raise ConfigurationError(
                f"The features cannot be kept in {folder.path} ({error}): free some disk space, or name another folder "
                "by `folder` of FeatureCache or the environment variable APPRAISE_CACHE."
            ) from error
        self._kept = folder
        data.use_features(folder.path)
        trainer.fit_loop._combined_loader = None  # a schedule that asks for the number of steps has loaded frames
        log.info("the head trains on stored features: %s (%.0f MB)", folder.path, folder.size() / 1e6)

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop where another run has replaced the features before the loaders read them; later it does no harm."""
        self._check_unchanged()

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """The same where loaders are made anew."""
        if getattr(trainer, "reload_dataloaders_every_n_epochs", 0):  # the trainer sets it without declaring it
            self._check_unchanged()

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Stop where the features are those of another backbone.

        Raises:
            CheckpointError: If the tested weights do not fit the features.
        """
        self._check_unchanged()
        if self._digest is not None and cast(FrameModel, pl_module).feature_digest() != self._digest:
            raise CheckpointError(
                "The backbone that is tested is not the one whose features were stored in this run: test it by a "
                "command of its own."
            )

    def _check_unchanged(self) -> None:
        if self._kept is not None and not self._kept.is_unchanged():
            raise ConfigurationError(
                f"The features in {self._kept.path} were replaced by another run in the meantime: start again, and "
                "give runs that differ a `folder` of FeatureCache each"
            )

    def _shards(self) -> list[tuple[str, int | None, str]]:
        """Split, view and name of each file."""
        views: list[int | None] = list(range(self.views)) if self.views else [None]
        train = [("train", view, f"train.view{view or 0}") for view in views]
        return [*train, *((split, None, f"{split}.view0") for split in SPLITS if split != "train")]

    def _fill(self, folder: FeatureFolder, trainer: L.Trainer, module: L.LightningModule, data: FrameData) -> None:
        missing = [shard for shard in self._shards() if not folder.holds(shard[2])]
        if not missing:
            return
        loaders = [data.frame_batches(split) for split, _, _ in missing]
        numbers = [len(cast(Sized, loader.dataset)) for loader in loaders]
        with file_progress("Features of frames", sum(numbers)) as advance, _evaluating(trainer, module):
            for (_, view, name), loader, rows in zip(missing, loaders, numbers, strict=True):
                features = computed(cast(FrameModel, module), shown(loader, module.device, data, view))
                width = write_shard(folder.file(name), features, rows, self.dtype, advance)
                folder.add(name, rows, width)


def default_folder(module: L.LightningModule, data: FrameData) -> Path:
    """The folder of a backbone on some data; what else features depend on is in its manifest."""
    backbone = str(_named(module, "backbone") or type(module).__name__)
    name = re.sub(r"[^A-Za-z0-9._-]+", "_", backbone).lstrip(".")
    return cache_folder() / "action_features" / f"{name}-{config_digest({'data': data.data_fingerprint()})[:16]}"


def _named(module: L.LightningModule, option: str) -> str | None:
    """An option of the model that is a name; None where it has none."""
    value = module.hparams.get(option)
    return value if isinstance(value, str) else None


def frozen_model(module: L.LightningModule) -> FrameModel:
    """The module as one whose features can be stored.

    Raises:
        ConfigurationError: If they cannot.
    """
    if not isinstance(module, FrameModel):
        raise ConfigurationError(
            f"FeatureCache cannot work with {type(module).__name__}: it needs a model with a frozen backbone, such as "
            "FrameAveragingActionRecognizer; leave the callback out"
        )
    if not module.backbone_is_frozen:
        raise ConfigurationError(
            "FeatureCache needs a backbone that is frozen, but this one learns, so that its features change with every "
            "step: set train_backbone to none, or leave the callback out"
        )
    return module


def frame_data(trainer: L.Trainer) -> FrameData:
    """The data module as one that gives frames and takes features.

    Raises:
        ConfigurationError: If it is none.
    """
    data: object = getattr(trainer, "datamodule", None)
    if not isinstance(data, FrameData):
        raise ConfigurationError(
            f"FeatureCache cannot work with {type(data).__name__} as the data: it needs a data module with "
            "`frame_batches` and `use_features`, such as ActionDataModule; leave the callback out"
        )
    return data


def shown(loader: Iterable[Any], device: torch.device, data: FrameData, view: int | None) -> Iterator[Tensor]:
    """Frames of each batch on the device, augmented where a view is wanted, after a check of their order.

    Raises:
        ConfigurationError: If the rows do not come in order: the features would get the labels of other frames.
    """
    row = 0
    for batch in loader:
        index: Tensor = batch["index"]
        if not torch.equal(index.cpu(), torch.arange(row, row + len(index))):
            raise ConfigurationError(
                f"frame_batches of the data module must give all rows in order, but from row {row} on came "
                f"{index.tolist()[:4]}"
            )
        row += len(index)
        frames: Tensor = batch["frames"].to(device, non_blocking=True)
        yield frames if view is None else data.augment_view(frames, index, view)


def computed(model: FrameModel, batches: Iterable[Tensor]) -> Iterator[Tensor]:
    """Features of each batch of frames."""
    for frames in batches:
        yield model.frame_features(frames)


def write_shard(
    path: Path, batches: Iterator[Tensor], rows: int, dtype: FeatureType, advance: Callable[[int], None]
) -> int:
    """Write the features ``(B, F)`` of one split and view at once, so many rows in all; the answer is their width F.

    ``advance`` is called with the number of rows of each batch.

    Raises:
        OSError: If the file cannot be written; before the work begins where the disk has too little room.
    """
    first = next(batches, torch.zeros(0, 0))
    width = first.shape[1]
    needed = rows * width * torch.zeros(0, dtype=getattr(torch, dtype)).element_size()
    free = shutil.disk_usage(path.parent).free
    if needed > free:
        raise OSError(f"{needed / 1e6:.0f} MB are needed, {free / 1e6:.0f} MB are free")
    with atomic_path(path) as temporary, ShardWriter(temporary, rows, width, dtype) as writer:
        writer.add(first)
        advance(len(first))
        for features in batches:
            writer.add(features)
            advance(len(features))
    return width


@contextmanager
def _one_at_a_time(folder: Path, trainer: L.Trainer) -> Iterator[None]:
    """Let one process work on a folder at a time, the first of each machine before the others.

    The others wait for the lock, not in a collective call, which would time out during a long computation.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.parent / f"{folder.name}.lock")
    with ExitStack() as stack:
        if trainer.local_rank == 0:
            stack.enter_context(lock)
        trainer.strategy.barrier("feature cache")
        if trainer.local_rank != 0:
            stack.enter_context(lock)
        yield


@contextmanager
def _evaluating(trainer: L.Trainer, module: L.LightningModule) -> Iterator[None]:
    """Run the module as in evaluation, in the trainer's precision, and put its modes back."""
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    with torch.inference_mode(), trainer.precision_plugin.forward_context():
        yield
    for part, mode in modes:
        part.training = mode
