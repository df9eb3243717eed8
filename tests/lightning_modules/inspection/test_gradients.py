"""Gradients of the whole step: two processes equal one, bfloat16 is near float32, masks and reversal hold inside it."""

from __future__ import annotations

import importlib.util
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

HELPER = Path(__file__).parent / "helpers" / "mentored_gradients.py"


def _load() -> Any:
    spec = importlib.util.spec_from_file_location("mentored_gradients", HELPER)
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


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> dict[str, dict[str, Tensor]]:
    """Gradients by options and precision; the processes start once, since that takes seconds."""
    output = tmp_path_factory.mktemp("gradients") / "gradients.pt"
    common = {
        **os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "WORLD_SIZE": "2",
        "OMP_NUM_THREADS": "1", "PYTHONPATH": str(repository),
    }  # fmt: skip
    running = [
        subprocess.Popen(
            [sys.executable, str(HELPER), str(output)],
            env={**common, "RANK": str(rank)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    errors = [process.communicate(timeout=240)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], errors
    loaded: dict[str, dict[str, Tensor]] = torch.load(output, weights_only=True)
    return loaded


def _one_process(options: dict[str, Any], batch: Any, bits: str = "float32") -> tuple[Tensor, dict[str, Tensor]]:
    step = helper.Step(helper.method(**options))
    with helper.precision(bits):
        loss = step(batch)
    loss.backward()
    return loss.detach(), helper.gradients(step.method)


def _joined(gradients: dict[str, Tensor]) -> Tensor:
    return torch.cat([gradients[name].float().flatten() for name in sorted(gradients)])


def test_the_processes_hold_different_rows(random_batch: Any) -> None:
    rows = [helper.rows_of(random_batch(8, 64), rank, 2) for rank in range(2)]
    counts = [float(helper.method().losses(part, 0.0)["answered_areas"]) for part in rows]
    assert counts[0] == 0 < counts[1]  # the first process has only labelled rows


@pytest.mark.parametrize("name", list(helper.OPTIONS))
def test_two_processes_give_the_gradient_of_one(two_processes: Any, random_batch: Any, name: str) -> None:
    together = two_processes[f"{name} float32"]
    _, alone = _one_process(helper.OPTIONS[name], random_batch(8, 64))
    assert together.keys() == alone.keys()
    for key, gradient in alone.items():
        torch.testing.assert_close(together[key], gradient, rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", list(helper.OPTIONS))
def test_bfloat16_is_near_float32_in_one_process_and_in_two(two_processes: Any, random_batch: Any, name: str) -> None:
    loss, exact = _one_process(helper.OPTIONS[name], random_batch(8, 64))
    near_loss, near = _one_process(helper.OPTIONS[name], random_batch(8, 64), "bf16")
    torch.testing.assert_close(near_loss, loss, rtol=2e-2, atol=0)
    whole = _joined(exact)
    for gradients in (near, two_processes[f"{name} bf16"]):
        # The seven convolutions alone make 2 % of it; the parts of the method are tested by themselves below.
        assert (_joined(gradients) - whole).norm() <= 4e-2 * whole.norm()


def test_class_head_losses_and_reversal_in_bfloat16(random_batch: Any) -> None:
    module = helper.method(**helper.OPTIONS["fixes"])
    batch = random_batch(8, 64)
    features = module(batch["image"]).features.detach()

    def gradients(bits: str, strength: float) -> tuple[Tensor, Tensor]:
        start = features.clone().requires_grad_()
        with helper.precision(bits):
            output = module.output_class(module.network.classify(start), start)
            module.forward = lambda image: output
            losses = module.losses(batch, strength)
        areas = losses["supervised_loss"] + losses["weak_loss"]
        return torch.autograd.grad(areas, start)[0], torch.autograd.grad(losses["domain_loss"], start)[0]

    exact, _ = gradients("float32", 0.7)
    near, below = gradients("bf16", 0.7)
    assert (near - exact).norm() <= 2e-2 * exact.norm()
    _, plain = gradients("bf16", -1.0)  # reversed twice
    assert (below + 0.7 * plain).norm() <= 2e-2 * plain.norm()


def test_only_known_areas_move_the_logits(random_batch: Any) -> None:
    """The gradient of L_S + L_W at the logits is exactly zero outside the known areas."""
    module = helper.method(omnia_epsilon=0.01)
    batch = random_batch(8, 64)
    output = module(batch["image"])
    logits = output.logits.detach().requires_grad_()
    areas = module.area_losses(output._replace(logits=logits), batch)
    gradient = torch.autograd.grad(areas.supervised + areas.weak, logits)[0]
    known = areas.targets.known[:, :, 0]
    assert (gradient[~known] == 0).all()
    assert (gradient[known] != 0).all()
    assert known.any(dim=0).any()
    assert not known.all()


def test_a_batch_without_answers_keeps_every_parameter_in_the_graph(random_batch: Any) -> None:
    batch = random_batch(4, 64)
    batch["answer_truth"][:] = -2
    batch["answer_class"][:] = -2
    batch["labelled"][:] = False
    values = helper.method(domain_weight=0.1).losses(batch, 0.5)
    assert values["weak_loss"] == 0
    assert values["supervised_loss"] == 0
    module = helper.method()
    module.losses(batch, 0.5)["loss"].backward()
    assert all(p.grad is not None and not p.grad.any() for p in module.parameters())


def test_reversal_inside_the_step(random_batch: Any) -> None:
    """The backbone gets minus strength times the plain domain gradient; the domain segmenter gets its own."""
    batch = random_batch(4, 64)

    def gradients(strength: float) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        module = helper.method(domain_weight=1.0).double()
        module.preprocess.double()
        module.losses(batch, strength)["domain_loss"].backward()
        found = helper.gradients(module)
        backbone = {name: value for name, value in found.items() if name.startswith("network.backbone")}
        return backbone, {name: value for name, value in found.items() if name.startswith("domain_segmenter")}

    plain, plain_head = gradients(-1.0)  # reversed twice
    below, head = gradients(0.5)
    assert plain
    for name, gradient in plain.items():
        assert torch.equal(below[name], -0.5 * gradient)
    for name, gradient in plain_head.items():
        assert torch.equal(head[name], gradient)
