"""Loss, schedule and sampling against closed forms."""

from __future__ import annotations

from typing import Literal

import pytest
import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.common.seeded_draws import key_of, normals
from lightning_modules.face_diffusion.losses import denoising_losses
from lightning_modules.face_diffusion.preprocess import to_pictures, to_signal
from lightning_modules.face_diffusion.sampling import draw
from lightning_modules.face_diffusion.schedule import NoiseSchedule, SamplerName, schedule_config

PREDICTIONS: list[Literal["v_prediction", "epsilon"]] = ["v_prediction", "epsilon"]


def test_a_slope_moves_the_clean_picture_alike_for_both_predictions() -> None:
    """And is bounded where hardly a picture is left in the noise."""
    noisy, slope = torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    for time in (100, 700, 999):
        moved = []
        for prediction in PREDICTIONS:
            own = schedule(prediction)
            said = torch.zeros(1, 1, 1, 1)
            led = own.with_slope(said, slope, time)
            clean = own.clean_estimate(noisy, led, time) - own.clean_estimate(noisy, said, time)
            moved.append(float(clean))
        assert moved[0] == pytest.approx(moved[1], rel=1e-3, abs=1e-6)
        assert abs(moved[0]) <= 1000.1


def schedule(prediction: Literal["v_prediction", "epsilon"], steps: int = 1000) -> NoiseSchedule:
    return NoiseSchedule(schedule_config(prediction, "squaredcos_cap_v2", steps, clip_sample=False))


@pytest.mark.parametrize("prediction", PREDICTIONS)
def test_a_network_that_knows_the_answer_has_no_loss_and_finds_x0(
    prediction: Literal["v_prediction", "epsilon"],
) -> None:
    noise = schedule(prediction)
    clean = torch.linspace(-1, 1, 12).reshape(4, 3)
    time = torch.tensor([0, 300, 700, 999])
    noisy, target = noise.noised(clean, normals(time, "noise", (3,)), time)
    for row in range(4):
        found = noise.clean_estimate(noisy[row : row + 1], target[row : row + 1], int(time[row]))
        torch.testing.assert_close(found, clean[row : row + 1], atol=1e-2 if row == 3 else 1e-5, rtol=0)


@pytest.mark.parametrize("prediction", PREDICTIONS)
@pytest.mark.parametrize(("sampler", "eta", "steps"), [("ddim", 0.0, 100), ("ddim", 1.0, 100), ("dpm", 0.0, 20)])
def test_sampling_with_the_exact_denoiser_draws_the_gaussian(
    prediction: Literal["v_prediction", "epsilon"], sampler: SamplerName, eta: float, steps: int
) -> None:
    noise, mean, deviation = schedule(prediction), 0.5, 0.2
    kept = torch.from_numpy(noise._forward.alphas_cumprod.numpy())

    def exact(noisy: Tensor, time: Tensor) -> Tensor:
        a = kept[time].sqrt()[:, None]
        rest = (1 - kept[time])[:, None]
        clean = mean + a * deviation**2 / (a**2 * deviation**2 + rest) * (noisy - a * mean)
        if prediction == "epsilon":
            return (noisy - a * clean) / rest.sqrt()
        return (a * noisy - clean) / rest.sqrt()

    drawn = draw(exact, noise, key_of(3, torch.arange(4000)), (1,), steps, sampler, eta)
    assert drawn.mean().item() == pytest.approx(mean, abs=0.02)
    assert drawn.std().item() == pytest.approx(deviation, abs=0.02)


def test_twice_the_steps_halve_the_error_of_ddim_and_quarter_that_of_the_solver() -> None:
    """Two Gaussians far apart: the path from noise to samples is known by a thousand steps."""
    noise, keys = schedule("v_prediction"), key_of(4, torch.arange(500))
    kept = torch.from_numpy(noise._forward.alphas_cumprod.numpy())

    def exact(noisy: Tensor, time: Tensor) -> Tensor:
        a, rest = kept[time].sqrt()[:, None], (1 - kept[time])[:, None]
        spread = a**2 * 0.15**2 + rest
        right = (2 * a * 0.6 * noisy / spread).sigmoid()
        means = [centre + a * 0.15**2 / spread * (noisy - a * centre) for centre in (0.6, -0.6)]
        return (a * noisy - right * means[0] - (1 - right) * means[1]) / rest.sqrt()

    end = draw(exact, noise, keys, (1,), 1000)
    kinds: list[SamplerName] = ["ddim", "dpm"]
    for kind, least, most in zip(kinds, (1.6, 3.0), (2.5, 6.0), strict=True):
        apart = [float((draw(exact, noise, keys, (1,), steps, kind) - end).abs().mean()) for steps in (20, 40)]
        assert least < apart[0] / apart[1] < most
        assert apart[1] < 0.01


def test_a_sample_and_a_loss_follow_from_the_key_alone() -> None:
    noise = schedule("v_prediction")
    weight = torch.randn(5, 5, generator=torch.Generator().manual_seed(0)) / 5

    def network(noisy: Tensor, time: Tensor) -> Tensor:
        return torch.tanh(noisy @ weight) * (time[:, None] / 1000)

    keys = key_of(0, torch.arange(10))
    whole = draw(network, noise, keys, (5,), steps=7, eta=0.5)
    parts = torch.cat([draw(network, noise, part, (5,), steps=7, eta=0.5) for part in keys.split(3)])
    torch.testing.assert_close(whole, parts, rtol=0, atol=1e-6)
    clean = torch.linspace(-1, 1, 50).reshape(10, 5)
    losses = denoising_losses(network, noise, clean, keys)
    order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(denoising_losses(network, noise, clean[order], keys[order]), losses[order])


def test_the_noisiest_step_is_visited_and_too_many_steps_are_refused() -> None:
    kinds: tuple[SamplerName, ...] = ("ddim", "dpm")
    for kind in kinds:
        times = schedule("v_prediction").sampler(10, kind).times
        assert times[0] == 999
        assert times == sorted(times, reverse=True)
    with pytest.raises(ConfigurationError, match=r"sampling_steps is 60; the model was made for 1\.\.50"):
        schedule("v_prediction", 50).sampler(60)
    with pytest.raises(ConfigurationError, match="prediction_type is 'sample'"):
        NoiseSchedule({"prediction_type": "sample"})


def test_noise_is_standard_normal_and_pictures_come_back() -> None:
    drawn = normals(key_of(1, torch.arange(500)), "noise", (3, 20, 20)).double()
    assert drawn.mean().item() == pytest.approx(0, abs=0.01)
    assert drawn.var().item() == pytest.approx(1, abs=0.01)
    assert (drawn**4).mean().item() == pytest.approx(3, abs=0.05)
    across = (drawn[:-1] * drawn[1:]).mean().item()
    assert across == pytest.approx(0, abs=0.01)
    every = torch.arange(256, dtype=torch.uint8)
    assert torch.equal(to_pictures(to_signal(every)), every)
