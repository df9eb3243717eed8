"""Predictions become rows of a feedback store, once, from one process or several."""

from __future__ import annotations

import hashlib
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image

from callbacks.inspection.feedback_store_writer import FeedbackStoreWriter
from datamodules.common.errors import StoreError
from datamodules.inspection.batch import Detection
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.score_maps import write_map
from tests.running import quiet_trainer
from tests.tables import csv_rows

CLASSES = ["dent", "scratch"]


def images(folder: Path, count: int) -> list[str]:
    for number in range(count):
        Image.new("RGB", (64, 48), (number, 0, 0)).save(folder / f"{number}.png")
    return [str(folder / f"{number}.png") for number in range(count)]


def prediction(paths: list[str], valid: list[bool] | None = None, threshold: float = 0.5) -> dict[str, Any]:
    box = Detection(1, 0.9, (8.0, 8.0, 24.0, 24.0), 0.4, 0.3, rle="abc")
    return {
        "detections": [[box] if number % 2 == 0 else [] for number in range(len(paths))],
        "score_map": [torch.full((6, 8), number / 10, dtype=torch.float16) for number in range(len(paths))],
        "image_score": torch.zeros(len(paths)),
        "source_size": torch.tensor([[48, 64]] * len(paths)),
        "valid": torch.tensor(valid or [True] * len(paths)),
        "index": torch.arange(len(paths)),
        "path": paths,
        "thresholds": torch.tensor([threshold, 0.3]),
    }


class Miner(L.LightningModule):
    def __init__(self, class_names: list[str]) -> None:
        super().__init__()
        self.save_hyperparameters()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def predict_step(self, batch: dict[str, Any], batch_idx: int) -> dict[str, Any]:
        return prediction(batch["path"])


class Parts(L.LightningDataModule):
    def __init__(self, paths: list[str]) -> None:
        super().__init__()
        self.paths = paths

    def data_fingerprint(self) -> str:
        return "f" * 64

    def predict_dataloader(self) -> torch.utils.data.DataLoader[Any]:
        rows: Any = [{"path": path, "domain": 1} for path in self.paths]
        return torch.utils.data.DataLoader(rows, batch_size=2)


def mine(store: Path, paths: list[str]) -> None:
    trainer = quiet_trainer(store.parent, FeedbackStoreWriter(str(store)))
    trainer.predict(Miner(CLASSES), datamodule=Parts(paths), return_predictions=False)


def test_images_that_cannot_be_read_are_listed_beside_the_store(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    paths, store = images(tmp_path, 3), tmp_path / "out.sqlite"
    writer = FeedbackStoreWriter(str(store))
    module, trainer = Miner(CLASSES), rank(0, 1, Miner(CLASSES))
    writer.on_predict_start(trainer, module)
    found = prediction(paths, [number > 0 for number in range(len(paths))])
    with caplog.at_level("INFO"):
        writer.on_predict_batch_end(trainer, module, found, {"error": ["torn", *[""] * (len(paths) - 1)]}, 0)
        writer.on_predict_end(trainer, module)
    assert "in 1 of 2 images, 1 of 3 not readable" in caplog.text
    assert f"next: appraise mentor --store {store}" in caplog.text
    assert csv_rows(store.parent / "unreadable.csv") == [{"file": paths[0], "error": "torn"}]


def rank(number: int, world: int, module: L.LightningModule) -> Any:
    strategy = SimpleNamespace(barrier=lambda: None)
    return SimpleNamespace(
        is_global_zero=number == 0,
        global_rank=number,
        world_size=world,
        strategy=strategy,
        ckpt_path=None,
        datamodule=None,
    )


def start(store: Path, number: int, world: int, module: L.LightningModule, **options: Any) -> tuple[Any, Any]:
    """A writer of one of several processes after its begin, and its trainer."""
    writer, trainer = FeedbackStoreWriter(str(store), **options), rank(number, world, module)
    writer.on_predict_start(trainer, module)
    return writer, trainer


def test_mining_twice_adds_nothing_and_keeps_answers(tmp_path: Path) -> None:
    paths = images(tmp_path, 5)
    store = tmp_path / "out" / "store.sqlite"
    mine(store, paths)
    with FeedbackStore(store) as opened:
        run = opened.run()
        found = opened.detections(run.id)
        assert [one.shown_class for one in found] == ["scratch"] * 3
        assert run.thresholds == {"dent": 0.5, "scratch": pytest.approx(0.3)}
        assert run.data_sha256 == "f" * 64
        first = opened.image(found[0].image_id)
        assert first.sha256 == hashlib.sha256(Path(first.path).read_bytes()).hexdigest()
        assert (first.width, first.height, first.domain) == (64, 48, 1)
        written = np.load(opened.map_path(run.id, 2))["score"]
        assert written.dtype == np.float16
        assert written[0, 0] == np.float16(0.1)
        assert len(list(opened.maps_folder(run.id).iterdir())) == 5
        opened.answer(
            client_id="a", run_id=run.id, image_id=first.id, detection_id=found[0].id, verdict="reject", annotator="x"
        )
    mine(store, paths)
    with FeedbackStore(store) as opened:
        assert len(opened.runs()) == 1
        assert opened.detections(run.id) == found
        assert len(opened.answers()) == 1


def test_each_process_writes_its_own_file_and_the_first_joins_them(tmp_path: Path) -> None:
    paths, store, module = images(tmp_path, 4), tmp_path / "store.sqlite", Miner(CLASSES)
    begun = [start(store, number, 2, module, domain="batch") for number in range(2)]
    for number, (writer, trainer) in enumerate(begun):
        padded = [True, number == 0]  # the second process's last row only pads
        found, batch = prediction(paths[2 * number :][:2], padded), {"domain": torch.tensor([0, 1])}
        writer.on_predict_batch_end(trainer, module, found, batch, 0)
    assert Path(f"{store}.rank1").is_file()
    for writer, trainer in reversed(begun):
        writer.on_predict_end(trainer, module)
    assert not list(tmp_path.glob("store.sqlite.rank*"))
    with FeedbackStore(store) as opened:
        assert [Path(opened.image(one.image_id).path).name for one in opened.detections(1)] == ["0.png", "2.png"]
        maps = {path.stem for path in opened.maps_folder(1).iterdir()}
        assert maps == {"1", "2", "3"}


def test_a_stopped_process_loses_nothing(tmp_path: Path) -> None:
    paths, store, module = images(tmp_path, 2), tmp_path / "store.sqlite", Miner(CLASSES)
    stopped, trainer = start(store, 1, 2, module)
    stopped.on_predict_batch_end(trainer, module, prediction(paths), {}, 0)
    stopped.on_exception(trainer, module, RuntimeError())
    start(store, 0, 2, module)
    with FeedbackStore(store) as opened:
        assert len(opened.detections(1)) == 1


def test_other_thresholds_are_another_run(tmp_path: Path) -> None:
    paths, store, module = images(tmp_path, 1), tmp_path / "store.sqlite", Miner(CLASSES)
    for threshold in (0.5, 0.6):
        writer, trainer = start(store, 0, 1, module)
        writer.on_predict_batch_end(trainer, module, prediction(paths, threshold=threshold), {}, 0)
        writer.on_predict_end(trainer, module)
    with FeedbackStore(store) as opened:
        assert len(opened.runs()) == 2
        opened.require_run(2, data_sha256=opened.run(1).data_sha256)
        with pytest.raises(StoreError, match="another version of the data"):
            opened.require_run(2, data_sha256="0" * 64)
        with pytest.raises(StoreError, match="mined by another model"):
            opened.require_run(2, checkpoint_sha256="0" * 64)


def test_a_model_without_class_names_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no class_names"):
        start(tmp_path / "s", 0, 1, Miner([]))


def test_a_score_map_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "maps").write_text("a file")
    with pytest.raises(StoreError, match=r"score map .*a\.npz cannot be written"):
        write_map(tmp_path / "maps" / "a.npz", np.zeros((2, 2), dtype=np.float16))
