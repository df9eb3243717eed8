"""Batch norms folded into the layers before them change no activation."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from datamodules.faces.schema import AttributeSchema
from lightning_modules.face_attributes.classifier.heads import AttributeHeads
from lightning_modules.face_attributes.classifier.layers import CutNetwork
from lightning_modules.face_attributes.classifier.network import FaceAttributeNetwork
from lightning_modules.face_attributes.classifier.vgg import VGG, VGGSettings
from lightning_modules.face_attributes.inversion.folding import fold_norms
from lightning_modules.nn.frozen import FrozenBatchNorm, PartlyFrozen

SHAPE = VGGSettings(widths=(4, 6), depths=(1, 2), fully=(10, 8), norm=True)


def trained_vgg() -> VGG:
    """With statistics and weights of its norms that are not those of the beginning."""
    torch.manual_seed(0)
    network = VGG(SHAPE, image_size=16, dropout=0.0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean = torch.randn(module.num_features)
            module.running_var = torch.rand(module.num_features) + 0.5
            nn.init.normal_(module.weight)
            nn.init.normal_(module.bias)
    return network.double().eval()


def pictures() -> Tensor:
    return torch.randn(3, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def test_every_layer_keeps_its_values_and_its_gradient() -> None:
    network = trained_vgg()
    folded = fold_norms(network)
    assert not any(isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) for module in folded.modules())
    picture, same = pictures().requires_grad_(), pictures().requires_grad_()
    found, expected = folded.activations(picture, folded.layers), network.activations(same, network.layers)
    assert list(found) == network.layers
    for layer in network.layers:
        torch.testing.assert_close(found[layer], expected[layer])
    (gradient,) = torch.autograd.grad(found["fc7"].square().sum(), picture)
    (expected_gradient,) = torch.autograd.grad(expected["fc7"].square().sum(), same)
    torch.testing.assert_close(gradient, expected_gradient)


def test_the_network_itself_stays_as_it_was() -> None:
    network = trained_vgg()
    before = copy.deepcopy(network.state_dict())
    fold_norms(network)
    assert all(torch.equal(network.state_dict()[name], value) for name, value in before.items())


@pytest.mark.parametrize("frozen", ["none", "conv2_1", "everything"])
def test_a_classifier_keeps_its_logits_frozen_or_not(frozen: str) -> None:
    network = trained_vgg()
    parts = {"none": [], "conv2_1": ["conv1_1", "norm1_1", "relu1_1", "pool1"]}
    backbone = PartlyFrozen(network).freeze() if frozen == "everything" else PartlyFrozen(network, parts[frozen])
    schema = AttributeSchema.from_file()
    classifier = FaceAttributeNetwork(backbone, AttributeHeads(network.num_features, schema), 16).double().eval()
    folded = fold_norms(classifier)
    assert not any(isinstance(module, nn.BatchNorm2d | FrozenBatchNorm) for module in folded.modules())
    layers = ["conv2_2", "fc6", "heads"]
    expected, found = CutNetwork(classifier, layers)(pictures()), CutNetwork(folded, layers)(pictures())
    for layer in layers:
        torch.testing.assert_close(found[layer], expected[layer])


def test_nothing_is_copied_where_there_is_nothing_to_fold() -> None:
    plain = VGG(VGGSettings((4,), (1,), (8,)), image_size=8).eval()
    assert fold_norms(plain) is plain
    residual = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2)).eval()
    assert fold_norms(residual) is residual


def test_a_network_in_training_is_left_alone() -> None:
    network = trained_vgg().train()
    assert fold_norms(network) is network
