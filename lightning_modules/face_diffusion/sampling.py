"""Draw samples of a diffusion model; those of a key are the same in any batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from datamodules.common.seeded_draws import normals
from lightning_modules.face_diffusion.losses import Predict
from lightning_modules.face_diffusion.schedule import NoiseSchedule, SamplerName

Guide = Callable[[Predict, Tensor, int], Tensor]  # the network, noisy samples and their time, to a prediction


@torch.no_grad()
def draw(
    predict: Predict,
    schedule: NoiseSchedule,
    keys: Tensor,
    shape: Sequence[int],
    steps: int,
    sampler: SamplerName = "ddim",
    eta: float = 0.0,
    guide: Guide | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Samples of a model.

    Args:
        predict: The network.
        schedule: The noise that it was trained with.
        keys: int64 ``(B,)``; all noise of a sample follows from its key.
        shape: Of a sample.
        steps: Network passes.
        sampler: How they are used.
        eta: 0 draws no noise on the way, 1 as much as DDPM; for ``ddim``.
        guide: Predicts in place of the network, towards what is wanted; None leaves it alone.
        device: Of the network.

    Returns:
        float32 ``(B, *shape)``.
    """
    way = schedule.sampler(steps, sampler, eta)
    noisy = normals(keys, "start", shape).to(device)
    for number, time in enumerate(way.times):
        predicted = (guide or _unguided)(predict, noisy, time)
        noise = normals(keys, f"step {number}", shape).to(noisy) if eta > 0 else None
        noisy = way.step(predicted, time, noisy, noise)
    return noisy


def _unguided(predict: Predict, noisy: Tensor, time: int) -> Tensor:
    return predict(noisy, torch.full((len(noisy),), time, device=noisy.device)).float()
