"""What a list says of each file: once is enough, and twice must not contradict."""

from __future__ import annotations

import logging
from collections.abc import Hashable
from pathlib import Path

from datamodules.common.errors import fail

_log = logging.getLogger(__name__)


class Repeats:
    """Keeps what a list said of each of its entries.

    A row that repeats another counts once, with a word; one that says something else of the same entry is an error.

    Args:
        path: The list, for messages.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = path
        self._first: dict[Hashable, tuple[int, tuple[object, ...]]] = {}
        self._repeated: list[tuple[int, int, str]] = []

    def is_new(self, line: int, key: Hashable, name: str, **said: object) -> bool:
        """Whether the list did not say so before.

        Args:
            line: Line of the row.
            key: What the entry is, the same for all spellings of it.
            name: The entry as the row writes it.
            said: What the row says of it, by column; None where it says nothing.

        Raises:
            LabelError: If an earlier row says something else; the message names both lines.
        """
        earlier, known = self._first.setdefault(key, (line, tuple(said.values())))
        if earlier == line:
            return True
        for (column, value), other in zip(said.items(), known, strict=True):
            if value != other:
                differs = f"{column} {_shown(other)}, here with {_shown(value)}"
                if not isinstance(value, str | float | int | tuple | None):  # many values
                    differs = f"other {column}"
                raise fail(
                    self._path,
                    line,
                    f"{name!r} was already named in line {earlier} with {differs}; drop one of the two rows",
                )
        self._repeated.append((line, earlier, name))
        return False

    def report(self) -> None:
        """Say how many rows were left out because they repeat others."""
        if self._repeated:
            line, earlier, name = self._repeated[0]
            _log.warning(
                "warning: %s: %d row(s) repeat another and count once, the first is line %d, which repeats %r of line "
                "%d", self._path, len(self._repeated), line, name, earlier,
            )  # fmt: skip


def _shown(value: object) -> str:
    return "nothing" if value is None else f"{value:g}" if isinstance(value, float) else repr(value)
