"""What a piece of work ends with, kept in its folder, so that a table goes on with what is missing."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datamodules.common.atomic_write import write_text

OptionValue = str | int | float | bool | list[Any] | dict[str, Any] | None
DONE = "result.json"  # the last file that a piece of work writes


@dataclass(frozen=True)
class Result:
    """What a piece of work ends with.

    Attributes:
        values: Metrics and counts by name.
        checkpoint: Checkpoint of a training; empty for a mining.
    """

    values: dict[str, float] = field(default_factory=dict)
    checkpoint: str = ""


def read_result(folder: Path) -> Result | None:
    """The result of a piece of work that is done; None where it is not."""
    file = folder / DONE
    if not file.is_file():
        return None
    content = json.loads(file.read_text(encoding="utf-8"))
    values = {name: math.nan if value is None else float(value) for name, value in content["values"].items()}
    return Result(values, content["checkpoint"])


def write_result(folder: Path, result: Result) -> Result:
    """Record that a piece of work is done."""
    values = {name: None if math.isnan(value) else value for name, value in result.values.items()}
    write_text(folder / DONE, json.dumps({"values": values, "checkpoint": result.checkpoint}, indent=1) + "\n")
    return result


def option_arguments(options: Mapping[str, OptionValue]) -> list[str]:
    """Options as arguments of a command line.

    Example:
        >>> option_arguments({"model.init_args.omnia_epsilon": 0.01, "output": "a"})
        ['--model.init_args.omnia_epsilon=0.01', '--output=a']
    """
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in options.items()}
    return [f"--{name}={text}" for name, text in texts.items()]


def filled(value: OptionValue, names: Mapping[str, str | float]) -> OptionValue:
    """An option with ``{name}`` replaced by what the name stands for, in texts at any depth.

    Example:
        >>> filled({"weights": "{start}", "steps": 3, "gamma": "{place}"}, {"start": "a.ckpt", "place": 0.1})
        {'weights': 'a.ckpt', 'steps': 3, 'gamma': 0.1}
    """
    if isinstance(value, dict):
        return {key: filled(held, names) for key, held in value.items()}
    if isinstance(value, list):
        return [filled(held, names) for held in value]
    if isinstance(value, str):
        for name, own in names.items():
            if value == f"{{{name}}}":
                return own
            value = value.replace(f"{{{name}}}", own if isinstance(own, str) else f"{own:g}")
    return value


def names_in(value: OptionValue) -> set[str]:
    """Every ``{name}`` that an option waits for.

    Example:
        >>> names_in({"weights": "{start}", "steps": [3, "{judge}"]}) == {"start", "judge"}
        True
    """
    if isinstance(value, dict | list):
        return set().union(*map(names_in, value.values() if isinstance(value, dict) else value))
    return set(re.findall(r"{([a-z0-9_.]+)}", value)) if isinstance(value, str) else set()
