"""Options as they stand among the words of a command line."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

# Options without a value, so that what follows one is no value of it.
SWITCHES = (
    "--print_config", "--help-all", "--help", "-h", "--show", "--force", "--strips", "--agreement", "--dry-run",
    "--offline", "--tone-mapping",
)  # fmt: skip


def pairs(arguments: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Options with their values, and words that stand alone with None.

    Example:
        >>> list(pairs(["--a=1", "--b", "2", "--print_config", "c"]))
        [('--a', '1'), ('--b', '2'), ('--print_config', None), ('c', None)]
    """
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if not word.startswith("-") or name in SWITCHES:
            yield (name if word.startswith("-") else word), None
        else:
            yield name, value if equals else next(words, None)


def value_of(option: str, arguments: Sequence[str]) -> str | None:
    """Last value of an option; None where it is not given.

    Example:
        >>> value_of("--output", ["--output", "a", "--output=b"])
        'b'
    """
    values = [value for name, value in pairs(arguments) if name == option]
    return values[-1] if values else None


def without(option: str, arguments: Sequence[str]) -> list[str]:
    """Words of a command line with every mention of an option left out, and its value.

    Example:
        >>> without("--ckpt_path", ["--ckpt_path", "a", "--seed", "1", "--ckpt_path=b"])
        ['--seed', '1']
    """
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == option:
            next(words, None)
        elif not word.startswith(f"{option}="):
            kept.append(word)
    return kept


def asks_for_help(arguments: Iterable[str]) -> bool:
    """Whether ``-h`` or ``--help`` stands as an option of its own, neither as the value of one nor behind ``--``.

    Example:
        >>> asks_for_help(["--force", "-h"]), asks_for_help(["--attributes", "-h"]), asks_for_help(["--", "-h"])
        (True, False, False)
    """
    is_value = False
    for word in arguments:
        if not is_value and word in ("-h", "--help", "--"):
            return word != "--"
        takes_value = word == "-c" or (word.startswith("--") and "=" not in word and word not in SWITCHES)
        is_value = takes_value and not is_value
    return False


def program() -> str:
    """How this program was called, for commands to copy."""
    return f"python {sys.argv[0]}" if Path(sys.argv[0]).name == "cli.py" else "appraise"
