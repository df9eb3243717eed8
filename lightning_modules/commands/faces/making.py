"""Making the faces that are judged, a mode and a set of requests at a time, and keeping them in the folder."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from datamodules.common.atomic_write import atomic_path
from datamodules.common.fingerprint import config_digest, file_sha256, tensors_digest
from datamodules.common.progress import file_progress
from lightning_modules.commands.faces.requests import RequestSet
from lightning_modules.commands.faces.settings import EvaluationSettings
from lightning_modules.face_attributes.generator.module import AttributeFaceGenerator
from lightning_modules.face_attributes.generator.pipeline import GeneratorMode

_OPTIONS = ("layers", "contrast", "ridge", "completion", "neighbours", "psi")  # that change a face


class Made(NamedTuple):
    """Faces of one mode and set of requests.

    Attributes:
        images: uint8 ``(N, 3, S, S)``.
        facts: Plain values: seconds a face, and where there was a target how far it lies from the mean and how well it
            was met, by layer.
    """

    images: Tensor
    facts: dict[str, Any]


class FaceMaker:
    """Makes faces in every mode with equal settings; those that the folder holds already are read.

    Args:
        settings: Files and numbers.
        model: Makes the faces.
        folder: Where ``faces/MODE_KIND_SPLIT.safetensors`` are kept.
    """

    def __init__(self, settings: EvaluationSettings, model: AttributeFaceGenerator, folder: Path) -> None:
        self._model = model
        self._batch_size = settings.batch_size
        self._folder = folder / "faces"
        self._run = _digest(settings, model)

    def made(self, mode: GeneratorMode, requests: RequestSet, split: str) -> Made:
        """Faces of a mode; ``split``, whose faces made the requests, is in the name of their file."""
        asked = {"attributes": requests.attributes, "seeds": requests.seeds}
        key = config_digest({"run": self._run, "mode": mode, "requests": tensors_digest(asked)})
        file = self._folder / f"{mode}_{requests.kind}_{split}.safetensors"
        held = _read(file, key)
        if held is not None:
            return held
        made = self._make(mode, requests)
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as temporary:
            save_file({"images": made.images}, temporary, {"key": key, "facts": json.dumps(made.facts)})
        return made

    def opinion(self, images: Tensor) -> Tensor:
        """What the inverted network itself says of pictures, int8 ``(N, K)``."""
        return self._model.generator.decisions(images).cpu()

    def _make(self, mode: GeneratorMode, requests: RequestSet) -> Made:
        options = self._model.target_options
        number = len(requests.seeds)
        images, distances, errors = [], [], []
        began = time.perf_counter()
        with file_progress(f"{mode}, {requests.kind} requests", -(-number // self._batch_size)) as advance:
            for rows in torch.split(torch.arange(number), self._batch_size):
                made = self._model.generator(requests.attributes[rows], requests.seeds[rows], mode, options)
                images.append(made.image)
                distances.append(made.target_distances)
                errors.append(made.target_errors)
                advance()
        facts: dict[str, Any] = {"seconds_a_face": (time.perf_counter() - began) / number}
        facts["target_distance"] = _mean_by_layer(distances)
        facts["target_error"] = _mean_by_layer(errors)
        return Made(torch.cat(images), facts)


def _digest(settings: EvaluationSettings, model: AttributeFaceGenerator) -> str:
    """Name of everything that decides a face beside its request and mode."""
    files = [settings.ckpt_path, *([settings.statistics] if settings.statistics else [])]
    inversion = {**asdict(model.config.inversion), "strip": 0}  # the strip changes no face
    return config_digest(
        {
            "files": [file_sha256(Path(file).expanduser()) for file in files],
            "arguments": {name: model.hparams[name] for name in _OPTIONS},
            "inversion": inversion,
        }
    )


def _mean_by_layer(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
    return {layer: torch.cat([part[layer] for part in parts]).mean().item() for layer in (parts[0] if parts else {})}


def _read(file: Path, key: str) -> Made | None:
    if not file.is_file():
        return None
    with safe_open(file, framework="pt") as content:
        facts = content.metadata() or {}
        if facts.get("key") != key:
            return None
        return Made(content.get_tensor("images"), json.loads(facts["facts"]))
