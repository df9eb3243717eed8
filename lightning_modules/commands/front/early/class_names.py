"""Classes that are not there, told from the source of the module that should define them."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from lightning_modules.commands.front.early.class_arguments import PUBLIC, names_of, source_of
from lightning_modules.commands.front.early.stated import PARTS, Statement, class_written
from lightning_modules.commands.front.errors import CommandLineError, did_you_mean

_LISTED = ("trainer.callbacks", "trainer.logger")
# Where bare names are looked for: the package's own, then Lightning's.
_HOMES = {
    "model": ("lightning_modules",),
    "data": ("datamodules",),
    "trainer.callbacks": ("callbacks", "lightning.pytorch.callbacks"),
    "trainer.logger": ("lightning.pytorch.loggers",),
}


def check_classes(stated: Sequence[Statement]) -> None:
    """Refuse the first class, of model, data, callbacks or loggers, that neither its module nor its package has.

    Raises:
        CommandLineError: With the nearest names.
    """
    for part, name in _named(stated):
        package, _, bare = name.rpartition(".")
        if package in ("", *_HOMES[part]):
            known = {other for home in _HOMES[part] for other in PUBLIC.get(home) or names_of(home) or ()}
            hint = did_you_mean(bare, _classes(known))
            # Where Lightning is imported, a caller in Python may have classes of their own, found by bare names.
            if bare not in known and (package or "did you mean" in hint or "lightning" not in sys.modules):
                raise CommandLineError(f'{part}: there is no class "{bare}"{hint}')
        else:
            _check_module(part, package, bare)


def _check_module(part: str, module: str, name: str) -> None:
    if module in sys.modules:
        return  # the parser asks the module itself
    known = names_of(module)
    if known is None and source_of(module) is None:
        _refuse_module(part, module, name)
    if known is not None and name not in known:
        raise CommandLineError(f'{part}: {module} has no class "{name}"{did_you_mean(name, _classes(known))}')


def _refuse_module(part: str, module: str, name: str) -> None:
    """Refuse a module of the current folder or of this package that is not there; others may be made at run time."""
    top, _, rest = module.partition(".")
    if top in PUBLIC:
        folder = Path(str(sys.modules[top].__file__)).parent.joinpath(*rest.split(".")[:-1])
        near = did_you_mean(rest.rpartition(".")[2], [path.stem for path in folder.iterdir() if path.stem[0] != "_"])
        raise CommandLineError(f'{part}: {module}.{name} cannot be imported, there is no module "{module}"{near}')
    if rest or Path(top).is_dir() or _is_importable(top):
        return
    files = [file.stem for file in Path.cwd().glob("*.py") if not file.stem.startswith("test_")]
    hint = did_you_mean(top, files) if files else ", nor any .py file in the current folder"
    raise CommandLineError(f'{part}: {module}.{name} cannot be imported, there is no module "{module}"{hint}')


def _is_importable(module: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(module) is not None
    except (ValueError, ImportError):
        return True


def _named(stated: Sequence[Statement]) -> Iterator[tuple[str, str]]:
    """Part and path of each class that is named, a public one by its bare name too."""
    for part in PARTS:
        named = class_written(part, stated)
        if named is not None:
            yield part, named
    for one in stated:
        if one.option not in _LISTED:
            continue
        for listed in one.value if isinstance(one.value, list) else [one.value]:
            name = listed.get("class_path") if isinstance(listed, Mapping) else listed
            plain = isinstance(name, str) and all(word.isidentifier() for word in name.split("."))
            if plain and name not in ("true", "false", "null"):
                yield one.option, str(name)


def _classes(names: Sequence[str] | set[str]) -> list[str]:
    """Those that a class may have, constants left out."""
    public = {name for known in PUBLIC.values() for name in known}
    return sorted(name for name in names if name in public or (name[:1].isupper() and not name.isupper()))
