from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from datamodules.common.errors import CheckpointError
from lightning_modules.nn.checkpoint_loading import load_state_dict_file, load_strictly, strip_prefix

STATE = {"a.weight": torch.arange(3.0)}


def test_forms_of_a_file(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "plain.pth")
    torch.save({"state_dict": STATE, "epoch": 3}, tmp_path / "wrapped.pth")
    torch.save({"model": STATE}, tmp_path / "model.tar")
    save_file(STATE, tmp_path / "weights.safetensors")
    for path in tmp_path.iterdir():
        loaded = load_state_dict_file(path)
        assert list(loaded) == ["a.weight"]
        assert torch.equal(loaded["a.weight"], STATE["a.weight"])


@pytest.mark.filterwarnings("ignore:`torch.jit:FutureWarning")
def test_torchscript_archive(tmp_path: Path) -> None:
    module = nn.Linear(2, 1)
    torch.jit.save(torch.jit.trace(module, torch.ones(1, 2)), str(tmp_path / "clip.pt"))
    loaded = load_state_dict_file(tmp_path / "clip.pt")
    assert torch.equal(loaded["weight"], module.weight)


class Harmless:
    """An object that only unpickling with code could bring back."""


def test_files_that_are_no_weights(tmp_path: Path) -> None:
    (tmp_path / "text.pth").write_text("hello")
    (tmp_path / "empty.pth").touch()
    (tmp_path / "broken.safetensors").write_bytes(b"12345678901234567890")
    torch.save({"a": Harmless()}, tmp_path / "code.pth")
    for path in tmp_path.iterdir():
        with pytest.raises(CheckpointError, match=f"{path.name} cannot be read as weights"):
            load_state_dict_file(path)
    torch.save({"epoch": 3}, tmp_path / "numbers.pth")
    with pytest.raises(CheckpointError, match="holds no named tensors"):
        load_state_dict_file(tmp_path / "numbers.pth")
    with pytest.raises(CheckpointError, match="no file of weights"):
        load_state_dict_file(tmp_path / "absent.pth")


def test_prefix_is_stripped_only_if_all_have_it() -> None:
    mixed = {"module.a": torch.zeros(1), "b": torch.zeros(1)}
    assert strip_prefix(mixed, "module.") == mixed
    assert strip_prefix({}, "module.") == {}


def test_strict_loading_lists_everything_and_copies_nothing() -> None:
    module = nn.Linear(2, 1)
    before = module.weight.clone()
    state = {"weight": torch.zeros(1, 3), "extra": torch.zeros(1)}
    with pytest.raises(CheckpointError) as caught:
        load_strictly(module, state, ["weight", "bias"], "a file")
    for part in ("1 missing: bias", "1 not expected: extra", "weight is (1, 3), the network needs (1, 2)"):
        assert part in str(caught.value)
    assert torch.equal(module.weight, before)
    load_strictly(module, {"weight": torch.ones(1, 2)}, ["weight"], "a file")
    assert module.weight.sum() == 2
