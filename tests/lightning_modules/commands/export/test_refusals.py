"""What cannot be exported, or run, is said in a sentence, and nothing half-written stays behind."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import cli
from lightning_modules.commands.export import card, methods
from lightning_modules.commands.exported.manifest import SCHEMA
from lightning_modules.commands.exported.predict import RUNNERS
from tests.lightning_modules.commands.export.conftest import Exported

resource = pytest.importorskip("resource", reason="no limits on Windows")
Export = Callable[[str], Exported]


def sentence(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """The line of an error."""
    capsys.readouterr()
    assert cli.main(list(command)) in (1, 2)
    return capsys.readouterr().err.strip().splitlines()[-1]


def export(made: Exported, folder: Path, *more: str) -> list[str]:
    return ["export", f"--ckpt_path={made.checkpoint}", f"--output={folder}", *more]


def test_an_earlier_export_is_replaced_only_by_force(
    exported: Export, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made, folder = exported("segmenter"), tmp_path / "out"
    shutil.copytree(made.folder, folder)
    (folder / "old").touch()
    assert "holds an earlier export" in sentence(capsys, *export(made, folder))
    assert (folder / "old").exists()
    assert cli.main(export(made, folder, "--force", f"--input={pictures}")) == 0
    assert sorted(file.name for file in folder.iterdir()) == ["export.json", "model.onnx", "model_card.md"]


def test_a_folder_of_something_else_is_never_replaced(
    exported: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine.txt").touch()
    assert "not empty and holds no export" in sentence(capsys, *export(exported("faces"), tmp_path, "--force"))


def test_a_generator_of_faces_has_no_graph(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved = {"_class_path": "lightning_modules.AttributeFaceGenerator"}
    torch.save({"state_dict": {}, "hyper_parameters": saved}, tmp_path / "generator.ckpt")
    said = sentence(capsys, "export", f"--ckpt_path={tmp_path / 'generator.ckpt'}", f"--output={tmp_path / 'out'}")
    assert "it makes a face by optimising a picture" in said


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("image_sze=64", "--data names image_sze: did you mean image_size?"),
        ("image_size=abc", "--data image_size is 'abc', but a number above 0 is needed"),
        ("rate=3", "--data names rate: known are image_size"),
    ],
)
def test_an_option_of_the_data_that_cannot_be(
    exported: Export, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, said: str
) -> None:
    assert said in sentence(capsys, *export(exported("segmenter"), tmp_path / "out", f"--data={option}"))


def test_a_folder_is_no_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said = sentence(capsys, "export", f"--ckpt_path={tmp_path}", f"--output={tmp_path / 'out'}")
    assert f"{tmp_path} is a folder, but a checkpoint is a file in one" in said


@pytest.mark.parametrize("package", ["onnx", "onnxruntime", "onnxscript"])
def test_a_missing_package_is_named_with_the_command_that_installs_it(
    exported: Export, tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    made = exported("faces")
    monkeypatch.setitem(sys.modules, package, None)
    said = sentence(capsys, *export(made, tmp_path / "out"))
    assert f'{package} is not installed, which ONNX needs: pip install -c constraints.txt -e ".[export]"' in said
    if package == "onnxruntime":
        words = [str(made.folder), str(tmp_path), f"--output={tmp_path}"]
        assert "pip install" in sentence(capsys, "run-exported", *words)


def test_files_that_cannot_be_read_are_no_input(
    exported: Export, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = export(exported("segmenter"), tmp_path / "out", f"--input={pictures / 'text.png'}")
    assert "holds no file that can be read" in sentence(capsys, *command)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_nothing(
    exported: Export, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No file may grow beyond 16 kB, which ends writing as a quota does."""
    made = exported("segmenter")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16384, before[1]))
    try:
        said = sentence(capsys, *export(made, tmp_path / "out", f"--input={pictures}"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert "(File too large): make room, or give another --output; nothing was left there" in said
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def folder(exported: Export, tmp_path: Path) -> Path:
    """A copy of an export."""
    return shutil.copytree(exported("faces").folder, tmp_path / "copy")


def run_exported(folder: Path, place: Path) -> list[str]:
    return ["run-exported", str(folder), str(place), f"--output={folder / 'out'}"]


def edit(folder: Path, **changes: object) -> None:
    content = json.loads((folder / "export.json").read_text())
    (folder / "export.json").write_text(json.dumps(content | changes))


def test_a_newer_export_asks_for_an_update(folder: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edit(folder, schema=SCHEMA + 1)
    assert f"has schema {SCHEMA + 1}, but" in sentence(capsys, *run_exported(folder, pictures))


def test_a_changed_graph_is_not_run(folder: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (folder / "model.onnx").open("ab") as stream:
        stream.write(b"x")
    assert "model.onnx is not the file that export.json describes" in sentence(capsys, *run_exported(folder, pictures))


@pytest.mark.parametrize("text", ["", "[]", '{"schema": 1}', '{"schema": "1"}', '{"schema": 1, "graph": 3}'])
def test_a_damaged_description_is_named(
    folder: Path, pictures: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "export.json").write_text(text)
    assert "export.json" in sentence(capsys, *run_exported(folder, pictures))


def test_a_folder_without_an_export(tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "holds no export.json" in sentence(capsys, *run_exported(tmp_path, pictures))


def test_a_program_of_torch_is_not_for_onnxruntime(
    exported: Export, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = export(exported("segmenter"), tmp_path / "out", "--format=torch_export", f"--input={pictures}")
    assert cli.main(command) == 0
    assert torch.export.load(tmp_path / "out" / "model.pt2").module() is not None
    assert "holds a program of torch (model.pt2)" in sentence(capsys, *run_exported(tmp_path / "out", pictures))


def test_every_method_that_runs_has_all_that_its_export_needs() -> None:
    assert set(RUNNERS) == set(methods.BUILDERS) == set(methods._DATA) == set(card._PURPOSE) == set(card._LIMITS)
