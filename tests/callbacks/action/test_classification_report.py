"""Report and confusion matrix of a test run, against numbers worked out by hand."""

from __future__ import annotations

import json
from pathlib import Path

import lightning as L
import numpy as np
import pytest
import torch
from matplotlib.image import imread
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from callbacks.action.classification_report import ClassificationReport, make_report, mean_per_video
from callbacks.action.confusion_figure import draw_confusion
from datamodules.common.errors import ConfigurationError
from tests.running import quiet_trainer
from tests.tables import csv_rows

NAMES = ["cooking", "drinking", "飲む", "idle"]
#        label, answer, video
FRAMES = [
    (0, 0, 0), (0, 0, 0), (0, 1, 0),
    (1, 1, 1), (1, 1, 1),
    (1, 0, 2), (1, 0, 2), (1, 1, 2),
    (2, 2, 3),
]  # fmt: skip


class Frames(Dataset[dict[str, Tensor]]):
    """Batches as a data module makes them: with padding, an unlabelled frame and one without a score."""

    def __len__(self) -> int:
        return len(FRAMES) + 3

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        label, answer, video = FRAMES[row] if row < len(FRAMES) else (0, 3, 9)
        scores = torch.full((len(NAMES),), 0.1)
        scores[answer] = 0.7
        if row == len(FRAMES) + 1:
            scores[0] = torch.nan
        return {
            "scores": scores,
            "label": torch.tensor(-1 if row == len(FRAMES) else label),
            "video_index": torch.tensor(video),
            "index": torch.tensor(row),
            "valid": torch.tensor(row < len(FRAMES) + 2),
        }


class Toy(L.LightningModule):
    """Hands the scores of the batch through."""

    def __init__(self, names: list[str] | None = NAMES) -> None:
        super().__init__()
        self.save_hyperparameters({"class_names": names})

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        return batch


def run_test(folder: Path, report: ClassificationReport, module: L.LightningModule) -> dict[str, float]:
    trainer = quiet_trainer(folder, report)
    (metrics,) = trainer.test(module, DataLoader(Frames(), batch_size=4), verbose=False)
    return dict(metrics)


def test_files_of_frames_and_videos(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    metrics = run_test(tmp_path, ClassificationReport(), Toy())
    assert "1 of 11 frames have no score" in caplog.text
    found = json.loads((tmp_path / "classification_report.json").read_text(encoding="utf-8"))
    assert found["confusion"] == [[2, 1, 0, 0], [2, 3, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert found["accuracy"] == pytest.approx(6 / 9)
    cooking = {"precision": 2 / 4, "recall": 2 / 3, "f1": 4 / 7, "support": 3}
    drinking = {"precision": 3 / 4, "recall": 3 / 5, "f1": 2 / 3, "support": 5}
    assert found["classes"]["cooking"] == pytest.approx(cooking)
    assert found["classes"]["drinking"] == pytest.approx(drinking)
    assert "idle" not in found["classes"]  # neither labelled nor answered, so it has no part in the mean
    macro = (4 / 7 + 2 / 3 + 1) / 3
    assert found["macro"]["f1"] == pytest.approx(macro)
    assert found["weighted"]["f1"] == pytest.approx((3 * 4 / 7 + 5 * 2 / 3 + 1) / 9)
    assert metrics["test/macro_f1"] == pytest.approx(macro)
    videos = json.loads((tmp_path / "classification_report_videos.json").read_text(encoding="utf-8"))
    assert videos["confusion"] == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    assert videos["unit"] == "videos"
    text = (tmp_path / "classification_report.txt").read_text(encoding="utf-8")
    assert "飲む" in text
    assert "neither labelled nor answered: idle" in text
    rows = {row["class"]: row for row in csv_rows(tmp_path / "classification_report.csv")}
    assert list(rows) == [*NAMES, "accuracy", "macro avg", "weighted avg"]
    assert float(rows["drinking"]["recall"]) == pytest.approx(0.6)
    assert rows["idle"] == {"class": "idle", "precision": "", "recall": "", "f1": "", "support": "0"}
    assert rows["accuracy"]["support"] == "9"
    for name in ("confusion_matrix.png", "confusion_matrix_videos.png"):
        assert min(imread(tmp_path / name).shape[:2]) > 300


def test_without_videos_and_figures(tmp_path: Path) -> None:
    run_test(tmp_path, ClassificationReport(videos=False, figures=False), Toy(None))
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        f"classification_report.{suffix}" for suffix in ("csv", "json", "txt")
    ]
    found = json.loads((tmp_path / "classification_report.json").read_text(encoding="utf-8"))
    assert found["class_names"] == ["0", "1", "2", "3"]


def test_a_model_without_scores(tmp_path: Path) -> None:
    class Other(Toy):
        def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
            return {"score_raw": batch["label"]}

    with pytest.raises(ConfigurationError, match="returns score_raw"):
        run_test(tmp_path, ClassificationReport(), Other())


def test_nothing_to_report(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Unlabelled(Toy):
        def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
            return {**batch, "label": torch.full_like(batch["label"], -1)}

    run_test(tmp_path, ClassificationReport(), Unlabelled())
    assert "nothing to report" in caplog.text
    assert not list(tmp_path.iterdir())


def test_a_class_called_accuracy_keeps_its_row() -> None:
    report = make_report(torch.eye(2)[[0, 1, 1]], torch.tensor([0, 1, 0]), ["accuracy", "idle"])
    assert report.rows["accuracy"] == pytest.approx(2 / 3)
    assert report.rows["accuracy (class 0)"]["support"] == 2


def test_one_frame_and_ties() -> None:
    report = make_report(torch.full((1, 3), 1 / 3), torch.tensor([0]), ["a", "b", "c"])
    assert report.macro_f1 == 1  # a tie goes to the first class
    assert report.confusion.tolist() == [[1, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_mean_scores_decide_on_a_video() -> None:
    scores = torch.tensor([[0.6, 0.4], [0.6, 0.4], [0.0, 1.0], [1.0, 0.0]])
    mean, label = mean_per_video(scores, torch.tensor([1, 1, 1, 0]), torch.tensor([7, 7, 7, 2]))
    np.testing.assert_allclose(mean, [[1, 0], [0.4, 0.6]], rtol=1e-6)
    assert label.tolist() == [0, 1]


@pytest.mark.parametrize("number", [1, 2, 26, 61])
def test_figures_of_few_and_many_classes(number: int) -> None:
    figure = draw_confusion(np.eye(number, dtype=np.int64), [f"class {index}" for index in range(number)], "frames")
    axes = figure.axes[0]
    assert len(axes.texts) == (number if number <= 25 else 0)
    assert "100.0%" in axes.get_title()
