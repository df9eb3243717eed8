"""``fit``, ``validate``, ``test`` and ``predict`` until PyTorch is needed."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from lightning_modules.commands.front.config_files import ConfigFile, describe, resolve_config_options
from lightning_modules.commands.front.console import set_up_console
from lightning_modules.commands.front.early.class_names import check_classes
from lightning_modules.commands.front.early.data_values import check_data_values
from lightning_modules.commands.front.early.given_files import check_files
from lightning_modules.commands.front.early.known_options import check_options
from lightning_modules.commands.front.early.run_option import expand_run
from lightning_modules.commands.front.early.stated import Statement, statements
from lightning_modules.commands.front.errors import CommandLineError

_ASKING = ("print_config", "help", "help-all")

log = logging.getLogger("appraise")


def begin(command: str, arguments: Sequence[str]) -> tuple[list[str], list[ConfigFile]]:
    """Say which configuration is taken, and refuse what can be refused without PyTorch.

    Returns:
        The arguments with absolute paths of configuration files, and these files in order.

    Raises:
        CommandLineError: If an option, a file or a folder is not there.
    """
    set_up_console()
    if str(Path.cwd()) not in sys.path:
        sys.path.append(str(Path.cwd()))  # classes of one's own are found where the command is typed
    resolved, configs = resolve_config_options(expand_run(command, arguments))
    for config in configs:
        log.info("%s", describe(config))
    stated = statements(resolved, configs)
    check_options(command, stated)
    if not any(one.option.partition(".")[0] in _ASKING or one.option.endswith(".help") for one in stated):
        check_classes(stated)
        check_files(stated)
        if not configs:
            log.info("config none: options alone")  # a sign of life, for what follows takes seconds
        _check_weights(command, stated)
        check_data_values(stated)
    return resolved, configs


def _check_weights(command: str, stated: Sequence[Statement]) -> None:
    """Refuse a prediction whose configuration sets up a model of which nothing says what it is."""
    of_model = [one.option for one in stated if one.option.partition(".")[0] == "model"]
    named = {"model", "model.class_path"}.intersection(of_model) or any(one.option == "ckpt_path" for one in stated)
    if command == "predict" and of_model and not named:
        raise CommandLineError(
            "predict needs a trained model: add --run FOLDER or --ckpt_path FILE (`fit` names both at its end)"
        )
