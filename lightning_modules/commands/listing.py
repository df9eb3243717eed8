"""``appraise list``: the names that a configuration or a command line may use. No heavy import."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import callbacks
import datamodules
import lightning_modules
from datamodules.common.lazy_names import PublicName
from lightning_modules.commands.front.config_files import config_folder, config_names
from lightning_modules.commands.front.errors import CommandLineError

KINDS = ("methods", "data", "callbacks", "configs", "parts")
_USE = {
    "methods": "--model NAME",
    "data": "--data NAME",
    "callbacks": "--trainer.callbacks+ NAME",
    "configs": "--config NAME",
    "parts": "--trainer NAME or --trainer.logger NAME",
}


def run(command: str, arguments: Sequence[str]) -> int:
    """Print the names of the asked kinds, or of all.

    Raises:
        CommandLineError: If another kind is asked for.
    """
    unknown = [argument for argument in arguments if argument not in KINDS]
    if unknown:
        raise CommandLineError(
            f'there is no list of "{unknown[0]}": ask for {", ".join(KINDS)}, or for nothing to see all'
        )
    sections = [_section(kind, named_things(kind)) for kind in arguments or KINDS]
    sys.stdout.write("\n".join(sections))
    return 0


def named_things(kind: str) -> dict[str, str]:
    """Names of one of the ``KINDS`` with a line about each."""
    if kind in ("configs", "parts"):
        names = (name for name in config_names(parts=True) if name.startswith("_parts/") == (kind == "parts"))
        return {name: config_summary(config_folder() / f"{name}.yaml") for name in names}
    tables: dict[str, Mapping[str, PublicName]] = {
        "methods": lightning_modules.PUBLIC,
        "data": datamodules.PUBLIC,
        "callbacks": callbacks.PUBLIC,
    }
    return {name: place.summary for name, place in tables[kind].items()}


def config_summary(path: Path) -> str:
    """First sentence of a configuration file's leading comment, after the command that runs it and its blank line.

    A file that another command than ``fit`` and its like takes says so first.
    """
    comment: list[str] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if not line.startswith("#"):
            break
        comment.append(line.lstrip("# ").strip())
    command = comment[0] if comment else ""
    if command.startswith(("python ", "appraise ")):
        comment = comment[comment.index("") + 1 if "" in comment else 1 :]
    sentence = re.split(r"\. (?=[A-Z])", " ".join(comment))[0].strip().removesuffix(".")
    return f"(sweep) {sentence}" if command.startswith("appraise sweep ") else sentence


def _section(kind: str, things: Mapping[str, str]) -> str:
    width = max(map(len, things), default=0) + 2
    rows = [f"  {name:<{width}}{line}".rstrip() for name, line in things.items()]
    return "\n".join([f"{kind} ({_USE[kind]}):", *rows]) + "\n"
