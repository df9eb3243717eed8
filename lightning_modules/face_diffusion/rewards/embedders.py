"""Networks that turn pictures into unit vectors, whose cosine says how alike two pictures are."""

from __future__ import annotations

import logging
import warnings
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from datamodules.common.atomic_write import write_with
from datamodules.common.errors import CheckpointError
from datamodules.common.fingerprint import config_digest, file_sha256
from lightning_modules.face_diffusion.rewards.contract import Loadable, TrainingPictures
from lightning_modules.face_diffusion.rewards.judges import StandardInput
from lightning_modules.face_diffusion.rewards.trained import face_classifier
from lightning_modules.nn.timm_backbone import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    build_pooled,
    fill_from_file,
    statistics_or_imagenet,
)

log = logging.getLogger(__name__)


class Embedder(ABC, Loadable):
    """Base of embedders.

    Attributes:
        identity: Changes with all that changes an embedding: network, weights, preprocessing.
    """

    identity: str

    @abstractmethod
    def features(self, pictures: Tensor) -> Tensor:
        """Float ``(B, F)`` of uint8 pictures ``(B, 3, S, S)``."""

    @torch.no_grad()
    def forward(self, pictures: Tensor) -> Tensor:
        """Unit vectors, float32 ``(B, F)``."""
        return functional.normalize(self.features(pictures).float(), dim=1)


class PixelEmbedder(Embedder):
    """Pixels after an area average, without their mean: finds plain copies, needs no weights.

    Args:
        side: Of the averaged picture.
    """

    def __init__(self, side: int = 16) -> None:
        super().__init__()
        self.side = side
        self.identity = f"pixels {side}"

    def features(self, pictures: Tensor) -> Tensor:
        """Pixels around the picture's mean colour."""
        small = functional.adaptive_avg_pool2d(pictures.float(), self.side)
        return (small - small.mean(dim=(2, 3), keepdim=True)).flatten(1)


class TimmEmbedder(Embedder):
    """Pooled features of a network of timm.

    Args:
        name: Of the network.
        weights: State dict in timm's layout.
        image_size: Side that pictures are resized to.
    """

    def __init__(self, name: str, weights: str, image_size: int = 224) -> None:
        super().__init__()
        self.name = name
        self.weights = weights
        self.image_size = image_size
        self._input = StandardInput(image_size, *statistics_or_imagenet(name))

    def load(self) -> None:
        """Build and fill the network."""
        self._network, _ = build_pooled(self.name, self.image_size, "image_size")
        fill_from_file(self._network, self.name, self.weights)
        self._network.requires_grad_(False).eval()
        self.identity = f"timm {self.name} {file_sha256(Path(self.weights).expanduser())} {self.image_size}"

    def features(self, pictures: Tensor) -> Tensor:
        """Pooled features."""
        return cast(Tensor, self._network(self._input(pictures)))


class FaceLayerEmbedder(Embedder):
    """What the heads of a `FaceAttributeClassifier` see.

    Args:
        checkpoint: That a training of it wrote.
    """

    def __init__(self, checkpoint: str) -> None:
        super().__init__()
        self.checkpoint = checkpoint

    def load(self) -> None:
        """Build the classifier."""
        found = face_classifier(self.checkpoint, "checkpoint")
        self._model = cast(Any, found.model)  # known by its checkpoint alone
        self.identity = f"face layer {file_sha256(Path(self.checkpoint).expanduser())}"

    def features(self, pictures: Tensor) -> Tensor:
        """fc7, or pooled features."""
        return cast(Tensor, self._model.network.features(self._model.preprocess(pictures)))


class CopyDetector(Embedder):
    """A TorchScript file of a copy detector, as SSCD is published (Pizzi et al., CVPR 2022).

    Args:
        file: The archive. It can hold code: load it only from a source that you trust.
        image_size: Side that pictures are resized to.
    """

    def __init__(self, file: str, image_size: int = 320) -> None:
        super().__init__()
        self.file = file
        self.image_size = image_size
        self._input = StandardInput(image_size, IMAGENET_MEAN, IMAGENET_STD)

    def load(self) -> None:
        """Read the archive.

        Raises:
            CheckpointError: If it is missing, or none.
        """
        path = Path(self.file).expanduser()
        if not path.is_file():
            raise CheckpointError(f"There is no TorchScript file at {path}: check the path.")
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # published files will not change their form
                loaded = torch.jit.load(str(path), map_location="cpu")  # type: ignore[no-untyped-call]  # torch has no types here
        except (RuntimeError, ValueError, OSError) as error:
            raise CheckpointError(f"{path} is no TorchScript archive ({str(error).splitlines()[0]})") from error
        for weight in loaded.parameters():  # a script takes no requires_grad_ of its own
            weight.requires_grad_(False)
        self._network = loaded.eval()
        self.identity = f"torchscript {file_sha256(path)} {self.image_size}"

    def features(self, pictures: Tensor) -> Tensor:
        """Descriptors."""
        return cast(Tensor, self._network(self._input(pictures)))


def embedded_training(embedder: Embedder, training: TrainingPictures, cache: Path | None) -> Tensor:
    """Unit vectors of all training pictures, ``(M, F)`` on the CPU.

    Args:
        embedder: Makes them.
        training: The pictures.
        cache: Folder that keeps them by pictures and embedder; None keeps nothing.
    """
    key = config_digest({"pictures": training.fingerprint, "embedder": embedder.identity})[:32]
    file = None if cache is None else cache.expanduser() / f"embeddings-{key}.safetensors"
    device = next((tensor.device for tensor in [*embedder.parameters(), *embedder.buffers()]), torch.device("cpu"))
    if file is not None and file.is_file():
        size = embedder(next(iter(training))[:1].to(device)).shape[1]
        kept = _kept(file, (len(training), size))
        if kept is not None:
            return kept
    found = torch.cat([embedder(batch.to(device)).cpu() for batch in training])
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
        write_with(file, lambda path: save_file({"embeddings": found}, path))
        log.info("%d embeddings of training pictures: %s", len(found), file)
    return found


def _kept(file: Path, shape: tuple[int, int]) -> Tensor | None:
    """Embeddings that a cache holds; None, and a line that says why, where they are not those of this embedder."""
    try:
        found = load_file(file)["embeddings"]
    except (OSError, KeyError, SafetensorError) as error:
        log.info("%s is damaged (%s): the training pictures are embedded again", file, error)
        return None
    if found.shape != shape or not found.isfinite().all():
        log.info(
            "%s holds embeddings of shape %s, and those of %d training pictures have %s: they are embedded again",
            file, tuple(found.shape), shape[0], shape,
        )  # fmt: skip
        return None
    return found
