"""The domain segmenter: its layers, and that the reversed gradient makes two shifted Gaussians one."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lightning_modules.inspection.domain_segmenter import DomainSegmenter, proxy_a_distance
from lightning_modules.inspection.losses import masked_bce
from lightning_modules.nn.gradient_reversal import gradient_reversal, reversal_strength


def test_layers_of_the_paper() -> None:
    segmenter = DomainSegmenter(48)
    kinds = [type(layer) for layer in segmenter.layers]
    assert kinds == [nn.Conv2d, nn.ReLU, nn.BatchNorm2d, nn.Conv2d]
    assert segmenter(torch.zeros(2, 48, 3, 5)).shape == (2, 1, 3, 5)
    assert segmenter.layers[0].weight.shape == (64, 48, 1, 1)


def _gaussians(noise: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Pixels (2, 2, 16, 16): the first channel tells the class, the second one the domain."""
    kind = (torch.rand(2, 16, 16, generator=noise) < 0.5).float()
    domain = torch.tensor([0.0, 1.0])[:, None, None].expand(2, 16, 16)
    mean = torch.stack([4 * kind - 2, 4 * domain - 2], dim=1)
    return mean + torch.randn(2, 2, 16, 16, generator=noise), kind, domain


def _accuracies(weight: float, steps: int = 400) -> tuple[float, float]:
    """Domain and class accuracy over the last third of a training.

    The encoder's output is noisy: a linear map alone would never lose the domain, however small it made it.
    """
    torch.manual_seed(0)
    noise = torch.Generator().manual_seed(1)
    encoder, classifier, domains = nn.Conv2d(2, 2, 1), nn.Conv2d(2, 1, 1), DomainSegmenter(2)
    optimizer = torch.optim.Adam(nn.ModuleList([encoder, classifier, domains]).parameters(), lr=5e-3)
    right: list[tuple[float, float]] = []
    for step in range(steps):
        x, kind, domain = _gaussians(noise)
        features = encoder(x)
        features = features + torch.randn(features.shape, generator=noise)
        found = classifier(features)[:, 0]
        told = domains(gradient_reversal(features, weight * reversal_strength(step / steps)))[:, 0]
        everywhere = torch.ones_like(kind, dtype=torch.bool)
        optimizer.zero_grad()
        (masked_bce(found, kind, everywhere) + masked_bce(told, domain, everywhere)).backward()
        optimizer.step()
        right.append((_share_right(told, domain), _share_right(found, kind)))
    domain_accuracy, class_accuracy = torch.tensor(right[-steps // 3 :]).mean(dim=0).tolist()
    return domain_accuracy, class_accuracy


def _share_right(logits: Tensor, truth: Tensor) -> float:
    return float(((logits.detach() > 0) == (truth > 0.5)).float().mean())


def test_reversal_hides_the_domain_and_keeps_the_class() -> None:
    domain, kind = _accuracies(weight=1.0)
    assert abs(domain - 0.5) < 0.06
    assert kind > 0.9


def test_without_reversal_the_domain_stays_plain() -> None:
    domain, kind = _accuracies(weight=0.0)
    assert domain > 0.7
    assert kind > 0.9


def test_proxy_distance() -> None:
    assert proxy_a_distance(torch.tensor(0.1)).item() == torch.tensor(1.6).item()
