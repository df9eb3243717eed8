"""Networks that say what a made picture shows."""

from __future__ import annotations

import importlib
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_diffusion.rewards.contract import Loadable
from lightning_modules.face_diffusion.rewards.trained import face_classifier, need_names
from lightning_modules.nn.checkpoint_loading import load_strictly
from lightning_modules.nn.timm_backbone import check_name, read_state, statistics_or_imagenet


class Judge(ABC, Loadable):
    """Base of judges.

    Attributes:
        names: What its columns say.
    """

    names: list[str]

    @abstractmethod
    def forward(self, pictures: Tensor) -> Tensor:
        """Probabilities in 0..1, float ``(B, len(names))``, of uint8 pictures ``(B, 3, S, S)``."""

    def columns(self, names: Sequence[str]) -> list[int]:
        """Columns of some names, whatever their case.

        Raises:
            CheckpointError: If one is unknown.
        """
        return need_names(self.names, list(names), type(self).__name__)


class FaceJudge(Judge):
    """The heads of a `FaceAttributeClassifier`.

    Args:
        checkpoint: That a training of it wrote.
    """

    def __init__(self, checkpoint: str) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self.names = []

    def load(self) -> None:
        """Build the classifier; attributes that its training had no label of are none of its names."""
        found = face_classifier(self.checkpoint, "checkpoint")
        self._model = cast(Any, found.model)  # known by its checkpoint alone
        self._columns, self.names = found.columns, found.names

    def forward(self, pictures: Tensor) -> Tensor:
        """Probabilities of the attributes."""
        logits = self._model(pictures)
        return cast(Tensor, self._model.answers(logits)["probability"])[:, self._columns]


class TimmJudge(Judge):
    """A classifier of timm with local weights, classes of which a picture shows one.

    Args:
        name: Of the network.
        weights: State dict in timm's layout.
        classes: Names of its outputs, in order.
        image_size: Side that pictures are resized to.
    """

    def __init__(self, name: str, weights: str, classes: Sequence[str], image_size: int = 224) -> None:
        super().__init__()
        check_name(name)
        self.name = name
        self.weights = weights
        self._input = StandardInput(image_size, *statistics_or_imagenet(name))
        self.names = list(classes)

    def load(self) -> None:
        """Build and fill the network."""
        import timm

        self._network = timm.create_model(self.name, num_classes=len(self.names))
        load_strictly(self._network, read_state(self.weights), self._network.state_dict(), self.weights)
        self._network.requires_grad_(False).eval()

    def forward(self, pictures: Tensor) -> Tensor:
        """Probabilities of the classes."""
        return cast(Tensor, self._network(self._input(pictures))).float().softmax(dim=1)


class FunctionJudge(Judge):
    """A function of one's own.

    Args:
        function: ``package.module.function``, from uint8 pictures ``(B, 3, S, S)`` to probabilities ``(B, K)``.
        classes: Names of its K columns.
    """

    def __init__(self, function: str, classes: Sequence[str]) -> None:
        super().__init__()
        module, _, name = function.rpartition(".")
        try:
            found = getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise ConfigurationError(
                f"there is no function {function!r} ({error}); name it as package.module.function"
            ) from error
        self._function = cast(Callable[[Tensor], Tensor], found)
        self.names = list(classes)

    def forward(self, pictures: Tensor) -> Tensor:
        """What the function says."""
        said = self._function(pictures)
        if said.shape != (len(pictures), len(self.names)):
            raise ConfigurationError(
                f"the judge gives {tuple(said.shape)} for {len(pictures)} pictures and {len(self.names)} classes; "
                "give one row a picture, one column a class"
            )
        return said


def wanted_shares(classes: Sequence[str], target: float | Sequence[float] | None) -> Tensor:
    """Wanted share of each class, ``(K,)``; of one attribute with and without.

    Raises:
        ConfigurationError: If they are no distribution over the classes.
    """
    if not classes:
        raise ConfigurationError("classes is empty; name an attribute, or the classes of which a picture shows one")
    number = max(2, len(classes))
    if target is None:
        return torch.full((number,), 1 / number)
    single = [target] if isinstance(target, int | float) else list(target)
    wanted = [*single, 1 - single[0]] if len(classes) == 1 and len(single) == 1 else single
    if len(wanted) != number or min(wanted) < 0 or not math.isclose(sum(wanted), 1, abs_tol=1e-3):
        raise ConfigurationError(
            f"target is {target}; give a share in 0..1 for one attribute, or one for each of {len(classes)} classes "
            "that add up to 1"
        )
    return torch.tensor(wanted)


class StandardInput(nn.Module):
    """uint8 pictures, resized and normalised as a network expects them.

    Args:
        side: Of the result in pixels.
        mean: Of pixels in 0..1, RGB.
        std: Likewise.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, side: int, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.side = side
        self.register_buffer("mean", torch.tensor(mean).reshape(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(3, 1, 1), persistent=False)

    def forward(self, pictures: Tensor) -> Tensor:
        """float32 ``(B, 3, side, side)``."""
        shares = pictures.float() / 255
        if shares.shape[-1] != self.side or shares.shape[-2] != self.side:
            shares = functional.interpolate(
                shares, (self.side, self.side), mode="bilinear", antialias=True, align_corners=False
            )
        return (shares - self.mean) / self.std
