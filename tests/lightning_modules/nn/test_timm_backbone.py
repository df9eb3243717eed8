"""Networks of timm: names, sizes, weights of files, normalisation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import timm
import torch

from datamodules.common.errors import CheckpointError, ConfigurationError
from lightning_modules.nn.timm_backbone import (
    IMAGENET_MEAN,
    IMAGENET_STD,
    build_pooled,
    check_name,
    fill_from_file,
    fill_from_timm,
    fixed_side,
    input_statistics,
    pretrained_state,
    read_state,
    statistics_or_imagenet,
)


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"no backbone 'resnet81': use a name of timm such as .*resnet18"):
        check_name("resnet81")
    with pytest.raises(ConfigurationError, match=r"use vgg16, small_vgg, or a name of timm such as .*small_vgg"):
        check_name("smal_vgg", ("vgg16", "small_vgg"))
    with pytest.raises(ConfigurationError, match=r"a name of timm \(timm\.list_models\(\)\)"):
        build_pooled("%%%", 32, "image_size")


@pytest.mark.parametrize(("name", "size", "width"), [("test_resnet", 40, 96), ("test_vit", 64, 64)])
def test_features_are_pooled_at_the_size_that_is_asked_for(name: str, size: int, width: int) -> None:
    network, features = build_pooled(name, size, "image_size")
    assert features == width
    assert network.training  # as timm leaves it
    assert network(torch.zeros(2, 3, size, size)).shape == (2, width)


def test_a_size_that_does_not_fit_names_the_option() -> None:
    with pytest.raises(ConfigurationError, match=r"images of 10 pixels .*: choose another frame_size"):
        build_pooled("test_vit", 10, "frame_size")


def test_sizes_and_statistics_are_those_of_the_published_weights() -> None:
    assert (fixed_side("vit_tiny_patch16_224"), fixed_side("resnet18")) == (224, None)
    assert input_statistics("vit_tiny_patch16_224") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert input_statistics("no such network") is None
    assert statistics_or_imagenet("test_resnet") == ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    assert statistics_or_imagenet("resnet50") == statistics_or_imagenet("small") == (IMAGENET_MEAN, IMAGENET_STD)


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_file_fills_all_but_the_classes(tmp_path: Path, prefix: str) -> None:
    whole = timm.create_model("test_resnet", num_classes=7)
    # As torchvision's first files: without the counts of batches.
    state = {prefix + key: value for key, value in whole.state_dict().items() if "num_batches" not in key}
    torch.save(state, tmp_path / "a.pth")
    network, _ = build_pooled("test_resnet", 32, "image_size")
    fill_from_file(network, "test_resnet", str(tmp_path / "a.pth"))
    own = network.state_dict()
    assert {key for key in whole.state_dict() if not key.startswith("fc.")} == set(own)
    assert all(torch.equal(value, whole.state_dict()[key]) for key, value in own.items())
    assert list(read_state(str(tmp_path / "a.pth"))) == [key.removeprefix(prefix) for key in state]


def test_a_file_of_another_network_is_refused(tmp_path: Path) -> None:
    network, _ = build_pooled("test_resnet", 32, "image_size")
    torch.save(timm.create_model("test_efficientnet").state_dict(), tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"test_resnet in .*other\.pth do not fit"):
        fill_from_file(network, "test_resnet", str(tmp_path / "other.pth"))
    state = timm.create_model("test_resnet").state_dict()
    del state["layer1.0.conv1.weight"]
    torch.save(state, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"1 missing: layer1\.0\.conv1\.weight"):
        fill_from_file(network, "test_resnet", str(tmp_path / "other.pth"))


def test_published_weights_fill_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[dict[str, object]] = []
    make = timm.create_model

    def offline(name: str, pretrained: bool = False, **options: Any) -> torch.nn.Module:
        asked.append({"pretrained": pretrained, **options})
        return make(name, **options)

    network, _ = build_pooled("test_vit", 64, "image_size")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    monkeypatch.setattr(timm, "create_model", offline)
    fill_from_timm(network, "test_vit", 64)
    assert asked == [{"pretrained": True, "num_classes": 0, "img_size": 64}]
    assert any(not torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(
        ConfigurationError, match=r"'resnet18' can be had \(no network\): begin .* --model.init_args.pretrained false"
    ):
        pretrained_state("resnet18")
