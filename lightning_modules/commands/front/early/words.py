"""Options as they stand among the words of a command line."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

SWITCHES = ("--print_config", "--help-all", "--help", "-h")  # options that have no value


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
