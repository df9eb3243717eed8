"""What a command line and its configuration files state: a flat table of option, value and where it stands."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import yaml

from lightning_modules.commands.front.config_files import ConfigFile
from lightning_modules.commands.front.early.words import pairs

PARTS = ("model", "data")  # settings that name a class and its arguments
_CLASS_OPTIONS = tuple(f"{part}{ending}" for part in PARTS for ending in ("", ".class_path"))
_OWN_PACKAGE = {"model": "lightning_modules", "data": "datamodules"}


class Statement(NamedTuple):
    """A value that is stated.

    Attributes:
        option: Path of the option with points, such as ``data.init_args.root``; ``data.root`` is the same.
        value: Its value; None where a word stands alone.
        place: Where it stands: an option as it was written, or a file.
    """

    option: str
    value: object
    place: str


def statements(arguments: Sequence[str], configs: Sequence[ConfigFile]) -> list[Statement]:
    """All that is stated, in the order in which the later one wins; files that are no mapping state nothing here.

    A class that replaces another forgets the arguments that were stated for it.
    """
    found: list[Statement] = []
    for config in configs:
        stated = [Statement(option, value, str(config.name)) for option, value in _flat("", _mapping(config.path))]
        for one in sorted(stated, key=lambda one: one.option not in _CLASS_OPTIONS):
            _add(one, found)
    for word, value in pairs(arguments):
        if word.startswith("--") and word.lstrip("-") != "config":
            _add(Statement(_full(word.lstrip("-").rstrip("+")), value, word), found)
    return found


def _add(one: Statement, found: list[Statement]) -> None:
    if one.option in _CLASS_OPTIONS:
        part = one.option.partition(".")[0]
        before = class_named(part, found)
        if before is not None and class_named(part, [one]) != before:
            found[:] = [other for other in found if not other.option.startswith(f"{part}.init_args.")]
    found.append(one)


def class_named(part: str, stated: Sequence[Statement]) -> str | None:
    """Path of the class that is named last for ``model`` or ``data``; None where none is named."""
    last = class_written(part, stated)
    return last if last is None or "." in last else f"{_OWN_PACKAGE[part]}.{last}"


def class_written(part: str, stated: Sequence[Statement]) -> str | None:
    """The same as it is written: a path, or a bare name."""
    named = [one.value for one in stated if one.option in (part, f"{part}.class_path")]
    last = named[-1] if named else None
    if not isinstance(last, str) or any(letter in last for letter in "{/ \n") or last.endswith((".yaml", ".yml")):
        return None
    return last


def _full(option: str) -> str:
    part, _, rest = option.partition(".")
    if part in PARTS and rest and not rest.startswith(("init_args", "class_path", "help", "dict_kwargs")):
        return f"{part}.init_args.{rest}"
    return option


def _mapping(path: Path) -> Mapping[str, object]:
    try:
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}  # the parser says what is wrong with it
    return settings if isinstance(settings, dict) else {}


def _flat(before: str, value: object) -> Iterator[tuple[str, object]]:
    """Options down to the arguments of classes and of the trainer; what lies deeper is a value."""
    depth = before.count(".") + 1 if before else 0
    deeper = depth == 0 or before in ("trainer", *PARTS) or before in [f"{part}.init_args" for part in PARTS]
    if isinstance(value, Mapping) and deeper:
        for key, one in value.items():
            yield from _flat(f"{before}.{key}" if before else str(key), one)
    else:
        yield _full(before), value
