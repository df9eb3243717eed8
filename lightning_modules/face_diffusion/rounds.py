"""A round of made samples with their rewards, on disk by parts, so that a killed run goes on where it was.

A folder holds ``round.json``, what decides every sample of the round, and for each part ``part-000000.safetensors``:
the samples (pictures as uint8, or latents), their rewards before they were settled, and what the reward noted.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from datamodules.common.atomic_write import write_text, write_with
from datamodules.common.errors import CheckpointError
from lightning_modules.face_diffusion.rewards.contract import Scored, joined

_FACTS = "round.json"


@dataclass(frozen=True)
class Round:
    """Samples of a model and what they are worth.

    Attributes:
        number: Of the round, from 0.
        samples: uint8 pictures ``(N, 3, S, S)``, or float samples.
        rewards: float32 ``(N,)``, as they weigh the loss.
        scored: What the reward said of them.
        labels: Class that each was made for, int64 ``(N,)``; -1 of a model without classes.
    """

    number: int
    samples: Tensor
    rewards: Tensor
    scored: Scored
    labels: Tensor

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.rewards)


class RoundFolder:
    """The parts of one round.

    Args:
        folder: Of the round.
        facts: What decides its samples, plain values.
        total: Samples of the round.
        part: Samples of a part.
    """

    def __init__(self, folder: Path, facts: Mapping[str, object], total: int, part: int) -> None:
        self.folder = folder
        self.facts = {**facts, "total": total, "part": part}
        self.total = total
        self.part = part

    @property
    def parts(self) -> range:
        """Numbers of the parts."""
        return range(-(-self.total // self.part))

    def rows(self, part: int) -> range:
        """Samples of a part."""
        return range(part * self.part, min(self.total, (part + 1) * self.part))

    def is_of(self) -> bool:
        """Whether the folder holds parts of this very round."""
        try:
            found = json.loads((self.folder / _FACTS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return bool(found == json.loads(json.dumps(self.facts)))

    def begin(self) -> None:
        """Say what the folder holds; parts of another round are removed."""
        if not self.is_of():
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder.mkdir(parents=True)
            write_text(self.folder / _FACTS, json.dumps(self.facts, indent=1) + "\n")

    def missing(self) -> list[int]:
        """Parts that are yet to be drawn."""
        return [part for part in self.parts if not self._file(part).is_file()]

    def is_whole(self) -> bool:
        """Whether all parts of this very round are there."""
        return self.is_of() and not self.missing()

    def write(self, part: int, samples: Tensor, labels: Tensor, scored: Scored) -> None:
        """Keep a part."""
        tensors = {"samples": samples, "labels": labels, "reward": scored.reward}
        tensors |= {f"notes/{name}": note for name, note in scored.notes.items()}
        held = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
        write_with(self._file(part), lambda path: save_file(held, path))

    def read(self) -> tuple[Tensor, Tensor, Scored]:
        """Samples, labels and what was said of all of them.

        Raises:
            CheckpointError: If a part is missing or damaged.
        """
        found = [self._read(part) for part in self.parts]
        prefix = "notes/"
        scored = [
            Scored(
                one["reward"],
                {name.removeprefix(prefix): note for name, note in one.items() if name.startswith(prefix)},
            )
            for one in found
        ]
        samples, labels = (torch.cat([one[name] for one in found]) for name in ("samples", "labels"))
        return samples, labels, joined(scored)

    def _read(self, part: int) -> dict[str, Tensor]:
        try:
            return load_file(self._file(part))
        except (OSError, SafetensorError) as error:
            raise CheckpointError(
                f"{self._file(part)} of a round of samples cannot be read ({error}): every process needs to see the "
                "folder of the run; remove the file, and it is drawn again"
            ) from error

    def _file(self, part: int) -> Path:
        return self.folder / f"part-{part:06d}.safetensors"


def round_folder(folder: Path, number: int) -> Path:
    """Folder of a round."""
    return folder / f"round_{number:04d}"


def remove_rounds_before(folder: Path, number: int) -> None:
    """Remove rounds that no training can go on with."""
    for old in folder.glob("round_[0-9]*"):
        if old.is_dir() and int(old.name.removeprefix("round_")) < number:
            shutil.rmtree(old, ignore_errors=True)
