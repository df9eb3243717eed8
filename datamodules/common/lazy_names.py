"""Public names of a package that are imported when they are first asked for (PEP 562)."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import NamedTuple

from datamodules.common.moved import keep_old_paths


class PublicName(NamedTuple):
    """Module that defines a public class, and one line on it for ``appraise list``."""

    module: str
    summary: str


def lazy_names(
    package: str, table: Mapping[str, PublicName]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Make ``__getattr__`` and ``__dir__`` of a package whose public names are in ``table``.

    Importing the package stays cheap, so that ``--help`` and ``list`` answer without torch. Old paths of its modules
    are kept for a while.

    Example:
        >>> get, names = lazy_names(__name__, {"OrderedDict": PublicName("collections", "a dict")})
        >>> get("OrderedDict")
        <class 'collections.OrderedDict'>
    """
    keep_old_paths()

    def get(name: str) -> object:
        if name not in table:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value: object = getattr(import_module(table[name].module), name)
        setattr(sys.modules[package], name, value)  # the next use finds it without coming here
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *table})

    return get, names
