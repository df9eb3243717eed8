"""The house: what each room says of itself, how full it is, what its files are called, and old paths into it.

Who may import whom, and that there are no circles, is held by import-linter (``pyproject.toml``).
"""

from __future__ import annotations

import ast
import re
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest
from jsonargparse._util import get_import_path, import_object

import cli
from datamodules.common.moved import MOVED

ROOT = Path(cli.__file__).parent
PACKAGES = ("lightning_modules", "datamodules", "callbacks")
MOST = 16  # files of a room, its __init__.py aside
ROOMS = sorted({file.parent for package in PACKAGES for file in (ROOT / package).rglob("*.py")})


def name_of(room: Path) -> str:
    return room.relative_to(ROOT).as_posix()


def repeats(stem: str, folder: str) -> bool:
    """Whether a file's name begins or ends with its folder's, in the singular too."""
    return any(
        f"_{stem}_".startswith(f"_{name}_") or f"_{stem}_".endswith(f"_{name}_")
        for name in {folder, folder.removesuffix("s")}
    )


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_a_room_says_in_one_sentence_what_it_is_for(room: Path) -> None:
    first, *_ = (room / "__init__.py").read_text().splitlines()
    said = ast.get_docstring(ast.parse((room / "__init__.py").read_text())) or ""
    assert first == f'"""{said}"""'
    assert len(first) <= 120
    assert said[:1].isupper() or said.startswith("``")
    assert said.endswith(".")
    assert ". " not in said


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_a_room_is_not_too_full(room: Path) -> None:
    assert len(list(room.glob("*.py"))) - 1 <= MOST


@pytest.mark.parametrize("room", ROOMS, ids=name_of)
def test_no_file_repeats_the_name_of_its_room(room: Path) -> None:
    assert [file.name for file in room.glob("*.py") if repeats(file.stem, room.name)] == []


def test_a_repeated_name_is_seen() -> None:
    assert repeats("store_merge", "store")
    assert repeats("face_store", "store")
    assert repeats("target_maker", "targets")
    assert repeats("demo", "demo")
    assert not repeats("restore", "store")


@pytest.mark.parametrize("old", MOVED)
def test_an_old_path_works_and_names_the_new_one(old: str, monkeypatch: pytest.MonkeyPatch) -> None:
    new, *others = MOVED[old]
    assert all(find_spec(other) is not None for other in others)
    module = import_module(new)
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == new]
    if new.startswith(f"{old}."):
        assert own  # a folder took the old name: it warns when a name of the old module is asked for
    else:
        monkeypatch.delitem(sys.modules, old, raising=False)
    found: dict[str, object] = {}
    with pytest.warns(FutureWarning, match=re.escape(new)):
        exec(f"from {old} import {', '.join(own)}" if own else f"import {old}", found)
    assert [found[name] for name in own] == [getattr(module, name) for name in own]
    if not new.startswith(f"{old}."):
        sys.modules.pop(old, None)  # others ask for it as if for the first time


def test_the_parser_of_options_does_not_take_an_old_path_for_the_shortest_one() -> None:
    path = "datamodules.video_quality.demo.sources.DemoSettings"
    assert get_import_path(import_object(path)) == path
