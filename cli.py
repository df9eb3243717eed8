"""The front door of appraise: a table of commands, and nothing heavy until one of them is called.

Only the standard library is imported here, so that ``--help``, ``--version`` and ``list`` answer at once.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module

# name -> (module with `run(command, arguments) -> exit code`, one line of help)
COMMANDS: dict[str, tuple[str, str]] = {
    "fit": ("lightning_modules.commands.front.lightning_cli", "train a model and, where its config says so, test it"),
    "validate": ("lightning_modules.commands.front.lightning_cli", "measure a checkpoint on the validation split"),
    "test": ("lightning_modules.commands.front.lightning_cli", "measure a checkpoint on the test split"),
    "predict": ("lightning_modules.commands.front.lightning_cli", "score files with a checkpoint"),
    "annotate": ("lightning_modules.commands.annotate", "find what happens when in videos, files or live"),
    "extract-frames": ("lightning_modules.commands.extract_frames", "turn videos into folders of frames, one a class"),
    "mentor": ("lightning_modules.commands.mentoring.ask", "answer a model's detections on a page, one key each"),
    "mentor-loop": (
        "lightning_modules.commands.mentoring.loop",
        "baseline, mining, answers and every way to learn from them",
    ),
    "generate": ("lightning_modules.commands.faces.generate", "make faces from attributes with a trained classifier"),
    "evaluate-faces": ("lightning_modules.commands.faces.evaluate", "judge made faces: agreement, realism, diversity"),
    "list": ("lightning_modules.commands.listing", "name the methods, data modules, callbacks and configs"),
    "doctor": ("lightning_modules.commands.doctor", "check this machine and this installation"),
}

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
    """Sentence that answers a mistyped command with the nearest names.

    Example:
        >>> unknown_command("fitt")
        'unknown command "fitt": did you mean fit? `appraise --help` lists all commands'
    """
    near = get_close_matches(name, COMMANDS, n=3, cutoff=0.6) or list(COMMANDS)
    return f'unknown command "{name}": did you mean {" or ".join(near)}? `appraise --help` lists all commands'


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        argv: Arguments after the program's name; None takes those of the process.

    Returns:
        Exit code: 0 on success, 1 when the command failed, 2 when its arguments cannot work, 130 on Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        sys.stdout.write(help_text())
        return 0
    if arguments[0] in ("-V", "--version"):
        from importlib.metadata import version

        sys.stdout.write(f"appraise {version('appraise')}\n")
        return 0
    command, *rest = arguments
    if command not in COMMANDS:
        sys.stderr.write(f"appraise: {unknown_command(command)}\n")
        return 2
    if "-h" in rest or "--help" in rest:
        from lightning_modules.commands.front.help_text import command_help

        sys.stdout.write(command_help(command, COMMANDS[command][1]))
        return 0
    return _run(command, rest)


def _run(command: str, arguments: list[str]) -> int:
    from datamodules.common.errors import AppraiseError

    try:
        code = import_module(COMMANDS[command][0]).run(command, arguments)
        return int(code)
    except AppraiseError as error:
        if os.environ.get("APPRAISE_DEBUG") == "1":
            raise
        sys.stderr.write(f"appraise {command}: {one_sentence(error)}\n")
        return int(getattr(error, "exit_code", 1))
    except KeyboardInterrupt:
        sys.stderr.write(f"appraise {command}: stopped by Ctrl-C; anything written so far is kept\n")
        return 130
    except SystemExit as stop:  # jsonargparse leaves this way after --print_config and the long help
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except BrokenPipeError:  # the reader of a pipe left, as in `appraise list | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def one_sentence(error: BaseException) -> str:
    r"""Message of an error without the traceback that a data loader's worker puts around it.

    Example:
        >>> one_sentence(ValueError("Caught ValueError in worker process 0.\n...\nValueError: a.mp4: bad"))
        'a.mp4: bad'
    """
    text = str(error).strip()
    if text.startswith("Caught ") and "\n" in text:
        return text.splitlines()[-1].partition(": ")[2]
    return text


if __name__ == "__main__":
    sys.exit(main())
