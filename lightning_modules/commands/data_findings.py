"""What a data module holds and what is wrong with it, told without a training; for ``appraise doctor``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import lightning as L
import yaml

from datamodules.common.errors import AppraiseError
from datamodules.summary.findings import Finding
from datamodules.summary.training_data import DataSummary, Summarised
from datamodules.tables.yaml import parse_yaml
from lightning_modules.commands.front import diagnosis
from lightning_modules.commands.front.config_files import ConfigFile, resolve_config_options
from lightning_modules.commands.front.console import set_up_console
from lightning_modules.commands.front.errors import CommandLineError, one_sentence
from lightning_modules.commands.front.lightning_cli import import_public_classes
from lightning_modules.commands.front.parser import AppraiseParser, complete_references, prepare_parsing

KEY = "data"


class DataFindings(NamedTuple):
    """What was found.

    Attributes:
        findings: Lines of the summary, and all that is wrong.
        summary: The numbers; None where the data cannot be read at all.
    """

    findings: list[Finding]
    summary: DataSummary | None


def findings_of(arguments: Sequence[str]) -> DataFindings:
    """Build a data module and ask it what it holds.

    Args:
        arguments: Options ``--config`` and ``--data``, as `fit` takes them.

    Raises:
        CommandLineError: If the arguments cannot work.
    """
    set_up_console()
    import_public_classes()
    prepare_parsing()
    resolved, configs = resolve_config_options(arguments)
    parser = AppraiseParser(prog="appraise doctor", parser_mode="omegaconf+", allow_abbrev=False)
    parser.add_subclass_arguments(L.LightningDataModule, KEY, fail_untyped=False, required=True)
    try:
        parsed = parser.parse_args(_with_configs(resolved, configs))
    except CommandLineError as error:
        raise CommandLineError(diagnosis.explain(str(error), "doctor", [f"--{KEY}"], configs)) from error
    try:
        data = parser.instantiate_classes(parsed)[KEY]
        return _ask(data)
    except AppraiseError as error:
        return DataFindings([Finding("fault", "data", one_sentence(error))], None)
    except ValueError as error:
        if not isinstance(error.__cause__, AppraiseError):  # the data module's own, inside the parser's
            raise
        return DataFindings([Finding("fault", "data", one_sentence(error.__cause__))], None)


def _ask(data: L.LightningDataModule) -> DataFindings:
    name = type(data).__name__
    if not isinstance(data, Summarised):
        text = f"{name} cannot say what it holds"
        return DataFindings([Finding("note", "data", text, "give it a method data_summary() -> DataSummary")], None)
    summary = data.data_summary()
    lines = [Finding("ok", "data", line) for line in summary.lines()]
    return DataFindings([*lines, *summary.findings], summary)


def _with_configs(arguments: Sequence[str], configs: Sequence[ConfigFile]) -> list[str]:
    """Arguments with the data of the configuration files in the place of their names."""
    words: list[str] = []
    files = iter(configs)
    skip = False
    for word in arguments:
        if skip:
            skip = False
        elif word in ("--config", "-c") or word.startswith("--config="):
            skip = "=" not in word
            words += _data_of(next(files))
        else:
            words.append(word)
    return words


def _data_of(config: ConfigFile) -> list[str]:
    """Option that gives what a configuration file says of the data."""
    text = complete_references(config.path.read_text(encoding="utf-8"))
    content = parse_yaml(text, config.name)
    given = content.get(KEY) if isinstance(content, dict) else None
    if isinstance(given, str):  # a file beside it
        given = parse_yaml((config.path.parent / given).read_text(encoding="utf-8"), given)
    return [f"--{KEY}", json.dumps(given) if isinstance(given, dict) else str(yaml.safe_dump(given))] if given else []
