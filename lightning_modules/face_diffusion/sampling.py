"""Draw samples of a diffusion model; those of a key are the same in any batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from datamodules.common.seeded_draws import normals
from lightning_modules.face_diffusion.losses import Predict
from lightning_modules.face_diffusion.schedule import NoiseSchedule

Guide = Callable[[Predict, Tensor, int], Tensor]  # the network, noisy samples and their time, to a prediction


@torch.no_grad()
def draw(
    predict: Predict,
    schedule: NoiseSchedule,
    keys: Tensor,
    shape: Sequence[int],
    steps: int,
    eta: float = 0.0,
    guide: Guide | None = None,
    device: torch.device | str = "cpu",
) -> Tensor:
    """Samples of a model by DDIM.

    Args:
        predict: The network.
        schedule: The noise that it was trained with.
        keys: int64 ``(B,)``; all noise of a sample follows from its key.
        shape: Of a sample.
        steps: Network passes.
        eta: 0 draws no noise on the way, 1 as much as DDPM.
        guide: Predicts in place of the network, towards what is wanted; None leaves it alone.
        device: Of the network.

    Returns:
        float32 ``(B, *shape)``.
    """
    sampler = schedule.sampler(steps)
    noisy = normals(keys, "start", shape).to(device)
    for number, time in enumerate(sampler.timesteps.tolist()):
        predicted = (guide or _unguided)(predict, noisy, time)
        noise = normals(keys, f"step {number}", shape).to(noisy) if eta > 0 else None
        noisy = sampler.step(predicted, time, noisy, eta=eta, variance_noise=noise).prev_sample
    return noisy


def _unguided(predict: Predict, noisy: Tensor, time: int) -> Tensor:
    return predict(noisy, torch.full((len(noisy),), time, device=noisy.device)).float()
