"""What is looked at before the module of any other command is imported."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_modules.commands.front.config_files import find_config
from lightning_modules.commands.front.early.class_arguments import class_arguments
from lightning_modules.commands.front.early.given_files import check_checkpoint
from lightning_modules.commands.front.early.words import SWITCHES, pairs
from lightning_modules.commands.front.errors import CommandLineError, did_you_mean

# Commands whose module takes seconds to import -> classes whose arguments are their options, and more options.
_OPTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "evaluate-faces": (("lightning_modules.commands.faces.settings.EvaluationSettings",), ("config", "data")),
    "mentor-loop": (("lightning_modules.commands.mentoring.settings.LoopSettings",), ("config",)),
    "export": ((), ("ckpt_path", "output", "input", "format", "int8", "data", "force")),
}
_WITH_RUN = ("fit", "validate", "test", "predict", "annotate")
_WITH_CONFIG = ("evaluate-faces", "mentor-loop", "generate", "annotate", "submit")


def check_words(command: str, arguments: Sequence[str]) -> None:
    """Refuse an option that a slow command does not have, and a checkpoint or a configuration that is not there.

    Raises:
        CommandLineError: With the nearest names.
    """
    given = [(word, value) for word, value in pairs(arguments) if word.startswith("--") and word not in SWITCHES]
    known = _known(command)
    for word, _ in given:
        name = word.lstrip("-").partition(".")[0].rstrip("+").replace("-", "_")
        if known and name not in known:
            raise CommandLineError(f"unknown option {word}{did_you_mean(word, [f'--{one}' for one in known])}")
    for word, value in given:
        if word == "--ckpt_path":
            check_checkpoint(value, runs=command in _WITH_RUN)
        elif word == "--config" and value and command in _WITH_CONFIG and not value.lstrip().startswith("{"):
            find_config(value)


def _known(command: str) -> set[str]:
    classes, more = _OPTIONS.get(command, ((), ()))
    arguments = [class_arguments(one) for one in classes]
    if command not in _OPTIONS or None in arguments:
        return set()
    return {*more, *(name for one in arguments for name in one or ())}
