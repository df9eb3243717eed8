"""A map from a large set of labels to a smaller one: the probabilities of a group are added up."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.tables.text import read_text
from datamodules.tables.yaml import parse_yaml

Groups = Mapping[str, Sequence[str]]


class ClassGroups:
    """Groups of labels; every label belongs to at most one.

    Args:
        labels: The large set, in the order of its scores.
        groups: Labels of each group, compared without regard to case and underscores.
        other: Name of a further group for all labels that no group holds; None leaves them out, so that the scores of
            a frame may add up to less than 1.

    Attributes:
        names: Names of the groups in order, ``other`` last.

    Raises:
        ConfigurationError: If a label is unknown or in two groups, or a group has no label or a name twice.

    Example:
        >>> groups = ClassGroups(["run", "drink beer", "drink tea"], {"drink": ["drink_beer", "Drink tea"]})
        >>> groups.names, groups.scores(torch.tensor([[0.5, 0.25, 0.25]]))
        (['drink', 'other'], tensor([[0.5000, 0.5000]]))
    """

    def __init__(self, labels: Sequence[str], groups: Groups, other: str | None = "other") -> None:
        number = {_plain(label): at for at, label in enumerate(labels)}
        members: dict[int, str] = {}
        for group, names in groups.items():
            if not names:
                raise ConfigurationError(f"The class group {group!r} has no labels: name some, or leave the group out.")
            for name in names:
                at = _number_of(name, number, labels)
                if at in members:
                    raise ConfigurationError(
                        f"The label {labels[at]!r} is in two class groups, {members[at]!r} and {group!r}: keep one."
                    )
                members[at] = group
        if other in groups:
            raise ConfigurationError(
                f"The class group {other!r} is named like the rest: choose another name for other."
            )
        self.names = [*groups, *([other] if other is not None else [])]
        column = {name: at for at, name in enumerate(self.names)}
        self._matrix = torch.zeros(len(labels), len(self.names))
        for at in range(len(labels)):
            chosen = members.get(at, other)
            if chosen is not None:
                self._matrix[at, column[chosen]] = 1

    def scores(self, scores: Tensor) -> Tensor:
        """Add up probabilities.

        Args:
            scores: Floating point ``(T, C)``, one column a label.

        Returns:
            ``(T, G)``, one column a group; a row with NaN becomes NaN.
        """
        return scores @ self._matrix.to(scores)


def read_groups(groups: str | Groups) -> Groups:
    """Groups from a YAML or JSON file, or as they are.

    Args:
        groups: A mapping; or a file, looked for as a path, then among the package's own configurations, for example
            ``action/kinetics_drinking_cooking``.

    Raises:
        ConfigurationError: If there is no such file, or it is no mapping from names to lists of labels.

    Example:
        >>> list(read_groups("action/kinetics_drinking_cooking"))
        ['drinking', 'cooking']
    """
    if isinstance(groups, str):
        path, text = _find(groups)
        try:
            content: object = parse_yaml(text, path, words=True)
        except LabelError as error:
            raise ConfigurationError(f"The class groups are neither YAML nor JSON: {error}.") from error
    else:
        path, content = "of the configuration", groups
    if not isinstance(content, Mapping):
        content = {}
    right = all(
        isinstance(names, Sequence) and not isinstance(names, str) and all(isinstance(name, str) for name in names)
        for names in content.values()
    )
    if not right or not content:
        raise ConfigurationError(
            f"The class groups {path} are no map from groups to labels: write lines such as 'drinking: [tasting beer]'."
        )
    return {str(group): list(names) for group, names in content.items()}


def _find(name: str) -> tuple[str, str]:
    """Name and text of a file of groups."""
    path = Path(name).expanduser()
    if path.is_file():
        return str(path), read_text(path)
    packaged = resources.files("configs") / f"{name.removesuffix('.yaml')}.yaml"
    if not path.is_absolute() and packaged.is_file():
        return name, packaged.read_text(encoding="utf-8")
    raise ConfigurationError(
        f"There are no class groups {name}: give a YAML or JSON file, or the name of a shipped one such as "
        "action/kinetics_drinking_cooking."
    )


def _plain(label: str) -> str:
    return " ".join(label.replace("_", " ").casefold().split())


def _number_of(name: str, number: Mapping[str, int], labels: Sequence[str]) -> int:
    at = number.get(_plain(name))
    if at is None:
        near = difflib.get_close_matches(_plain(name), number, n=3)
        hint = f"nearest: {', '.join(labels[number[label]] for label in near)}" if near else "see the model's labels"
        raise ConfigurationError(f"The model has no label {name!r} among its {len(labels)}; {hint}.")
    return at
