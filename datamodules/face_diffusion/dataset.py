"""Pictures to learn from as whole batches, and samples to make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from datamodules.common.fingerprint import tensors_digest
from datamodules.common.progress import file_progress
from datamodules.common.sampler import SampleIndex, WholeBatches
from datamodules.common.seeded_draws import key_of, row_draws
from datamodules.face_diffusion.batch import DiffusionBatch, SampleBatch
from datamodules.faces.dataset import FaceSource

_CHUNK = 256  # pictures that are read together
_HELD = 1 << 30  # bytes of pictures that are kept in memory


class Pictures:
    """Pictures of some rows of a source, decoded once where they fit into memory.

    Args:
        source: Of the split.
        rows: Those that are taken, int64 ``(N,)``.
        side: Of a picture in pixels.
    """

    def __init__(self, source: FaceSource, rows: Tensor, side: int) -> None:
        self._source = source
        self._rows = rows
        self._side = side
        self._held: tuple[Tensor, Tensor] | None = None
        if 3 * side * side * len(rows) <= _HELD:
            self._held = self._read_all()

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self._rows)

    def take(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures uint8 ``(B, 3, S, S)`` and which of them could be read, bool ``(B,)``."""
        if self._held is not None:
            return self._held[0][places], self._held[1][places]
        return self._read(places)

    def __iter__(self) -> Iterator[Tensor]:
        """All pictures in order, in batches; those that cannot be read are black."""
        for places in torch.split(torch.arange(len(self)), _CHUNK):
            yield self.take(places)[0]

    def readable(self) -> Pictures:
        """Those that can be read; itself where all can."""
        if self._held is not None:
            mask = self._held[1]
        else:
            mask = torch.cat([self._read(places)[1] for places in torch.split(torch.arange(len(self)), _CHUNK)])
        return self if bool(mask.all()) else Pictures(self._source, self._rows[mask], self._side)

    @property
    def fingerprint(self) -> str:
        """Changes with any picture."""
        if self._held is not None:
            return tensors_digest({"pictures": self._held[0]})
        return tensors_digest({f"{number:08d}": batch for number, batch in enumerate(self)})

    def _read(self, places: Tensor) -> tuple[Tensor, Tensor]:
        rows = self._rows[places]
        batch = self._source.batch(rows, torch.ones(len(rows), dtype=torch.bool), 0)
        return batch["image"], batch["valid"]

    def _read_all(self) -> tuple[Tensor, Tensor]:
        parts = []
        with file_progress("Reading the pictures", len(self)) as done:
            for places in torch.split(torch.arange(len(self)), _CHUNK):
                parts.append(self._read(places))
                done(len(places))
        return torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts])


class PictureDataset(WholeBatches[DiffusionBatch]):
    """Pictures with classes, weights and the keys of their noise.

    Args:
        pictures: The pictures.
        labels: Class of each, int64 ``(N,)``.
        weights: Of each, float32 ``(N,)``.
        seed: Of flips and noise.
        training: Other noise, and flips where they are wanted, in each epoch.
        flip: Mirror half of them.
    """

    def __init__(
        self, pictures: Pictures, labels: Tensor, weights: Tensor, seed: int, training: bool, flip: bool = False
    ) -> None:
        self.pictures = pictures
        self._labels = labels
        self._weights = weights
        self._seed = seed
        self._training = training
        self._flip = flip and training

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.pictures)

    def read(self, samples: Sequence[SampleIndex]) -> DiffusionBatch:
        """A batch of pictures."""
        index = torch.tensor([sample.index for sample in samples], dtype=torch.int64)
        repeat = torch.tensor([sample.repeat for sample in samples], dtype=torch.int64)
        epoch = samples[0].epoch if samples and self._training else 0
        image, readable = self.pictures.take(index)
        if self._flip:
            mirrored = row_draws(["mirror"], self._seed, epoch, index, repeat)[:, 0] < 0.5
            image = torch.where(mirrored[:, None, None, None], image.flip(3), image)
        return DiffusionBatch(
            image=image,
            label=self._labels[index],
            weight=self._weights[index],
            noise_key=key_of(self._seed, "noise" if self._training else "held out", epoch, index, repeat),
            index=index,
            valid=torch.tensor([sample.valid for sample in samples]) & readable,
        )


class SampleDataset(WholeBatches[SampleBatch]):
    """Samples to make.

    Args:
        numbers: Of the samples, int64 ``(N,)``.
        seed: Of their noise.
        labels: Class that each number is asked for, int64; -1 for none.
    """

    def __init__(self, numbers: Tensor, seed: int, labels: Tensor) -> None:
        self._numbers = numbers
        self._seed = seed
        self._labels = labels

    def __len__(self) -> int:
        """Number of samples."""
        return len(self._numbers)

    def read(self, samples: Sequence[SampleIndex]) -> SampleBatch:
        """A batch of keys."""
        index = self._numbers[[sample.index for sample in samples]]
        return SampleBatch(
            noise_key=key_of(self._seed, "sample", index),
            label=self._labels[index],
            index=index,
            valid=torch.tensor([sample.valid for sample in samples]),
        )
