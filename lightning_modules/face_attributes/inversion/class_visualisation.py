"""Faces from the heads alone: the paper's baseline, and the loss that joins a feature inversion."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from lightning_modules.face_attributes.classifier.layers import HEADS

# Logits (B, L) to log-odds of presence (B, K).
AttributeLogits = Callable[[Tensor], Tensor]
Activations = Callable[[Tensor], Mapping[str, Tensor]]
Charge = Literal["linear", "saturating"]

_LARGEST_ODDS = 30.0  # log-odds beyond it are no evidence of anything


def class_visualisation_loss(log_odds: Tensor, attributes: Tensor) -> Tensor:
    """Minus the mean log-odds of what was asked for, plus those of what was asked to be absent.

    The gradient is that of section 3.3.1 of the paper, one at each wanted output and none at the others, but at logits,
    where it does not fade as a softmax saturates, and with attributes that shall not be there pushed down.

    Args:
        log_odds: Of presence, ``(B, K)``.
        attributes: int8 ``(B, K)``: 1 asked for, 0 asked to be absent, -1 not said.

    Returns:
        ``(B,)``; 0 where nothing is asked.

    References:
        Cate, Dalvi and Hussain, "DeepFace: Face Generation using Deep Learning", 2016, section 3.3.1; Simonyan, Vedaldi
        and Zisserman, "Deep Inside Convolutional Networks", 2014.

    Example:
        >>> class_visualisation_loss(torch.tensor([[3.0, 1.0, 9.0]]), torch.tensor([[1, 0, -1]]))
        tensor([-1.])
    """
    signs = _signs(attributes, log_odds)
    bounded = log_odds.clamp(-_LARGEST_ODDS, _LARGEST_ODDS)
    return -(signs * bounded).sum(dim=1) / signs.abs().sum(dim=1).clamp_min(1)


def attribute_loss(log_odds: Tensor, attributes: Tensor) -> Tensor:
    """Mean cross-entropy of the attributes that are said, ``(B,)``: once a face shows one, it asks no more of it.

    Args:
        log_odds: Of presence, ``(B, K)``.
        attributes: int8 ``(B, K)``: 1, 0, or -1 for not said.

    Example:
        >>> bool(attribute_loss(torch.tensor([[20.0, -20.0]]), torch.tensor([[1, 0]])) < 1e-6)
        True
    """
    signs = _signs(attributes, log_odds)
    losses = F.softplus(-signs * log_odds.clamp(-_LARGEST_ODDS, _LARGEST_ODDS)) * signs.abs()
    return losses.sum(dim=1) / signs.abs().sum(dim=1).clamp_min(1)


class HeadsObjective:
    """Loss of the heads as an objective of pictures.

    Args:
        network: Activations by layer of normalised pictures, `layers.HEADS` among them.
        normalise: Pictures in 0..1 to what the network takes.
        log_odds: Logits of the heads to log-odds of presence.
        attributes: What is asked of each face, int8 ``(B, K)``.
        charge: ``linear`` is class visualisation; ``saturating`` the cross-entropy.
    """

    def __init__(
        self,
        network: Activations,
        normalise: Callable[[Tensor], Tensor],
        log_odds: AttributeLogits,
        attributes: Tensor,
        charge: Charge = "saturating",
    ) -> None:
        self._network = network
        self._normalise = normalise
        self._log_odds = log_odds
        self._attributes = attributes.detach().clone()
        self._loss = class_visualisation_loss if charge == "linear" else attribute_loss

    def __call__(self, pictures: Tensor) -> Tensor:
        """Losses ``(B,)`` of pictures ``(B, 3, S, S)`` in 0..1."""
        return self.of_activations(self._network(self._normalise(pictures)))

    def of_activations(self, found: Mapping[str, Tensor]) -> Tensor:
        """Losses ``(B,)`` of activations that another objective has computed."""
        return self._loss(self._log_odds(found[HEADS]), self._attributes)


def _signs(attributes: Tensor, like: Tensor) -> Tensor:
    """1 for asked, -1 for asked to be absent, 0 for not said."""
    signs = torch.where(attributes == 1, 1, torch.where(attributes == 0, -1, 0))
    return signs.to(device=like.device, dtype=like.dtype)
