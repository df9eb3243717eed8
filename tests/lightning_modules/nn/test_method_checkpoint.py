"""Reading a checkpoint of a known method: what comes back, and what is refused in which words."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from datamodules.common.errors import CheckpointError
from lightning_modules.nn.method_checkpoint import read_method_checkpoint

CLASS_PATH = "lightning_modules.Method"
STATE = {"a.weight": torch.arange(3.0)}


def saved(path: Path, **entries: object) -> str:
    content = {"hyper_parameters": {"_class_path": CLASS_PATH, "width": 4}, "state_dict": STATE, "epoch": 3}
    torch.save({**content, **entries}, path)
    return str(path)


class Harmless:
    """An object that only unpickling with code could bring back."""


def test_arguments_tensors_and_the_rest_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved(tmp_path / "a.ckpt", labelled=["x"])
    monkeypatch.setenv("HOME", str(tmp_path))
    arguments, state, content = read_method_checkpoint("~/a.ckpt", CLASS_PATH)
    assert arguments == {"_class_path": CLASS_PATH, "width": 4}
    assert list(state) == ["a.weight"]
    assert torch.equal(state["a.weight"], STATE["a.weight"])
    assert content["labelled"] == ["x"]


def test_changing_what_was_read_leaves_the_content_alone(tmp_path: Path) -> None:
    read = read_method_checkpoint(saved(tmp_path / "a.ckpt"), CLASS_PATH)
    read.hyper_parameters.clear()
    read.state_dict.clear()
    assert read.content["hyper_parameters"]["width"] == 4
    assert list(read.content["state_dict"]) == ["a.weight"]


def test_a_missing_file_names_the_option(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint at .*none\.ckpt: correct the path of baseline_weights"):
        read_method_checkpoint(str(tmp_path / "none.ckpt"), CLASS_PATH, "baseline_weights")
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        read_method_checkpoint(str(tmp_path), CLASS_PATH)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "text.ckpt").write_text("hello")
    (tmp_path / "empty.ckpt").touch()
    saved(tmp_path / "code.ckpt", callback=Harmless())
    whole = Path(saved(tmp_path / "whole.ckpt")).read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    for name in ("text", "empty", "code", "cut"):
        with pytest.raises(CheckpointError, match=rf"^weights .*{name}\.ckpt cannot be read as a checkpoint"):
            read_method_checkpoint(str(tmp_path / f"{name}.ckpt"), CLASS_PATH, "weights")


def test_bare_weights_are_told_where_to_go(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "bare.pth")
    torch.save(STATE["a.weight"], tmp_path / "tensor.pth")
    torch.save({"hyper_parameters": {"_class_path": CLASS_PATH}}, tmp_path / "empty.pth")
    for path in tmp_path.iterdir():
        with pytest.raises(CheckpointError, match="bare weights of a backbone go to backbone_weights"):
            read_method_checkpoint(str(path), CLASS_PATH)


def test_a_checkpoint_of_another_method_or_of_none(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=r"was written by lightning_modules\.Method, not by lightning_modules\.B"):
        read_method_checkpoint(path, "lightning_modules.B")
    with pytest.raises(CheckpointError, match="was written by None"):
        read_method_checkpoint(saved(tmp_path / "b.ckpt", hyper_parameters={"width": 4}), CLASS_PATH)
