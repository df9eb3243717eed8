"""Measures of whole images and of boxes."""

from __future__ import annotations

import math

import pytest
import torch
from sklearn.metrics import accuracy_score, average_precision_score
from torchmetrics.detection import MeanAveragePrecision

from datamodules.common.errors import ConfigurationError
from datamodules.inspection.batch import Detection, InspectionBatch
from lightning_modules.inspection.measures.boxes import BoxMetrics, labelled_boxes
from lightning_modules.inspection.measures.images import ImageMetrics, image_truth
from tests.inspection_batches import blank_batch


def make_batch(rows: int = 4) -> InspectionBatch:
    """Labelled healthy images without answers."""
    return blank_batch(rows, boxes=2, answers=1)


def test_image_measures_agree_with_sklearn() -> None:
    generator = torch.Generator().manual_seed(0)
    defective = torch.rand(400, generator=generator) < 0.3
    score = torch.sigmoid(torch.randn(400, generator=generator) + 2 * defective - 4)
    known = torch.rand(400, generator=generator) < 0.8
    flagged = score > 0.1
    metrics = ImageMetrics()
    for rows in (slice(0, 150), slice(150, 400)):
        metrics.update(score[rows], flagged[rows], defective[rows], known[rows])
    result = metrics.compute()
    truth = defective[known].numpy()
    assert float(result["image_ap"]) == pytest.approx(
        float(average_precision_score(truth, score[known].numpy())), abs=1e-3
    )
    assert float(result["image_accuracy"]) == pytest.approx(float(accuracy_score(truth, flagged[known].numpy())))
    assert float(result["image_recall"]) == pytest.approx(float(flagged[known & defective].float().mean()))
    assert float(result["image_false_alarms"]) == pytest.approx(float(flagged[known & ~defective].float().mean()))


def test_image_measures_without_rows_are_nan() -> None:
    metrics = ImageMetrics()
    nothing = torch.zeros(2, dtype=torch.bool)
    metrics.update(torch.zeros(2), nothing, nothing, nothing)
    assert all(math.isnan(float(value)) for value in metrics.compute().values())
    with pytest.raises(ConfigurationError, match="one value an image"):
        metrics.update(torch.zeros(2), nothing, nothing, nothing[:1])


def test_truth_of_images_is_read_off_all_kinds_of_labels() -> None:
    batch = make_batch(7)
    batch["class_mask"][1, 3, 3] = 2
    batch["box_class"][2, 0] = 0
    batch["class_mask"][3] = 255  # nothing is known but a confirmed answer
    batch["answer_truth"][3, 0] = 1
    batch["labelled"][3:6] = False
    batch["answer_truth"][4, 0] = -1  # one rejected detection says nothing of the rest
    batch["is_healthy"][5] = True
    batch["valid"][6] = False
    truth = image_truth(batch)
    assert truth.known.tolist() == [True, True, True, True, False, True, False]
    assert truth.defective[truth.known].tolist() == [False, True, True, True, False]


def test_no_defect_beside_an_area_of_which_nothing_is_known_says_nothing() -> None:
    batch = make_batch(3)
    batch["class_mask"][:, 0, 0] = 255
    batch["class_mask"][1, 3, 3] = 2
    batch["is_healthy"][2] = True
    truth = image_truth(batch)
    assert truth.known.tolist() == [False, True, True]
    assert truth.defective[1:].tolist() == [True, False]


def _detection(box: tuple[float, float, float, float], score: float, class_index: int = 0) -> Detection:
    return Detection(class_index, score, box, margin=score - 0.5, entropy=0.1)


def test_boxes_are_compared_in_pixels_of_the_source() -> None:
    batch = make_batch(2)
    batch["source_size"][:] = torch.tensor([64, 96])
    batch["boxes"][0, 0] = torch.tensor([4.0, 4.0, 12.0, 12.0])
    batch["box_class"][0, 0] = 1
    metrics = BoxMetrics()
    metrics.update([[_detection((12.0, 8.0, 36.0, 24.0), 0.9, 1)], []], batch)
    assert float(metrics.compute()["box_map"]) == pytest.approx(1.0)
    metrics.reset()
    metrics.update([[_detection((12.0, 8.0, 36.0, 24.0), 0.9, 0)], []], batch)  # another class
    assert float(metrics.compute()["box_map"]) == 0.0


def test_box_measures_are_those_of_torchmetrics() -> None:
    generator = torch.Generator().manual_seed(1)
    metrics, direct = BoxMetrics(), MeanAveragePrecision(backend="pycocotools")
    for _ in range(6):
        corner = torch.rand(5, 2, generator=generator) * 60
        boxes = torch.cat([corner, corner + 8 + 20 * torch.rand(5, 2, generator=generator)], 1)
        moved = boxes + 3 * torch.randn(5, 4, generator=generator)
        classes = torch.randint(0, 3, (5,), generator=generator)
        scores = torch.rand(5, generator=generator)
        found = [
            _detection((x1, y1, x2, y2), float(score), int(class_index))
            for (x1, y1, x2, y2), score, class_index in zip(moved.tolist(), scores, classes, strict=True)
        ]
        metrics.add(found, boxes, classes)
        direct.update([{"boxes": moved, "scores": scores, "labels": classes}], [{"boxes": boxes, "labels": classes}])
    expected = direct.compute()
    assert float(metrics.compute()["box_map"]) == pytest.approx(float(expected["map"]), abs=1e-6)
    assert float(metrics.compute()["box_map_50"]) == pytest.approx(float(expected["map_50"]), abs=1e-6)


def test_rows_without_complete_labels_do_not_count() -> None:
    batch = make_batch(2)
    batch["labelled"][0] = False
    batch["valid"][1] = False
    metrics = BoxMetrics()
    metrics.update([[_detection((0.0, 0.0, 9.0, 9.0), 0.9)], [_detection((0.0, 0.0, 9.0, 9.0), 0.9)]], batch)
    metrics.update([[]], make_batch(1))
    assert all(math.isnan(float(value)) for value in metrics.compute().values())


def test_masks_give_the_boxes_of_their_regions() -> None:
    batch = make_batch(1)
    batch["class_mask"][0, 2:5, 3:9] = 2
    batch["class_mask"][0, 5, 9] = 2  # touches over a corner
    batch["class_mask"][0, 20:22, 20:21] = 1
    batch["class_mask"][0, 30, 30] = 255
    boxes, classes = labelled_boxes(batch, 0)
    assert classes.tolist() == [0, 1]
    assert boxes.tolist() == [[20.0, 20.0, 21.0, 22.0], [3.0, 2.0, 10.0, 6.0]]
