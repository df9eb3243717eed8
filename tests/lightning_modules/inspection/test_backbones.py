"""Backbones: strides, sizes, local weights."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
import timm
import torch

from datamodules.common.errors import CheckpointError, ConfigurationError
from lightning_modules.inspection.backbones import (
    DecodedBackbone,
    TimmBackbone,
    build_backbone,
    download_backbone,
)


@pytest.mark.parametrize("stride", [1, 2, 4, 8, 16, 32])
def test_small_has_any_stride_and_rounds_up(stride: int) -> None:
    backbone = build_backbone("small", stride)
    features = backbone(torch.zeros(1, 3, 40, 33))
    assert features.shape == (1, backbone.num_features, -(-40 // stride), -(-33 // stride))
    assert backbone.stride == stride


def test_width_of_small() -> None:
    assert build_backbone("small", 8, width=4).num_features == 16


@pytest.mark.parametrize("stride", [1, 2, 4, 8, 32])
def test_resnet18_has_any_stride(stride: int) -> None:
    backbone = build_backbone("resnet18", stride).eval()
    assert isinstance(backbone, TimmBackbone if stride >= 8 else DecodedBackbone)
    assert backbone(torch.zeros(1, 3, 64, 96)).shape[2:] == (64 // stride, 96 // stride)


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050", "convnext_atto"])
@pytest.mark.parametrize("stride", [4, 8])
def test_every_parameter_has_a_gradient(name: str, stride: int) -> None:
    backbone = build_backbone(name, stride)
    backbone(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert not [key for key, own in backbone.named_parameters() if own.requires_grad and own.grad is None]
    assert all(own.requires_grad for own in backbone.parameters()) or name.startswith("mobilenet")


@pytest.mark.parametrize("name", ["resnet18", "mobilenetv3_small_050"])
@pytest.mark.parametrize("stride", [4, 8])
def test_local_weights_of_the_whole_network(tmp_path: Path, name: str, stride: int) -> None:
    torch.manual_seed(1)
    whole = timm.create_model(name)
    torch.save(whole.state_dict(), tmp_path / "whole.pth")
    backbone = build_backbone(name, stride, pretrained_file=str(tmp_path / "whole.pth")).eval()
    whole.eval()
    x = torch.randn(1, 3, 64, 64)
    reference = timm.create_model(name, features_only=True).eval()
    reference.load_state_dict(whole.state_dict(), strict=False)
    levels = {level.shape[-1]: level for level in reference(x)}
    if isinstance(backbone, TimmBackbone):
        torch.testing.assert_close(backbone(x), levels[64 // stride], rtol=0, atol=0)
    else:
        for level in backbone.levels(x):  # type: ignore[operator]  # a module
            torch.testing.assert_close(level, levels[level.shape[-1]], rtol=0, atol=0)


def test_weights_of_another_network(tmp_path: Path) -> None:
    torch.save(timm.create_model("resnet34").state_dict(), tmp_path / "other.pth")
    torch.save({"conv1.weight": torch.zeros(1)}, tmp_path / "part.pth")
    build_backbone("resnet18", 8, pretrained_file=str(tmp_path / "other.pth"))  # the first two stages are the same
    with pytest.raises(CheckpointError, match="missing"):
        build_backbone("resnet18", 8, pretrained_file=str(tmp_path / "part.pth"))
    with pytest.raises(ConfigurationError, match="no pretrained weights"):
        build_backbone("small", 8, pretrained_file=str(tmp_path / "other.pth"))
    with pytest.raises(ConfigurationError, match="no pretrained weights"):
        download_backbone(build_backbone("small", 4), "small")


def test_unknown_names_and_strides() -> None:
    with pytest.raises(ConfigurationError, match="resnet18"):
        build_backbone("resnet81", 8)
    with pytest.raises(ConfigurationError, match="stride of 3"):
        build_backbone("small", 3)


SHORT = ("resnet10t", "test_mambaout", "dla46x_c", "test_vit", "inception_v3")  # each another trap
ANY_SIZE = (
    *SHORT, "starnet_s050", "mobilevit_xxs", "edgenext_xx_small", "mobilenetv3_small_050", "ghostnet_050", "vgg11",
    "regnetx_002", "xcit_nano_12_p8_224", "efficientvit_b0", "pvt_v2_b0", "convnext_atto_rms", "fastvit_t8",
    "rexnet_100", "densenet121", "hrnet_w18_small", "test_nfnet", "sequencer2d_s", "efficientvim_m1", "hgnetv2_b0",
    "swin_tiny_patch4_window7_224", "swinv2_tiny_window16_256",
)  # fmt: skip
ONE_SIZE = ("test_vit_relpos", "coat_tiny", "visformer_tiny", "pit_ti_224", "gcvit_xxtiny", "levit_128s", "halonet_h1")


def by_hand(names: Sequence[str], quick: Sequence[str]) -> list[object]:
    """Cases of which most are left to a run by hand."""
    return [pytest.param(name, marks=() if name in quick else pytest.mark.slow) for name in names]


@pytest.mark.parametrize("name", by_hand(ANY_SIZE, SHORT))
@pytest.mark.parametrize("stride", [4, 16])
def test_every_family_of_timm_has_its_stride(name: str, stride: int) -> None:
    backbone = build_backbone(name, stride).eval()
    shape = backbone(torch.zeros(1, 3, 72, 100)).shape
    assert shape == (1, backbone.num_features, -(-72 // stride), -(-100 // stride))


@pytest.mark.parametrize("name", by_hand(ONE_SIZE, ONE_SIZE[:1]))
def test_a_network_of_one_size_says_which(name: str) -> None:
    backbone = build_backbone(name, 16).eval()
    with pytest.raises(ConfigurationError, match=r"takes images of (\d+) x \1 pixels alone, but these have 100 x 72"):
        backbone(torch.zeros(1, 3, 72, 100))


def test_a_network_without_feature_maps_is_one_sentence() -> None:
    with pytest.raises(ConfigurationError, match=r"'gemma4_vit_167m' gives no feature maps \("):
        build_backbone("gemma4_vit_167m", 8)
