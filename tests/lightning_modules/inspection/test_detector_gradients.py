"""The detector's gradients: two processes equal one, and bfloat16 stays near float32."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch

HELPER = Path(__file__).parent / "helpers" / "detector_gradients.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("detector_gradients", HELPER)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


helper = _load()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_processes_give_the_gradient_of_one(tmp_path: Path, repository: Path) -> None:
    common = {
        **os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1", "PYTHONPATH": str(repository),
    }  # fmt: skip
    command = [sys.executable, str(HELPER), str(tmp_path / "together.pt")]
    running = [
        subprocess.Popen(command, env={**common, "RANK": str(rank)}, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=120)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], errors
    together = torch.load(tmp_path / "together.pt", weights_only=True)
    step = helper.Step(helper.method())
    step(helper.beside("test_module").made_batch(5)).backward()
    alone = helper.gradients(step.method)
    assert together.keys() == alone.keys()
    for name, gradient in alone.items():
        torch.testing.assert_close(together[name], gradient, rtol=0, atol=1e-6)


def test_head_and_losses_in_bfloat16() -> None:
    module, batch = helper.method(), helper.beside("test_module").made_batch(5)
    features = module(batch["image"]).features.detach()

    def gradient(enabled: bool) -> torch.Tensor:
        start = features.clone().requires_grad_()
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            areas = module.area_losses(module.network.predict(start), batch)
        return torch.autograd.grad(areas.supervised + areas.weak, start)[0]

    exact = gradient(False)
    assert (gradient(True) - exact).norm() <= 2e-2 * exact.norm()
