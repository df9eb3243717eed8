"""Weights of a VGG in every public layout, at reduced width."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from datamodules.common.errors import CheckpointError
from lightning_modules.face_attributes.classifier import vgg_weights
from lightning_modules.face_attributes.classifier.backbones import load_backbone
from lightning_modules.face_attributes.classifier.preprocess import VGG_FACE, FacePreprocess, Normalisation
from lightning_modules.face_attributes.classifier.vgg import VGG, VGGSettings, vgg16
from lightning_modules.face_attributes.classifier.vgg_weights import load_vgg_weights, torchvision_names

SHAPE = VGGSettings((2, 3, 4, 5, 5), (2, 2, 3, 3, 3), (8, 8))
SIDE = 32
# Where torchvision's vgg16 has its convolutions.
TORCHVISION_CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)


def network(seed: int = 0) -> VGG:
    torch.manual_seed(seed)
    return VGG(SHAPE, SIDE).eval()


def plain(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As vgg_face_dag.pth: conv1_1.weight, and the classes of persons as fc8."""
    return {**state, "fc8.weight": torch.randn(26, 8), "fc8.bias": torch.randn(26)}


def underscored(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As the port of the Torch file: conv_1_1.weight, colours as BGR."""
    renamed = {re.sub(r"^conv(\d)", r"conv_\1", key): value.clone() for key, value in plain(state).items()}
    renamed["conv_1_1.weight"] = renamed["conv_1_1.weight"].flip(1)
    return renamed


def torchvision(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """As vgg16-397923af.pth: features.N and classifier.N, with 1000 classes."""
    convolutions = [key for key in state if key.startswith("conv") and key.endswith("weight")]
    names = {
        key.removesuffix(".weight"): f"features.{n}"
        for key, n in zip(convolutions, TORCHVISION_CONVOLUTIONS, strict=True)
    }
    names |= {"fc6": "classifier.0", "fc7": "classifier.3"}
    renamed = {f"{names[key.rsplit('.', 1)[0]]}.{key.rsplit('.', 1)[1]}": value for key, value in state.items()}
    return {**renamed, "classifier.6.weight": torch.randn(10, 8), "classifier.6.bias": torch.randn(10)}


@pytest.mark.parametrize(
    ("write", "layout"), [(plain, "plain"), (underscored, "underscored"), (torchvision, "torchvision")]
)
def test_every_public_layout_gives_the_same_network(write: object, layout: str, tmp_path: Path) -> None:
    assert callable(write)
    source, target = network(), network(seed=1)
    file = tmp_path / "weights.pth"
    torch.save(write(source.state_dict()), file)
    assert load_vgg_weights(target, str(file)) == layout
    x = torch.randn(2, 3, SIDE, SIDE)
    assert torch.equal(target(x), source(x))


def test_places_are_those_of_torchvision() -> None:
    names = torchvision_names(network())
    assert [int(name.split(".")[1]) for name in names] == [*TORCHVISION_CONVOLUTIONS, 0, 3]


def test_a_network_of_bgr_gives_the_same_on_rgb(tmp_path: Path) -> None:
    original = network()  # takes BGR
    save_file({key: value.contiguous() for key, value in original.state_dict().items()}, tmp_path / "bgr.safetensors")
    ours = network(seed=1)
    load_vgg_weights(ours, str(tmp_path / "bgr.safetensors"), "bgr")
    bgr = Normalisation(VGG_FACE.mean[::-1], VGG_FACE.std, VGG_FACE.scale, "bgr")
    faces = torch.randint(0, 256, (2, 3, SIDE, SIDE)).to(torch.uint8)
    theirs = original(FacePreprocess.from_normalisation(SIDE, bgr)(faces))
    assert torch.allclose(ours(FacePreprocess.from_normalisation(SIDE, VGG_FACE)(faces)), theirs, rtol=1e-3, atol=1e-3)
    load_vgg_weights(ours, str(tmp_path / "bgr.safetensors"), "rgb")
    assert torch.equal(ours.conv1_1.weight, original.conv1_1.weight)


def test_weights_say_how_they_want_their_faces(tmp_path: Path) -> None:
    target = network(1)
    for write, expected in ((plain, "vgg_face"), (torchvision, "imagenet")):
        torch.save({"state_dict": write(network().state_dict())}, tmp_path / "weights.pth")
        assert load_backbone(target, "vgg16", str(tmp_path / "weights.pth")) == expected


def test_what_does_not_fit_is_named_and_nothing_is_loaded(tmp_path: Path) -> None:
    target = network(1)
    before = {key: value.clone() for key, value in target.state_dict().items()}
    file = tmp_path / "weights.pth"
    state = plain(network().state_dict())
    torch.save({key: value for key, value in state.items() if key != "conv3_2.bias"}, file)
    with pytest.raises(CheckpointError, match=r"1 missing: conv3_2\.bias"):
        load_vgg_weights(target, str(file))
    torch.save(plain(VGG(SHAPE, 64).state_dict()), file)
    with pytest.raises(CheckpointError, match=r"fc6\.weight is \(8, 20\), the network needs \(8, 5\)"):
        load_vgg_weights(target, str(file))
    torch.save(nn.Linear(2, 2).state_dict(), file)
    with pytest.raises(CheckpointError, match="begin with weight, bias, which is no VGG"):
        load_vgg_weights(target, str(file))
    assert all(torch.equal(value, before[key]) for key, value in target.state_dict().items())


def test_a_vgg_of_norms_reads_its_own_weights(tmp_path: Path) -> None:
    shape = VGGSettings((2, 3), (1, 2), (8,), norm=True)
    source, target = VGG(shape, 16), VGG(shape, 16)
    torch.save(source.state_dict(), tmp_path / "own.pth")
    assert load_vgg_weights(target, str(tmp_path / "own.pth")) == "plain"
    x = torch.randn(4, 3, 16, 16)
    assert torch.equal(source.eval()(x), target.eval()(x))


@pytest.mark.slow
def test_it_computes_what_vgg16_of_torchvision_computes(monkeypatch: pytest.MonkeyPatch) -> None:
    models = pytest.importorskip("torchvision.models")
    theirs = models.vgg16(weights=None).eval()
    monkeypatch.setattr(vgg_weights, "load_state_dict_file", lambda file: theirs.state_dict())  # half a gigabyte
    ours = vgg16().eval()
    assert load_vgg_weights(ours, "torchvision") == "torchvision"
    x = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        found = ours.activations(x, ["conv5_3", "fc7"])
        torch.testing.assert_close(found["conv5_3"], theirs.features[:29](x))
        pooled = theirs.avgpool(theirs.features(x)).flatten(1)
        torch.testing.assert_close(found["fc7"], theirs.classifier[:4](pooled))
