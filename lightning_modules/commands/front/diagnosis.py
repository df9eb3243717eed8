"""Turn a parser's long error into one sentence with the nearest names.

The parser reports every alternative of a type that it tried. What the user needs is in the innermost of them: this file
knows the handful of forms, and shortens the message where it knows none.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Sequence
from importlib import import_module
from pathlib import Path

import lightning as L
import torch
import yaml
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.loggers import Logger
from omegaconf.errors import OmegaConfBaseException

import callbacks
import datamodules
import lightning_modules
from lightning_modules.commands.front.config_files import ConfigFile
from lightning_modules.commands.front.errors import did_you_mean

LONGEST = 400  # characters of a message of unknown form

_BASES: dict[str, tuple[type, dict[str, object]]] = {
    "model": (L.LightningModule, {**lightning_modules.PUBLIC}),
    "data": (L.LightningDataModule, {**datamodules.PUBLIC}),
    "callbacks": (Callback, {**callbacks.PUBLIC}),
    "logger": (Logger, {}),
    "optimizer": (torch.optim.Optimizer, {}),
    "scheduler": (torch.optim.lr_scheduler.LRScheduler, {}),
}

_KEY = re.compile(r'Parser key "([^"]+)"')
_CLASS = re.compile(r"(?:Problem with given class_path '|class_path=')([\w.]+)'")
_UNKNOWN_OPTION = re.compile(r"Option '([^']+)' is not accepted")
_UNKNOWN_CLASS = re.compile(r"Expected a dot import path string: ([^\s]+)")
_NO_ATTRIBUTE = re.compile(r"module '([\w.]+)' has no attribute '(\w+)'")
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_NOT_SUBCLASS = re.compile(
    r"Not a valid subclass of (\w+)|is not a subclass of (\w+)|does not correspond to a subclass of (\w+)"
)
_WRONG_TYPE = re.compile(r"Expected a (<class '[\w.]+'>|typing\.\w+\[.*\])\. Got value: (.*)")
_UNION = re.compile(r"Subtypes: \[(.*)\]")
_LITERAL = re.compile(r"Literal\[([^\[\]]*)\]")
_GIVEN = re.compile(r"Given value: (.*)")
_NESTED_VALUE = re.compile(r"NestedArg\(key='[^']*', val=(.*)\)$")
_REQUIRED = re.compile(r"the following arguments are required: (.*)")
_UNRECOGNISED = re.compile(r"unrecognized arguments: (\S+)")
_NO_FILE = re.compile(r"Unable to load config ['\"]([^'\"]+)['\"]")
_UNKNOWN_KEY = re.compile(r"Subcommand '\w+' does not accept option '([^']+)'")
_HELP_OF = re.compile(r"--([\w.]+)\.help: ")
_BROKEN_FILE = re.compile(r"Problems parsing config: (.*)", re.DOTALL)
# The alternative in which an argument of a listed callback is one of the base class; it hides the real one.
_BARE_CALLBACK = re.compile(
    r"- Problem with given class_path 'lightning\.[\w.]*Callback':\s*Option '[^']+' is not accepted"
)


def explain(message: str, command: str, options: Collection[str], configs: Sequence[ConfigFile]) -> str:
    """Say in one sentence what a parser's message means to a command with these options and configuration files."""
    without = _BARE_CALLBACK.sub("", message)
    message = without if _CLASS.search(without) else message
    keys = _KEY.findall(message) or _HELP_OF.findall(message)
    key = ".".join(dict.fromkeys(keys)) or "an option"
    short = " ".join(message.split())
    return (
        _explain_missing(message, command, key if keys else "")
        or _explain_unrecognised(message, options)
        or _explain_broken_file(message, configs)
        or _explain_class(message, key)
        or _explain_argument(message, key, command)
        or _explain_value(message, key)
        or _explain_absent_file(message, key)
        or (short if len(short) <= LONGEST else f"{short[:LONGEST]} ... (APPRAISE_DEBUG=1 shows all)")
    )


def missing_package(error: BaseException) -> str | None:
    """One sentence on a package that a class needs and that is not installed; None where that is not the reason."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ImportError):
        cause = cause.__cause__ or cause.__context__
    if cause is None:
        return None
    owner = _CLASS.search(str(error))
    wanted = re.search(r"Requirement '([^']+)'|No module named '([\w.]+)'", str(cause))
    package = (wanted[1] or wanted[2]) if wanted else " ".join(str(cause).split())
    what = owner[1].rpartition(".")[2] if owner else "a class that is named"
    return f"{what} needs the package {package}, which is not installed: pip install '{package}'"


def explain_reference(error: OmegaConfBaseException, command: str) -> str:
    """Say in one sentence which ``${...}`` leads nowhere; all keys are below the command's name."""
    key = str(error.full_key).removeprefix(f"{command}.")
    first_line = str(error).splitlines()[0]
    target = re.search(r"resolved to '([^']+)'", first_line)
    if target is None:
        return f"{key}: {first_line}"
    return f"{key} refers to {target[1].removeprefix(f'{command}.')}, which is not there"


def _explain_missing(message: str, command: str, key: str) -> str | None:
    found = _REQUIRED.search(message)
    if not found:
        return None
    owner = _CLASS.findall(message)
    if key:
        name = owner[-1].rpartition(".")[2] if owner else "the class"
        return f"{name} needs --{key}.init_args.{found[1].split(',')[0].strip()}"
    names = [f"--{name.strip().removeprefix(command + '.')}" for name in found[1].split(",")]
    known = " or --config FILE; for example: appraise " + command + " --config video_quality/demo"
    return f"{command} needs {' and '.join(sorted(names, reverse=True))}{known}"


def _explain_unrecognised(message: str, options: Collection[str]) -> str | None:
    in_file = _UNKNOWN_KEY.search(message)
    if in_file:
        hint = did_you_mean(in_file[1], [option.lstrip("-") for option in options])
        return f"a configuration file sets {in_file[1]}, which is no option{hint}"
    found = _UNRECOGNISED.search(message)
    if not found:
        return None
    name = found[1].partition("=")[0]
    if not name.startswith("-"):
        return f'"{name}" stands alone: every value follows its option, as in --config {name}'
    return f"unknown option {name}{did_you_mean(name, options)}"


def _explain_broken_file(message: str, configs: Sequence[ConfigFile]) -> str | None:
    if "Unexpected config:" in message:
        for config in configs:
            if not isinstance(yaml.safe_load(config.path.read_text(encoding="utf-8")), dict):
                return (
                    f"{config.path} is empty or no mapping: a configuration file has keys such as model, data, trainer"
                )
    found = _BROKEN_FILE.search(message)
    if not found:
        return None
    for config in configs:
        try:
            yaml.safe_load(config.path.read_text(encoding="utf-8"))
        except yaml.MarkedYAMLError as error:
            line = error.problem_mark.line + 1 if error.problem_mark else 1
            return f"{config.path}, line {line}: this is no valid YAML ({error.problem})"
    return f"a configuration file cannot be read: {' '.join(found[1].split())}"


def _explain_class(message: str, key: str) -> str | None:
    kind = key.rpartition(".")[2]
    bare = _UNKNOWN_CLASS.search(message)
    if bare:
        if bare[1].lower() in ("none", "no", "off", "false"):
            return f'{key}: there is no class "{bare[1]}": null leaves it out'
        return f'{key}: there is no class "{bare[1]}"{did_you_mean(bare[1], known_classes(kind))}'
    missing = _NO_ATTRIBUTE.search(message)
    if missing:
        names = [name for name in dir(import_module(missing[1])) if name[0].isupper()]
        return f'{key}: {missing[1]} has no class "{missing[2]}"{did_you_mean(missing[2], names)}'
    module = _NO_MODULE.search(message)
    if module:
        paths = _CLASS.findall(message)
        files = [file.stem for file in Path.cwd().glob("*.py")]
        hint = did_you_mean(module[1], files) if files else ", nor any .py file in the current folder"
        hint = "" if "." in module[1] else hint  # of a package
        owner = paths[-1] if paths else "the class"
        return f'{key}: {owner} cannot be imported, there is no module "{module[1]}"{hint}'
    wrong = _NOT_SUBCLASS.search(message)
    if wrong and _CLASS.search(message) is None:
        base = next(group for group in wrong.groups() if group)
        return f"{key}: {_given(message)} is no {base}{did_you_mean('', known_classes(kind))}"
    return None


def _explain_argument(message: str, key: str, command: str) -> str | None:
    unknown = _UNKNOWN_OPTION.search(message)
    if not unknown:
        return None
    classes = _CLASS.findall(message)
    if not classes:
        return f'{key} has no option "{unknown[1]}"'
    owner = classes[-1]
    if unknown[1] == "class_path":
        return f"{key}: beside class_path stands only init_args; put the arguments below init_args"
    if owner in ("lightning.LightningModule", "lightning.LightningDataModule"):
        return f"{key}: {unknown[1]} is set, but no class is named: add class_path, or --{key} CLASS before it"
    names = _parameters(owner)
    hint = did_you_mean(unknown[1], names)
    more = f" (appraise {command} --{key}.help {owner} explains them)" if key in ("model", "data") else ""
    return f'{key}: {owner.rpartition(".")[2]} has no argument "{unknown[1]}"{hint}{more}'


def _explain_value(message: str, key: str) -> str | None:
    wrong = _WRONG_TYPE.findall(message)
    if wrong:
        kind, value = wrong[-1]
        return f"{key}: expected {_readable(kind)}, got {value}"
    unions, given = _UNION.findall(message), _given(message)
    if unions and given:
        choices = [choice.strip("'") for listed in _LITERAL.findall(unions[-1]) for choice in listed.split(", ")]
        near = did_you_mean(given, choices) if choices else ""
        return f"{key}: expected {_readable(unions[-1])}, got {given}{near if near.endswith('?') else ''}"
    return None


def _explain_absent_file(message: str, key: str) -> str | None:
    found = _NO_FILE.search(message)
    return f"{key}: there is no file {found[1]}, nor can this be read as settings" if found else None


def _given(message: str) -> str:
    values = _GIVEN.findall(message)
    if not values:
        return ""
    # The innermost alternative reports first.
    nested = _NESTED_VALUE.search(values[0])
    return (nested[1] if nested else values[0]).strip("'\"")


def _readable(union: str) -> str:
    """Names of types as a user writes their values.

    Example:
        >>> _readable("<class 'int'>, <class 'NoneType'>")
        'int or null'
        >>> _readable("typing.Literal['mean', 'noise'], <class 'NoneType'>")
        "one of 'mean', 'noise' or null"
    """
    plain = re.sub(r"<class '(?:[\w.]*\.)?(\w+)'>", r"\1", union).replace("NoneType", "null")
    plain = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", plain)
    choice = re.fullmatch(r"((?:Literal\[[^\[\]]*\](?:, )?)+)(null)?", plain)
    if choice:
        return f"one of {', '.join(_LITERAL.findall(choice[1]))}{' or null' if choice[2] else ''}"
    return plain if "[" in plain else " or ".join(part.strip() for part in plain.split(","))


def known_classes(kind: str) -> set[str]:
    """Names of the classes that an option of this kind takes: ``model``, ``data``, ``callbacks``, ``optimizer``, ..."""
    if kind not in _BASES:
        return set()
    base, public = _BASES[kind]
    found = set(public)
    pending: list[type] = [base]
    while pending:
        children: list[type] = type.__subclasses__(pending.pop())
        for subclass in children:
            pending.append(subclass)
            foreign = kind in ("model", "data") and subclass.__module__.startswith(("lightning.", "torchmetrics."))
            if not subclass.__name__.startswith("_") and not inspect.isabstract(subclass) and not foreign:
                found.add(subclass.__name__)
    return found


def _parameters(class_path: str) -> list[str]:
    module, _, name = class_path.rpartition(".")
    names: list[str] = []
    for ancestor in inspect.getmro(getattr(import_module(module), name)):
        if "__init__" in vars(ancestor):
            parameters = inspect.signature(ancestor.__init__).parameters  # type: ignore[misc]  # read, never called
            names += [other for other in parameters if other not in ("self", "args", "kwargs", "params")]
            if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
                break
    return names
