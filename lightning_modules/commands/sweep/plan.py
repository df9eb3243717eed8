"""A sweep file as W&B takes it, checked before anything runs, and the command of each of its points."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import cli
from datamodules.common.errors import LabelError
from datamodules.tables.yaml import read_yaml
from lightning_modules.commands.front.errors import CommandLineError, did_you_mean
from lightning_modules.commands.sweep.space import (
    Fail,
    Parameter,
    Values,
    grid_points,
    random_points,
    read_parameter,
    size_of,
)

Goal = Literal["minimize", "maximize"]

METHODS = ("grid", "random", "bayes")
GOALS = ("minimize", "maximize")
# Keys that W&B knows, and which of them must be there.
KEYS = {
    "": (
        "program", "method", "metric", "parameters", "early_terminate", "command", "run_cap", "name", "description",
        "project", "entity",
    ),
    "metric": ("name", "goal", "target"),
    "early_terminate": ("type", "min_iter", "max_iter", "s", "eta", "strict"),
}  # fmt: skip
_NEEDED = {"": ("program", "method", "metric", "parameters"), "metric": ("name", "goal"), "early_terminate": ("type",)}
ARGUMENTS = "${args}"
_PLAIN = ["${env}", "${interpreter}", "${program}", ARGUMENTS]  # W&B's own command
_VARIABLE = re.compile(r"\$\{envvar:([A-Z0-9_]*)\}")


@dataclass(frozen=True, slots=True)
class Plan:
    """A sweep that was read and found right.

    Attributes:
        path: Its file.
        content: The file, with ``program`` and ``command`` as they are run here.
        metric: Name of what is compared.
        goal: Which way is better.
        space: Parameters by name.
    """

    path: Path
    content: Mapping[str, object]
    metric: str
    goal: Goal
    space: dict[str, Parameter]

    @property
    def command(self) -> list[str]:
        """What each point runs, macros not filled in."""
        words = self.content["command"]
        return [str(word) for word in words] if isinstance(words, list) else []

    def points(self, count: int | None, seed: int) -> list[Values]:
        """All points of the sweep, without a server; ``bayes`` draws as ``random`` does.

        Args:
            count: How many, beside the file's own ``run_cap``; None for no other limit.
            seed: Of the draws.

        Raises:
            CommandLineError: If there is no end to them, or a grid has a range without steps.
        """
        cap = self.content.get("run_cap")
        limits = [limit for limit in (count, cap) if isinstance(limit, int)]
        if self.content["method"] == "grid":
            for name, parameter in self.space.items():
                if not parameter.choices:
                    raise self.error(f"parameters.{name} has no steps, but a grid takes values alone: use random")
            return grid_points(self.space, min(limits, default=None))
        if not limits and size_of(self.space) is None:
            raise self.error(f"{self.content['method']} has no end: add --count N, or run_cap to the file")
        return random_points(self.space, min(limits, default=size_of(self.space) or 0), seed)

    def words(self, values: Values) -> list[str]:
        """The command of one point, as the agent of W&B would run it.

        Raises:
            CommandLineError: If a variable that it names is not set.
        """
        filled = {
            "${env}": [],
            "${interpreter}": [sys.executable],
            "${program}": [str(self.content["program"])],
            ARGUMENTS: arguments(values),
        }
        words: list[str] = []
        for word in self.command:
            words += filled.get(word, [_VARIABLE.sub(self._variable, word)])
        return words

    def _variable(self, found: re.Match[str]) -> str:
        if found[1] not in os.environ:
            raise self.error(f"its command takes the variable {found[1]}, which is not set: export {found[1]}=...")
        return os.environ[found[1]]

    def error(self, sentence: str) -> CommandLineError:
        """An error that names the file."""
        return CommandLineError(f"{self.path}: {sentence}")


def arguments(values: Values) -> list[str]:
    """Values as W&B's agent writes them.

    Example:
        >>> arguments({"model.init_args.dropout": 0.5, "data.init_args.flip": False})
        ['--model.init_args.dropout=0.5', '--data.init_args.flip=False']
    """
    return [f"--{name}={value}" for name, value in values.items()]


def read_plan(path: Path, further: Sequence[str] = ()) -> Plan:
    """Read a sweep file.

    Args:
        path: YAML.
        further: Words for ``fit`` before the swept ones; a ``--config`` among them replaces the file's own.

    Raises:
        CommandLineError: If a key or a value is not one that W&B and the command line take.
    """
    try:
        content = read_yaml(path)
    except LabelError as error:
        raise CommandLineError(str(error)) from error
    return plan_of(content, path, further)


def plan_of(content: Any, path: Path, further: Sequence[str] = ()) -> Plan:  # noqa: ANN401  # as YAML has it
    """Check what a sweep file, or W&B's server, holds.

    Raises:
        CommandLineError: If a key or a value is not one that W&B and the command line take.
    """

    def fail(sentence: str) -> CommandLineError:
        return CommandLineError(f"{path}: {sentence}")

    _check(content, fail)
    parameters = content["parameters"]
    if not isinstance(parameters, dict) or not parameters:
        raise fail("parameters is empty, but at least one is needed")
    space = {str(name): read_parameter(str(name), told, fail) for name, told in parameters.items()}
    content = {**content, "program": _program(content["program"], fail)}
    content["command"] = _command(content.get("command", _PLAIN), further, fail)
    return Plan(path, content, str(content["metric"]["name"]), content["metric"]["goal"], space)


def _check(content: Any, fail: Fail) -> None:  # noqa: ANN401  # as YAML has it
    """Everything but the parameters, the program and the command."""
    for place in KEYS:
        if place in ("", "metric") or place in content:
            _check_keys(place, content.get(place) if place else content, fail)
    _check_choice("method", content["method"], METHODS, fail)
    _check_choice("metric.goal", content["metric"]["goal"], GOALS, fail)
    if "early_terminate" in content:
        _check_choice("early_terminate.type", content["early_terminate"]["type"], ("hyperband",), fail)
        if ("min_iter" in content["early_terminate"]) == ("max_iter" in content["early_terminate"]):
            raise fail("early_terminate needs min_iter, or max_iter together with s, and not both")
    cap = content.get("run_cap", 1)
    if not isinstance(cap, int) or isinstance(cap, bool) or cap < 1:
        raise fail(f"run_cap is {cap!r}, but a whole number of 1 or more is needed")


def _check_keys(place: str, part: object, fail: Fail) -> None:
    name = place or "the file"
    if not isinstance(part, dict):
        raise fail(f"{name} is {part!r}, but a mapping with {', '.join(_NEEDED[place])} is needed")
    for key in _NEEDED[place]:
        if key not in part:
            raise fail(f"{name} has no {key}, which every sweep needs")
    for key in part:
        if key not in KEYS[place]:
            raise fail(f"{name} has the key {key}, which W&B does not know{did_you_mean(str(key), KEYS[place])}")


def _check_choice(name: str, value: object, known: Sequence[str], fail: Fail) -> None:
    if value not in known:
        raise fail(f"{name} is {value!r}, but {' or '.join(known)} is needed")


def _program(told: object, fail: Fail) -> str:
    """The program; ``cli.py`` is this one, named so that agents elsewhere find theirs where it lies in this folder."""
    program, own = Path(str(told)).expanduser(), Path(cli.__file__).resolve()
    if told == "cli.py" and program.resolve() != own:
        return str(own)
    if not program.is_file():
        raise fail(f"program is {told}, but there is no such file here: cli.py is the front door")
    return str(program)


def _command(told: object, further: Sequence[str], fail: Fail) -> list[str]:
    if not isinstance(told, list) or ARGUMENTS not in told:
        raise fail(f"command is {told!r}, but a list of words with {ARGUMENTS} is needed")
    macros = [str(word) for word in told if str(word).startswith("${") and not _VARIABLE.match(str(word))]
    for macro in macros:
        if macro not in _PLAIN:
            raise fail(f"command has {macro}, which loses or changes what is swept: {ARGUMENTS} hands all of it on")
    replaced = any(word == "--config" or word.startswith("--config=") for word in further)
    words = [str(word) for word in told if not (replaced and str(word).startswith("--config="))]
    place = words.index(ARGUMENTS)
    return [*words[:place], *further, *words[place:]]
