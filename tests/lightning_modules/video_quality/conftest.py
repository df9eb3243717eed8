"""The smallest network of every part, and the oracles' weights made again from their rules (`oracles/README.md`)."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from lightning_modules.video_quality.gated_bias import relative_position_index
from lightning_modules.video_quality.presets import KSVQEConfig, resolve_preset

FOLDER = Path(__file__).parent / "oracles"
SMALLEST: dict[str, object] = {
    "grid_size": 8,
    "fragment_size": 8,
    "clip_length": 8,
    "num_key_frames": 4,
    "content_size": 32,
    "embed_dim": 8,
    "depths": (2, 1),
    "swin_heads": (1, 2),
    "window_size": (2, 7, 7),
    "patch_size": (2, 4, 4),
    "gated_stages": (True, False),
    "num_samples": 20,
    "content_width": 16,
    "content_layers": 3,
    "content_heads": 2,
    "content_image_size": 64,
    "content_adapter_layers": 2,
    "content_adapter_width": 4,
    "distortion_dim": 12,
    "distortion_width": 4,
    "distortion_adapter_width": 4,
    "attention_heads": 2,
    "head_hidden": 8,
}


@pytest.fixture
def smallest() -> Callable[..., KSVQEConfig]:
    """Make the configuration of the smallest network, with some values in place of its own."""

    def make(**overrides: object) -> KSVQEConfig:
        return resolve_preset("tiny", **{**SMALLEST, **overrides})

    return make


@pytest.fixture
def clips() -> Callable[[KSVQEConfig, int], tuple[Tensor, Tensor]]:
    """Random fragments and key frames for a configuration."""

    def make(config: KSVQEConfig, batch: int = 2) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(1)
        pixels = config.grid_size * config.fragment_size
        fragments = torch.randn(batch, 3, config.clip_length, pixels, pixels, generator=generator)
        size = config.content_size
        return fragments, torch.randn(batch, config.num_key_frames, 3, size, size, generator=generator)

    return make


@pytest.fixture(scope="session")
def oracle_arrays() -> Callable[[str], dict[str, NDArray[np.float32]]]:
    """Arrays that a reference implementation computed."""

    def load(name: str) -> dict[str, NDArray[np.float32]]:
        with np.load(FOLDER / f"{name}.npz") as arrays:
            return {key: arrays[key] for key in arrays.files}

    return load


@pytest.fixture(scope="session")
def oracle_weights() -> Callable[[str], dict[str, Tensor]]:
    """State dict of a reference implementation under its own keys."""

    def make(name: str) -> dict[str, Tensor]:
        shapes: dict[str, list[int]] = json.loads((FOLDER / f"{name}_keys.json").read_text())
        return {key: _tensor(key, shape, fast_vqa=name.startswith("fastvqa")) for key, shape in shapes.items()}

    return make


def _tensor(key: str, shape: list[int], *, fast_vqa: bool) -> Tensor:
    if key.endswith("num_batches_tracked"):
        return torch.tensor(0)
    if key.endswith("relative_position_index"):
        return relative_position_index((8, 7, 7), (8, 7, 7))
    noise = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape).astype(np.float32)
    values = _fast_vqa(key, shape, noise) if fast_vqa else _ksvqe(key, shape, noise)
    return torch.from_numpy(np.asarray(values, dtype=np.float32))


def _fast_vqa(key: str, shape: list[int], noise: NDArray[np.float32]) -> NDArray[np.float32]:
    if "bias_table" in key:
        return 0.2 * noise
    if "norm" in key and key.endswith("weight"):
        return 1 + 0.1 * noise
    if key.endswith("bias"):
        return 0.1 * noise
    return noise / math.sqrt(math.prod(shape[1:]))


def _ksvqe(key: str, shape: list[int], noise: NDArray[np.float32]) -> NDArray[np.float32]:
    if key.endswith("running_var"):
        return 1 + 0.1 * np.abs(noise)
    if key.endswith("running_mean"):
        return 0.1 * noise
    if "bias_table" in key:
        return 0.2 * noise
    if key.endswith((".a1", ".a2")):
        return 1 + 0.1 * noise
    if len(shape) == 1:
        return 1 + 0.1 * noise if key.endswith("weight") else 0.1 * noise
    return noise / math.sqrt(math.prod(shape[1:]))
