"""One training step of two processes has the gradients of one that has the whole batch."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.methods import process
from tests.methods.first_gradients import FILE
from tests.methods.run_files import texts
from tests.methods.table import METHODS, Method


def gradients(folder: Path) -> dict[str, Tensor]:
    found: dict[str, Tensor] = torch.load(next(folder.rglob(FILE)), weights_only=True)
    return found


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.name)
def test_two_processes_step_as_one_does(method: Method, data: Path, tmp_path: Path) -> None:
    # All samples are in the one batch; where their number is odd, one of two processes has padding in its last row.
    words = [*method.training(data), *method.noiseless, "--trainer.max_steps=1", "--test_after_fit=false"]
    watcher = "tests.methods.first_gradients.FirstGradients"  # alone, but where a callback gives what is learnt
    words.append(f"--trainer.callbacks+={watcher}" if method.rounds else f"--trainer.callbacks=[{watcher}]")
    one, two = (
        [*words, f"--data.init_args.batch_size={-(-method.samples // processes)}", f"--output={tmp_path / name}"]
        for name, processes in (("one", 1), ("two", 2))
    )
    running = [process.start([one], tmp_path / "one.txt"), *process.start_pair([two], tmp_path / "two.txt")]
    assert process.wait(running) == [0, 0, 0], texts(sorted(tmp_path.glob("*.txt")))
    expected, found = gradients(tmp_path / "one"), gradients(tmp_path / "two")
    assert found.keys() == expected.keys()
    scale = max(float(gradient.abs().max()) for gradient in expected.values())
    assert scale > 0
    for name, gradient in expected.items():
        difference = float((found[name] - gradient).abs().max())
        assert difference <= 1e-4 * scale, f"{name}: {difference:.3g} of {scale:.3g}"
