"""What stands in a file that should hold weights is said in one sentence, and plain values of NumPy are read."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from datamodules.common.errors import CheckpointError
from lightning_modules.nn.torch_file import read_torch_file


def saved(content: object) -> bytes:
    stream = io.BytesIO()
    torch.save(content, stream)
    return stream.getvalue()


def zipped(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "x")
    return stream.getvalue()


OTHERS: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "it is empty"),
    "page": (b"\n<!DOCTYPE html><html>404</html>", "it is a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "pointer of Git LFS"),
    "cut": (saved({"a": torch.zeros(99)})[:-90], "its end is missing"),
    "archive": (zipped("weights/a.pth"), r"archive of other files \(weights/a.pth\): unpack it"),
    "arrays": (zipped("a.npy"), "archive of NumPy's arrays"),
    "safetensors": (b"\x08\0\0\0\0\0\0\0{}      ", "form of safetensors"),
    "text": (b"accuracy: 0.9\n", 'text that begins with "accuracy:"'),
    "module": (
        saved(torch.nn.Linear(1, 1)),
        r"it holds torch.nn.modules.linear.Linear\): other objects could run code",
    ),
}


@pytest.mark.parametrize("kind", OTHERS)
def test_other_files_are_named(kind: str, tmp_path: Path) -> None:
    content, expected = OTHERS[kind]
    (tmp_path / "a.ckpt").write_bytes(content)
    with pytest.raises(CheckpointError, match=rf"^{tmp_path}/a.ckpt cannot be read as weights.*{expected}") as raised:
        read_torch_file(tmp_path / "a.ckpt", "weights")
    assert len(str(raised.value).splitlines()) == 1


def test_numbers_of_numpy_are_plain_values(tmp_path: Path) -> None:
    content: dict[str, Any] = {"best": np.float64(0.3), "step": np.int64(7), "seen": np.arange(3, dtype=np.float32)}
    (tmp_path / "a.ckpt").write_bytes(saved(content))
    read: Any = read_torch_file(tmp_path / "a.ckpt", "weights")
    assert (read["best"], read["step"], read["seen"].tolist()) == (0.3, 7, [0, 1, 2])
