"""Arguments of a class, read from its source: importing it would take seconds, and a mistyped name should not."""

from __future__ import annotations

import ast
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import callbacks
import datamodules
import lightning_modules

PUBLIC = {package.__name__: package.PUBLIC for package in (lightning_modules, datamodules, callbacks)}


class _Found(NamedTuple):
    """A class in the file that defines it."""

    module: str
    node: ast.ClassDef


def full_name(class_path: str, package: str) -> str:
    """Path of a class that a configuration or a command line names; a bare name is a public one of ``package``.

    Example:
        >>> full_name("KSVQE", "lightning_modules"), full_name("callbacks.ScoreWriter", "callbacks")
        ('lightning_modules.KSVQE', 'callbacks.ScoreWriter')
    """
    return class_path if "." in class_path else f"{package}.{class_path}"


@cache
def class_arguments(class_path: str) -> dict[str, object] | None:
    """Arguments of a constructor with their defaults, as far as these are plain; None where they cannot be told.

    Args:
        class_path: Importable path of the class; the package's public names are followed to where they are defined.

    Example:
        >>> class_arguments("callbacks.BestAndLast")["mode"], class_arguments("somewhere.Else")
        ('min', None)
    """
    package, _, name = class_path.rpartition(".")
    place = PUBLIC.get(package, {}).get(name)
    found = _find_class(place.module if place else package, name)
    return None if found is None else _constructor(found)


def _constructor(found: _Found) -> dict[str, object] | None:
    own = next((one for one in found.node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
    if own is None:
        return _fields(found) if _is_dataclass(found.node) else _inherited(found, _constructor)
    for decorator in own.decorator_list:
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "takes":
            settings = _resolve(found.module, decorator.args[0])
            return None if settings is None else _fields(settings)
    names = [*own.args.posonlyargs, *own.args.args]
    defaults = [None] * (len(names) - len(own.args.defaults)) + [_plain(one) for one in own.args.defaults]
    arguments = {one.arg: default for one, default in zip(names, defaults, strict=True)}
    arguments |= {
        one.arg: _plain(default) for one, default in zip(own.args.kwonlyargs, own.args.kw_defaults, strict=True)
    }
    arguments.pop("self", None)
    if own.args.kwarg is None:
        return arguments
    more = _inherited(found, _constructor)
    return None if more is None else more | arguments


def _inherited(found: _Found, read: Callable[[_Found], dict[str, object] | None]) -> dict[str, object] | None:
    """What is read of all classes that one extends; None where one of them cannot be told."""
    arguments: dict[str, object] = {}
    for base in found.node.bases:
        parent = _resolve(found.module, base)
        more = None if parent is None else read(parent)
        if more is None:
            return None
        arguments |= more
    return arguments


def _fields(found: _Found) -> dict[str, object] | None:
    """Fields of a class of settings that are arguments of their own, those of the classes that it extends first."""
    arguments = _inherited(found, _fields)
    if arguments is None:
        return None
    for one in found.node.body:
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            facts = (
                {word.arg: _plain(word.value) for word in one.value.keywords} if isinstance(one.value, ast.Call) else {}
            )
            arguments.pop(one.target.id, None)
            if facts.get("flat", True):
                arguments[one.target.id] = facts.get("default")
    return arguments


def _is_dataclass(node: ast.ClassDef) -> bool:
    named = [one.func if isinstance(one, ast.Call) else one for one in node.decorator_list]
    return any(isinstance(one, ast.Name) and one.id in ("dataclass", "settings") for one in named)


def _resolve(module: str, name: ast.expr) -> _Found | None:
    return _find_class(module, name.id) if isinstance(name, ast.Name) else None


def _find_class(module: str, name: str) -> _Found | None:
    tree = _tree(module)
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.ClassDef) and node.name == name:
            return _Found(module, node)
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _find_class(node.module, alias.name)
    return None


@cache
def _tree(module: str) -> ast.Module | None:
    path = _source(module)
    try:
        return None if path is None else ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def _source(module: str) -> Path | None:
    """File of a module; no package is imported to find it."""
    top, *rest = module.split(".")
    try:
        spec = find_spec(top) if top else None
    except ValueError:  # of `__main__`
        return None
    if spec is None:
        return None
    if not rest:
        return Path(spec.origin) if spec.origin else None
    for folder in spec.submodule_search_locations or ():
        place = Path(folder, *rest)
        for path in (place.with_name(f"{place.name}.py"), place / "__init__.py"):
            if path.is_file():
                return path
    return None


def _plain(node: ast.expr | None) -> object:
    return node.value if isinstance(node, ast.Constant) else None
