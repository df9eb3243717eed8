"""Command lines of commands of their own: words split into options, and put together again."""

from __future__ import annotations

import argparse
import os.path
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, NoReturn

from lightning_modules.commands.front.errors import CommandLineError, did_you_mean

WITHOUT_VALUE = ("print_config", "help-all")  # options of every command that never have a value
ASKING = (*WITHOUT_VALUE, "data.help", "model.help", "trainer.help")  # beginnings of options that only ask something


class BareOption(NamedTuple):
    """An option of the command line.

    Attributes:
        name: Its name without the dashes before it, underscores in place of those within.
        value: Its value; None where it has none.
    """

    name: str
    value: str | None


def split_options(arguments: Sequence[str], switches: Collection[str]) -> tuple[list[str], list[BareOption]]:
    """Words that stand alone, and options; a word after an option is its value.

    Args:
        arguments: What follows the command; a single ``-`` stands alone.
        switches: Options that may stand without a value; true or false after one is taken for its value.

    Example:
        >>> split_options(["a.mp4", "--show", "--max-lag", "2"], ["show"])
        (['a.mp4'], [BareOption(name='show', value=None), BareOption(name='max_lag', value='2')])
    """
    alone: list[str] = []
    options: list[BareOption] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word == "-" or not word.startswith("-"):
            alone.append(word)
            continue
        name, equals, value = word.lstrip("-").partition("=")
        name = "config" if name == "c" else name if name in WITHOUT_VALUE else name.replace("-", "_")
        if equals:
            options.append(BareOption(name, value))
        elif name in switches or name in WITHOUT_VALUE:
            options.append(BareOption(name, words.pop(0) if words and words[0] in ("true", "false") else None))
        else:
            options.append(BareOption(name, words.pop(0) if words else None))
    return alone, options


def option_words(options: Iterable[BareOption]) -> list[str]:
    """Options as words of a command line.

    Example:
        >>> option_words([BareOption("print_config", None), BareOption("count", "8")])
        ['--print_config', '--count=8']
    """
    return [f"--{option.name}" if option.value is None else f"--{option.name}={option.value}" for option in options]


def argument_of(option: BareOption, places: Mapping[str, str]) -> BareOption:
    """An option as an argument of the class at a place of the configuration; one without a value is true.

    Args:
        option: Any option; one without a place stays as it is.
        places: Where arguments go that are given by their bare names, or by those with more behind a point.

    Example:
        >>> argument_of(BareOption("rate", "2"), {"rate": "data"})
        BareOption(name='data.init_args.rate', value='2')
    """
    place = places.get(option.name.partition(".")[0])
    if place is None:
        return option
    return BareOption(f"{place}.init_args.{option.name}", "true" if option.value is None else option.value)


def at_home(text: str) -> str:
    """A path that begins with ``~`` or ``~user`` in full; what is no such path stays as it is.

    Example:
        >>> at_home("~/videos") == os.path.expanduser("~/videos"), at_home("a~b"), at_home("~nobody-known/a")[0]
        (True, 'a~b', '/')
    """
    if not text.startswith("~"):
        return text
    full = os.path.expanduser(text)  # noqa: PTH111  # Path has an error of its own for an unknown user
    return os.path.abspath(text) if full == text and "/" in text else full  # noqa: PTH100  # nobody looks for that user again


def words_at_home(arguments: Iterable[str]) -> list[str]:
    """A command line on which the shell left ``~`` as it is: in quotes, and behind ``--option=``.

    Example:
        >>> words_at_home(["--output=~/scores"]) == [f"--output={at_home('~/scores')}"]
        True
    """
    words = []
    for word in arguments:
        option, equals, value = word.partition("=") if word.startswith("-") else ("", "", word)
        words.append(f"{option}{equals}{at_home(value)}")
    return words


class SentenceParser(argparse.ArgumentParser):
    """Parser that raises one sentence where argparse would print two lines and leave; no option is abbreviated."""

    def __init__(self, prog: str, description: str | None = None) -> None:
        super().__init__(prog=prog, description=description, allow_abbrev=False)

    def parse_known_args(  # type: ignore[override]  # argparse overloads it by the kind of namespace
        self, args: Sequence[str] | None = None, namespace: argparse.Namespace | None = None
    ) -> tuple[argparse.Namespace, list[str]]:
        """Name an option that does not exist before one that is missing: often they are the same."""
        for word in args or ():
            name = word.partition("=")[0]
            if word == "--":
                break
            if word.startswith("--") and name not in self._option_string_actions:
                raise CommandLineError(f"unknown option {name}{did_you_mean(name, self._option_string_actions)}")
        return super().parse_known_args(args, namespace)

    def error(self, message: str) -> NoReturn:
        """Raise ``message``."""
        raise CommandLineError(f"{message}; `{self.prog} --help` lists the options")


def split_at_dashes(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """What stands before ``--`` and after it.

    Example:
        >>> split_at_dashes(["--nodes", "2", "--", "--trainer.max_epochs", "3"])
        (['--nodes', '2'], ['--trainer.max_epochs', '3'])
    """
    words = list(arguments)
    place = words.index("--") if "--" in words else len(words)
    return words[:place], words[place + 1 :]
