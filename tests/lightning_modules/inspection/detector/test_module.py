"""MentoringDetector: it learns boxes, keeps its anchors, and its fixes, tiles and checkpoints work."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from torchvision.ops import box_iou

from callbacks.training.parameter_ema import ParameterEMA
from datamodules.common.errors import CheckpointError, ConfigurationError
from datamodules.inspection.batch import IGNORE, REJECTED, InspectionBatch
from lightning_modules.inspection.detector.module import MentoringDetector
from tests.inspection_batches import blank_batch
from tests.lightning_modules.training import check_repeats, check_resume, whole_batches
from tests.running import quiet_trainer

SMALLEST: dict[str, Any] = {"class_names": ["dent", "scratch"], "backbone": "small", "width": 8, "num_anchors": 2}
SIDES = ((10, 10), (22, 12))  # width and height of the defects of each class


def made_batch(seed: int, *, rows: int = 8, side: int = 64, labelled: bool = False) -> InspectionBatch:
    """Noise with one bright square or one bright bar; the second half of the rows is new."""
    draws = np.random.default_rng(seed)
    image = torch.from_numpy(draws.integers(40, 90, (rows, 3, side, side)).astype(np.uint8))
    boxes, kinds = torch.zeros(rows, 1, 4), torch.arange(rows)[:, None] % 2
    domain = (torch.arange(rows) >= rows // 2).long()
    complete = torch.ones(rows, dtype=torch.bool) if labelled else domain == 0
    mask = torch.full((rows, side, side), IGNORE, dtype=torch.uint8)
    for row in range(rows):
        width, height = SIDES[row % 2]
        x, y = int(draws.integers(0, side - width)), int(draws.integers(0, side - height))
        image[row, row % 2, y : y + height, x : x + width] = 240
        boxes[row, 0] = torch.tensor([x, y, x + width, y + height])
        if complete[row]:
            mask[row] = 0
            mask[row, y : y + height, x : x + width] = row % 2 + 1
    wrong = (boxes + side // 2) % side
    wrong[..., 2:] = wrong[..., :2] + boxes[..., 2:] - boxes[..., :2]
    unknown = ~complete[:, None]
    batch = blank_batch(
        rows, side, side, answers=2, image=image, class_mask=mask, domain=domain, labelled=complete,
        source_size=torch.full((rows, 2), 2 * side),
        box_class=kinds.masked_fill(unknown, -1),
        answer_boxes=torch.stack((boxes, wrong), dim=1).masked_fill(~unknown[..., None, None], torch.nan),
        answer_class=kinds.expand(-1, 2).masked_fill(~unknown, -2),
        answer_truth=torch.cat((kinds, torch.full_like(kinds, REJECTED)), dim=1).masked_fill(~unknown, -2),
        baseline_map=torch.full((rows, side, side), 0.005),
    )  # fmt: skip
    batch["boxes"] = boxes.masked_fill(unknown[..., None], torch.nan)
    return batch


class Data(L.LightningDataModule):
    """Made batches; ``box_sizes`` as the real data module has it."""

    def __init__(self, count: int = 6, *, labelled: bool = False, same: bool = False) -> None:
        super().__init__()
        self.batches = [made_batch(0 if same else number, labelled=labelled) for number in range(count)]

    def box_sizes(self) -> np.ndarray:
        return np.array([[9.0, 10.0], [11.0, 10.0], [22.0, 12.0], [22.0, 12.0]], dtype=np.float32)

    def train_dataloader(self) -> DataLoader[Any]:
        return whole_batches(*self.batches)

    def val_dataloader(self) -> DataLoader[Any]:
        return whole_batches(made_batch(100, labelled=True), made_batch(101, labelled=True))

    def test_dataloader(self) -> DataLoader[Any]:
        return self.val_dataloader()


FITTED = torch.tensor([[10.0, 10.0], [22.0, 12.0]])


def trainer(folder: Path, **options: Any) -> L.Trainer:
    return quiet_trainer(folder, **{"max_epochs": 1, "num_sanity_val_steps": 1, **options})


def build(**options: Any) -> MentoringDetector:
    L.seed_everything(3)
    return MentoringDetector(**(SMALLEST | options))


def saved(folder: Path, **options: Any) -> Path:
    """A checkpoint of one short training."""
    run = trainer(folder, max_steps=1)
    run.fit(build(**options), datamodule=Data(1))
    run.save_checkpoint(folder / "baseline.ckpt")
    return folder / "baseline.ckpt"


def test_it_learns_boxes_from_labels(tmp_path: Path) -> None:
    module, run = build(learning_rate=1e-2), trainer(tmp_path, max_epochs=6)
    run.fit(module, datamodule=Data(8, labelled=True))
    assert run.callback_metrics["val/map_original"] > 0.9
    batch = made_batch(100, labelled=True)
    for row, found in enumerate(module.eval().detect(batch, 0.1)):
        assert found[0].class_index == row % 2
        truth = 2 * batch["boxes"][row]  # the source is twice as large
        assert box_iou(torch.tensor([found[0].box]), truth) > 0.5
    (values,) = run.test(module, datamodule=Data(), verbose=False)
    assert values["test/box_map_50_original"] > 0.8
    assert values["test/box_map_50_new"] > 0.8


def test_answers_alone_teach_the_new_domain(tmp_path: Path) -> None:
    module, run = build(learning_rate=1e-2), trainer(tmp_path, max_epochs=6)
    run.fit(module, datamodule=Data(8))
    values = run.callback_metrics
    assert values["val/map_new"] > 0.5
    assert 6 < values["train/answered_areas"] <= 8  # four confirmed, four rejected, some of these outside the image
    assert values["train/assumed_areas"] == 0


def test_every_fix_at_once(tmp_path: Path) -> None:
    baseline = str(saved(tmp_path))
    module = build(
        omnia_epsilon=0.01, healthy_knowledge=True, domain_weight=0.1, distillation_weight=0.5, weights=baseline,
        baseline_weights=baseline, area_average="split", mask_unit="area_class", reject_class=True, dropout=0.1,
        suppressed="all",
    )  # fmt: skip
    run = trainer(tmp_path)
    run.fit(module, datamodule=Data())
    values = run.callback_metrics
    assert values["train/assumed_areas"] > 0
    assert values["train/distillation_loss"] > 0
    assert all(bool(torch.isfinite(value)) for name, value in values.items() if name.startswith("train/"))


def test_same_seed_gives_the_same_weights(tmp_path: Path) -> None:
    make = partial(build, domain_weight=0.1, dropout=0.2, omnia_epsilon=0.01)
    check_repeats(make, partial(trainer, tmp_path), Data(3))


def test_a_resumed_run_ends_where_the_whole_one_does(tmp_path: Path) -> None:
    check_resume(partial(build, dropout=0.2), partial(trainer, tmp_path), tmp_path, Data(2))


def test_each_micro_batch_draws_its_own_noise(check_noise: Callable[..., None]) -> None:
    check_noise(partial(build, dropout=0.5), Data(4, same=True))


# Anchors.


@pytest.mark.parametrize("averaged", [False, True])
def test_the_checkpoint_keeps_the_anchors(tmp_path: Path, averaged: bool) -> None:
    module = build()
    # Averaging that has not begun when the checkpoint is written still holds what was there before fitting.
    callbacks = [ParameterEMA(update_starting_at_step=100)] if averaged else []
    run = trainer(tmp_path, callbacks=callbacks, limit_val_batches=0)
    run.fit(module, datamodule=Data(1))
    run.save_checkpoint(tmp_path / "kept.ckpt")
    again = MentoringDetector.load_from_checkpoint(tmp_path / "kept.ckpt", weights_only=True)
    assert torch.equal(again.network.anchors, FITTED)


def test_averaged_weights_are_validated_with_the_anchors(tmp_path: Path) -> None:
    module = build()
    seen: list[Tensor] = []

    class Look(L.Callback):
        def on_validation_batch_start(self, trainer: L.Trainer, pl_module: Any, *_: Any) -> None:
            seen.append(pl_module.network.anchors.clone())

    run = trainer(tmp_path, callbacks=[ParameterEMA(update_starting_at_step=100), Look()])
    run.fit(module, datamodule=Data(1))
    assert len(seen) > 1
    assert all(torch.equal(anchors, FITTED) for anchors in seen)


def test_transfer_takes_the_anchors_over(tmp_path: Path) -> None:
    baseline = saved(tmp_path)

    class Others(Data):
        def box_sizes(self) -> np.ndarray:
            return np.array([[5.0, 5.0], [6.0, 40.0]])

    module = build(weights=str(baseline))
    trainer(tmp_path, max_steps=1).fit(module, datamodule=Others(1))
    assert torch.equal(module.network.anchors, FITTED)
    with pytest.raises(ConfigurationError, match="leave anchors out"):
        build(weights=str(baseline), anchors=[[8.0, 8.0], [20.0, 20.0]])
    with pytest.raises(CheckpointError, match="anchors"):
        build(weights=str(baseline), num_anchors=3)


def test_a_teacher_lends_its_anchors_or_must_have_the_same(tmp_path: Path) -> None:
    baseline = saved(tmp_path, anchors=[[8.0, 9.0], [20.0, 10.0]])
    module = build(baseline_weights=str(baseline), distillation_weight=1.0)
    trainer(tmp_path, max_steps=1).fit(module, datamodule=Data(1))
    assert module.network.anchors.tolist() == [[8.0, 9.0], [20.0, 10.0]]
    other = build(baseline_weights=str(baseline), distillation_weight=1.0, anchors=[[8.0, 8.0], [20.0, 20.0]])
    with pytest.raises(ConfigurationError, match="do not correspond"):
        trainer(tmp_path, max_steps=1).fit(other, datamodule=Data(1))


def test_without_data_to_fit_there_must_be_anchors(tmp_path: Path) -> None:
    data = Data(1)
    with pytest.raises(ConfigurationError, match="has no anchors"):
        trainer(tmp_path).fit(build(), data.train_dataloader(), data.val_dataloader())
    with pytest.raises(ConfigurationError, match="has no anchors"):
        trainer(tmp_path).test(build(), datamodule=data, verbose=False)
    trainer(tmp_path, max_steps=1).fit(build(anchors=[[8.0, 8.0]]), data.train_dataloader())


# Evaluation.


def test_tiles_give_what_the_whole_image_gives() -> None:
    module = build(anchors=[[8.0, 8.0], [20.0, 12.0]], tile_size=64, tile_overlap=32).eval()
    image = made_batch(0, rows=2, side=128, labelled=True)["image"]
    with torch.no_grad():
        tiles, whole = module.whole_output(image), module(image)
    for part, expected in zip(tiles, whole, strict=True):
        assert part.shape == expected.shape
    inner = (..., slice(0, 3), slice(0, 3))
    assert torch.allclose(tiles.box[inner], whole.box[inner], atol=1e-4)


def test_dropout_samples_and_embeddings_reach_the_detections() -> None:
    module = build(anchors=[[8.0, 8.0]], dropout=0.3, mc_samples=4, embeddings=True, threshold=1e-4).eval()
    with torch.no_grad():
        prediction = module.predict_step(made_batch(0), 0)
    found = prediction["detections"][0][0]
    assert found.mc_dropout is not None
    assert found.mc_dropout > 0
    assert found.embedding is not None
    assert found.embedding.shape == (module.network.num_features,)
    assert prediction["score_map"][0].shape == (8, 8)
    assert len(prediction["detections"][0]) <= 300


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"anchors": []}, "must list widths and heights"),
        ({"anchors": [[3.0, 0.0]]}, "must list widths and heights"),
        ({"num_anchors": 0}, "num_anchors is 0"),
        ({"nms_iou": 0.0}, "nms_iou is 0.0"),
        ({"ignore_iou": 1.5}, "ignore_iou is 1.5"),
        ({"box_weight": -1.0}, "box_weight is -1.0"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build(**options)
