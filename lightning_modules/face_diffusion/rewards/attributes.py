"""What pictures show as classes: one attribute, one of several, or several attributes crossed."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_diffusion.rewards.judges import wanted_shares

Classes = Sequence[str] | Sequence[Sequence[str]]
Target = float | Sequence[float] | Sequence[Sequence[float]]


class Attributes:
    """The K classes that a picture can be of.

    Args:
        classes: One name: with and without that attribute. Several: of which a picture shows one. Several lists of
            these: crossed, so that every combination of theirs is a class.

    Attributes:
        columns: Names that a judge is asked for.
        names: Of the classes, the last attribute running fastest.

    Raises:
        ConfigurationError: If there is no class.

    Example:
        >>> Attributes([["Sunglasses"], ["Young", "Old"]]).names
        ['Sunglasses and Young', 'Sunglasses and Old', 'no Sunglasses and Young', 'no Sunglasses and Old']
    """

    def __init__(self, classes: Classes) -> None:
        plain = [one for one in classes if isinstance(one, str)]
        self._groups = [plain] if len(plain) == len(classes) else [_group(one) for one in classes]
        if not all(self._groups):
            raise ConfigurationError(
                f"classes is {[*classes]}; name an attribute, or the classes of which a picture shows one"
            )
        self.columns = [name for group in self._groups for name in group]
        self._said = [group if len(group) > 1 else [group[0], f"no {group[0]}"] for group in self._groups]
        self.names = [" and ".join(cell) for cell in product(*self._said)]

    def __len__(self) -> int:
        """K."""
        return len(self.names)

    def wanted(self, target: Target | None) -> Tensor:
        """Wanted share of each class, ``(K,)``.

        Args:
            target: Of one attribute its share, or the share of each class; of crossed ones one of these for each, as if
                they had nothing to do with one another, or the share of each of the K classes. None: equal ones.

        Raises:
            ConfigurationError: If they are no distribution.
        """
        if len(self._groups) == 1:
            return wanted_shares(self._groups[0], _plain(target))
        each: Sequence[float | Sequence[float] | None] = [None] * len(self._groups)
        if target is not None:
            each = [target] if isinstance(target, int | float) else list(target)
        if len(each) == len(self):
            return wanted_shares(self.names, _plain(target))
        if len(each) != len(self._groups):
            raise ConfigurationError(
                f"target is {target}; give one for each of {len(self._groups)} crossed attributes, or the share of "
                f"each of {len(self)} classes: {', '.join(self.names)}"
            )
        shares = torch.ones(1)
        for group, one in zip(self._groups, each, strict=True):
            shares = torch.kron(shares, wanted_shares(group, _plain(one)))
        return shares

    def probabilities(self, said: Tensor) -> Tensor:
        """What a judge says of `columns`, as probabilities that add up to 1 for each attribute, side by side."""
        parts = torch.split(said, [len(group) for group in self._groups], dim=1)
        return torch.cat([torch.cat([one, 1 - one], dim=1) if one.shape[1] == 1 else _shared(one) for one in parts], 1)

    def shown(self, probability: Tensor, soft: bool) -> Tensor:
        """Weights of the classes for each picture, ``(N, K)``, of `probabilities`.

        Args:
            probability: The probabilities.
            soft: Leave them; False decides for the likeliest, and for none where all are alike.
        """
        shown = torch.ones(len(probability), 1)
        for one in torch.split(probability, [len(names) for names in self._said], dim=1):
            shown = (shown[:, :, None] * (one if soft else _decided(one))[:, None]).flatten(1)
        return shown

    def prefers_nothing(self, probability: Tensor) -> bool:
        """Whether all classes are alike in all pictures, of `probabilities`."""
        parts = torch.split(probability, [len(names) for names in self._said], dim=1)
        return all(bool(_unsure(one).all()) for one in parts)

    def single_shares(self, shares: Tensor) -> dict[str, float]:
        """Shares of what each of several crossed attributes shows, by name; none of one attribute."""
        if len(self._groups) == 1:
            return {}
        table = shares.reshape([len(names) for names in self._said])
        return {
            name: share
            for place, names in enumerate(self._said)
            for name, share in zip(names, table.movedim(place, 0).flatten(1).sum(1).tolist(), strict=True)
        }


def _group(one: str | Sequence[str]) -> list[str]:
    return [one] if isinstance(one, str) else list(one)


def _plain(target: Target | None) -> float | list[float] | None:
    """A target of one attribute, of which no share is a list."""
    if target is None or isinstance(target, int | float):
        return target
    shares = [one for one in target if isinstance(one, int | float)]
    if len(shares) != len(target):
        raise ConfigurationError(f"target is {target}; lists in it are for crossed attributes, one for each")
    return shares


def _shared(said: Tensor) -> Tensor:
    """Probabilities that add up to 1; equal ones where the judge sees none of the classes."""
    total = said.sum(dim=1, keepdim=True)
    return torch.where(total > 0, said / total.clamp(min=1e-12), torch.full((), 1 / said.shape[1]))


def _decided(probability: Tensor) -> Tensor:
    chosen = torch.nn.functional.one_hot(probability.argmax(dim=1), probability.shape[1]).float()
    return torch.where(_unsure(probability), probability, chosen)  # no class is preferred where the judge prefers none


def _unsure(probability: Tensor) -> Tensor:
    return probability.amax(dim=1, keepdim=True) <= probability.amin(dim=1, keepdim=True) + 1e-6
