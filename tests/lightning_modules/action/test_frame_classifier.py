"""Preprocessing, backbones, head and losses of the classifier of frames."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
from torch import nn
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError
from lightning_modules.action.losses import (
    balanced_weights,
    frame_loss,
    proximal_threshold,
    soft_threshold_,
    sparsity,
)
from lightning_modules.action.network import FrameClassifier, build_backbone, first_parts
from lightning_modules.action.preprocess import ActionPreprocess
from lightning_modules.nn.frozen import FrozenBatchNorm
from lightning_modules.nn.timm_backbone import IMAGENET_MEAN, IMAGENET_STD

# Preprocessing.


def test_normalisation_is_that_of_torchvision() -> None:
    frames = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    expected = (frames / 255 - torch.tensor(IMAGENET_MEAN).view(3, 1, 1)) / torch.tensor(IMAGENET_STD).view(3, 1, 1)
    given = ActionPreprocess(size=8)(frames)
    torch.testing.assert_close(given, expected)
    assert given.is_contiguous(memory_format=torch.channels_last)


def test_only_frames_of_another_size_are_resized() -> None:
    preprocess = ActionPreprocess(mean=(0, 0, 0), std=(1 / 255,) * 3, size=4)
    assert torch.equal(preprocess(torch.arange(48).view(1, 3, 4, 4).byte()), torch.arange(48.0).view(1, 3, 4, 4))
    stripes = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    stripes[..., ::2] = 200  # finer than the result: without antialiasing they would become black or white
    torch.testing.assert_close(preprocess(stripes), torch.full((1, 3, 4, 4), 100.0), atol=10, rtol=0)


def test_statistics_are_saved() -> None:
    assert set(ActionPreprocess().state_dict()) == {"mean", "std"}


# Backbones.


@pytest.mark.parametrize("name", ["test_resnet", "test_efficientnet", "test_vit", "test_convnext"])
@pytest.mark.parametrize("train", ["none", "last", "all"])
def test_every_kind_of_backbone_learns_what_it_should(name: str, train: Any) -> None:
    backbone, features = build_backbone(name, 64, train)
    backbone.train()
    frozen_before = {key: value.clone() for key, value in backbone.state_dict().items()}
    output = backbone(torch.randn(4, 3, 64, 64))
    assert output.shape == (4, features)
    learning = [key for key, parameter in backbone.named_parameters() if parameter.requires_grad]
    total = len(list(backbone.parameters()))
    assert output.requires_grad == (train != "none")
    assert (len(learning) == 0) == (train == "none")
    assert (len(learning) == total) == (train == "all")
    if train != "all":  # no statistic of a frozen part moves, though the network is in training mode
        moved = {key for key, value in backbone.state_dict().items() if not torch.equal(value, frozen_before[key])}
        assert all(any(key.rpartition(".")[0] == name.rpartition(".")[0] for name in learning) for key in moved)


def test_unfrozen_stages_are_counted_from_the_end() -> None:
    model = timm.create_model("test_resnet", num_classes=0)
    assert first_parts(model, "test_resnet", 1) == ["conv1", "bn1", "act1", "maxpool", "layer1", "layer2", "layer3"]
    model = timm.create_model("test_efficientnet", num_classes=0)
    assert first_parts(model, "test_efficientnet", 2)[-1] == "blocks.2"
    model = timm.create_model("test_vit", num_classes=0)
    assert {"cls_token", "pos_embed", "blocks.4"} <= set(first_parts(model, "test_vit", 1))
    for unfrozen in (0, 5):
        with pytest.raises(ConfigurationError, match="choose 1 to 4"):
            first_parts(timm.create_model("test_resnet"), "test_resnet", unfrozen)


def test_frozen_batch_norms_are_those_of_the_first_stages() -> None:
    backbone, _ = build_backbone("test_resnet", 64, "last", 1)
    kinds = {name.split(".")[1]: type(part) for name, part in backbone.named_modules() if name.endswith("bn1")}
    assert kinds["bn1"] is kinds["layer1"] is FrozenBatchNorm
    assert kinds["layer4"] is nn.BatchNorm2d


def test_a_frozen_backbone_keeps_half_precision() -> None:
    backbone, _ = build_backbone("test_resnet", 64)
    frames = torch.randn(2, 3, 64, 64)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inner = backbone.module.get_submodule("layer1")(torch.randn(2, 32, 16, 16))
        halved = backbone(frames)
    assert inner.dtype == torch.bfloat16
    torch.testing.assert_close(halved.float(), backbone(frames), atol=0.1, rtol=0.1)


def test_unknown_names_and_sizes() -> None:
    with pytest.raises(ConfigurationError, match=r"such as .*resnet50"):
        build_backbone("resnet50x")
    with pytest.raises(ConfigurationError, match="frame_size"):
        build_backbone("test_vit", 65)


# Head.


def test_the_head_starts_as_keras_does() -> None:
    network = FrameClassifier(nn.Flatten(), num_features=48, num_classes=3, hidden=32)
    limit = (6 / (48 + 32)) ** 0.5
    assert network.hidden.weight.abs().max() <= limit
    assert network.hidden.weight.abs().max() > 0.95 * limit
    assert not network.classes.bias.any()


# Losses.


def test_loss_of_the_frames_that_count() -> None:
    logits, label = torch.randn(4, 3), torch.tensor([0, 1, 2, -1])
    valid = torch.tensor([True, True, False, True])
    torch.testing.assert_close(frame_loss(logits, label, valid), F.cross_entropy(logits[:2], label[:2]))


def test_a_batch_without_frames_that_count_has_no_gradient() -> None:
    logits = torch.randn(2, 3, requires_grad=True)
    frame_loss(logits, torch.tensor([-1, 0]), torch.tensor([True, False])).backward()
    assert logits.grad is not None
    assert not logits.grad.any()


def test_balanced_classes_have_the_same_say() -> None:
    counts = torch.tensor([1, 3, 0])
    weight = balanced_weights(counts)
    torch.testing.assert_close(weight * counts, torch.tensor([2.0, 2.0, 0.0]))


def test_soft_threshold_is_the_proximal_operator() -> None:
    start = torch.randn(50, dtype=torch.float64)
    weight = start.clone()
    soft_threshold_(weight, 0.5)
    candidates = torch.linspace(-4, 4, 80_001, dtype=torch.float64)
    cost = 0.5 * (candidates[:, None] - start) ** 2 + 0.5 * candidates.abs()[:, None]
    torch.testing.assert_close(weight, candidates[cost.argmin(dim=0)], atol=2e-4, rtol=0)
    assert sparsity(weight) == (start.abs() <= 0.5).float().mean()


def test_proximal_steps_with_momentum_rest_where_the_penalty_does() -> None:
    weight = nn.Parameter(torch.tensor([3.0, 0.2]))
    target, factor, rate = torch.tensor([1.0, 0.1]), 0.4, 0.01
    optimizer = torch.optim.SGD([weight], lr=rate, momentum=0.9)
    for _ in range(400):
        optimizer.zero_grad()
        (0.5 * (weight - target) ** 2).sum().backward()  # type: ignore[no-untyped-call]  # torch has no types here
        optimizer.step()
        soft_threshold_(weight, proximal_threshold(factor, rate, 0.9))
    torch.testing.assert_close(weight.detach(), torch.tensor([0.6, 0.0]), atol=1e-3, rtol=0)
