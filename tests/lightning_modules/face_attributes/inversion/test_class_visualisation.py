"""Losses of the heads: their gradient is that of the paper, and what is not asked for gives none."""

from __future__ import annotations

import torch

from datamodules.faces.schema import AttributeSchema, Head
from lightning_modules.face_attributes.classifier.heads import AttributeHeads
from lightning_modules.face_attributes.classifier.layers import HEADS, CutNetwork
from lightning_modules.face_attributes.classifier.network import FaceAttributeNetwork
from lightning_modules.face_attributes.classifier.preprocess import FacePreprocess
from lightning_modules.face_attributes.classifier.vgg import VGG, VGGSettings
from lightning_modules.face_attributes.inversion.class_visualisation import (
    HeadsObjective,
    attribute_loss,
    class_visualisation_loss,
)
from lightning_modules.face_attributes.inversion.parameterisation import FourierSpace
from lightning_modules.face_attributes.inversion.search import optimise
from lightning_modules.face_attributes.inversion.settings import InversionSettings

ASKED = torch.tensor([[1, 0, -1, 1]], dtype=torch.int8)


def test_the_gradient_is_one_at_what_is_asked_and_none_elsewhere() -> None:
    odds = torch.tensor([[0.3, -2.0, 1.0, 5.0]], requires_grad=True)
    class_visualisation_loss(odds, ASKED).sum().backward()
    assert odds.grad is not None
    assert torch.allclose(odds.grad * 3, torch.tensor([[-1.0, 1.0, 0.0, -1.0]]))


def test_the_saturating_loss_fades_once_a_face_shows_it() -> None:
    odds = torch.tensor([[12.0, -12.0, 0.0, -3.0]], requires_grad=True)
    attribute_loss(odds, ASKED).sum().backward()
    assert odds.grad is not None
    assert float(odds.grad[0, :3].abs().max()) < 1e-4
    assert float(odds.grad[0, 3]) < -0.3


def test_infinite_odds_and_nothing_asked() -> None:
    odds = torch.tensor([[torch.inf, 1.0, 0.0, 0.0]], requires_grad=True)
    for loss in (class_visualisation_loss, attribute_loss):
        (gradient,) = torch.autograd.grad(loss(odds, ASKED).sum(), odds)
        assert bool(gradient.isfinite().all())
        assert loss(odds, torch.full((1, 4), -1)).tolist() == [0.0]


def test_pictures_come_to_show_what_is_asked() -> None:
    torch.manual_seed(0)
    names = ("A", "B", "C", "D")
    heads = (Head("one", "exclusive", names[:3]), Head("two", "binary", names[3:]))
    backbone = VGG(VGGSettings((6, 8), (1, 1), (24,)), image_size=16)
    network = FaceAttributeNetwork(backbone, AttributeHeads(24, AttributeSchema(names, heads)), 16).eval()
    preprocess = FacePreprocess(16)
    requests = torch.tensor([[1, 0, 0, 0], [0, 1, 0, 1], [0, 0, 1, -1]], dtype=torch.int8)
    settings = InversionSettings(steps=60, space="fourier", learning_rate=0.1, views="roll", jitter=1)
    start = torch.rand(3, 3, 16, 16, generator=torch.Generator().manual_seed(5))
    for charge in ("linear", "saturating"):
        objective = HeadsObjective(
            CutNetwork(network, [HEADS]), preprocess.normalise, network.heads.attribute_logits, requests, charge
        )
        found = optimise(objective, FourierSpace(16), settings, start, torch.arange(3))
        with torch.no_grad():
            decided = network.heads.decisions(network(preprocess.normalise(found.pictures)))
            assert bool((objective(found.pictures) < objective(start)).all())
        # The plain sum of log-odds may rather raise one of them a lot than all of them a little.
        assert charge == "linear" or torch.equal(decided[requests >= 0], requests[requests >= 0])
