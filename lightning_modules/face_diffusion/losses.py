"""The loss of denoising, weighted by a reward of what the model made, beside that of real pictures.

For samples x0 of the model and a reward r(x0) >= 0 that has no gradient, the exact minimiser of
``E[r(x0) ||target - prediction||^2]`` is the denoiser of the density r(x0) p(x0) / E[r] (reward-weighted likelihood,
Lee et al. 2023).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.common.seeded_draws import normals, uniforms
from lightning_modules.face_diffusion.schedule import NoiseSchedule, time_of

Predict = Callable[[Tensor, Tensor], Tensor]  # noisy samples (B, ...) and int64 times (B,), to noise or velocity


def denoising_losses(
    predict: Predict, schedule: NoiseSchedule, clean: Tensor, keys: Tensor, least: float = 0.0
) -> Tensor:
    """Mean squared error of what the network says of each noised sample, ``(B,)``.

    Args:
        predict: The network.
        schedule: Its noise.
        clean: x0, float ``(B, ...)``.
        keys: int64 ``(B,)``; time and noise of a sample follow from its key alone.
        least: Share of the time steps, the least noisy ones, that are left out.
    """
    time = time_of(least + (1 - least) * uniforms(keys, ["time"])[:, 0], schedule.steps).to(clean.device)
    noise = normals(keys, "noise", clean.shape[1:]).to(clean)
    noisy, target = schedule.noised(clean, noise, time)
    error = predict(noisy, time).float() - target
    return error.square().flatten(1).mean(dim=1)


def anchored(rewarded: Tensor, real: Tensor, gamma: float | None) -> Tensor:
    """L = L_reward + gamma * L_real; the second alone where gamma is None.

    Example:
        >>> import torch
        >>> [float(anchored(torch.tensor(2.0), torch.tensor(1.0), gamma)) for gamma in (0.0, 0.5, None)]
        [2.0, 2.5, 1.0]
    """
    return real if gamma is None else rewarded + gamma * real


def check_values(rewards: Tensor, number: int, name: str) -> None:
    """Refuse what cannot be rewards of some samples.

    Args:
        rewards: The rewards.
        number: Of the samples.
        name: Of what gave them.

    Raises:
        ConfigurationError: If it is not one finite number of 0 or more for each.
    """
    if rewards.shape != (number,):
        raise ConfigurationError(
            f"{name} gave rewards of shape {tuple(rewards.shape)} for {number} samples: give one number for each, "
            f"({number},)"
        )
    if not rewards.isfinite().all():
        wrong = int((~rewards.isfinite()).sum())
        raise ConfigurationError(
            f"{name} gave {wrong} of {len(rewards)} samples a reward that is no finite number: mend the reward."
        )
    if (rewards < 0).any():
        raise ConfigurationError(
            f"{name} gave a sample the reward {rewards.min().item():g}, and a squared error with a negative weight has "
            "no least value: give rewards of 0 or more (add an offset, or clip at 0)."
        )


def check_rewards(rewards: Tensor, name: str) -> None:
    """Refuse rewards of a round that cannot weigh a loss.

    Raises:
        ConfigurationError: If one is not a finite number, is negative, or all are zero.
    """
    check_values(rewards, len(rewards), name)
    if not (rewards > 0).any():
        raise ConfigurationError(
            f"{name} gave all {len(rewards)} samples the reward 0, so that there is nothing to learn from: soften it, "
            "or draw more samples."
        )
