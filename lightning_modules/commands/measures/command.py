"""``appraise measure-generated``: does a set of made pictures copy its training set, and whom does it show?"""

from __future__ import annotations

import json
import logging
import sys
from argparse import ArgumentError
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

from jsonargparse import ArgumentParser

from datamodules.common.errors import AppraiseError, one_line
from lightning_modules.commands.front.config_files import resolve_config_options
from lightning_modules.commands.front.console import RESULTS, set_up_console
from lightning_modules.commands.front.diagnosis import explain
from lightning_modules.commands.front.errors import CommandLineError, did_you_mean
from lightning_modules.commands.front.parser import namespace_at_home
from lightning_modules.commands.measures.measuring import measured_whole
from lightning_modules.commands.measures.report import sentences
from lightning_modules.commands.measures.settings import MeasureSettings
from lightning_modules.face_diffusion.rewards import embedders, judges

_LISTS = ("classes", "target", "intersections")  # options that take several words
_KNOWN = {
    "--embedder": [one.__name__ for one in embedders.Embedder.__subclasses__()],
    "--judge": [one.__name__ for one in judges.Judge.__subclasses__()],
}

log = logging.getLogger("appraise")
results = logging.getLogger(RESULTS)


def run(command: str, arguments: Sequence[str]) -> int:
    """Measure, and write page and tables; 0, since everything else is an exception."""
    set_up_console()
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # embedders and judges of one's own are found where the command is typed
    resolved, _ = resolve_config_options(joined(arguments))
    settings = parse(resolved)
    found = measured_whole(settings)
    for line in sentences(found):
        results.info("%s", one_line(line))
    for note in (note for one in found.every for note in one.notes):
        log.info("%s", one_line(note))
    results.info("page and tables: %s", one_line(str(Path(settings.output).expanduser() / "page.html")))
    return 0


def joined(arguments: Sequence[str]) -> list[str]:
    """Words as the parser takes them: several values as a list, ``--embedder A --embedder B`` as two of them.

    Example:
        >>> joined(["--generated", "a=x", "--generated", "b=y", "--classes", "Smiling", "--embedder", "PixelEmbedder"])
        ['--classes=["Smiling"]', '--embedder+=PixelEmbedder', '--generated=["a=x", "b=y"]']
    """
    words, kept = list(arguments), []
    repeated: list[str] = []
    while words:
        name, equals, value = words.pop(0).partition("=")
        option = name.removeprefix("--").replace("-", "_")
        several = option in (*_LISTS, "generated")
        values = [value] if equals else []
        while words and not words[0].startswith("--") and not equals and (several or not values):
            values.append(words.pop(0))
        if not name.startswith("--") or option in ("print_config", "help"):
            kept += [f"{name}{equals}{value}", *([] if equals else values)]
        elif option == "generated" and not (len(values) == 1 and values[0].startswith("[")):
            repeated += values
        else:
            kept.append(_joined_option(name, option, values))
    return [*kept, *([f"--generated={_as_list(repeated)}"] if repeated else [])]


def _joined_option(name: str, option: str, values: Sequence[str]) -> str:
    """One option with its values as one word."""
    if not values and option != "flips":
        raise CommandLineError(f"{name} needs a value")
    if option in ("embedder", "judge"):
        return f"--{option}{'+' if option == 'embedder' else ''}={_known_class(name, values[0])}"
    if option in _LISTS and not values[0].startswith("["):
        return f"--{option}={_as_list(_numbers(values) if option == 'target' else values)}"
    return f"--{option}={values[0] if values else 'true'}"


def parse(arguments: Sequence[str]) -> MeasureSettings:
    """Read the settings.

    Raises:
        CommandLineError: If an option cannot work.
    """
    parser = ArgumentParser(prog="appraise measure-generated", exit_on_error=False)
    parser.add_argument("--config", action="config", help="configuration file")
    parser.add_class_arguments(MeasureSettings, as_group=False)
    try:
        parsed = namespace_at_home(parser.parse_args(list(arguments)))
        stated = vars(parser.instantiate_classes(parsed.clone(with_meta=False)))
        return MeasureSettings(**{name: value for name, value in stated.items() if name != "config"})
    except AppraiseError:
        raise
    except (ArgumentError, TypeError, KeyError, ValueError) as error:  # jsonargparse, by the kind of mistake
        names = [f"--{one.name}" for one in fields(MeasureSettings)]
        raise CommandLineError(explain(str(error), "measure-generated", names, [])) from error


def _known_class(option: str, value: str) -> str:
    known = _KNOWN[option]
    if value.isidentifier() and value not in known:
        raise CommandLineError(f'{option}: there is no class "{value}"{did_you_mean(value, known)}')
    return value


def _as_list(values: Sequence[str | float]) -> str:
    """A list as the parser reads it, which takes no pairs of surrogates for a character."""
    return json.dumps(list(values), ensure_ascii=False)


def _numbers(words: Sequence[str]) -> list[str | float]:
    """Words that are numbers as such; the parser names the others."""
    found: list[str | float] = []
    for word in words:
        try:
            found.append(float(word))
        except ValueError:
            found.append(word)
    return found
