"""What statistics and inversion cost beside the bare network, what making faces together saves, and drawing them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, partialmethod

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.faces.renderer.canvas import Patch
from datamodules.faces.renderer.drawing import draw_parameters
from datamodules.faces.renderer.rendering import render
from datamodules.faces.schema import AttributeSchema
from lightning_modules.face_attributes.classifier.heads import AttributeHeads
from lightning_modules.face_attributes.classifier.layers import CutNetwork
from lightning_modules.face_attributes.classifier.network import FaceAttributeNetwork
from lightning_modules.face_attributes.classifier.preprocess import VGG_FACE, FacePreprocess
from lightning_modules.face_attributes.classifier.vgg import VGG, small_vgg, vgg16
from lightning_modules.face_attributes.inversion.folding import fold_norms
from lightning_modules.face_attributes.inversion.parameterisation import SpaceName, make_space
from lightning_modules.face_attributes.inversion.search import FeatureDistance, optimise, starting_pictures
from lightning_modules.face_attributes.inversion.settings import InversionSettings
from lightning_modules.face_attributes.statistics.collecting import AttributeStatistics
from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import Work, in_turns, processor_seconds
from tests.running import threads

pytestmark = [pytest.mark.benchmark, pytest.mark.face_attributes]

SPACES: tuple[SpaceName, ...] = ("faces", "fourier", "pixels")
GPU_SAVING = 5.0  # more than the table's row asks of a processor
SCHEMA = AttributeSchema.from_file()
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")


def pictures(count: int, side: int) -> Tensor:
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    smooth = torch.nn.functional.interpolate(coarse, (side, side), mode="bilinear")
    return (smooth * 255).byte().to(DEVICE)


def labels(count: int) -> Tensor:
    drawn = torch.randint(-1, 2, (count, len(SCHEMA.attributes)), generator=torch.Generator().manual_seed(1))
    return drawn.to(torch.int8).to(DEVICE)


@pytest.mark.parametrize(
    ("layers", "name"), [(("fc6", "conv5_3"), "statistics"), (("conv4_3",), "statistics early")], ids=["late", "early"]
)
def test_statistics_beside_a_bare_forward_pass(layers: tuple[str, ...], name: str, speed: Speed) -> None:
    torch.manual_seed(0)
    batch = 64 if DEVICE.type == "cuda" else 16
    cut = CutNetwork(vgg16().to(DEVICE, memory_format=torch.channels_last), layers)
    preprocess = FacePreprocess.from_normalisation(224, VGG_FACE).to(DEVICE)
    faces, attributes = pictures(batch, 224), labels(batch)
    valid, index = torch.ones(batch, dtype=torch.bool, device=DEVICE), torch.arange(batch, device=DEVICE)
    sums = AttributeStatistics(len(SCHEMA.attributes), kept=2 * batch)

    @torch.no_grad()
    def forward() -> dict[str, Tensor]:
        return cut(preprocess(faces))

    taken = in_turns({"ours": lambda: sums.update(forward(), attributes, valid, index, faces), "bare": forward})
    speed.add(name, taken["ours"] / taken["bare"], batch / float(np.median(taken["bare"])), "images/s")


def inversions(network: VGG, side: int, faces: int, steps: int) -> dict[str, Work]:
    """As many steps in each space, and bare forward and backward passes of the same cut network."""
    network = network.to(DEVICE, memory_format=torch.channels_last).eval()
    layers = [[layer for layer in network.layers if layer.startswith("conv")][-1], "fc6"]
    cut = CutNetwork(network, layers)
    preprocess = FacePreprocess(side).to(DEVICE)
    with torch.no_grad():
        targets = cut(preprocess(pictures(faces, side)))
    kept, seeds = pictures(200, min(side, 64)).cpu(), torch.arange(faces)
    start = starting_pictures(torch.full((3, side, side), 0.4, device=DEVICE), InversionSettings(), seeds)
    distance = FeatureDistance(CutNetwork(fold_norms(network), layers), preprocess.normalise, targets)
    normalised = preprocess.normalise(start).to(memory_format=torch.channels_last).requires_grad_()

    def bare() -> None:
        for _ in range(steps):
            loss = torch.stack([output.square().sum() for output in cut(normalised).values()]).sum()
            torch.autograd.grad(loss, normalised)

    works: dict[str, Work] = {"bare": bare}
    for space in SPACES:
        settings = InversionSettings(steps=steps, space=space, strip=0)
        room = make_space(space, side, kept, settings.components).to(DEVICE)
        works[space] = partial(optimise, distance, room, settings, start, seeds)
    return works


@pytest.mark.parametrize("name", ["inversion", "inversion small"])
def test_steps_of_the_inversion_beside_bare_passes(name: str, speed: Speed) -> None:
    torch.manual_seed(0)
    # Beside a network of a thousandth of the work, the space of pictures itself is felt: reported, not bounded.
    network, side, steps = (vgg16(), 224, 2) if name == "inversion" else (small_vgg(), 64, 60)
    faces = 2 if name == "inversion" and DEVICE.type == "cpu" else 16
    taken = in_turns(inversions(network, side, faces, steps))
    bare = taken.pop("bare")
    speed.add(name, bare / np.max([*taken.values()], axis=0), steps / float(np.median(bare)), "steps/s")


def test_faces_together_beside_one_by_one(speed: Speed) -> None:
    torch.manual_seed(0)
    backbone, side = (small_vgg(), 64) if DEVICE.type == "cpu" else (vgg16(), 224)
    heads = AttributeHeads(backbone.num_features, SCHEMA)
    network = FaceAttributeNetwork(backbone, heads, side).to(DEVICE, memory_format=torch.channels_last).eval()
    preprocess = FacePreprocess(side).to(DEVICE)
    settings = InversionSettings(steps=20, space="fourier", strip=0)
    cut = CutNetwork(network, ["fc6"])
    with torch.no_grad():
        targets = cut(preprocess(pictures(16, side)))
    start = starting_pictures(torch.full((3, side, side), 0.4, device=DEVICE), settings, torch.arange(16))
    room = make_space("fourier", side, None).to(DEVICE)

    def run(rows: slice) -> None:
        distance = FeatureDistance(cut, preprocess.normalise, {"fc6": targets["fc6"][rows]})
        optimise(distance, room, settings, start[rows], torch.arange(16)[rows])

    def run_alone() -> None:
        for face in range(16):
            run(slice(face, face + 1))

    together, alone = in_turns({"together": lambda: run(slice(0, 16)), "alone": run_alone}).values()
    speed.add("together", alone / together, 16 / float(np.median(alone)), "faces/s")
    assert DEVICE.type == "cpu" or np.median(alone / together) >= GPU_SAVING


@threads(1)
def test_drawing_beside_laying_the_same_layers(monkeypatch: pytest.MonkeyPatch, speed: Speed) -> None:
    parameters = draw_parameters(100, "train", torch.arange(960))
    shapes: list[torch.Size] = []
    with monkeypatch.context() as patch:
        for name in ("paint", "tint"):
            patch.setattr(Patch, name, partialmethod(noted, shapes, getattr(Patch, name)))
        render(parameters, 64)
    image, cover, colour = torch.zeros(48, 3, 64, 64), torch.rand(48, 1, 64, 64), torch.rand(48, 3, 1, 1)

    def lay() -> None:
        for number, _, height, width in shapes:
            part, known = image[:number, :, :height, :width], cover[:number, :, :height, :width]
            part.mul_(1 - known).add_(known * colour[:number])

    taken = in_turns({"ours": lambda: render(parameters, 64), "bare": lay}, processor_seconds)
    speed.add("drawn", taken["bare"] / taken["ours"], 960 / float(np.median(taken["bare"])), "faces/s")


def noted(patch: Patch, shapes: list[torch.Size], paint: Callable[..., None], mask: Tensor, colour: Tensor) -> None:
    """Paint, and keep the size of what was painted on."""
    shapes.append(patch.image.shape)
    paint(patch, mask, colour)
