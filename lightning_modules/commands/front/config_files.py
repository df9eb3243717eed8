"""Find configuration files by path or by the name under which they are shipped."""

from __future__ import annotations

import os
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from datamodules.common.errors import LabelError
from datamodules.tables.text import is_utf8, read_text
from lightning_modules.commands.front.errors import CommandLineError

SUFFIXES = (".yaml", ".yml", ".json")
_CONFIG_OPTIONS = ("--config", "-c")
_PARTS = "_parts/"  # shared pieces: `--trainer _parts/trainer/cpu`, `--trainer.logger _parts/logger/wandb`


class ConfigFile(NamedTuple):
    """A configuration file that was found.

    Attributes:
        name: As it was asked for.
        path: The file, absolute.
        packaged: Whether it is one of the shipped files.
    """

    name: str
    path: Path
    packaged: bool


def config_folder() -> Path:
    """Folder of the shipped configuration files, in the working tree or in the installed package."""
    import configs

    return Path(str(configs.__file__)).parent


def config_names(parts: bool = False) -> list[str]:
    """Names of the shipped files without suffix, sorted; those of ``_parts`` only on request."""
    root = config_folder()
    names = (path.relative_to(root).with_suffix("").as_posix() for path in root.rglob("*.yaml"))
    return sorted(name for name in names if parts or not name.startswith("_"))


def find_config(name: str) -> ConfigFile:
    """Find a configuration file: first as a path, then among the shipped ones; the suffix may be left out.

    Args:
        name: Path, or name such as ``video_quality/demo``.

    Raises:
        CommandLineError: If there is neither; the message names the nearest shipped files.

    Example:
        >>> find_config("_parts/trainer/cpu").packaged
        True
    """
    plain = _existing(Path(name).expanduser())
    if plain is not None:
        return ConfigFile(name, plain, packaged=plain.is_relative_to(config_folder().resolve()))
    if not Path(name).is_absolute():
        shipped = _existing(config_folder() / name.removeprefix("configs/"))
        if shipped is not None:
            return ConfigFile(name, shipped, packaged=True)
    known = config_names(parts=True)
    wanted = name.removeprefix("configs/").removesuffix(".yaml")
    near = get_close_matches(wanted, known, n=3, cutoff=0.5)
    near = near or [other for other in known if Path(other).name == Path(wanted).name]
    hint = f"did you mean {' or '.join(near)}?" if near else "`appraise list configs` names the shipped ones"
    raise CommandLineError(f'there is no configuration "{name}", neither as a file nor among the shipped ones: {hint}')


def _existing(path: Path) -> Path | None:
    candidates = [path, *(path.with_name(path.name + suffix) for suffix in SUFFIXES)]
    return next((candidate.resolve() for candidate in candidates if candidate.is_file()), None)


def resolve_config_options(arguments: Sequence[str]) -> tuple[list[str], list[ConfigFile]]:
    """Replace the names of configuration files on a command line by paths.

    Looked at are the values of ``--config`` (``-c``), and those of any option that begin with ``_parts/``.

    Returns:
        The arguments with absolute paths, and the files of ``--config`` in order.
    """
    resolved: list[str] = []
    found: list[ConfigFile] = []
    option = ""
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if option:  # the value of the option before
            resolved.append(_resolve_value(option, argument, found))
            option = ""
        elif argument.startswith("-") and equals:
            resolved.append(f"{name}={_resolve_value(name, value, found)}")
        else:
            resolved.append(argument)
            option = argument if argument.startswith("-") else ""
    return resolved, found


def _resolve_value(option: str, value: str, found: list[ConfigFile]) -> str:
    if value.startswith(_PARTS):
        return str(find_config(value).path)
    if option not in _CONFIG_OPTIONS or "\n" in value or value.lstrip().startswith("{"):  # text instead of a file
        return value
    config = find_config(value)
    _check(config)
    found.append(config)
    return str(config.path)


def _check(config: ConfigFile) -> None:
    """Refuse a file that the parser would stumble over, or read the last of two values of.

    Raises:
        CommandLineError: If it is no UTF-8 text, is nested too deeply, or has a key twice.
    """
    if config.packaged:
        return
    try:
        text = read_text(config.path, "cannot be read ({}); name a configuration file")
        from datamodules.tables.yaml import check_keys  # a start that reads no configuration needs no YAML

        check_keys(text, str(config.path))
    except LabelError as error:
        raise CommandLineError(str(error)) from error
    if not is_utf8(config.path):
        raise CommandLineError(
            f"{config.path}: a configuration file must be UTF-8, but this is UTF-16 or UTF-32: save it anew"
        )


def run_name(configs: Sequence[ConfigFile], fallback: str) -> str:
    """Name of a run: that of its first configuration file, shipped ones with their folder.

    Example:
        >>> run_name([], "KSVQE")
        'KSVQE'
    """
    for config in configs:
        if config.packaged:
            name = config.path.relative_to(config_folder().resolve()).with_suffix("").as_posix()
            if not name.startswith(_PARTS):
                return name
            continue
        if config.path.stem != "config":  # the record of an earlier run knows its own folder
            return config.path.stem
    return fallback


def describe(config: ConfigFile) -> str:
    """One line that says which file was taken."""
    shown = config.path
    if shown.is_relative_to(Path.cwd()):
        shown = Path(os.path.relpath(shown))
    if Path(config.name) == Path(shown):
        return f"config {config.name}"
    return f"config {config.name}: {shown}{' (shipped)' if config.packaged else ''}"


def printed_config(command: Sequence[str], otherwise: str) -> str:
    """The configuration that a command would run with, as YAML, found by a process of its own.

    Args:
        command: Words of a `fit`, the program first.
        otherwise: What did not happen if it cannot run, such as "nothing was queued".

    Raises:
        CommandLineError: With that process's own sentence, if it cannot run.
    """
    import subprocess

    done = subprocess.run([*command, "--print_config"], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = done.stderr.strip().splitlines() or [f"--print_config ended with {done.returncode}"]
        raise CommandLineError(f"{otherwise}: {said[-1].removeprefix('appraise fit: ')}")
    return done.stdout
