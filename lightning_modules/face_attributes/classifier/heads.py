"""The heads of a schema: one linear layer whose outputs are read as sigmoids and softmaxes, and as attributes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import AttributeSchema, Head

Layout = Literal["by_kind", "softmax"]
NONE = "none"  # name of the class that stands for "none of these"


@dataclass(frozen=True)
class HeadGroup:
    """Heads of equal form, whose outputs lie next to each other.

    Attributes:
        softmax: Whether each head is a softmax over its classes; otherwise every output is a sigmoid of its own.
        none: Whether the first class of each softmax stands for "none of these".
        start: First output of the group.
        width: Outputs of each head: its attributes, and one more with ``none``.
        heads: The heads. The sigmoids of all heads make one group of width 1 with an entry an attribute.
        columns: Columns of the schema's attributes, head after head, in the order of the outputs (without ``none``).
    """

    softmax: bool
    none: bool
    start: int
    width: int
    heads: tuple[Head, ...]
    columns: tuple[int, ...]

    @property
    def stop(self) -> int:
        """One past the last output."""
        return self.start + self.width * len(self.heads)

    @property
    def members(self) -> int:
        """Attributes of each head."""
        return self.width - self.none

    def logits(self, logits: Tensor) -> Tensor:
        """The group's own ``(B, heads, width)`` of all outputs ``(B, L)``."""
        return logits[:, self.start : self.stop].reshape(logits.shape[0], len(self.heads), self.width)


def head_groups(schema: AttributeSchema, layout: Layout = "by_kind") -> tuple[HeadGroup, ...]:
    """Sort the heads of a schema by their form.

    Args:
        schema: The schema.
        layout: ``by_kind``: sigmoids for binary and overlapping heads, a softmax with "none" for exclusive and ordinal
            ones, one without for complete ones. ``softmax``: one with "none" for every head, as in the paper.

    Example:
        >>> [(group.softmax, group.width, len(group.heads)) for group in head_groups(AttributeSchema.from_file())]
        [(False, 1, 42), (True, 3, 2), (True, 3, 3), (True, 4, 2), (True, 5, 2), (True, 6, 1)]
    """
    if layout not in ("by_kind", "softmax"):
        raise ConfigurationError(f"The layout of the heads is {layout!r}: choose by_kind or softmax.")
    sorted_heads: dict[tuple[bool, bool, int], list[Head]] = {}
    for head in schema.heads:
        if layout == "by_kind" and head.kind in ("binary", "overlapping"):
            sigmoids = sorted_heads.setdefault((False, False, 1), [])
            sigmoids += [Head(head.name, "binary", (name,)) for name in head.attributes]
        else:
            none = layout == "softmax" or head.kind != "complete"
            sorted_heads.setdefault((True, none, len(head.attributes) + none), []).append(head)
    groups: list[HeadGroup] = []
    start = 0
    for (softmax, none, width), heads in sorted(sorted_heads.items(), key=lambda entry: entry[0]):
        columns = tuple(column for head in heads for column in schema.indices(head))
        groups.append(HeadGroup(softmax, none, start, width, tuple(heads), columns))
        start = groups[-1].stop
    return tuple(groups)


class AttributeHeads(nn.Module):
    """One linear layer for all heads, and what its outputs say of each attribute.

    Shape:
        - features: ``(B, F)``.
        - returns: logits ``(B, L)``, in the order of ``logit_names``.

    Args:
        features: F.
        schema: K attributes in heads.
        layout: How heads become outputs; see `head_groups`.

    Example:
        >>> heads = AttributeHeads(8, AttributeSchema.from_file())
        >>> logits = heads(torch.zeros(2, 8))
        >>> logits.shape, heads.probabilities(logits).shape
        (torch.Size([2, 81]), torch.Size([2, 73]))
        >>> AttributeHeads(8, AttributeSchema.from_file(), "softmax").num_logits
        115

    References:
        Cate, Dalvi, Hussain, "DeepFace: Face Generation using Deep Learning" (2016), section 3.2.
    """

    label_order: Tensor
    output_column: Tensor

    def __init__(self, features: int, schema: AttributeSchema, layout: Layout = "by_kind") -> None:
        super().__init__()
        self.schema = schema
        self.layout: Layout = layout
        self.groups = head_groups(schema, layout)
        self.num_features = features
        self.num_logits = self.groups[-1].stop
        self.linear = nn.Linear(features, self.num_logits)
        nn.init.xavier_uniform_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        order = [column for group in self.groups for column in group.columns]
        self.register_buffer("label_order", torch.tensor(order), persistent=False)
        self.register_buffer("output_column", torch.tensor(order).argsort(), persistent=False)

    @property
    def logit_names(self) -> list[str]:
        """Name of each output: its attribute, or the name of a head and "none"."""
        return [name for group in self.groups for head in group.heads for name in _output_names(head, group.none)]

    def forward(self, features: Tensor) -> Tensor:
        """Logits ``(B, L)`` of features ``(B, F)``."""
        logits: Tensor = self.linear(features)
        return logits

    def probabilities(self, logits: Tensor) -> Tensor:
        """Probability of presence of each attribute, float32 ``(B, K)`` in the order of the schema."""
        return self._by_attribute([_group_probability(group, logits) for group in self.groups])

    def attribute_logits(self, logits: Tensor) -> Tensor:
        """Log-odds of presence of each attribute, ``(B, K)``; differentiable.

        Of a softmax it is the logit of the attribute minus the log-sum-exp of all other classes of its head.
        """
        return self._by_attribute([_group_log_odds(group, logits) for group in self.groups])

    def decisions(self, logits: Tensor) -> Tensor:
        """What the heads decide, int8 ``(B, K)``: 1 present, 0 absent; of a softmax, the most likely class alone."""
        return self._by_attribute([_group_decision(group, logits) for group in self.groups])

    def group_labels(self, attributes: Tensor) -> list[Tensor]:
        """Labels ``(B, K)`` as ``(B, heads, members)`` for each group of heads."""
        ordered = attributes.index_select(1, self.label_order)
        parts = torch.split(ordered, [len(group.columns) for group in self.groups], dim=1)
        return [
            part.reshape(len(part), len(group.heads), group.members)
            for part, group in zip(parts, self.groups, strict=True)
        ]

    def _by_attribute(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts), dim=1).index_select(1, self.output_column)


def _output_names(head: Head, none: bool) -> list[str]:
    return [f"{head.name}: {NONE}", *head.attributes] if none else list(head.attributes)


def _group_probability(group: HeadGroup, logits: Tensor) -> Tensor:
    own = group.logits(logits).float()
    values = own.softmax(dim=2) if group.softmax else own.sigmoid()
    return values[:, :, group.none :].flatten(1)


def _group_log_odds(group: HeadGroup, logits: Tensor) -> Tensor:
    own = group.logits(logits)
    if not group.softmax:
        return own.flatten(1)
    if group.width == 1:  # the only class of its head: there is nothing else to be
        return torch.full_like(own, torch.inf).flatten(1)
    rest = [
        torch.cat([own[:, :, :place], own[:, :, place + 1 :]], dim=2).logsumexp(dim=2)
        for place in range(group.none, group.width)
    ]
    return (own[:, :, group.none :] - torch.stack(rest, dim=2)).flatten(1)


def _group_decision(group: HeadGroup, logits: Tensor) -> Tensor:
    own = group.logits(logits)
    if not group.softmax:
        return (own > 0).to(torch.int8).flatten(1)
    choice = F.one_hot(own.argmax(dim=2), group.width)
    return choice[:, :, group.none :].to(torch.int8).flatten(1)
