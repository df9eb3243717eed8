"""Inversion on a tiny random network: it comes near its target, repeats, and treats each face as if it were alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_attributes.classifier.layers import CutNetwork
from lightning_modules.face_attributes.classifier.preprocess import FacePreprocess
from lightning_modules.face_attributes.classifier.vgg import VGG, VGGSettings
from lightning_modules.face_attributes.inversion.parameterisation import PixelSpace, make_space
from lightning_modules.face_attributes.inversion.search import (
    FeatureDistance,
    Inversion,
    optimise,
    starting_pictures,
    to_uint8,
)
from lightning_modules.face_attributes.inversion.settings import PAPER, InversionSettings

SIDE = 16
PREPROCESS = FacePreprocess(SIDE)
SHORT = InversionSettings(
    steps=30, space="fourier", learning_rate=0.1, views="roll", jitter=1, views_until=0.75, strip=3
)


def network() -> VGG:
    torch.manual_seed(0)
    return VGG(VGGSettings((6, 8), (1, 1), (24,)), image_size=SIDE).eval()


def faces(count: int = 4) -> Tensor:
    """Smooth random pictures."""
    coarse = torch.rand(count, 3, 4, 4, generator=torch.Generator().manual_seed(1))
    return torch.nn.functional.interpolate(coarse, (SIDE, SIDE), mode="bilinear")


def distance(pictures: Tensor, layers: tuple[str, ...] = ("conv1_1", "fc6"), **options: object) -> FeatureDistance:
    cut = CutNetwork(network(), layers)
    with torch.no_grad():
        targets = cut(PREPROCESS.normalise(pictures))
    return FeatureDistance(cut, PREPROCESS.normalise, targets, **options)  # type: ignore[arg-type]  # mixed options


def run(settings: InversionSettings, pictures: Tensor | None = None, seeds: Tensor | None = None) -> Inversion:
    pictures = faces() if pictures is None else pictures
    seeds = torch.arange(len(pictures)) if seeds is None else seeds
    kept = to_uint8(faces(30))
    space = make_space(settings.space, SIDE, kept, settings.components, settings.spectrum_power)
    start = starting_pictures(torch.full((3, SIDE, SIDE), 0.5), settings, seeds)
    return optimise(distance(pictures, scale=settings.loss_scale), space, settings, start, seeds)


@pytest.mark.parametrize(
    "settings",
    [
        SHORT,
        replace(SHORT, views="warp"),
        replace(SHORT, space="pixels", learning_rate=0.05),
        replace(SHORT, space="faces", components=20),
        replace(SHORT, space="pixels", optimiser="sgd", learning_rate=0.02),
        replace(SHORT, stages=[0.25, 1.0], total_variation=1e-3, alpha_norm=1e-4, asymmetry=1e-3),
        replace(PAPER, steps=30, learning_rate=0.02, jitter=1),
    ],
)
def test_the_loss_falls_and_pictures_stay_in_range(settings: InversionSettings) -> None:
    found = run(settings)
    assert found.pictures.shape == (4, 3, SIDE, SIDE)
    assert 0 <= float(found.pictures.min()) <= float(found.pictures.max()) <= 1
    assert found.history.shape == (30, 4)
    assert bool((found.history[-5:].mean(dim=0) < 0.5 * found.history[0]).all())
    assert found.strip.shape == (4, settings.strip, 3, SIDE, SIDE)
    assert torch.equal(found.strip[:, -1], to_uint8(found.pictures))


def test_the_picture_comes_back_from_a_shallow_layer() -> None:
    pictures = faces()
    settings = replace(SHORT, steps=120)
    layer = distance(pictures, ("conv1_1",))
    start = starting_pictures(torch.full((3, SIDE, SIDE), 0.5), settings, torch.arange(4))
    found = optimise(layer, make_space("fourier", SIDE, None), settings, start, torch.arange(4)).pictures
    share = float((found - pictures).square().mean()) / float((start - pictures).square().mean())
    assert share < 0.1
    assert float(layer.errors(found)["conv1_1"].max()) < 0.06


def test_the_same_seeds_give_the_same_pictures() -> None:
    one, again, other = run(SHORT), run(SHORT), run(SHORT, seeds=torch.arange(10, 14))
    assert torch.equal(one.pictures, again.pictures)
    assert torch.equal(one.history, again.history)
    assert not torch.equal(one.pictures, other.pictures)


@pytest.mark.parametrize("settings", [SHORT, replace(SHORT, views="warp"), replace(SHORT, finish_steps=3)])
def test_a_face_comes_out_as_if_it_were_alone(settings: InversionSettings) -> None:
    # Some processors add a batch up in another order, which many steps enlarge: few steps, and another seed to compare.
    seeds, settings = torch.tensor([7, 3, 9, 1]), replace(settings, steps=4)
    together = run(settings, faces(), seeds)
    alone = run(settings, faces()[2:3], seeds[2:3])
    other = run(settings, faces()[2:3], seeds[1:2])
    moved = (together.pictures[2:3] - alone.pictures).abs().mean()
    assert float(moved) < 0.2 * float((other.pictures - alone.pictures).abs().mean())
    assert torch.allclose(together.history[:5, 2:3], alone.history[:5], rtol=1e-3)


def test_runs_in_inference_mode_on_inference_tensors() -> None:
    seeds, cut = torch.arange(4), CutNetwork(network(), ["fc6"])

    def search() -> Tensor:
        targets = cut(PREPROCESS(to_uint8(faces())))
        start = starting_pictures(faces(1)[0], SHORT, seeds)
        space = make_space("fourier", SIDE, to_uint8(faces(9)))
        return optimise(FeatureDistance(cut, PREPROCESS.normalise, targets), space, SHORT, start, seeds).pictures

    with torch.inference_mode():
        inside = search()
    assert torch.equal(search(), inside)


def test_lbfgs_goes_on_where_adam_ends() -> None:
    plain, finished = run(SHORT), run(replace(SHORT, finish_steps=10))
    assert finished.history.shape == (40, 4)
    assert bool((finished.history[-1] < plain.history[-1]).all())
    assert finished.steps.tolist() == [40] * 4


def test_what_the_finish_reaches_is_what_comes_out() -> None:
    start = torch.full((2, 3, SIDE, SIDE), 0.1)
    settings = InversionSettings(steps=1, space="pixels", learning_rate=1e-6, views="none", finish_steps=5, strip=0)
    weights = torch.rand(3, SIDE, SIDE, generator=torch.Generator().manual_seed(0)) - 0.5

    def objective(pictures: Tensor) -> Tensor:  # falls below 0 without end where pixels may leave their range
        return (pictures * weights).flatten(1).sum(dim=1)

    found = optimise(objective, PixelSpace(SIDE), settings, start, torch.arange(2))
    assert torch.allclose(found.history[-1], objective(found.pictures), atol=1e-3)
    assert bool((found.history.diff(dim=0) <= 1e-4).all())


def test_faces_rest_when_they_stand_still() -> None:
    settings = replace(SHORT, steps=200, views="none", tolerance=0.02, patience=10, decay_from=1.0)
    found = run(settings)
    assert int(found.steps.max()) < 200
    assert len(found.history) == int(found.steps.max())
    assert found.strip.shape[1] == settings.strip
    for face, steps in enumerate(found.steps.tolist()):
        assert bool((found.history[steps - 1 :, face] == found.history[steps - 1, face]).all())


def test_a_face_that_rests_does_so_whatever_the_others_do() -> None:
    settings = replace(SHORT, steps=200, views="none", tolerance=0.02, patience=10)
    together = run(settings)
    for face in range(4):
        alone = run(settings, faces()[face : face + 1], torch.tensor([face]))
        assert torch.allclose(together.pictures[face], alone.pictures[0], atol=0.01)
        assert int(together.steps[face]) == int(alone.steps[0])


def gradient_of(objective: Callable[[Tensor], Tensor]) -> Tensor:
    pictures = faces(2).double().requires_grad_()
    (gradient,) = torch.autograd.grad(objective(pictures).sum(), pictures)
    return gradient


def test_the_cut_network_gives_the_gradient_of_the_whole() -> None:
    whole, preprocess = network().double(), FacePreprocess(SIDE).double()
    target = torch.randn(2, 8 * 8 * 8, generator=torch.Generator().manual_seed(2)).double()
    layer = "conv2_1"
    cut = FeatureDistance(CutNetwork(whole, [layer]), preprocess.normalise, {layer: target}, "none")

    def plain(pictures: Tensor) -> Tensor:
        seen: list[Tensor] = []
        handle = whole.get_submodule(layer).register_forward_hook(lambda _m, _i, output: seen.append(output))
        whole(preprocess.normalise(pictures))
        handle.remove()
        return (seen[0].flatten(1) - target).square().sum(dim=1)

    assert torch.allclose(gradient_of(cut), gradient_of(plain), atol=1e-12)


def test_scales_and_weights_of_layers() -> None:
    pictures, other = faces(), faces().flip(0)
    plain = distance(pictures, ("conv1_1",), scale="none")(other)
    target = distance(pictures, ("conv1_1",), scale="target")(other)
    spread = distance(pictures, ("conv1_1",), scale="spread", spreads={"conv1_1": 4.0})(other)
    assert torch.allclose(spread, plain / 4)
    assert bool((target < plain).all())
    both = distance(pictures, weights={"conv1_1": 2.0})(other)
    single = [distance(pictures, (layer,))(other) for layer in ("conv1_1", "fc6")]
    assert torch.allclose(both, 2 * single[0] + single[1], rtol=1e-5)
    with pytest.raises(ConfigurationError, match="conv9_9"):
        distance(pictures, weights={"conv9_9": 1.0})
    with pytest.raises(ConfigurationError, match="spread of fc6"):
        distance(pictures, scale="spread", spreads={"conv1_1": 1.0})


def test_starts() -> None:
    mean = faces(1)[0]
    seeds = torch.tensor([4, 5])
    still = starting_pictures(mean, InversionSettings(), seeds)
    assert torch.equal(still, mean.expand(2, -1, -1, -1))
    noisy = starting_pictures(mean, InversionSettings(start="noise", noise=0.1), seeds)
    assert not torch.equal(noisy[0], noisy[1])
    assert torch.equal(noisy[1], starting_pictures(mean, InversionSettings(start="noise", noise=0.1), seeds[1:])[0])
    assert torch.allclose(noisy.mean(dim=(0, 2, 3)), mean.mean(dim=(1, 2)), atol=0.03)


def test_variety_makes_faces_of_one_target_differ_by_their_seeds() -> None:
    same = faces(1).expand(3, -1, -1, -1)
    plain = replace(SHORT, space="faces", components=20, views="none")
    still, varied = run(plain, same), run(replace(plain, variety=1.0), same)
    assert torch.allclose(still.pictures[0], still.pictures[1], atol=1e-5)
    assert float((varied.pictures[0] - varied.pictures[1]).abs().mean()) > 1e-3
    alone = run(replace(plain, variety=1.0), same[1:2], torch.tensor([1]))
    assert torch.allclose(varied.pictures[1], alone.pictures[0], atol=0.01)


def test_settings_that_cannot_work() -> None:
    with pytest.raises(ConfigurationError, match="steps is 0"):
        InversionSettings(steps=0)
    with pytest.raises(ConfigurationError, match="stages"):
        InversionSettings(stages=[0.5])
    with pytest.raises(ConfigurationError, match="blur"):
        InversionSettings(blur=True)
    with pytest.raises(ConfigurationError, match="unlikeliness"):
        InversionSettings(space="fourier", unlikeliness=1.0)


def test_pixels_are_blurred_after_every_step() -> None:
    settings = replace(PAPER, steps=1, noise=0.0, learning_rate=1e-12, views="none")
    start = torch.rand(1, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(4))
    found = optimise(lambda x: x.flatten(1).sum(dim=1), PixelSpace(SIDE), settings, start, torch.zeros(1).long())
    assert float(found.pictures.diff(dim=-1).abs().mean()) < 0.97 * float(start.diff(dim=-1).abs().mean())
