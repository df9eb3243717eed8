"""The front door of appraise: a table of commands, and nothing heavy until one of them is called.

Only the standard library is imported here, so that ``--help``, ``--version`` and ``list`` answer at once.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from io import TextIOWrapper

# name -> (module with `run(command, arguments) -> exit code`, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "fit": ("lightning_modules.commands.trainer", "train a model and, where its config says so, test it"),
    "validate": ("lightning_modules.commands.trainer", "measure a checkpoint on the validation split"),
    "test": ("lightning_modules.commands.trainer", "measure a checkpoint on the test split"),
    "predict": ("lightning_modules.commands.trainer", "score files with a checkpoint"),
    "annotate": ("lightning_modules.commands.annotate", "find what happens when in videos, files or live"),
    "extract-frames": ("lightning_modules.commands.extract_frames", "turn videos into folders of frames, one a class"),
    "mentor": ("lightning_modules.commands.mentoring.ask", "answer a model's detections on a page, one key each"),
    "mentor-loop": ("lightning_modules.commands.mentoring.loop", "baseline, mining, answers, every way to learn"),
    "generate": ("lightning_modules.commands.faces.generate", "make faces from attributes with a trained classifier"),
    "evaluate-faces": ("lightning_modules.commands.faces.evaluate", "judge made faces: agreement, realism, diversity"),
    "measure-generated": (
        "lightning_modules.commands.measures.command",
        "say whether made pictures are copies, and whom they show",
    ),
    "reward-study": (
        "lightning_modules.commands.reward_study.study",
        "train and tune generators in many ways: one table",
    ),
    "export": ("lightning_modules.commands.export.write", "write a network as a graph that runs without PyTorch"),
    "run-exported": ("lightning_modules.commands.exported.predict", "score files with an exported network"),
    "submit": ("lightning_modules.commands.cluster.submit", "train on a Slurm cluster, from one command"),
    "status": ("lightning_modules.commands.cluster.status", "say where a submitted run stands"),
    "sweep": ("lightning_modules.commands.sweep.search", "train at many points of a space, and say which is best"),
    "compare": ("lightning_modules.commands.compare", "show where two results differ, question by question"),
    "runs": ("lightning_modules.commands.runs", "one table of all trainings below a folder, the best first"),
    "new": ("lightning_modules.commands.new.write", "write a method or a kind of data of your own, to be changed"),
    "list": ("lightning_modules.commands.listing", "name the methods, data modules, callbacks and configs"),
    "doctor": ("lightning_modules.commands.doctor", "check this machine, or what a training would learn from"),
}

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

EXAMPLES = """\
three commands to begin with:
  appraise doctor
  appraise fit --config video_quality/demo
  appraise list configs
"""


def help_text() -> str:
    """Text of ``appraise --help``.

    Example:
        >>> help_text().splitlines()[0]
        'usage: appraise COMMAND [options]'
    """
    width = max(map(len, COMMANDS)) + 2
    rows = [f"  {name:<{width}}{line}" for name, (_, line) in COMMANDS.items()]
    lines = [
        "usage: appraise COMMAND [options]",
        "",
        "Judge what a camera saw: how good a video looks, whether a part is defective, what a person is doing,",
        "what a face shows.",
        "",
        "commands:",
        *rows,
        "",
        "options:",
        "  -h, --help  this page; `appraise COMMAND --help` for a command's own",
        "  --version   the version",
        "",
        EXAMPLES,
    ]
    return "\n".join(lines)


def unknown_command(name: str) -> str:
    """Sentence that answers a word that is no command, with the nearest names where there are any.

    Example:
        >>> unknown_command("fitt")
        'unknown command "fitt": did you mean fit? `appraise --help` lists all commands'
    """
    from difflib import get_close_matches

    if name.startswith("-"):
        return f'option "{name}" stands before the command: write it behind, as in `appraise COMMAND {name}`'
    near = get_close_matches(name.lower(), COMMANDS, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near)}? " if near else ""
    return f'unknown command "{name}": {hint}`appraise --help` lists all commands'


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments after the program's name; None takes those of the process.

    Returns:
        Exit code: 0 on success, 1 when the command failed, 2 when its arguments cannot work, 130 on Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if sys.stderr is None:
        sys.stderr = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
    if sys.stdout is None:
        return _fail("appraise", "the standard output is closed: send it to a file or to /dev/null", 1)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # no text is beyond the terminal's encoding
    try:
        code = _answer(arguments)
        sys.stdout.flush()
        return code
    except OSError as error:
        from lightning_modules.commands.front.broken_pipes import reader_left, silence

        left = error.errno == errno.EPIPE and reader_left()  # as in `appraise list | head`
        if not left and (error.errno not in FULL or os.environ.get("APPRAISE_DEBUG") == "1"):
            raise
        silence(sys.stdout)
        where = f" at {error.filename}" if error.filename else ""
        return 0 if left else _fail("appraise", f"{error.strerror}{where}: make room, or write elsewhere", 1)


def _answer(arguments: Sequence[str]) -> int:
    broken = [word for word in arguments if any("\ud800" <= letter <= "\udfff" for letter in word)]
    if broken:
        return _fail("appraise", f'"{broken[0]}" is no valid UTF-8: rename the file, or name its folder', 2)
    command, *rest = arguments or ["--help"]
    if command in ("-V", "--version"):
        sys.stdout.write(f"appraise {_version()}\n")
        return 0
    if command in ("-h", "--help", "help"):
        if not rest or rest[0] in ("-h", "--help", "help"):
            sys.stdout.write(help_text())
            return 0
        command, rest = rest[0], ["--help"]
    if command not in COMMANDS:
        return _fail("appraise", unknown_command(command), 2)
    from lightning_modules.commands.front.early.words import asks_for_help

    if asks_for_help(rest):
        from lightning_modules.commands.front.help_text import command_help

        sys.stdout.write(command_help(command, COMMANDS[command][1]))
        return 0
    return _run(command, rest)


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("appraise")
    except PackageNotFoundError:
        return "of an unknown version: it runs from a folder, without having been installed"


def _run(command: str, arguments: list[str]) -> int:
    from datamodules.common.errors import AppraiseError
    from lightning_modules.commands.front import bare_options, errors
    from lightning_modules.commands.front.early.any_command import checked_words

    name = f"appraise {command}"
    try:
        words = checked_words(command, bare_options.words_at_home(arguments))
        return int(import_module(COMMANDS[command][0]).run(command, words))
    except AppraiseError as error:
        if os.environ.get("APPRAISE_DEBUG") == "1":
            raise
        return _fail(name, errors.one_sentence(error), int(getattr(error, "exit_code", 1)))
    except KeyboardInterrupt:
        return _fail(name, "stopped by Ctrl-C; anything written so far is kept", 130)
    except SystemExit as stop:  # jsonargparse leaves this way after --print_config and the long help
        return int(stop.code or 0) if isinstance(stop.code, int | None) else _fail(name, errors.one_sentence(stop), 1)


def _fail(name: str, sentence: str, code: int) -> int:
    try:
        sys.stderr.write(f"{name}: {sentence}\n")
        sys.stderr.flush()
    except OSError:  # nobody can be told; the exit code still tells
        from lightning_modules.commands.front.broken_pipes import silence

        silence(sys.stderr)
    return code


if __name__ == "__main__":
    sys.exit(main())
