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


class _Argument(NamedTuple):
    """An argument as its class writes it: a plain default, and the type with the module that knows its names."""

    default: object
    kind: ast.expr | None
    module: str


_Arguments = dict[str, _Argument]


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
    arguments = _arguments(class_path)
    return None if arguments is None else {name: one.default for name, one in arguments.items()}


@cache
def class_choices(class_path: str) -> dict[str, tuple[str, ...]]:
    """Values of those arguments of a constructor that take one of a few texts and nothing else but null.

    Example:
        >>> class_choices("callbacks.BestAndLast")["mode"], class_choices("somewhere.Else")
        (('min', 'max'), {})
    """
    found = {name: _choices(one.kind, one.module) for name, one in (_arguments(class_path) or {}).items()}
    return {name: tuple(choices) for name, choices in found.items() if choices}


@cache
def null_arguments(class_path: str) -> set[str]:
    """Arguments of a constructor that take null or an object, and no text.

    Example:
        >>> "augmentation" in null_arguments("datamodules.ActionDataModule")
        True
    """
    return {name for name, one in (_arguments(class_path) or {}).items() if _is_object_or_null(one.kind)}


def _is_object_or_null(kind: ast.expr | None) -> bool:
    if not isinstance(kind, ast.BinOp):
        return False
    left, right = kind.left, kind.right
    of_class = isinstance(left, ast.Name) and left.id[:1].isupper() and left.id != "Any"
    return of_class and isinstance(right, ast.Constant) and right.value is None


def _arguments(class_path: str) -> _Arguments | None:
    package, _, name = class_path.rpartition(".")
    place = PUBLIC.get(package, {}).get(name)
    found = _find_class(place.module if place else package, name)
    return None if found is None else _constructor(found)


def _choices(kind: ast.expr | None, module: str) -> list[str] | None:
    """Texts of a type that is made of them; empty for None alone, None where it takes more."""
    if isinstance(kind, ast.BinOp) and isinstance(kind.op, ast.BitOr):
        left, right = _choices(kind.left, module), _choices(kind.right, module)
        return None if left is None or right is None else [*left, *right]
    if isinstance(kind, ast.Constant) and kind.value is None:
        return []
    if isinstance(kind, ast.Subscript) and isinstance(kind.value, ast.Name) and kind.value.id == "Literal":
        values = kind.slice.elts if isinstance(kind.slice, ast.Tuple) else [kind.slice]
        texts = [one.value for one in values if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        return texts if len(texts) == len(values) else None
    if isinstance(kind, ast.Name):
        alias = _find_alias(module, kind.id)
        return None if alias is None else _choices(*alias)
    return None


def _find_alias(module: str, name: str) -> tuple[ast.expr, str] | None:
    """What a name stands for that a module gives to a type, and the module that says so."""
    tree = _tree(module)
    for node in tree.body if tree is not None else ():
        if isinstance(node, ast.Assign) and [one.id for one in node.targets if isinstance(one, ast.Name)] == [name]:
            return node.value, module
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _find_alias(node.module, alias.name)
    return None


def names_of(module: str) -> set[str] | None:
    """Names that a module defines or imports, read from its source; None where they cannot be told.

    Example:
        >>> "names_of" in (names_of("lightning_modules.commands.front.early.class_arguments") or ())
        True
    """
    tree = _tree(module)
    if tree is None:
        return None
    names: set[str] = set()
    for node in ast.walk(tree):  # what stands below `if` and `try` too
        if isinstance(node, ast.ImportFrom | ast.Import):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.ClassDef | ast.FunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return None if names & {"*", "__getattr__"} else names


def _constructor(found: _Found) -> _Arguments | None:
    own = next((one for one in found.node.body if isinstance(one, ast.FunctionDef) and one.name == "__init__"), None)
    if own is None:
        return _fields(found) if _is_dataclass(found.node) else _inherited(found, _constructor)
    for decorator in own.decorator_list:
        if isinstance(decorator, ast.Call) and isinstance(decorator.func, ast.Name) and decorator.func.id == "takes":
            settings = _resolve(found.module, decorator.args[0])
            return None if settings is None else _fields(settings)
    names = [*own.args.posonlyargs, *own.args.args]
    defaults = [None] * (len(names) - len(own.args.defaults)) + [_plain(one) for one in own.args.defaults]
    names += own.args.kwonlyargs
    defaults += [_plain(one) for one in own.args.kw_defaults]
    arguments = {
        one.arg: _Argument(default, one.annotation, found.module) for one, default in zip(names, defaults, strict=True)
    }
    arguments.pop("self", None)
    if own.args.kwarg is None:
        return arguments
    more = _inherited(found, _constructor)
    return None if more is None else more | arguments


def _inherited(found: _Found, read: Callable[[_Found], _Arguments | None]) -> _Arguments | None:
    """What is read of all classes that one extends; None where one of them cannot be told."""
    arguments: _Arguments = {}
    for base in found.node.bases:
        parent = _resolve(found.module, base)
        more = None if parent is None else read(parent)
        if more is None:
            return None
        arguments |= more
    return arguments


def _fields(found: _Found) -> _Arguments | None:
    """Fields of a class of settings that are arguments of their own, those of the classes that it extends first."""
    arguments = _inherited(found, _fields)
    if arguments is None:
        return None
    for one in found.node.body:
        if isinstance(one, ast.AnnAssign) and isinstance(one.target, ast.Name):
            facts = {word.arg: word.value for word in one.value.keywords} if isinstance(one.value, ast.Call) else {}
            arguments.pop(one.target.id, None)
            if "flat" not in facts or _plain(facts["flat"]):
                kind = facts.get("accepts", one.annotation)
                arguments[one.target.id] = _Argument(_plain(facts.get("default")), kind, found.module)
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
    path = source_of(module)
    try:
        return None if path is None else ast.parse(path.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return None


def source_of(module: str) -> Path | None:
    """File of a module; no package is imported to find it. None where there is none, or it is no Python file."""
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
