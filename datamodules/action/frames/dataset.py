"""Single frames of one split as batches: taken from the frame store, or their features from a cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from safetensors import safe_open
from torch import Tensor

from datamodules.action.batch import ActionBatch
from datamodules.action.frames.rows import FrameRows
from datamodules.action.frames.store import FrameStore
from datamodules.action.lists.records import SplitName
from datamodules.common.errors import ConfigurationError
from datamodules.common.sampler import SampleIndex, WholeBatches

FEATURES = "features"  # name of the tensor in a shard


class FeatureShards:
    """Cached features of one split: one file ``<split>.view<k>.safetensors`` for each view, mapped from the disk.

    Raises:
        ConfigurationError: If there is no shard, or one has another number of rows.
    """

    def __init__(self, folder: Path, split: SplitName, rows: int) -> None:
        self._paths: list[Path] = []
        while (path := folder / f"{split}.view{len(self._paths)}.safetensors").is_file():
            self._paths.append(path)
        if not self._paths:
            raise ConfigurationError(f"the feature cache {folder} has no {split}.view0.safetensors; remove it")
        self._tensors: dict[int, Tensor] = {}
        for view in range(len(self._paths)):
            found = self._view(view).shape[0]
            if found != rows:
                raise ConfigurationError(
                    f"{self._paths[view]} holds {found} rows, the {split} split {rows}; remove the folder {folder}"
                )

    def read(self, rows: Tensor, epoch: int) -> Tensor:
        """Features of some rows as epoch ``epoch`` sees them, float32 ``(B, F)``."""
        return self._view(epoch % len(self._paths))[rows].float()

    def _view(self, view: int) -> Tensor:
        if view not in self._tensors:
            with safe_open(self._paths[view], framework="pt") as shard:
                self._tensors[view] = shard.get_tensor(FEATURES)
        return self._tensors[view]

    def __getstate__(self) -> dict[str, object]:
        """A copy for another process opens the files anew."""
        return {**self.__dict__, "_tensors": {}}


class ActionFrameDataset(WholeBatches[ActionBatch]):
    """Frames of one split out of their store, or their cached features in place of them."""

    unit: ClassVar[str] = "frames"  # what progress counts

    def __init__(self, rows: FrameRows, store: FrameStore, features: FeatureShards | None = None) -> None:
        self.rows = rows
        self._store = store
        self._features = features

    def __len__(self) -> int:
        """Number of frames."""
        return len(self.rows)

    def read(self, samples: Sequence[SampleIndex]) -> ActionBatch:
        """A batch of frames; those of padding are read too."""
        index = np.array([sample.index for sample in samples], dtype=np.int64)
        places = self.rows.video_index[index]
        batch = ActionBatch(
            label=torch.from_numpy(self.rows.label[index]),
            video_index=torch.from_numpy(places),
            index=torch.from_numpy(index),
            repeat=torch.tensor([sample.repeat for sample in samples]),
            time=torch.from_numpy(self.rows.time[index]),
            valid=torch.tensor([sample.valid for sample in samples]),
            video=[self.rows.videos[place] for place in places.tolist()],
        )
        if self._features is not None:
            batch["features"] = self._features.read(batch["index"], samples[0].epoch if samples else 0)
        else:
            batch["frames"] = torch.from_numpy(self._store.frames[self.rows.stored[index]])
        return batch
