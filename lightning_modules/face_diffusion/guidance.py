"""Steer sampling towards wanted shares, without any training: the rival of a tuning that needs none."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.common.seeded_draws import uniforms
from lightning_modules.face_diffusion.losses import Predict
from lightning_modules.face_diffusion.rewards.contract import Loadable
from lightning_modules.face_diffusion.rewards.judges import Judge, wanted_shares
from lightning_modules.face_diffusion.sampling import Guide
from lightning_modules.face_diffusion.schedule import NoiseSchedule

_LEAST_SIGNAL = 0.1  # sqrt(abar) below which the estimate of x0 says nothing, and its weight would have no bound
_LEAST = 1e-8  # probability below which a judge that is sure of another class leads nowhere


class ShareGuidance(Loadable):
    """Give each sample a class by its key, in the wanted shares, and lead it there by the gradient of a judge.

    Classifier guidance (Dhariwal and Nichol, NeurIPS 2021, section 4.2) with a judge of clean pictures: at each step it
    judges the estimate of x0, and the gradient runs back through the network (Chung et al., ICLR 2023, equation 16).
    A step costs about three of plain sampling.

    Args:
        judge: Says what a picture shows; it must have a gradient.
        classes: One name: whether that attribute is shown. Several: which of them.
        target: Wanted share of the attribute, or of each class; None wants equal ones.
        scale: How hard it leads; 0 leaves the samples as they are. By the book it is 1, for a judge that is never so
            sure that it has no slope.
    """

    def __init__(
        self,
        judge: Judge,
        classes: Sequence[str],
        target: float | Sequence[float] | None = None,
        scale: float = 0.5,
    ) -> None:
        super().__init__()
        if scale < 0:
            raise ConfigurationError(f"scale is {scale:g}; it must be 0 or more: less would lead away from the classes")
        self.judge = judge
        self.classes = list(classes)
        self.target = wanted_shares(self.classes, target)
        self.scale = scale

    def load(self) -> None:
        """Read the judge, and find the classes among what it says."""
        self.judge.load()
        self._columns = self.judge.columns(self.classes)

    def wanted(self, keys: Tensor) -> Tensor:
        """Class that each sample is led to, int64 ``(B,)``: by its key, in the wanted shares."""
        return torch.searchsorted(self.target.double().cumsum(0)[:-1], uniforms(keys, ["wanted class"])[:, 0].cpu())

    def guide(self, schedule: NoiseSchedule, keys: Tensor, shown: Callable[[Tensor], Tensor] | None = None) -> Guide:
        """What changes the predictions of these samples.

        Args:
            schedule: Of the model.
            keys: Of the samples.
            shown: From samples to pictures in -1..1, where they are latents; None for pictures.
        """
        wanted = self.wanted(keys)

        def guided(predict: Predict, noisy: Tensor, time: int) -> Tensor:
            with torch.inference_mode(False), torch.enable_grad():
                start = noisy.clone().requires_grad_()
                predicted = predict(start, torch.full((len(start),), time, device=start.device)).float()
                clean = schedule.clean_estimate(start, predicted, time)
                pictures = clean if shown is None else shown(clean)
                likely = self._likely((pictures + 1) * 127.5, wanted)
                slope = torch.autograd.grad(likely.sum(), start)[0]
            return schedule.with_slope(predicted.detach(), self.scale * slope, time, _LEAST_SIGNAL)

        return guided

    def _likely(self, pictures: Tensor, wanted: Tensor) -> Tensor:
        """Log probability of the wanted class, ``(B,)``."""
        said = self.judge(pictures).float()[:, self._columns]
        if not said.requires_grad:
            raise ConfigurationError(
                f"{type(self.judge).__name__} gives no gradient, so that it cannot lead samples: take a network as the "
                "judge, or keep samples by SampleWriter's accept"
            )
        shown = torch.cat([said, 1 - said], dim=1) if len(self.classes) == 1 else said
        return shown.gather(1, wanted.to(shown.device)[:, None])[:, 0].double().clamp(min=_LEAST).log().float()
