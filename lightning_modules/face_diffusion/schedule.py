"""How noise is added, what the network is to predict, and the steps of DDIM, by diffusers' schedulers."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, cast

from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_diffusion.library import diffusers

log = logging.getLogger(__name__)

PredictionType = Literal["v_prediction", "epsilon"]
SamplerName = Literal["ddim", "dpm"]
BetaSchedule = Literal["linear", "scaled_linear", "squaredcos_cap_v2"]
_PREDICTED = ("v_prediction", "epsilon")


class Sampler(NamedTuple):
    """How samples are drawn.

    Attributes:
        times: Of the network's passes, from the noisiest on.
        step: From a prediction, its time, noisy samples and fresh noise (None where none is used) to less noisy ones.
    """

    times: list[int]
    step: Callable[[Tensor, int, Tensor, Tensor | None], Tensor]


class NoiseSchedule:
    """The forward process of a diffusion model, and its deterministic or random reversal.

    Args:
        config: Of a diffusers scheduler, plain values. Steps are spaced "trailing" unless it says otherwise: the last
            step of "leading", the noisiest one, is never visited.

    Raises:
        ConfigurationError: If the configuration cannot be, or predicts neither noise nor velocity.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = {"timestep_spacing": "trailing", **config}
        try:
            self._forward = diffusers().DDPMScheduler.from_config(self.config)
        except (NotImplementedError, TypeError, ValueError) as error:  # diffusers, by the kind of mistake
            raise ConfigurationError(
                f"the scheduler's configuration makes no noise ({' '.join(str(error).split())[:300]}): correct it"
            ) from error
        if self._forward.config.prediction_type not in _PREDICTED:
            raise ConfigurationError(
                f"The scheduler's prediction_type is {self._forward.config.prediction_type!r}, and "
                f"{' and '.join(_PREDICTED)} can be tuned: train a model with one of these."
            )

    @property
    def steps(self) -> int:
        """Number of time steps that a training draws from."""
        return int(self._forward.config.num_train_timesteps)

    def noised(self, clean: Tensor, noise: Tensor, time: Tensor) -> tuple[Tensor, Tensor]:
        """Samples at some time, and what the network is to say of them.

        Args:
            clean: x0, ``(B, ...)``.
            noise: Of the same shape.
            time: int64 ``(B,)`` in [0, steps).

        Returns:
            x_t = sqrt(abar) x0 + sqrt(1 - abar) noise; and the noise, or v = sqrt(abar) noise - sqrt(1 - abar) x0.
        """
        noisy = cast(Tensor, self._forward.add_noise(clean, noise, time))
        if self._forward.config.prediction_type == "epsilon":
            return noisy, noise
        return noisy, cast(Tensor, self._forward.get_velocity(clean, noise, time))

    def sampler(self, steps: int, kind: SamplerName = "ddim", eta: float = 0.0) -> Sampler:
        """A way to draw samples in so many steps.

        Args:
            steps: Passes of the network.
            kind: ``ddim`` (Song et al., ICLR 2021), or ``dpm``: DPM-Solver++ of second order (Lu et al., 2022), its
                steps even in log signal-to-noise.
            eta: Noise on the way, of ``ddim`` alone.

        Raises:
            ConfigurationError: If there are more steps than the training has.
        """
        self.check_steps(steps)
        library = diffusers()
        if kind == "dpm":
            solver = library.DPMSolverMultistepScheduler.from_config(self.config, use_lu_lambdas=True)
            solver.set_timesteps(steps)
            return Sampler(solver.timesteps.tolist(), lambda said, time, x, _: solver.step(said, time, x).prev_sample)
        ddim = library.DDIMScheduler.from_config(self.config)
        ddim.set_timesteps(steps)
        return Sampler(
            ddim.timesteps.tolist(),
            lambda said, time, x, noise: ddim.step(said, time, x, eta=eta, variance_noise=noise).prev_sample,
        )

    def check_steps(self, steps: int) -> None:
        """Refuse a sampling of more steps than the training has.

        Raises:
            ConfigurationError: If there are more, or none.
        """
        if not 1 <= steps <= self.steps:
            raise ConfigurationError(f"sampling_steps is {steps}; the model was made for 1..{self.steps}: correct it")

    def clean_estimate(self, noisy: Tensor, predicted: Tensor, time: int) -> Tensor:
        """The x0 that a prediction speaks of, ``(B, ...)``."""
        kept = self._forward.alphas_cumprod[time].to(noisy)
        signal, rest = float(kept.sqrt()), float((1 - kept).sqrt())
        if self._forward.config.prediction_type == "epsilon":
            return (noisy - rest * predicted) / signal
        return signal * noisy - rest * predicted

    def with_slope(self, predicted: Tensor, slope: Tensor, time: int, least_signal: float = 1e-3) -> Tensor:
        """A prediction whose noise is changed by ``-sqrt(1 - abar) * slope``, slope that of a log probability in x_t.

        Args:
            predicted: Noise or velocity, ``(B, ...)``.
            slope: Of the same shape.
            time: Of the samples.
            least_signal: sqrt(abar) by which the change of the clean picture is divided, at least.
        """
        kept = float(self._forward.alphas_cumprod[time])
        signal = max(math.sqrt(kept), least_signal)
        change = math.sqrt(1 - kept) * slope / signal
        if self._forward.config.prediction_type == "epsilon":
            return predicted - math.sqrt(kept) * change
        return predicted - change


def without_clipping(config: Mapping[str, Any]) -> dict[str, Any]:
    """A schedule that cuts nothing off, for latents, which lie outside of -1..1; diffusers clips unless it is told."""
    if config.get("clip_sample", True) or config.get("thresholding", False):
        log.info("the schedule clips samples to -1..1, beyond which latents lie: clip_sample is turned off")
    return {**config, "clip_sample": False, "thresholding": False}


def schedule_config(
    prediction_type: PredictionType, beta_schedule: BetaSchedule, steps: int, clip_sample: bool
) -> dict[str, Any]:
    """Configuration of a schedule of one's own, as diffusers has it."""
    return {
        "num_train_timesteps": steps,
        "beta_schedule": beta_schedule,
        "prediction_type": prediction_type,
        "clip_sample": clip_sample,
    }


def time_of(uniform: Tensor, steps: int) -> Tensor:
    """Time steps from numbers in [0, 1), int64 of the same shape.

    Example:
        >>> import torch
        >>> time_of(torch.tensor([0.0, 0.4999, 0.9999]), 10).tolist()
        [0, 4, 9]
    """
    return (uniform * steps).long().clamp(max=steps - 1)
