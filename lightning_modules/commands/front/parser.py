"""The argument parser: one-sentence errors, late interpolation, and classes that forget their predecessor's arguments.

Three private names of jsonargparse are used here and nowhere else. They are held by the bound ``jsonargparse<5`` and by
the tests of each behaviour.
"""

from __future__ import annotations

import sys
from argparse import ArgumentError
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml
from jsonargparse import Namespace, _typehints, set_parsing_settings
from jsonargparse._common import parser_context
from lightning.pytorch.cli import LightningArgumentParser

from datamodules.common.errors import AppraiseError, LabelError
from datamodules.tables.yaml import read_yaml
from lightning_modules.commands.front.bare_options import at_home
from lightning_modules.commands.front.errors import CommandLineError

if TYPE_CHECKING:
    from _typeshed import SupportsWrite

PARSER_OPTIONS: dict[str, object] = {
    "parser_mode": "omegaconf+",  # resolves ${...} once, at the end, so that it follows what the command line changed
    "allow_abbrev": False,  # else a mistyped `--trainer.max_epoch` is taken for another option
}


class AppraiseParser(LightningArgumentParser):
    """Parser that raises :class:`CommandLineError` instead of printing its usage and leaving the process."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise ``message``; the parsers inside another one keep raising what that one expects."""
        if not self.exit_on_error:
            super().error(message, ex)
        raise CommandLineError(message) from ex

    def _print_message(self, message: str, file: SupportsWrite[str] | None = None) -> None:
        """Let a full disk or a reader that left be known, which argparse passes over."""
        (file or sys.stderr).write(message)

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # as inherited
        """Parse, with paths that begin with ``~`` in full, those of configuration files too."""
        parsed = super().parse_args(*args, **kwargs)
        return namespace_at_home(parsed) if isinstance(parsed, Namespace) else parsed

    def parse_string(self, content: str, *args: Any, **kwargs: Any) -> Namespace:  # noqa: ANN401  # as inherited
        """Parse the content of a configuration file, after completing its references to other files."""
        parsed: Namespace = super().parse_string(complete_references(content), *args, **kwargs)
        return parsed


def namespace_at_home(parsed: Namespace) -> Namespace:
    """What was parsed, with paths that begin with ``~`` in full."""
    for name, value in vars(parsed).items():
        setattr(parsed, name, _at_home(value))
    return parsed


def _at_home(value: object) -> object:
    if isinstance(value, str):
        return at_home(value) if "/" in value else value
    if isinstance(value, Path):
        return Path(at_home(str(value)))
    if isinstance(value, Namespace):
        return namespace_at_home(value)
    if isinstance(value, dict):
        return {name: _at_home(one) for name, one in value.items()}
    return [_at_home(one) for one in value] if isinstance(value, list) else value


def complete_references(content: str) -> str:
    """Replace a file named by a key by its content, where dotted keys beside it add to that file.

    ``trainer: ../_parts/trainer/cpu.yaml`` together with ``trainer.max_epochs: 3`` would else be the second alone.
    Relative paths are seen from the current folder, which the parser sets to that of the configuration file.

    Args:
        content: YAML text.

    Returns:
        YAML text; the given one where there is nothing to complete.

    Raises:
        CommandLineError: If such a file is absent or no YAML.

    Example:
        >>> complete_references("trainer: absent.yaml")
        'trainer: absent.yaml'
    """
    try:
        settings = yaml.safe_load(content)
    except yaml.YAMLError:
        return content  # the parser says what is wrong with it
    changed = False
    for key, value in list(settings.items()) if isinstance(settings, dict) else ():
        additions = [name for name in settings if isinstance(name, str) and name.startswith(f"{key}.")]
        if not additions or not isinstance(value, str):
            continue
        if not Path(value).is_file():
            raise CommandLineError(f"a configuration file names {value} as its {key}, but there is no such file")
        try:
            merged = read_yaml(value)
        except LabelError as error:
            raise CommandLineError(str(error)) from error
        if not isinstance(merged, dict):
            continue
        for name in additions:
            *path, last = name.split(".")[1:]
            place = merged
            for step in path:
                place = place.setdefault(step, {})
            place[last] = settings.pop(name)
        settings[key], changed = merged, True
    return yaml.safe_dump(settings, sort_keys=False) if changed else content


def prepare_parsing() -> None:
    """Set what all parsers of this process share; safe to call again."""
    # ${data.init_args.x} is written as seen from the top of the file, without the subcommand's name.
    set_parsing_settings(omegaconf_absolute_to_relative_paths=True)
    _typehints.discard_init_args_on_class_path_change = _forget_former_arguments


def _forget_former_arguments(parser_or_action: object, prev_val: object, value: object) -> None:
    """Drop all arguments of a class that another one replaces; jsonargparse keeps those that both accept."""
    if not isinstance(prev_val, (Namespace, dict)) or not isinstance(value, (Namespace, dict)):
        return
    if prev_val.get("class_path") == value.get("class_path"):
        return
    for key in ("init_args", "dict_kwargs"):
        if key in prev_val:
            prev_val[key] = type(prev_val[key])()


def parse_explicit(parser: LightningArgumentParser, arguments: Sequence[str]) -> Namespace:
    """Parse only what the command line, beginning with the subcommand, and the configuration files state.

    No default is among it. Interpolations are left as text, since what they point to may be a default.
    """
    stated = [argument for argument in arguments if not argument.startswith("--print_config")]
    with parser_context(lenient_check=True):
        parsed: Namespace = parser.parse_args(stated, defaults=False, _skip_validation=True)
    return parsed


@contextmanager
def errors_in_one_sentence() -> Iterator[None]:
    """What a parser of jsonargparse refuses, as one sentence; errors of ours stay what they are.

    Raises:
        CommandLineError: If an option or a file cannot work.
    """
    try:
        yield
    except AppraiseError:
        raise
    except (ArgumentError, TypeError, KeyError, ValueError) as error:  # jsonargparse, by the kind of mistake
        raise CommandLineError(" ".join(str(error).split())) from error
