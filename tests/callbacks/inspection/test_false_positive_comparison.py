"""False detections of two models compared: counts, sheet, and the deployed model rebuilt from its checkpoint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from matplotlib.image import imread
from pycocotools import mask as coco
from torch import Tensor
from torch.utils.data import DataLoader

from callbacks.inspection import false_positive_sheet, new_false_positives
from callbacks.inspection.crop_pairs import SheetEntry
from callbacks.inspection.deployed_model import load_deployed_model
from callbacks.inspection.false_detections import FalseDetectionRule, apart_from, false_detections
from callbacks.inspection.false_positive_sheet import FalsePositiveSheet
from callbacks.inspection.new_false_positives import NewFalsePositives
from datamodules.common.errors import CheckpointError, ConfigurationError
from datamodules.inspection.batch import Box, Detection, InspectionBatch
from lightning_modules import MentoringSegmenter
from tests.inspection_batches import blank_batch
from tests.running import quiet_trainer, save_checkpoint

CLASSES = ["scratch", "pit"]
SIDE = 32


def make_batch(rows: int = 4, first: int = 0) -> InspectionBatch:
    """Labelled images of the new domain with a scratch in the upper left quarter; sources are twice as large."""
    mask = torch.zeros(rows, SIDE, SIDE, dtype=torch.uint8)
    mask[:, 0:16, 0:16] = 1
    return blank_batch(
        rows, SIDE, SIDE, boxes=1, answers=1, first=first, class_mask=mask,
        image=torch.randint(0, 255, (rows, 3, SIDE, SIDE), dtype=torch.uint8),
        source_size=torch.full((rows, 2), 2 * SIDE), domain=torch.ones(rows, dtype=torch.int64),
    )  # fmt: skip


def region(x1: int, y1: int, x2: int, y2: int, class_index: int = 0, score: float = 0.9) -> Detection:
    pixels = np.zeros((SIDE, SIDE), np.uint8, order="F")
    pixels[y1:y2, x1:x2] = 1
    text = coco.encode(pixels)["counts"].decode()
    return Detection(class_index, score, (x1, y1, x2, y2), margin=score - 0.5, entropy=0.3, rle=text)


def box(corners: Box, class_index: int = 0) -> Detection:
    return Detection(class_index, 0.9, corners, margin=0.4, entropy=0.3)


class Scripted(MentoringSegmenter):
    """Finds what it is told, image by image."""

    def __init__(self, script: dict[int, list[Detection]]) -> None:
        super().__init__(CLASSES, backbone="small", width=4)
        self.script = script

    def detect(self, batch: InspectionBatch, threshold: float | None = None) -> list[list[Detection]]:
        assert torch.equal(batch["size"], batch["source_size"])  # detections come in the pixels of the labels
        return [
            [one for one in self.script.get(index, []) if one.score >= (threshold or 0)]
            for index in batch["index"].tolist()
        ]


def run_test(
    module: L.LightningModule, batches: Sequence[InspectionBatch], callback: L.Callback, folder: Path
) -> dict[str, float]:
    trainer = quiet_trainer(folder, callback)
    with torch.random.fork_rng():
        trainer.test(module, DataLoader(list(batches), batch_size=None), verbose=False)
    return {name: float(value) for name, value in trainer.callback_metrics.items()}


TRUE = region(0, 0, 16, 8)
LOOKALIKE = region(20, 20, 28, 28)
ELSEWHERE = region(0, 24, 8, 32, class_index=1)


def test_regions_are_false_where_their_class_is_not_near() -> None:
    batch = make_batch(1)
    rule = FalseDetectionRule()
    other_class = region(0, 0, 16, 8, class_index=1)
    assert false_detections([TRUE, LOOKALIKE, other_class], batch, 0, rule) == [LOOKALIKE, other_class]
    batch["class_mask"][0, 20:, 20:] = 255
    assert false_detections([LOOKALIKE], batch, 0, rule) == []


def test_boxes_are_false_where_no_labelled_box_overlaps() -> None:
    batch = make_batch(1)
    batch["boxes"][0, 0] = torch.tensor([0.0, 0.0, 10.0, 10.0])
    batch["box_class"][0, 0] = 0
    near, far = box((0, 0, 10, 8)), box((8, 8, 20, 20))
    assert false_detections([near, far], batch, 0, FalseDetectionRule()) == [far]
    assert false_detections([box((0, 0, 10, 8), 1)], batch, 0, FalseDetectionRule()) != []


def test_one_shared_pixel_is_the_same_place_whatever_the_class() -> None:
    rule = FalseDetectionRule()
    size = (SIDE, SIDE)
    touching, shared = region(28, 20, 32, 28), region(27, 27, 32, 32, class_index=1)
    assert apart_from([LOOKALIKE], [touching], size, rule) == [LOOKALIKE]
    assert apart_from([LOOKALIKE], [shared], size, rule) == []
    assert apart_from([LOOKALIKE], [shared], size, FalseDetectionRule(overlap=0.5)) == [LOOKALIKE]
    assert apart_from([LOOKALIKE], [], size, rule) == [LOOKALIKE]
    assert apart_from([LOOKALIKE], [box((27, 27, 40, 40))], size, rule) == []  # a region against a box: by boxes


def test_new_false_positives_are_those_of_silent_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tested = Scripted({0: [TRUE, LOOKALIKE], 1: [LOOKALIKE, ELSEWHERE], 2: [region(20, 20, 28, 28, score=0.4)]})
    deployed = Scripted({0: [LOOKALIKE], 1: [region(24, 24, 30, 30, class_index=1)], 3: [ELSEWHERE]})
    monkeypatch.setattr(new_false_positives, "load_deployed_model", lambda path: deployed)
    batches = [make_batch(3), make_batch(3, first=3)]
    batches[1]["valid"][2] = False
    batches[1]["domain"][1] = 0
    values = run_test(tested, batches, NewFalsePositives("baseline.ckpt"), tmp_path)
    # four images of the new domain: 0 to 3
    assert values["test/false_positives_per_image_new"] == pytest.approx(3 / 4)
    assert values["test/new_false_positives_per_image_new"] == pytest.approx(1 / 4)
    assert values["test/baseline_false_positives_per_image_new"] == pytest.approx(3 / 4)


def test_the_original_domain_alone_counts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new_false_positives, "load_deployed_model", lambda path: Scripted({}))
    batch = make_batch(2)
    batch["domain"][:] = 0
    values = run_test(Scripted({}), [batch], NewFalsePositives("baseline.ckpt"), tmp_path)
    assert not [name for name in values if "false_positives" in name]


def test_sheet_shows_what_went_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong_class = region(0, 0, 8, 8, class_index=1, score=0.99)
    deployed = Scripted({0: [LOOKALIKE, TRUE], 1: [ELSEWHERE], 2: [LOOKALIKE], 4: [wrong_class]})
    monkeypatch.setattr(false_positive_sheet, "load_deployed_model", lambda path: deployed)
    draw, drawn = false_positive_sheet.draw_sheet, []

    def watched(entries: list[SheetEntry], heading: str) -> Figure:
        drawn.extend([heading, *entries])
        return draw(entries, heading)

    monkeypatch.setattr(false_positive_sheet, "draw_sheet", watched)
    callback = FalsePositiveSheet("baseline.ckpt", limit=3)
    tested = Scripted({0: [region(4, 4, 8, 8)], 1: [TRUE], 2: [LOOKALIKE], 4: [TRUE]})
    run_test(tested, [make_batch(2), make_batch(3, first=2)], callback, tmp_path)
    heading, *entries = drawn
    assert heading == "False positives of the deployed model that went away: 3 of 4"
    # silent places first, then the class put right
    assert [(entry.titles, entry.note) for entry in entries] == [
        (("scratch 0.90", "nothing (scratch 0.01)"), "image 0"),
        (("pit 0.90", "nothing (pit 0.01)"), "image 1"),
        (("pit 0.99", "scratch 0.90"), "image 4"),
    ]
    picture = imread(tmp_path / "false_positives_gone.png")
    assert picture.shape[1] > 500


def test_no_sheet_where_nothing_went_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(false_positive_sheet, "load_deployed_model", lambda path: Scripted({0: [LOOKALIKE]}))
    run_test(Scripted({0: [LOOKALIKE]}), [make_batch(2)], FalsePositiveSheet("baseline.ckpt"), tmp_path)
    assert list(tmp_path.glob("*.png")) == []


def test_a_deployed_model_is_rebuilt_from_its_checkpoint_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    module = MentoringSegmenter(CLASSES, backbone="small", width=4, stride=4, domain_weight=0.1)
    module.thresholds.copy_(torch.tensor([0.25, 0.75]))
    found = load_deployed_model(str(save_checkpoint(module, tmp_path / "a.ckpt", weights_only=True)))
    image = torch.randint(0, 255, (1, 3, SIDE, SIDE), dtype=torch.uint8)
    expected: Tensor = module.eval()(image).logits
    torch.testing.assert_close(found(image).logits, expected)
    assert found.class_names == CLASSES
    assert found.thresholds.tolist() == [0.25, 0.75]
    assert not found.training
    assert not any(parameter.requires_grad for parameter in found.parameters())


class Trap:
    """Makes a file where it is loaded with code."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return Path.touch, (Path("sprung"),)  # type: ignore[return-value]  # a path, not a string


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}, "hyper_parameters": {"_class_path": "os.system"}}, "os.system"),
        ({"state_dict": {}, "hyper_parameters": {"_class_path": "lightning_modules.KSVQE"}}, "no mentoring method"),
        ({"state_dict": {}}, "no hyper-parameters"),
        ({"state_dict": {}, "hyper_parameters": Trap()}, "plain values"),
    ],
)
def test_strange_baselines_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: dict[str, object], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=message):
        load_deployed_model("a.ckpt")
    assert not (tmp_path / "sprung").exists()
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        load_deployed_model("b.ckpt")


def test_another_method_or_other_classes_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = MentoringSegmenter(["dent"], backbone="small", width=4)
    monkeypatch.setattr(false_positive_sheet, "load_deployed_model", lambda path: other)
    with pytest.raises(ConfigurationError, match="same classes"):
        run_test(Scripted({}), [make_batch(1)], FalsePositiveSheet("baseline.ckpt"), tmp_path)
    with pytest.raises(ConfigurationError, match="mentoring method"):
        NewFalsePositives("baseline.ckpt").on_test_start(
            L.Trainer(accelerator="cpu", logger=False), L.LightningModule()
        )
