"""What embedders and judge say of every picture of a set: each file is read once, and its pixels are not kept."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from datamodules.common.errors import CheckpointError, ConfigurationError, one_line
from datamodules.common.progress import file_progress
from lightning_modules.commands.measures.answers import Answers
from lightning_modules.commands.measures.sets import UNREADABLE, PictureSet
from lightning_modules.commands.measures.settings import MeasureSettings
from lightning_modules.face_diffusion.rewards.embedders import Embedder, PixelEmbedder
from lightning_modules.nn.realism.motion import clip_descriptors
from lightning_modules.nn.realism.variation import blurred_pixels

_BATCH = 64  # pictures that a network looks at together

log = logging.getLogger("appraise")


@dataclass(frozen=True)
class Described:
    """What is known of a set of N pictures.

    Attributes:
        rows: Those of the set that could be read.
        features: By embedder, float32 ``(N, F)``.
        views: Unit vectors by embedder, ``(N, V, F')``: what copies are looked for with.
        pixels: Blurred, in 0..1, ``(N, 768)``.
        shown: Weight of each class, ``(N, K)``, NaN where nothing is known; None where no classes are asked for.
        judged: The same by the judge, where labels are known too.
        crossed: Whether each crossed attribute is shown, ``(N, A)``, NaN where that is not known.
    """

    rows: list[int]
    features: Mapping[str, Tensor]
    views: Mapping[str, Tensor]
    pixels: Tensor
    shown: Tensor | None = None
    judged: Tensor | None = None
    crossed: Tensor | None = None

    def __len__(self) -> int:
        return len(self.rows)


@dataclass
class _Parts:
    rows: list[int] = field(default_factory=list)
    features: dict[str, list[Tensor]] = field(default_factory=dict)
    views: dict[str, list[Tensor]] = field(default_factory=dict)
    pixels: list[Tensor] = field(default_factory=list)
    probabilities: list[Tensor] = field(default_factory=list)


class Describer:
    """Asks embedders and judge.

    Args:
        settings: Names them.
        answers: What pictures show; None where nobody asks.
        device: Where they run.

    Raises:
        CheckpointError: If an embedder cannot be read, or cannot look at a picture.
        ConfigurationError: If descriptors cannot be cut as is asked for.
    """

    def __init__(self, settings: MeasureSettings, answers: Answers | None, device: str) -> None:
        self._settings = settings
        self._answers = answers
        self._device = device
        self.embedders = _by_name(settings.embedder or [PixelEmbedder()])
        for name, embedder in self.embedders.items():
            embedder.load()
            embedder.to(device)
            self._try(name, embedder)

    def describe(self, pictures: PictureSet) -> Described:
        """Look at all pictures of a set.

        Raises:
            ImageError: If a picture cannot be read and is not to be skipped.
            VideoError: Likewise of a video.
        """
        parts = _Parts()
        waiting: list[Tensor] = []
        together = max(1, _BATCH // pictures.frames)
        with file_progress(f"Looking at {one_line(pictures.name)}", len(pictures)) as done:
            for row in range(len(pictures)):
                read = self._read(pictures, row)
                if read is not None:
                    parts.rows.append(row)
                    waiting.append(read)
                if len(waiting) == together or (waiting and row == len(pictures) - 1):
                    self._look(torch.stack(waiting).to(self._device), pictures.role == "training", parts)
                    waiting = []
                done()
        if not parts.rows:
            raise ConfigurationError(f"not one file of {one_line(str(pictures.folder))} can be read: give another")
        return self._described(pictures, parts)

    def _described(self, pictures: PictureSet, parts: _Parts) -> Described:
        said = torch.cat(parts.probabilities) if parts.probabilities else None
        found = Described(
            parts.rows,
            {name: torch.cat(one) for name, one in parts.features.items()},
            {name: torch.cat(one) for name, one in parts.views.items()},
            torch.cat(parts.pixels),
        )
        if self._answers is None:
            return found
        return Described(
            found.rows, found.features, found.views, found.pixels, *self._answers.of(pictures, parts.rows, said)
        )

    def _read(self, pictures: PictureSet, row: int) -> Tensor | None:
        try:
            return pictures.read(row)
        except UNREADABLE as error:
            if self._settings.on_error == "raise":
                raise
            log.warning("warning: skipped: %s", one_line(str(error)))
            return None

    @torch.inference_mode()
    def _look(self, clips: Tensor, is_training: bool, parts: _Parts) -> None:
        """Keep what is said of pictures ``(B, T, 3, S, S)``; only those of videos have T > 1."""
        middle = clips[:, clips.shape[1] // 2]
        parts.pixels.append(blurred_pixels(middle.float() / 255).cpu())
        if self._answers is not None and self._answers.judges:
            parts.probabilities.append(self._answers.probabilities(middle).cpu())
        for name, embedder in self.embedders.items():
            whole = self._clip_features(embedder, clips)
            for kind, features in whole.items():
                parts.features.setdefault(f"{name}{kind}", []).append(features.cpu())
            views = self._views(embedder, clips, whole)
            if is_training and self._settings.flips:
                mirrored = clips.flip(-1)
                for kind, more in self._views(embedder, mirrored, self._clip_features(embedder, mirrored)).items():
                    views[kind] = torch.cat([views[kind], more], dim=1)
            for kind, one in views.items():
                parts.views.setdefault(f"{name}{kind}", []).append(one.cpu())

    def _clip_features(self, embedder: Embedder, clips: Tensor) -> dict[str, Tensor]:
        """Features of pictures; of videos those that they have by kind."""
        number, frames = clips.shape[:2]
        found = embedder.features(clips.flatten(0, 1)).float()
        if frames == 1:
            return {"": found}
        joined = clip_descriptors(functional.normalize(found, dim=1).reshape(number, frames, -1))
        return {f", {kind}": one for kind, one in joined.items()}

    def _views(self, embedder: Embedder, clips: Tensor, whole: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Unit vectors ``(B, V, F')`` by kind."""
        settings = self._settings
        if settings.regions > 1 and clips.shape[1] == 1:
            tiles = _tiles(clips[:, 0], settings.regions)
            features = embedder.features(tiles.flatten(0, 1)).float()
            return {"": _chunks(features, settings.parts).reshape(len(clips), -1, features.shape[1] // settings.parts)}
        return {kind: _chunks(features, settings.parts) for kind, features in whole.items()}

    @torch.inference_mode()
    def _try(self, name: str, embedder: Embedder) -> None:
        """Let an embedder look at a grey picture, so that what it cannot do is told before long work."""
        try:
            found = embedder.features(torch.full((2, 3, 64, 64), 128, dtype=torch.uint8, device=self._device))
        except (RuntimeError, ValueError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise CheckpointError(
                f"the embedder {name} cannot look at a picture ({reason}): give it the image_size and the weights that "
                "it was made for"
            ) from error
        if found.ndim != 2 or len(found) != 2:
            raise CheckpointError(
                f"the embedder {name} gives numbers of shape {tuple(found.shape)} for 2 pictures; it must give one row "
                "of features a picture"
            )
        if found.shape[1] % self._settings.parts:
            raise ConfigurationError(
                f"parts is {self._settings.parts}, but the {found.shape[1]} features of {name} cannot be cut into so "
                "many equal chunks: give a divisor"
            )


def _by_name(embedders: list[Embedder]) -> dict[str, Embedder]:
    """Embedders by short names that tell them apart."""
    found: dict[str, Embedder] = {}
    for embedder in embedders:
        own = type(embedder).__name__
        more = vars(embedder).get("name")  # the network of timm
        name = f"{own} {more}" if isinstance(more, str) else own
        same = sum(other == name or other.startswith(f"{name} (") for other in found)
        found[f"{name} ({same + 1})" if same else name] = embedder
    return found


def _tiles(pictures: Tensor, number: int) -> Tensor:
    """Regions ``(B, n n, 3, s, s)`` of pictures; up to n - 1 pixels at the right and lower rim are left out."""
    side = pictures.shape[-1] // number
    cut = pictures[..., : side * number, : side * number]
    return cut.unfold(2, side, side).unfold(3, side, side).permute(0, 2, 3, 1, 4, 5).flatten(1, 2)


def _chunks(features: Tensor, parts: int) -> Tensor:
    """Unit vectors ``(B, parts, F / parts)``."""
    return functional.normalize(features.reshape(len(features), parts, -1), dim=2)
