"""Losses of the detector: what learns from an answer and, exactly, what does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.inspection.batch import REJECTED, InspectionBatch
from lightning_modules.inspection.backbones import build_backbone
from lightning_modules.inspection.detector.anchors import decode_boxes, prior_boxes
from lightning_modules.inspection.detector.areas import AnchorRules, DetectorTargets, detector_targets
from lightning_modules.inspection.detector.losses import LossSettings, answered_loss, box_loss, supervised_loss
from lightning_modules.inspection.detector.network import AnchorDetector, DetectorOutput

Batch = Callable[..., InspectionBatch]
ANCHORS = torch.tensor([[8.0, 8.0], [24.0, 12.0]])
SETTINGS = LossSettings(classes=0.5, box=0.25, positive=1.0, average="joint")


def random_output(rows: int, seed: int = 0) -> DetectorOutput:
    generator = torch.Generator().manual_seed(seed)

    def leaf(*shape: int) -> Tensor:
        return torch.randn((rows, *shape), generator=generator).requires_grad_()

    return DetectorOutput(leaf(2, 4, 4), leaf(2, 4, 4, 4), leaf(3, 4, 4), leaf(5, 4, 4))


def mixed_batch(blank_batch: Batch) -> InspectionBatch:
    """A labelled row with one box; a row with one confirmed, one rejected and one re-classed answer."""
    batch = blank_batch(2, 32, 32, boxes=1, answers=3)
    batch["labelled"] = torch.tensor([True, False])
    batch["domain"] = torch.tensor([0, 1])
    batch["boxes"][0, 0], batch["box_class"][0, 0] = torch.tensor([8.0, 7.0, 17.0, 16.0]), 2
    priors = prior_boxes(ANCHORS, 8, (4, 4))
    batch["answer_boxes"][1, :, 0] = torch.stack((priors[0, 1, 1], priors[1, 2, 3], priors[0, 3, 0]))
    batch["answer_class"][1] = torch.tensor([0, 1, 1])
    batch["answer_truth"][1] = torch.tensor([0, REJECTED, 2])
    return batch


def made_targets(batch: InspectionBatch, **rules: Any) -> DetectorTargets:
    return detector_targets(batch, ANCHORS, 8, (4, 4), 3, AnchorRules(**rules))


def gradient(loss: Tensor, output: DetectorOutput) -> list[Tensor]:
    loss.backward()
    return [torch.zeros_like(x) if x.grad is None else x.grad for x in output]


@pytest.mark.parametrize("unit", ["area", "area_class"])
@pytest.mark.parametrize("reject_class", [False, True])
def test_the_gradient_of_answers_is_exactly_zero_outside_m(blank_batch: Batch, unit: str, reject_class: bool) -> None:
    batch, output = mixed_batch(blank_batch), random_output(2)
    targets = made_targets(batch, mask_unit=unit, reject_class=reject_class)
    objectness, box, classes, _ = gradient(answered_loss(output, targets, batch["labelled"], SETTINGS), output)
    assert not box.any()
    assert objectness.nonzero().tolist() == [[1, 0, 1, 1], [1, 0, 3, 0], [1, 1, 2, 3]]
    assert objectness[1, 1, 2, 3] > 0  # rejected: down
    assert objectness[1, 0, 1, 1] < 0  # confirmed: up
    rejected = {(1, 2, 3)} if reject_class else set()
    confirmed = {(c, 1, 1) for c in range(3)} if unit == "area" else {(0, 1, 1)}
    changed = {(c, 3, 0) for c in range(3)} if unit == "area" else {(1, 3, 0), (2, 3, 0)}
    assert {tuple(place[1:]) for place in classes.nonzero().tolist()} == confirmed | changed | rejected
    assert (classes[1, 2, 3, 0] < 0) & (classes[1, 1, 3, 0] > 0)


def test_labels_train_boxes_classes_and_all_objectness(blank_batch: Batch) -> None:
    batch, output = mixed_batch(blank_batch), random_output(2)
    targets = made_targets(batch)
    loss = supervised_loss(output, targets, batch["labelled"], ANCHORS, 8, SETTINGS)
    objectness, box, classes, _ = gradient(loss, output)
    assert all(not part[1].any() for part in (objectness, box, classes))
    assert (objectness[0] != 0).all()
    assert [place[0] for place in box[0].nonzero().tolist()] == [0] * 4
    assert {tuple(place[2:]) for place in box[0].nonzero().tolist()} == {(1, 1)}
    assert {tuple(place[1:]) for place in classes[0].nonzero().tolist()} == {(1, 1)}


def test_on_complete_rows_it_is_plain_cross_entropy(blank_batch: Batch) -> None:
    batch, output = blank_batch(2, 32, 32), random_output(2)
    targets = made_targets(batch)
    loss = supervised_loss(output, targets, batch["labelled"], ANCHORS, 8, SETTINGS)
    plain = F.binary_cross_entropy_with_logits(output.objectness, torch.zeros_like(output.objectness))
    assert torch.allclose(loss, plain, atol=1e-7)


def test_split_average_lets_few_answers_stand_beside_many_assumed(blank_batch: Batch) -> None:
    batch, output = mixed_batch(blank_batch), random_output(2)
    batch["is_healthy"] = torch.tensor([False, True])
    targets = made_targets(batch, healthy_knowledge=True)
    entries = F.binary_cross_entropy_with_logits(output.objectness, targets.objectness, reduction="none")[1]
    known, assumed = targets.objectness_known[1], targets.assumed[1]
    for average, expected in (
        ("joint", entries[known].mean()),
        ("split", entries[known & ~assumed].mean() + entries[assumed].mean()),
        ("all", entries[known].sum() / entries.numel()),
    ):
        settings = SETTINGS._replace(average=average, classes=0.0)
        assert torch.allclose(answered_loss(output, targets, batch["labelled"], settings), expected)


@pytest.mark.parametrize("labelled", [True, False])
def test_without_anything_to_learn_the_loss_is_a_zero_in_the_graph(blank_batch: Batch, labelled: bool) -> None:
    batch, output = blank_batch(2, 32, 32), random_output(2)
    batch["labelled"] = torch.tensor([labelled, labelled])
    targets = made_targets(batch)
    weak = answered_loss(output, targets, batch["labelled"], SETTINGS)
    supervised = supervised_loss(output, targets, batch["labelled"], ANCHORS, 8, SETTINGS)
    assert weak == 0
    assert weak.requires_grad
    assert supervised.requires_grad
    assert bool(supervised > 0) == labelled
    assert all(bool(part.isfinite().all()) for part in gradient(weak + supervised, output))


def test_the_box_loss_is_zero_at_the_box_and_falls_towards_it() -> None:
    known = torch.zeros(1, 2, 4, 4, dtype=torch.bool)
    known[0, 1, 2, 1] = True
    box = torch.tensor([3.0, 15.0, 24.0, 25.0]).view(1, 1, 4, 1, 1).expand(1, 2, 4, 4, 4)
    raw = torch.zeros(box.shape).requires_grad_()
    assert float(box_loss(raw, decode_boxes(raw, ANCHORS, 8).detach(), known, ANCHORS, 8).detach()) < 1e-5
    optimizer = torch.optim.Adam([raw], lr=0.05)
    for _ in range(300):
        optimizer.zero_grad()
        box_loss(raw, box, known, ANCHORS, 8).backward()
        optimizer.step()
    assert box_loss(raw, box, known, ANCHORS, 8) < 0.02


def test_the_score_is_objectness_times_class() -> None:
    output = random_output(2)
    scores = output.scores()
    assert scores.shape == (2, 3, 2, 4, 4)
    expected = output.objectness[1, 0, 2, 3].sigmoid() * output.classes[1, 2, 2, 3].sigmoid()
    assert torch.allclose(scores[1, 2, 0, 2, 3], expected)
    assert torch.allclose(output.log_odds().sigmoid(), scores, atol=1e-6)


def test_log_odds_keep_a_gradient_where_scores_vanish() -> None:
    objectness = torch.full((1, 1, 1, 1), -60.0, requires_grad=True)
    sure = torch.full((1, 1, 1, 1), 60.0, requires_grad=True)
    output = DetectorOutput(objectness, torch.zeros(1, 1, 4, 1, 1), sure, torch.zeros(1))
    output.log_odds().sum().backward()
    assert objectness.grad is not None
    assert torch.allclose(objectness.grad, torch.ones(1))
    assert torch.allclose(output.log_odds(), torch.tensor(-60.0))
    both = DetectorOutput(sure, output.box, sure, output.features)
    assert both.log_odds().isfinite().all()


def test_network_shapes_and_start() -> None:
    network = AnchorDetector(build_backbone("small", 8, width=4), num_anchors=3, num_classes=2)
    output = network.eval()(torch.zeros(2, 3, 40, 52))
    assert output.objectness.shape == (2, 3, 5, 7)
    assert output.box.shape == (2, 3, 4, 5, 7)
    assert output.classes.shape == (2, 2, 5, 7)
    assert output.features.shape == (2, network.num_features, 5, 7)
    assert isinstance(network.head, nn.Conv2d)
    assert network.head.out_channels == 3 * 5 + 2
    assert torch.allclose(output.objectness.sigmoid(), torch.tensor(0.01), atol=0.01)
    assert network.anchors.isnan().all()
