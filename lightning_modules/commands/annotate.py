"""``appraise annotate SOURCE``: a thin name for ``predict`` with the configuration ``action/annotate``."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from callbacks.segment_writer import SegmentWriter
from lightning_modules.commands.errors import CommandLineError
from lightning_modules.commands.lightning_cli import launch

CONFIG = "action/annotate"
_LEGACY_CONFIG = "action/annotate_legacy"
USAGE = "appraise annotate SOURCE --ckpt_path FILE [--action NAME] [--show] [--output DIR]"

# Options of the stream that may be given by their bare names.
_DATA = ("rate", "compare_rate", "chunk_frames", "max_lag", "live_timeout")
_SHOWN_CHUNK = 8  # frames; a window should not stand still while a long chunk is scored
_WITHOUT_VALUE = ("--print_config", "--help-all")
_WITHOUT_SOURCE = (*_WITHOUT_VALUE, "--data.help", "--model.help", "--trainer.help")
_NAMES_MODEL = (*_WITHOUT_SOURCE, "--ckpt_path", "--model", "--config", "-c")


class _Option(NamedTuple):
    """An option of the command line with its value; None where it has none."""

    name: str
    value: str | None


def run(command: str, arguments: Sequence[str]) -> int:
    """Annotate a source.

    Args:
        command: ``annotate``.
        arguments: What follows it on the command line.

    Returns:
        0; everything else is an exception.

    Raises:
        CommandLineError: If the arguments cannot work.
    """
    resolved = predict_arguments(arguments)
    if not any(word.startswith(_NAMES_MODEL) for word in arguments):
        raise CommandLineError(
            "annotate needs a trained model: add --ckpt_path FILE (`fit` names it at its end), or --model "
            "PretrainedActionClassifier with --model.init_args.weights"
        )
    launch("predict", resolved)
    return 0


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
    sources, options = _split(arguments)
    if len(sources) > 1:
        raise CommandLineError(
            f"annotate takes one SOURCE, but {len(sources)} were given ({', '.join(sources)}): name a folder for "
            "several files, and put the value of an option right after it"
        )
    if not sources and not any(option.name.startswith(_WITHOUT_SOURCE) for option in options):
        raise CommandLineError(
            f"annotate needs a SOURCE, a file, a folder, an address, camera:0 or - for standard input: {USAGE}"
        )
    writer = _writer_options()
    given = {option.name.removeprefix("--") for option in options}
    legacy = [option for option in options if option.name == "--legacy" and option.value in (None, "true")]
    options = [option for option in options if option not in legacy]
    own = [option for option in options if option.name.removeprefix("--") in (*writer, *_DATA)]
    rest = [option for option in options if option not in own]
    shows = any(option.name == "--show" and option.value in (None, "true") for option in own)
    paced = shows and not given & {"chunk_frames", "data.chunk_frames", "data.init_args.chunk_frames"}
    configs = [option for option in rest if option.name in ("--config", "-c")]
    return [
        f"--config={CONFIG}",
        *([f"--config={_LEGACY_CONFIG}"] if legacy else []),
        *_texts(configs),
        *(f"--data.init_args.path={source}" for source in sources),
        *([f"--data.init_args.chunk_frames={_SHOWN_CHUNK}"] if paced else []),
        *_texts(_full(option, writer) for option in own),
        *_texts(option for option in rest if option not in configs),
    ]


def _split(arguments: Sequence[str]) -> tuple[list[str], list[_Option]]:
    """Sources and options; a word after an option is its value."""
    flags = (*_WITHOUT_VALUE, *(f"--{name}" for name in _switches()))
    sources: list[str] = []
    options: list[_Option] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "-" or not word.startswith("-"):
            sources.append(word)
            continue
        name, equals, value = word.partition("=")
        if equals:
            options.append(_Option(name, value))
        elif name in flags:
            stated = words.pop(0) if words and words[0] in ("true", "false") else None
            options.append(_Option(name, stated))
        else:
            options.append(_Option(name, words.pop(0) if words else None))
    return sources, options


def _full(option: _Option, writer: Sequence[str]) -> _Option:
    """An option of the writer or the stream under the name that ``predict`` knows."""
    name = option.name.removeprefix("--")
    place = "trainer.callbacks" if name in writer else "data"
    return _Option(f"--{place}.init_args.{name}", "true" if option.value is None else option.value)


def _texts(options: Iterable[_Option]) -> list[str]:
    return [option.name if option.value is None else f"{option.name}={option.value}" for option in options]


def _writer_options() -> list[str]:
    """Names of the writer's arguments; the run's own ``--output`` names its folder."""
    return [name for name in inspect.signature(SegmentWriter).parameters if name != "output"]


def _switches() -> list[str]:
    """Options that may stand without a value."""
    parameters = inspect.signature(SegmentWriter).parameters.values()
    return ["compare_rate", *(parameter.name for parameter in parameters if isinstance(parameter.default, bool))]
