"""FacePreprocess, VGG, CutNetwork and freezing: names, cuts, gradients, inverses."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
from torch import Tensor, nn

from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import AttributeSchema
from lightning_modules.face_attributes.classifier.backbones import (
    build_backbone,
    download_backbone,
    load_backbone,
    normalisation_of,
)
from lightning_modules.face_attributes.classifier.freezing import (
    freeze_below,
    layer_distances,
    rate_groups,
    scale_rates,
)
from lightning_modules.face_attributes.classifier.heads import AttributeHeads
from lightning_modules.face_attributes.classifier.layers import HEADS, CutNetwork, layer_names
from lightning_modules.face_attributes.classifier.network import FaceAttributeNetwork
from lightning_modules.face_attributes.classifier.preprocess import (
    IMAGENET,
    UNIT,
    VGG_FACE,
    FacePreprocess,
    Normalisation,
)
from lightning_modules.face_attributes.classifier.vgg import VGG, VGGSettings, small_vgg, vgg16

TINY = VGGSettings((4, 6, 8), (1, 2, 1), (16, 12))
TINY_NORM = VGGSettings((4, 6), (1, 2), (16,), norm=True)


def faces(number: int = 3, side: int = 16) -> Tensor:
    return torch.randint(0, 256, (number, 3, side, side), generator=torch.Generator().manual_seed(0)).to(torch.uint8)


def classifier(backbone: nn.Module | None = None, side: int = 16) -> FaceAttributeNetwork:
    torch.manual_seed(0)
    body = backbone or VGG(TINY, side)
    width = body(torch.zeros(2, 3, side, side)).shape[1]
    return FaceAttributeNetwork(body, AttributeHeads(width, AttributeSchema.from_file()), side)


# Preprocessing.


@pytest.mark.parametrize(
    "numbers", [VGG_FACE, IMAGENET, UNIT, Normalisation((1.0, 2.0, 3.0), (4.0, 5.0, 6.0), 9, "bgr")]
)
@pytest.mark.parametrize("mean_image", [False, True])
def test_preprocessing_can_be_undone(numbers: Normalisation, mean_image: bool) -> None:
    preprocess = FacePreprocess.from_normalisation(16, numbers, mean_image)
    if mean_image:
        preprocess.set_mean_image(torch.rand(3, 16, 16) * numbers.scale)
    restored = preprocess.inverse(preprocess(faces()))
    assert torch.allclose(restored, faces() / 255, atol=1e-5)
    assert torch.equal(preprocess(faces()), preprocess.normalise(faces().float() / 255))


def test_colours_go_in_the_order_that_is_asked_for() -> None:
    red = torch.zeros(1, 3, 4, 4, dtype=torch.uint8)
    red[:, 0] = 255
    bgr = Normalisation((93.5940, 104.7624, 129.1863), (1.0, 1.0, 1.0), 255.0, "bgr")
    rgb_input = FacePreprocess.from_normalisation(4, VGG_FACE)(red)
    bgr_input = FacePreprocess.from_normalisation(4, bgr)(red)
    assert torch.allclose(rgb_input[0, :, 0, 0], torch.tensor([255 - 129.1863, -104.7624, -93.5940]))
    assert torch.allclose(bgr_input, rgb_input.flip(1))


def test_an_image_can_be_optimised_through_preprocessing() -> None:
    image = torch.full((1, 3, 8, 8), 0.5, requires_grad=True)
    FacePreprocess(8, scale=255.0, mean=(100, 100, 100), std=(1, 1, 1)).normalise(image).sum().backward()
    assert image.grad is not None
    assert torch.equal(image.grad, torch.full_like(image, 255.0))


def test_the_mean_image_is_saved_and_checked() -> None:
    preprocess = FacePreprocess(4, mean_image=torch.rand(3, 4, 4))
    other = FacePreprocess(4, mean_image=True)
    assert other.has_mean_image
    assert not FacePreprocess(4).has_mean_image
    other.load_state_dict(preprocess.state_dict())
    assert torch.equal(other(faces(1, 4)), preprocess(faces(1, 4)))
    with pytest.raises(ConfigurationError, match=r"mean image is \(3, 5, 5\), but faces are \(3, 4, 4\)"):
        preprocess.set_mean_image(torch.zeros(3, 5, 5))
    with pytest.raises(ConfigurationError, match="three colours with positive deviations"):
        FacePreprocess(4, std=(1.0, 0.0, 1.0))


def test_faces_of_another_size_are_resized() -> None:
    assert FacePreprocess(8)(faces(2, 20)).shape == (2, 3, 8, 8)


# VGG.


def test_vgg16_has_the_layers_and_weights_of_vgg_face(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nn.init, "kaiming_normal_", lambda weight, **_: weight)  # slow without memory
    with torch.device("meta"):
        network = vgg16()
    convolutions = [name for name in network.layers if name.startswith("conv")]
    assert convolutions == [f"conv{s}_{n}" for s, d in enumerate((2, 2, 3, 3, 3), 1) for n in range(1, d + 1)]
    assert network.layers[-5:] == ["pool5", "fc6", "relu6", "fc7", "relu7"]
    assert sum(parameter.numel() for parameter in network.parameters()) == 134_260_544
    assert network.fc6.weight.shape == (4096, 25088)


def test_small_vgg_ends_in_maps_of_four() -> None:
    network = small_vgg()
    shapes = {
        name: tuple(output.shape[1:])
        for name, output in CutNetwork(network, ["conv4_2", "pool4", "fc6"])(torch.zeros(1, 3, 64, 64)).items()
    }
    assert shapes == {"conv4_2": (128, 8, 8), "pool4": (128, 4, 4), "fc6": (512,)}


@pytest.mark.parametrize("settings", [TINY, TINY_NORM])
def test_conv_and_fc_are_what_their_relu_takes(settings: VGGSettings) -> None:
    torch.manual_seed(0)
    network = VGG(settings, 16).train()
    network(torch.randn(8, 3, 16, 16))  # moves the statistics of the norms
    found = CutNetwork(network, network.layers)(torch.randn(2, 3, 16, 16))
    for name, output in found.items():
        if name.startswith(("conv", "fc")):
            number = name.removeprefix("conv").removeprefix("fc")
            assert torch.equal(output.relu(), found[f"relu{number}"])
            assert bool((output < 0).any())


def test_dropout_everywhere_and_only_in_training() -> None:
    network = VGG(TINY, 16, dropout=0.5, dropout_everywhere=True)
    assert sum(isinstance(module, nn.Dropout) for module in network.modules()) == 6
    x = torch.randn(2, 3, 16, 16)
    assert not torch.equal(network(x), network(x))
    assert torch.equal(network.eval()(x), network(x))


def test_a_vgg_that_cannot_be_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="one positive width and depth a stage"):
        VGG(VGGSettings((4, 8), (1,)), 16)
    with pytest.raises(ConfigurationError, match="at least 8 pixels or fewer stages"):
        VGG(TINY, 7)


# Cutting.


def body(kind: str) -> nn.Module:
    torch.manual_seed(0)
    return VGG(TINY, 16) if kind == "vgg" else build_backbone("test_resnet", 32)[0]


@pytest.mark.parametrize(("kind", "layer", "side"), [("vgg", "conv2_2", 16), ("timm", "layer2.0.bn1", 32)])
def test_the_cut_gives_the_gradient_of_the_whole(kind: str, layer: str, side: int) -> None:
    network = classifier(body(kind), side)
    x = torch.randn(2, 3, side, side, requires_grad=True)
    cut = CutNetwork(network, [layer])
    (gradient,) = torch.autograd.grad(cut(x)[layer].square().sum(), x)
    whole = CutNetwork(network, [layer, HEADS])(x)
    (same,) = torch.autograd.grad(whole[layer].square().sum(), x)
    assert torch.equal(gradient, same)
    assert torch.equal(whole[HEADS], network(x))
    assert all(parameter.grad is None and not parameter.requires_grad for parameter in network.parameters())


@pytest.mark.parametrize(("kind", "layer", "side"), [("vgg", "conv2_1", 16), ("timm", "layer1", 32)])
def test_nothing_above_the_deepest_layer_is_computed(kind: str, layer: str, side: int) -> None:
    network = body(kind)
    names = layer_names(network, side)
    cut = CutNetwork(network, [names[0], layer])
    ran: list[str] = []
    for name, module in network.named_modules():
        module.register_forward_hook(lambda _m, _i, _o, name=name: ran.append(name))
    cut(torch.zeros(1, 3, side, side))
    assert set(names[names.index(layer) + 1 :]).isdisjoint(ran)
    assert "" not in ran


def test_layers_come_in_forward_order_and_are_not_overwritten() -> None:
    network = build_backbone("test_resnet", 32)[0]
    names = layer_names(network, 32)
    assert names.index("conv1") < names.index("bn1") < names.index("layer1") < names.index("layer4")
    found = CutNetwork(network, ["bn1", "act1"])(torch.randn(1, 3, 32, 32))
    assert bool((found["bn1"] < 0).any())
    assert torch.equal(found["act1"], found["bn1"].relu())


def test_the_cut_stays_in_evaluation_mode() -> None:
    cut = CutNetwork(VGG(TINY_NORM, 16), ["fc6"]).train()
    assert not any(module.training for module in cut.modules())
    x = torch.randn(2, 3, 16, 16)
    assert torch.allclose(cut(x)["fc6"][:1], cut(x[:1])["fc6"], atol=1e-6)


def test_a_cut_made_in_inference_mode_gives_gradients_later() -> None:
    network = nn.Sequential(nn.Conv2d(3, 2, 3), nn.BatchNorm2d(2), nn.ReLU())
    with torch.inference_mode():  # as when statistics are collected
        cut = CutNetwork(network, ["1"])
    picture = torch.rand(1, 3, 32, 32, requires_grad=True)
    cut(picture)["1"].square().sum().backward()
    assert picture.grad is not None
    assert picture.grad.abs().sum() > 0


def test_the_cut_sees_through_what_freezes_the_backbone() -> None:
    network = classifier(freeze_below(VGG(TINY, 16), "heads"))
    x = torch.randn(1, 3, 16, 16, requires_grad=True)
    CutNetwork(network, ["fc6"])(x)["fc6"].sum().backward()
    assert x.grad is not None
    assert bool(x.grad.any())


def test_an_unknown_layer_lists_all() -> None:
    with pytest.raises(
        ConfigurationError, match=r"no layer 'conv2_3': did you mean conv2_2.*conv1_1, relu1_1.*heads\."
    ):
        CutNetwork(classifier(), ["fc6", "conv2_3"])
    with pytest.raises(ConfigurationError, match="repeat fc6"):
        CutNetwork(classifier(), ["fc6", "fc6"])
    with pytest.raises(ConfigurationError, match="are none"):
        CutNetwork(classifier(), [])


# Freezing and learning rates.


def learning(module: nn.Module) -> set[str]:
    return {name.rsplit(".", 1)[0] for name, parameter in module.named_parameters() if parameter.requires_grad}


def test_freezing_below_a_layer_leaves_it_and_what_follows() -> None:
    assert learning(freeze_below(VGG(TINY, 16), "fc6").module) == {"fc6", "fc7"}
    assert learning(freeze_below(VGG(TINY, 16), "conv2").module) == {"conv2_1", "conv2_2", "conv3_1", "fc6", "fc7"}
    assert learning(freeze_below(VGG(TINY_NORM, 16), "conv2_2").module) == {"conv2_2", "norm2_2", "fc6", "norm6"}
    assert learning(freeze_below(VGG(TINY, 16), "none").module) == learning(VGG(TINY, 16))
    assert learning(freeze_below(VGG(TINY, 16), "heads")) == set()
    resnet = freeze_below(build_backbone("test_resnet", 32)[0], "layer4", 32)
    assert {name.split(".")[0] for name in learning(resnet.module)} == {"layer4"}
    with pytest.raises(ConfigurationError, match=r"freeze_below is 'conv9'.*conv1_1"):
        freeze_below(VGG(TINY, 16), "conv9")


def test_frozen_parts_do_not_drop_out_and_keep_their_statistics() -> None:
    frozen = freeze_below(VGG(TINY_NORM, 16, dropout=0.5, dropout_everywhere=True), "fc6").train()
    before = {name: value.clone() for name, value in frozen.state_dict().items() if "norm1" in name}
    first = CutNetwork(frozen.module, ["relu2_2"])  # freezes the rest too, so the same network is compared
    x = torch.randn(4, 3, 16, 16)
    frozen(x)
    assert all(torch.equal(frozen.state_dict()[name], value) for name, value in before.items())
    assert torch.equal(first(x)["relu2_2"], first(x)["relu2_2"])


def test_rates_fall_with_the_distance_to_the_heads() -> None:
    network = classifier(VGG(TINY_NORM, 16))
    groups = rate_groups(network, network.backbone, network.parameters(), 0.5)
    optimizer = scale_rates(torch.optim.SGD(groups, lr=1.0))
    rate = {id(value): group["lr"] for group in optimizer.param_groups for value in group["params"]}
    rates = {name: rate[id(value)] for name, value in network.named_parameters()}
    assert rates["heads.linear.weight"] == 1
    assert rates["backbone.fc6.weight"] == rates["backbone.norm6.bias"] == 0.5
    assert rates["backbone.conv2_2.weight"] == 0.25
    assert rates["backbone.conv1_1.weight"] == 0.0625
    assert layer_distances(VGG(TINY, 16))["fc7.weight"] == 1


# Weights of other backbones.


def test_a_timm_backbone_is_filled_from_a_file(tmp_path: Path) -> None:
    torch.save(timm.create_model("test_resnet", num_classes=10).state_dict(), tmp_path / "resnet.pth")
    target = build_backbone("timm/test_resnet", 32)[0]
    assert load_backbone(target, "timm/test_resnet", str(tmp_path / "resnet.pth")) == "backbone"


def test_weights_that_nobody_publishes_are_not_fetched() -> None:
    with pytest.raises(ConfigurationError, match=r"torchvision as --model\.init_args\.backbone_weights"):
        download_backbone(VGG(TINY, 16), "vgg16", 16)
    assert normalisation_of("resnet18", "backbone").mean == IMAGENET.mean
    assert normalisation_of("vgg16", "vgg_face") == VGG_FACE
