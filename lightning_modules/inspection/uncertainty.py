"""How unsure a score is: entropy, and mutual information under dropout."""

from __future__ import annotations

import torch
from torch import Tensor


def binary_entropy(probability: Tensor) -> Tensor:
    """Entropy of a yes-or-no decision, in nats.

    Args:
        probability: Any shape, float in 0..1.

    Returns:
        The same shape, in 0..ln 2; 0 at 0 and at 1.

    Example:
        >>> binary_entropy(torch.tensor([0.0, 0.5, 1.0]))
        tensor([0.0000, 0.6931, 0.0000])
    """
    entropy: Tensor = torch.special.entr(probability) + torch.special.entr(1 - probability)
    return entropy


def mutual_information(samples: Tensor) -> Tensor:
    """Mutual information between a decision and the weights that dropout draws (BALD), in nats.

    Entropy of the mean less the mean entropy: high where each draw is sure and the draws disagree.

    Args:
        samples: ``(S, ...)`` probabilities of S draws.

    Returns:
        ``(...)``, in 0..ln 2.

    Example:
        >>> mutual_information(torch.tensor([[0.0, 0.5], [1.0, 0.5]])).round(decimals=4)
        tensor([0.6931, 0.0000])

    References:
        Houlsby et al., "Bayesian active learning for classification and preference learning", 2011, eq. (2).
        Gal, Islam, Ghahramani, "Deep Bayesian active learning with image data", ICML 2017, section 4.
    """
    return (binary_entropy(samples.mean(0)) - binary_entropy(samples).mean(0)).clamp_min(0)
