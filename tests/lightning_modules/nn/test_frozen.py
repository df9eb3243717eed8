from __future__ import annotations

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from lightning_modules.nn.frozen import Freezable, FrozenBatchNorm, PartlyFrozen, freeze_batch_norms


def small() -> nn.Sequential:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5))
    network(torch.randn(8, 3, 6, 6))  # statistics other than 0 and 1
    return network


def test_nothing_changes_in_a_frozen_network() -> None:
    x = torch.randn(2, 3, 6, 6, requires_grad=True)
    network = small()
    expected = network.eval()(x)
    frozen = PartlyFrozen(network).freeze().train()
    before = {key: value.clone() for key, value in frozen.state_dict().items()}
    for _ in range(2):
        torch.testing.assert_close(frozen(x), expected)
    assert not frozen(x).requires_grad
    assert not frozen.training
    assert not any(module.training for module in frozen.modules())
    assert not any(p.requires_grad for p in frozen.parameters())
    assert all(torch.equal(value, before[key]) for key, value in frozen.state_dict().items())


def test_frozen_batch_norm_keeps_the_names_and_escapes_synchronisation() -> None:
    network = small()
    names = set(network.state_dict())
    freeze_batch_norms(network)
    assert set(network.state_dict()) == names
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(network)
    assert isinstance(converted[1], FrozenBatchNorm)


def test_batch_norm_without_statistics_cannot_be_frozen() -> None:
    with pytest.raises(ValueError, match="cannot be frozen"):
        freeze_batch_norms(nn.Sequential(nn.BatchNorm1d(3, track_running_stats=False)))


def test_gradient_may_flow_through_a_freezable() -> None:
    class Double(Freezable):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out: torch.Tensor = self.inner(x)
            return out

    double = Double().freeze()
    x = torch.ones(1, 2, requires_grad=True)
    double.train()(x).sum().backward()
    assert x.grad is not None
    assert double.inner.weight.grad is None
    assert not double.inner.training


def test_channels_last_survives() -> None:
    x = torch.randn(2, 3, 6, 6).contiguous(memory_format=torch.channels_last)
    assert PartlyFrozen(small()).freeze()(x).is_contiguous(memory_format=torch.channels_last)


def test_a_batch_norm_with_an_activation_keeps_it() -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), BatchNormAct2d(4))
    network(torch.randn(8, 3, 6, 6))
    x = torch.randn(2, 3, 6, 6)
    expected = network.eval()(x)
    frozen = PartlyFrozen(network).freeze().train()
    assert (expected >= 0).all()
    torch.testing.assert_close(frozen(x), expected)
    torch.testing.assert_close(frozen(x), expected)  # no statistic has moved


def deep() -> nn.Sequential:
    return nn.Sequential(small(), nn.Conv2d(4, 4, 1), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))


def test_the_frozen_parts_of_a_network_stay_and_the_others_learn() -> None:
    network = PartlyFrozen(deep(), ["0", "2"]).train()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    optimizer = torch.optim.SGD([p for p in network.parameters() if p.requires_grad], lr=0.1)
    network(torch.randn(4, 3, 6, 6)).sum().backward()
    optimizer.step()
    changed = {key for key, value in network.state_dict().items() if not torch.equal(value, before[key])}
    assert changed == {f"module.{layer}.{name}" for layer in "13" for name in ("weight", "bias")}
    modes = {name: part.training for name, part in network.module.named_children()}
    assert modes == {"0": False, "1": True, "2": False, "3": True}
    assert isinstance(network.module.get_submodule("2"), FrozenBatchNorm)
    assert isinstance(network.module.get_submodule("0.1"), FrozenBatchNorm)
    assert not network.frozen


def test_a_partly_frozen_network_may_be_frozen_whole() -> None:
    network = PartlyFrozen(deep(), ["0"]).freeze().train()
    assert network.frozen
    assert not network(torch.randn(1, 3, 6, 6)).requires_grad
    assert not any(module.training for module in network.modules())


def test_single_parameters_can_be_frozen() -> None:
    network = PartlyFrozen(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1)), ["0.bias"])
    assert [name for name, p in network.named_parameters() if not p.requires_grad] == ["module.0.bias"]
    with pytest.raises(AttributeError):
        PartlyFrozen(nn.Linear(2, 2), ["missing"])


def test_a_frozen_batch_norm_is_the_batch_norm_in_evaluation() -> None:
    norm = nn.BatchNorm2d(4, eps=1e-3)
    with torch.no_grad():
        for value in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            assert value is not None
            value.uniform_(0.5, 2)
    frozen = FrozenBatchNorm.from_batch_norm(norm)
    x = torch.randn(2, 4, 3, 3, requires_grad=True)
    torch.testing.assert_close(frozen(x), norm.eval()(x))
    scale, shift = frozen.scale_and_shift()
    torch.testing.assert_close(frozen(x), x * scale.view(1, -1, 1, 1) + shift.view(1, -1, 1, 1))
    (gradient,) = torch.autograd.grad(frozen(x).sum(), x)
    torch.testing.assert_close(gradient, scale.view(1, -1, 1, 1).expand_as(x))
