"""``appraise annotate SOURCE``: a thin name for ``predict`` with the configuration ``action/annotate``."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_modules.commands.front.bare_options import ASKING, argument_of, option_words, split_options
from lightning_modules.commands.front.early.class_arguments import class_arguments
from lightning_modules.commands.front.early.known_options import check_choice
from lightning_modules.commands.front.early.stated import Statement
from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.trainer import run as run_trainer

CONFIG = "action/annotate"
_LEGACY_CONFIG = "action/annotate_legacy"
_WRITER = "callbacks.SegmentWriter"
USAGE = "appraise annotate SOURCE --ckpt_path FILE [--action NAME] [--show] [--output DIR]"

# Options of the stream that may be given by their bare names.
_DATA = ("rate", "compare_rate", "tone_mapping", "chunk_frames", "max_lag", "live_timeout")
_SHOWN_CHUNK = 8  # frames; a window should not stand still while a long chunk is scored
_NAMES_MODEL = (*ASKING, "ckpt_path", "run", "model", "config")


def run(command: str, arguments: Sequence[str]) -> int:
    """Annotate a source.

    Raises:
        CommandLineError: If the arguments cannot work.
    """
    resolved = predict_arguments(arguments)
    if not any(option.name.startswith(_NAMES_MODEL) for option in split_options(arguments, _switches())[1]):
        raise CommandLineError(
            "annotate needs a trained model: add --run FOLDER or --ckpt_path FILE (`fit` names them at its end), or "
            "--model PretrainedActionClassifier with --model.init_args.weights"
        )
    return run_trainer("predict", resolved)


def predict_arguments(arguments: Sequence[str]) -> list[str]:
    """The same as arguments of ``predict``.

    Args:
        arguments: SOURCE, and options of ``predict``, of ``SegmentWriter`` and of the stream, the latter two by their
            bare names.

    Raises:
        CommandLineError: If there is no source, or more than one.

    Example:
        >>> predict_arguments(["kitchen.mp4", "--action", "drinking"])[-2:]
        ['--data.init_args.path=kitchen.mp4', '--trainer.callbacks.init_args.action=drinking']
    """
    sources, options = split_options(arguments, _switches())
    if len(sources) > 1:
        raise CommandLineError(
            f"annotate takes one SOURCE, but {len(sources)} were given ({', '.join(sources)}): name a folder for "
            "several files, and put the value of an option right after it"
        )
    if not sources and not any(option.name.startswith(ASKING) for option in options):
        raise CommandLineError(
            f"annotate needs a SOURCE, a file, a folder, an address, camera:0 or - for standard input: {USAGE}"
        )
    owners = {**dict.fromkeys(_DATA, "data"), **dict.fromkeys(_writer_arguments(), "trainer.callbacks")}
    given = {option.name for option in options}
    legacy = [option for option in options if option.name == "legacy" and option.value in (None, "true")]
    options = [option for option in options if option not in legacy]
    own = [option for option in options if option.name in owners]
    for option in own:
        if owners[option.name] == "trainer.callbacks":
            check_choice(Statement(option.name, option.value, f"--{option.name}"), option.name, _WRITER)
    rest = [option for option in options if option not in own]
    shows = any(option.name == "show" and option.value in (None, "true") for option in own)
    paced = shows and not given & {"chunk_frames", "data.chunk_frames", "data.init_args.chunk_frames"}
    configs = [option for option in rest if option.name == "config"]
    return [
        f"--config={CONFIG}",
        *([f"--config={_LEGACY_CONFIG}"] if legacy else []),
        *option_words(configs),
        *(f"--data.init_args.path={source}" for source in sources),
        *([f"--data.init_args.chunk_frames={_SHOWN_CHUNK}"] if paced else []),
        *option_words(argument_of(option, owners) for option in own),
        *option_words(option for option in rest if option not in configs),
    ]


def _writer_arguments() -> dict[str, object]:
    """The writer's arguments with their defaults; the run's own ``--output`` names its folder."""
    arguments = class_arguments(_WRITER) or {}
    return {name: default for name, default in arguments.items() if name != "output"}


def _switches() -> list[str]:
    """Options that may stand without a value."""
    own = [name for name, default in _writer_arguments().items() if isinstance(default, bool)]
    return ["compare_rate", "tone_mapping", *own]
