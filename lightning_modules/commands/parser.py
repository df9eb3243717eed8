"""The argument parser: one-sentence errors, late interpolation, and classes that forget their predecessor's arguments.

Three private names of jsonargparse are used here and nowhere else. They are held by the bound ``jsonargparse<5`` and by
the tests of each behaviour.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NoReturn

from jsonargparse import Namespace, _typehints, set_parsing_settings
from jsonargparse._common import parser_context
from lightning.pytorch.cli import LightningArgumentParser

from lightning_modules.commands.errors import CommandLineError

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


def prepare_parsing() -> None:
    """Set what all parsers of this process share; safe to call again."""
    # ${data.init_args.x} is written as seen from the top of the file, without the subcommand's name.
    set_parsing_settings(omegaconf_absolute_to_relative_paths=True)
    _typehints.discard_init_args_on_class_path_change = _forget_former_arguments


def _forget_former_arguments(parser_or_action: object, prev_val: object, value: object) -> None:
    """Drop all arguments of a class that another one replaces.

    jsonargparse keeps those whose names the new class accepts too, so that SGD would inherit AdamW's weight decay.
    """
    if not isinstance(prev_val, (Namespace, dict)) or not isinstance(value, (Namespace, dict)):
        return
    if prev_val.get("class_path") == value.get("class_path"):
        return
    for key in ("init_args", "dict_kwargs"):
        if key in prev_val:
            prev_val[key] = type(prev_val[key])()


def parse_explicit(parser: LightningArgumentParser, arguments: Sequence[str]) -> Namespace:
    """Parse only what the command line and the configuration files state, without any default.

    Interpolations are left as text, since what they point to may be a default.

    Args:
        parser: The parser with all subcommands.
        arguments: Command line, beginning with the subcommand.

    Returns:
        The stated values, below the subcommand's name.
    """
    stated = [argument for argument in arguments if not argument.startswith("--print_config")]
    with parser_context(lenient_check=True):
        parsed: Namespace = parser.parse_args(stated, defaults=False, _skip_validation=True)
    return parsed
