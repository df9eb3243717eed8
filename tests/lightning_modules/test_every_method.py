"""What holds for the training of every method: precision, accumulation, clipping, compilation, devices."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor
from torch._inductor import config as inductor

from callbacks.training.compile_network import CompileNetwork
from datamodules.common.errors import ConfigurationError
from lightning_modules import KSVQE, FrameAveragingActionRecognizer, MentoringDetector, MentoringSegmenter
from tests.inspection_batches import random_batch
from tests.lightning_modules.action.conftest import SIDE, action_batch
from tests.lightning_modules.face_attributes.classifier import test_module as faces
from tests.lightning_modules.inspection import gradients
from tests.lightning_modules.inspection.detector import test_module as detectors
from tests.lightning_modules.training import weights, whole_batches
from tests.lightning_modules.video_quality import test_module as clips
from tests.running import quiet_trainer

Make = Callable[..., tuple[L.LightningModule, list[Any]]]
CUDA = pytest.param(
    "cuda",
    marks=[pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here")],
)


def ksvqe(**options: Any) -> tuple[L.LightningModule, list[Any]]:
    return KSVQE(**clips.SMALLEST, **options), list(clips.loader(8))


def segmenter(**options: Any) -> tuple[L.LightningModule, list[Any]]:
    module = MentoringSegmenter(["a", "b"], backbone="small", width=4, **options)
    return module, [random_batch(8, 64, seed=seed) for seed in range(2)]


def detector(**options: Any) -> tuple[L.LightningModule, list[Any]]:
    built = gradients.detector().hparams
    module = MentoringDetector(**{**built, **options})
    return module, [detectors.made_batch(seed) for seed in range(2)]


def recogniser(**options: Any) -> tuple[L.LightningModule, list[Any]]:
    module = FrameAveragingActionRecognizer(
        class_names=["dark", "bright"], frame_size=SIDE, backbone="test_resnet", train_backbone="all", **options
    )
    return module, [action_batch(number) for number in range(2)]


def classifier(**options: Any) -> tuple[L.LightningModule, list[Any]]:
    return faces.build(**options), [faces.face_batch(number) for number in range(2)]


METHODS = [ksvqe, segmenter, detector, recogniser, classifier]
every_method = pytest.mark.parametrize("make", METHODS, ids=lambda make: make.__name__)


def made(make: Make, **options: Any) -> tuple[L.LightningModule, list[Any]]:
    torch.manual_seed(0)
    L.seed_everything(0, verbose=False)
    return make(**options)


class Losses(L.Callback):
    """Keeps the loss of each batch, and the weights after it."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.weights: list[dict[str, Tensor]] = []

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self.losses.append(float(outputs["loss"]))
        self.weights.append({name: value.detach().cpu().clone() for name, value in pl_module.named_parameters()})


def train(make: Make, folder: Path, *callbacks: L.Callback, **options: Any) -> Losses:
    """Two batches by plain gradient descent."""
    module, batches = made(make, optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1.0))
    seen = Losses()
    run = quiet_trainer(
        folder, seen, *callbacks, max_epochs=1, limit_val_batches=0, use_distributed_sampler=False, **options
    )
    before = weights(module)
    run.fit(module, whole_batches(*batches))
    seen.weights.insert(0, {name: before[name] for name in seen.weights[0]})
    return seen


def moved(seen: Losses, step: int) -> Tensor:
    """Distance between the weights after two batches."""
    before, after = seen.weights[step : step + 2]
    return torch.stack([(after[name] - before[name]).norm() for name in before]).norm()


@every_method
@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_a_step_in_bf16_is_that_of_float32_within_its_digits(make: Make, device: str, tmp_path: Path) -> None:
    full = train(make, tmp_path, accelerator=device)
    half = train(make, tmp_path, accelerator=device, precision="bf16-mixed")
    assert half.losses[0] == pytest.approx(full.losses[0], rel=0.05)
    assert all(torch.isfinite(value).all() for value in half.weights[-1].values())
    assert {value.dtype for value in half.weights[-1].values()} == {torch.float32}
    assert moved(half, 0) == pytest.approx(moved(full, 0), rel=0.25)


@every_method
def test_accumulated_batches_make_one_step(make: Make, tmp_path: Path) -> None:
    seen = train(make, tmp_path, accumulate_grad_batches=2)
    assert moved(seen, 0) == 0
    assert moved(seen, 1) > 0


@every_method
def test_clipping_bounds_the_step(make: Make, tmp_path: Path) -> None:
    free, *clipped = (float(moved(train(make, tmp_path, gradient_clip_val=at), 0)) for at in (None, 1e9, 2e-4, 1e-4))
    assert clipped[0] == free  # far above any gradient
    assert clipped[1] == pytest.approx(2 * clipped[2], rel=1e-3)
    assert clipped[1] < free


@every_method
def test_a_compiled_network_gives_the_same_losses_and_keys(make: Make, tmp_path: Path) -> None:
    compare_compiled(make, tmp_path, "eager")  # torch takes it apart, and runs the parts as they are


@pytest.mark.slow
@every_method
def test_a_network_compiled_to_machine_code_gives_the_same_losses(make: Make, tmp_path: Path) -> None:
    if not shutil.which("g++"):
        pytest.skip("no C++ compiler (apt install g++)")
    with inductor.patch(fallback_random=True):  # dropout draws as it does without
        compare_compiled(make, tmp_path, "inductor")


def compare_compiled(make: Make, folder: Path, backend: Any) -> None:
    torch.compiler.reset()
    plain, compiled = train(make, folder), train(make, folder, CompileNetwork(backend))
    assert compiled.losses[0] == pytest.approx(plain.losses[0], rel=1e-4)
    assert compiled.weights[-1].keys() == plain.weights[-1].keys()
    assert moved(compiled, 0) == pytest.approx(float(moved(plain, 0)), rel=1e-2)


def test_what_cannot_be_compiled_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Bare(L.LightningModule):
        """Has no network."""

    trainer = quiet_trainer(tmp_path)
    with pytest.raises(ConfigurationError, match="Bare has no network"):
        CompileNetwork().setup(trainer, Bare(), "fit")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"no C\+\+ compiler"):
        CompileNetwork().setup(trainer, made(classifier)[0], "fit")


def tensors(value: Any) -> list[Tensor]:
    """Floating-point tensors in what a step returned, in order."""
    if isinstance(value, Tensor):
        return [value.detach().float().cpu()] if value.is_floating_point() else []
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [tensor for part in parts for tensor in tensors(part)]


@every_method
@pytest.mark.parametrize("device", ["cpu", CUDA])
def test_predictions_do_not_depend_on_the_device_or_on_the_batch(make: Make, device: str) -> None:
    module, batches = made(make)
    module.eval()
    predict = module.test_step if make is recogniser else module.predict_step  # streams have a test of their own
    with torch.no_grad():
        here = tensors(predict(copy.deepcopy(batches[0]), 0))
        moved_batch = L.pytorch.utilities.move_data_to_device(batches[0], torch.device(device))
        there = tensors((module.to(device).test_step if make is recogniser else module.predict_step)(moved_batch, 0))
    assert len(here) == len(there) > 0
    for one, other in zip(here, there, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=2e-4, equal_nan=True)
