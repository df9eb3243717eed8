"""Guidance: with the exact denoiser of a mixture it brings the shares that are wanted."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.common.seeded_draws import key_of
from lightning_modules.face_diffusion.guidance import ShareGuidance
from lightning_modules.face_diffusion.losses import Predict
from lightning_modules.face_diffusion.rewards.judges import Judge
from lightning_modules.face_diffusion.sampling import draw
from lightning_modules.face_diffusion.schedule import NoiseSchedule, schedule_config
from tests.lightning_modules.face_diffusion.points import Side

CENTRE, SPREAD, SHARE = 0.6, 0.15, 0.7  # two Gaussians at +-.6, seven in ten of the samples on the right


class SoftSide(Judge):
    """Sure of points in the middle of each Gaussian, and less so between them."""

    def __init__(self) -> None:
        super().__init__()
        self.names = ["right"]

    def forward(self, pictures: Tensor) -> Tensor:
        points = pictures / 127.5 - 1
        return (8 * points).sigmoid()


def exact(noise: NoiseSchedule, prediction: str) -> Predict:
    kept = torch.from_numpy(noise._forward.alphas_cumprod.numpy())

    def predict(noisy: Tensor, time: Tensor) -> Tensor:
        a, rest = kept[time].sqrt()[:, None], (1 - kept[time])[:, None]
        spread = a**2 * SPREAD**2 + rest
        right = (2 * a * CENTRE * noisy / spread + torch.tensor(SHARE / (1 - SHARE)).log()).sigmoid()
        means = [centre + a * SPREAD**2 / spread * (noisy - a * centre) for centre in (CENTRE, -CENTRE)]
        clean = right * means[0] + (1 - right) * means[1]
        return (noisy - a * clean) / rest.sqrt() if prediction == "epsilon" else (a * noisy - clean) / rest.sqrt()

    return predict


@pytest.mark.parametrize("prediction", ["v_prediction", "epsilon"])
@pytest.mark.parametrize("target", [0.5, 0.2])
def test_the_wanted_shares_are_drawn(prediction: Literal["v_prediction", "epsilon"], target: float) -> None:
    noise = NoiseSchedule(schedule_config(prediction, "squaredcos_cap_v2", 1000, clip_sample=False))
    guidance = ShareGuidance(SoftSide(), ["right"], target=target, scale=1.0)
    guidance.load()
    keys = key_of(5, torch.arange(4000))
    predict = exact(noise, prediction)
    free, led = (draw(predict, noise, keys, (1,), 50, guide=guide) for guide in (None, guidance.guide(noise, keys)))
    assert (free > 0).float().mean() == pytest.approx(SHARE, abs=0.03)
    assert (guidance.wanted(keys) == 0).float().mean() == pytest.approx(target, abs=0.02)
    assert (led > 0).float().mean() == pytest.approx(target, abs=0.05)


def test_a_judge_without_a_gradient_and_a_scale_below_0_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="scale is -1; it must be 0 or more"):
        ShareGuidance(Side(), ["right"], scale=-1)
    noise = NoiseSchedule(schedule_config("v_prediction", "squaredcos_cap_v2", 1000, clip_sample=False))
    guidance = ShareGuidance(Side(), ["right"])
    guidance.load()
    keys = torch.arange(3)
    with pytest.raises(ConfigurationError, match="Side gives no gradient"):
        draw(exact(noise, "v_prediction"), noise, keys, (1,), 5, guide=guidance.guide(noise, keys))
