"""What is looked at before the module of any other command is imported."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lightning_modules.commands.front.config_files import find_config
from lightning_modules.commands.front.early.given_files import check_checkpoint, check_place
from lightning_modules.commands.front.early.run_option import checkpoint_for_run
from lightning_modules.commands.front.early.words import SWITCHES, pairs, value_of
from lightning_modules.commands.front.errors import CommandLineError, did_you_mean

# Commands whose module takes seconds to import -> classes whose arguments are their options, and more options.
_OPTIONS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "evaluate-faces": (("lightning_modules.commands.faces.settings.EvaluationSettings",), ("config", "data", "run")),
    "measure-generated": (("lightning_modules.commands.measures.settings.MeasureSettings",), ("config",)),
    "mentor-loop": (("lightning_modules.commands.mentoring.settings.LoopSettings",), ("config",)),
    "reward-study": (("lightning_modules.commands.reward_study.settings.StudySettings",), ("config",)),
    "export": ((), ("ckpt_path", "run", "output", "input", "format", "int8", "data", "force")),
}
# Commands -> how many words of their own name places that are read; options that do.
_PLACES: dict[str, tuple[int, tuple[str, ...]]] = {
    "annotate": (1, ("--truth",)),
    "extract-frames": (1, ("--root",)),
    "run-exported": (2, ()),
    "compare": (2, ()),
    "export": (0, ("--input", "--int8")),
    "generate": (0, ("--from-image", "--from-list", "--statistics")),
    "measure-generated": (0, ("--training", "--held-out", "--attributes", "--generated")),
    "mentor": (0, ("--import", "--root")),
}
_ONLY_CHECKPOINT = ("export", "generate", "evaluate-faces")  # of a run they take the checkpoint alone
_WITH_RUN = ("fit", "validate", "test", "predict", "annotate", *_ONLY_CHECKPOINT)
_WITH_CONFIG = ("evaluate-faces", "measure-generated", "mentor-loop", "generate", "annotate", "submit", "reward-study")


def checked_words(command: str, arguments: Sequence[str]) -> list[str]:
    """Refuse an option that a slow command does not have, and a checkpoint or a configuration that is not there.

    Returns:
        The words, with a checkpoint in the place of a run where the command takes no more of it.

    Raises:
        CommandLineError: With the nearest names.
    """
    given = [(word, value) for word, value in pairs(arguments) if word.startswith("--") and word not in SWITCHES]
    known = _known(command)
    for word, _ in given:
        name = word.lstrip("-").partition(".")[0].rstrip("+").replace("-", "_")
        if known and name not in known:
            raise CommandLineError(f"unknown option {word}{did_you_mean(word, [f'--{one}' for one in known])}")
    _check_places(command, arguments)
    for word, value in given:
        if word == "--ckpt_path" and not (command in _WITH_RUN and value_of("--run", arguments)):
            check_checkpoint(value, runs=command in _WITH_RUN)
        elif word == "--config" and value and command in _WITH_CONFIG and not value.lstrip().startswith("{"):
            find_config(value)
    if command not in _ONLY_CHECKPOINT:
        return list(arguments)
    from lightning_modules.commands.front.console import set_up_console

    set_up_console()  # the run that is taken is named
    if command == "export" and not any(word in ("--run", "--ckpt_path") for word, _ in given):
        raise CommandLineError("export needs a trained model: add --run FOLDER or --ckpt_path FILE")
    return checkpoint_for_run(arguments)


def _check_places(command: str, arguments: Sequence[str]) -> None:
    count, options = _PLACES.get(command, (0, ()))
    words = list(pairs(arguments))
    alone = [] if "-" in arguments else [word for word, _ in words if not word.startswith("-")]  # "-" has no value
    for word in alone[:count]:
        check_place(word)
    for option, value in words:
        if option.replace("_", "-") in options and value and not value.startswith("["):
            name, equals, folder = value.partition("=")  # NAME=DIR
            check_place(folder if equals and "/" not in name and not Path(value).exists() else value, option)


def _known(command: str) -> set[str]:
    if command not in _OPTIONS:
        return set()
    from lightning_modules.commands.front.early.class_arguments import class_arguments

    classes, more = _OPTIONS[command]
    arguments = [class_arguments(one) for one in classes]
    if None in arguments:
        return set()
    return {*more, *(name for one in arguments for name in one or ())}
