"""Statistics of activations by attribute, summed in float64 while the training faces stream by once.

Cate, Dalvi, Hussain, "DeepFace: Face Generation using Deep Learning" (2016), section 3.3.2, model the activations of a
layer as one Gaussian an attribute and add them with weights. Means, variances, the exact weights for any lambda, a
regression on all attributes and their cross-validation all follow from sums over faces, which merge over batches and
processes; no activation has to be stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.distributed as distributed
from torch import Tensor
from torch.nn import functional as F

from datamodules.common.errors import CheckpointError, ConfigurationError
from lightning_modules.face_attributes.statistics.kept_faces import SCALE, FaceSampler, KeptFaces
from lightning_modules.face_attributes.statistics.label_columns import LabelColumns, index_hash
from lightning_modules.face_attributes.statistics.layer_sums import LayerStatistics, LayerSums

PIXELS = "pixels"  # the thumbnails are summed as one more layer, under a name that no network has
_FOLD_SALT = 0


@dataclass(frozen=True, slots=True)
class FaceStatistics:
    """What one pass over the training faces leaves: everything that targets are made from.

    Attributes:
        columns: The columns of labels, Z of them.
        labels: Products of these columns with each other, summed over the faces of each fold, ``(folds, Z, Z)``.
        layers: By layer of the network.
        pixels: The same of thumbnails flattened to ``3 T T`` values in 0..1.
        thumbnail: Side T of the thumbnails in pixels.
        mean_image: Mean of the training images, float32 ``(3, S, S)``, RGB in 0..1.
        kept: A random sample of the faces.

    Example:
        >>> sums = AttributeStatistics(2, folds=2, kept=4, thumbnail=4)
        >>> labels, images = torch.tensor([[1, 0]], dtype=torch.int8), torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
        >>> sums.update({"fc6": torch.ones(1, 5)}, labels, torch.ones(1) > 0, torch.zeros(1).long(), images)
        >>> statistics = sums.finish()
        >>> statistics.faces, statistics.means("fc6").shape
        (1, torch.Size([5, 2]))
    """

    columns: LabelColumns
    labels: Tensor
    layers: dict[str, LayerStatistics]
    pixels: LayerStatistics
    thumbnail: int
    mean_image: Tensor
    kept: KeptFaces

    @property
    def faces(self) -> int:
        """Number of faces N."""
        return round(float(self.labels[:, 0, 0].sum()))

    @property
    def folds(self) -> int:
        """Number of folds."""
        return len(self.labels)

    @property
    def present_share(self) -> Tensor:
        """Share of the faces that have each attribute among those of which it is known, float64 ``(K,)``."""
        return self.labels.sum(0)[0][self.columns.present] / self.labelled.clamp_min(1.0)

    @property
    def labelled(self) -> Tensor:
        """Number of faces of which each attribute is known, float64 ``(K,)``."""
        return self.faces - self.labels.sum(0)[0][self.columns.missing]

    def layer(self, name: str) -> LayerStatistics:
        """Sums of one layer, or of the thumbnails under the name "pixels".

        Raises:
            ConfigurationError: If the pass did not see the layer.
        """
        if name == PIXELS:
            return self.pixels
        if name not in self.layers:
            raise ConfigurationError(
                f'There are no statistics of the layer "{name}": they hold {", ".join(self.layers)}; choose among '
                "these, or collect them again with the layer added."
            )
        return self.layers[name]

    def counts(self) -> Tensor:
        """Number of faces that give the mean of each attribute, float64 ``(K,)``."""
        return self.labels.sum(0)[0, self.columns.members]

    def global_mean(self, name: str) -> Tensor:
        """Mean activation of all faces, float64 ``(F,)``."""
        return self.layer(name).cross[0] / max(self.faces, 1)

    def means(self, name: str) -> Tensor:
        """Mean activation of the faces that have each attribute, float64 ``(F, K)``; 0 where there are none."""
        sums = self.layer(name).cross[self.columns.members]
        return (sums / self.counts().clamp_min(1.0)[:, None]).T

    def variances(self, name: str) -> Tensor:
        """Variance of each unit over the faces that have each attribute, float64 ``(F, K)``, 0 or above."""
        squares = self.layer(name).squares[1:] / self.counts().clamp_min(1.0)[:, None]
        return (squares.T - self.means(name).square()).clamp_min(0.0)

    def global_variance(self, name: str) -> Tensor:
        """Variance of each unit over all faces, float64 ``(F,)``, 0 or above."""
        squares = self.layer(name).squares[0] / max(self.faces, 1)
        return (squares - self.global_mean(name).square()).clamp_min(0.0)

    def state(self) -> dict[str, Tensor]:
        """All of it as named tensors, for a checkpoint or a file; `from_state` reads them back."""
        state = {"labels": self.labels, "mean_image": self.mean_image}
        state["shape"] = torch.tensor([self.columns.attributes, int(self.columns.sets), self.thumbnail])
        for name, layer in {**self.layers, PIXELS: self.pixels}.items():
            state |= {f"layer/{name}/{part}": tensor for part, tensor in layer.tensors().items()}
        kept = {"index": self.kept.index, "attributes": self.kept.attributes, "thumbnails": self.kept.thumbnails}
        state |= {f"kept/{name}": tensor for name, tensor in kept.items()}
        return state | {f"kept/activations/{name}": tensor for name, tensor in self.kept.activations.items()}

    @classmethod
    def from_state(cls, state: Mapping[str, Tensor]) -> FaceStatistics:
        """Rebuild statistics from the tensors of `state`.

        Raises:
            CheckpointError: If tensors are missing.
        """
        try:
            return cls._from_whole_state(state)
        except (KeyError, TypeError, ValueError) as error:
            raise CheckpointError(f"The statistics lack {error}: collect them again by a validate run.") from error

    @classmethod
    def _from_whole_state(cls, state: Mapping[str, Tensor]) -> FaceStatistics:
        attributes, sets, thumbnail = (int(value) for value in state["shape"])
        columns = LabelColumns(attributes, bool(sets))
        parts: dict[str, dict[str, Tensor]] = {}
        for key, tensor in state.items():
            if key.startswith("layer/"):
                name, part = key.removeprefix("layer/").rsplit("/", 1)
                parts.setdefault(name, {})[part] = tensor
        layers = {name: LayerStatistics(columns, **tensors) for name, tensors in parts.items()}
        prefix = "kept/activations/"
        activations = {key.removeprefix(prefix): tensor for key, tensor in state.items() if key.startswith(prefix)}
        kept = KeptFaces(state["kept/index"], state["kept/attributes"], state["kept/thumbnails"], activations)
        pixels = layers.pop(PIXELS)
        return cls(columns, state["labels"], layers, pixels, thumbnail, state["mean_image"], kept)


class AttributeStatistics:
    """The running sums of one pass; any order and any split of the faces gives the same, to rounding.

    A layer of F units takes ``(1 + 3 K) F`` numbers of eight bytes a fold: 0.9 GB for the 100,352 units of conv5_3 of
    VGG-16 with 73 attributes and 5 folds, which is also the device memory it needs. Fewer folds take less.

    Args:
        attributes: Number of attributes K.
        folds: Number of folds for cross-validation, by a hash of the row; 1 does without.
        kept: Number of faces to keep as they are, chosen by another hash of the row.
        thumbnail: Greatest side of the thumbnails in pixels.
        equal_sets: bool ``(N, K)`` from `draw_equal_sets`, by row of the split: means and variances come from these
            faces alone, as the paper has them. None takes all faces that have the attribute.

    Raises:
        ConfigurationError: If a number is out of range.
    """

    def __init__(
        self,
        attributes: int,
        *,
        folds: int = 5,
        kept: int = 1500,
        thumbnail: int = 64,
        equal_sets: Tensor | None = None,
    ) -> None:
        for name, value, least in (("folds", folds, 1), ("kept", kept, 1), ("thumbnail", thumbnail, 1)):
            if value < least:
                raise ConfigurationError(f"{name} is {value}, but statistics need at least {least}: raise it.")
        self.columns = LabelColumns(attributes, equal_sets is not None)
        self.folds, self.thumbnail, self.equal_sets = folds, thumbnail, equal_sets
        self.sampler = FaceSampler(kept)
        self.layers: dict[str, LayerSums] = {}
        self.labels = torch.zeros(folds, self.columns.count, self.columns.count, dtype=torch.float64)
        self.image_sum = torch.zeros(0, dtype=torch.float64)

    @torch.no_grad()
    def update(
        self, activations: Mapping[str, Tensor], attributes: Tensor, valid: Tensor, index: Tensor, images: Tensor
    ) -> None:
        """Add a batch.

        Args:
            activations: By layer, floating point ``(B, ...)``, flattened to ``(B, F)``.
            attributes: int8 ``(B, K)``: 1 present, 0 absent, -1 missing.
            valid: bool ``(B,)``; rows with False only pad a batch and are left out.
            index: Row of each face in its split, int64 ``(B,)``.
            images: uint8 ``(B, 3, S, S)``, RGB.

        Raises:
            ConfigurationError: If the attributes are not K, or the layers differ from those of the last batch.
        """
        self._check(activations, attributes)
        fold = index_hash(index, _FOLD_SALT) % self.folds
        order = torch.where(valid, fold, self.folds).argsort(stable=True)
        counts = torch.bincount(fold[valid], minlength=self.folds).tolist()
        rows = order[: sum(counts)]
        members = None
        if self.equal_sets is not None:
            members = self.equal_sets[index[rows].to(self.equal_sets.device)].to(attributes.device)
        design = self.columns.of(attributes[rows], members)
        images = images[rows]
        thumbnails = _thumbnails(images, self.thumbnail)
        values = {name: part.flatten(1)[rows] for name, part in activations.items()}
        self._add({**values, PIXELS: thumbnails.flatten(1)}, design, counts)
        self._add_images(images)
        kept = {f"layer/{name}": (part.float() / SCALE).half() for name, part in values.items()}
        kept |= {"attributes": attributes[rows].to(torch.int8), "thumbnails": (thumbnails * 255).round().byte()}
        self.sampler.update(index[rows], kept)

    def all_reduce(self) -> None:
        """Add the sums of all processes of a distributed run, in place, so that each holds the whole.

        Without a distributed run nothing happens. Every process must have had at least one batch, if only padding.
        """
        if not (distributed.is_available() and distributed.is_initialized()):
            return
        for tensor in (self.labels, self.image_sum):
            distributed.all_reduce(tensor)
        for name in sorted(self.layers):
            sums = self.layers[name]
            for tensor in (sums.cross, sums.squares, sums.energy):
                distributed.all_reduce(tensor)
            distributed.all_reduce(sums.lowest, distributed.ReduceOp.MIN)
        self.sampler = self.sampler.gathered(self.labels.device)

    def finish(self) -> FaceStatistics:
        """End the pass.

        Raises:
            ConfigurationError: If no face was added.
        """
        faces = float(self.labels[:, 0, 0].sum())
        if not faces:
            raise ConfigurationError("There are no statistics without faces: give data with at least one valid face.")
        finished = {name: sums.finish() for name, sums in self.layers.items()}
        kept = self.sampler.finish()
        activations = {name: kept[f"layer/{name}"] for name in finished if name != PIXELS}
        pixels = finished.pop(PIXELS)
        return FaceStatistics(
            columns=self.columns,
            labels=self.labels.cpu(),
            layers=finished,
            pixels=pixels,
            thumbnail=kept["thumbnails"].shape[-1],
            mean_image=(self.image_sum / (255.0 * faces)).float().cpu(),
            kept=KeptFaces(kept["index"], kept["attributes"], kept["thumbnails"], activations),
        )

    def _check(self, activations: Mapping[str, Tensor], attributes: Tensor) -> None:
        if attributes.shape[1] != self.columns.attributes:
            raise ConfigurationError(
                f"The faces have {attributes.shape[1]} attributes but the statistics {self.columns.attributes}: use "
                "the same schema for both."
            )
        if self.layers and {*activations, PIXELS} != set(self.layers):
            raise ConfigurationError(
                f"The layers {', '.join(activations)} differ from those of the batches before, "
                f"{', '.join(name for name in self.layers if name != PIXELS)}: give the same in every batch."
            )

    def _begin(self, units: Mapping[str, int], device: torch.device) -> None:
        self.labels = self.labels.to(device)
        self.layers = {name: LayerSums(self.columns, self.folds, size, device) for name, size in units.items()}

    def _add(self, values: Mapping[str, Tensor], design: Tensor, counts: list[int]) -> None:
        if not self.layers:
            self._begin({name: part.shape[1] for name, part in values.items()}, design.device)
        for name, part in values.items():
            self.layers[name].update(part.double(), design, counts)
        start = 0
        for fold, count in enumerate(counts):
            part = design[start : start + count]
            self.labels[fold].addmm_(part.T, part)
            start += count

    def _add_images(self, images: Tensor) -> None:
        if not self.image_sum.numel():
            self.image_sum = torch.zeros(images.shape[1:], dtype=torch.float64, device=images.device)
        self.image_sum += images.sum(0, dtype=torch.int64)


def _thumbnails(images: Tensor, side: int) -> Tensor:
    """Images ``(B, 3, S, S)`` in 0..255 as float32 ``(B, 3, T, T)`` in 0..1 of at most ``side`` pixels."""
    scaled = images.float() / 255.0
    if not len(images) or images.shape[-1] <= side:
        return scaled if images.shape[-1] <= side else scaled[..., :side, :side]
    return F.interpolate(scaled, size=(side, side), mode="area")
