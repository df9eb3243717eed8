"""Rows from the feedback store, and what makes a store unusable."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datamodules.common.errors import LabelError, StoreError
from datamodules.common.fingerprint import file_sha256
from datamodules.inspection.batch import Detection
from datamodules.inspection.datamodule import InspectionDataModule
from datamodules.inspection.labels.mentored import mentored_images
from datamodules.inspection.store.feedback import FeedbackStore
from tests.datamodules.samples import rle

CLASSES = ["scratch", "dent", "stain"]
ANN: Any = {"run_id": 1, "annotator": "ann"}


@pytest.fixture
def store(parts: Path) -> Iterator[FeedbackStore]:
    """Every new training image was mined, with one region and one box each; nothing is answered."""
    with FeedbackStore(parts / "answers.db", create=True) as opened:
        marked = np.zeros((48, 64), dtype=np.uint8)
        marked[8:16, 8:16] = 1
        run = opened.start_run("a" * 64, "b" * 64, dict.fromkeys(CLASSES, 0.5))
        for file in sorted(parts.glob("images/new_train_*.png")):
            image = opened.add_image(file, file_sha256(file), 64, 48, 1)
            region = Detection(0, 0.9, (8, 8, 16, 16), 0.4, 0.3, rle=rle(marked))
            boxed = Detection(1, 0.8, (30, 20, 40, 28), 0.3, 0.5, anchor_boxes=((28, 18, 44, 30), (26, 18, 42, 30)))
            opened.add_detections(run, image, [region, boxed], CLASSES)
            opened.maps_folder(run).mkdir(parents=True, exist_ok=True)
            np.savez(opened.map_path(run, image), score=np.full((6, 8), image / 100, dtype=np.float16))
        yield opened


def say(store: FeedbackStore, image: int, place: int, verdict: str, class_name: str | None = None) -> None:
    detection = store.detections(1, image)[place].id
    said = ANN | {"verdict": verdict, "detection_id": detection, "class_name": class_name}
    store.answer(client_id=f"{image}-{place}-{verdict}", image_id=image, **said)


def flag(store: FeedbackStore, image: int) -> None:
    store.answer(client_id=f"{image}-healthy", image_id=image, verdict="healthy", **ANN)


def learned_from(store: FeedbackStore, parts: Path) -> InspectionDataModule:
    options: Any = {"label_format": "manifest", "new_training": "mentored", "batch_size": 4}
    data = InspectionDataModule(labels=str(parts / "manifest.csv"), store=str(store.path), **options)
    data.setup("fit")
    return data


def test_answers_become_rows(store: FeedbackStore, parts: Path) -> None:
    say(store, 2, 0, "confirm")
    say(store, 2, 1, "reclass", "stain")
    say(store, 5, 1, "reject")
    flag(store, 7)
    images = mentored_images(store.path, CLASSES)
    by_id = {image.path: image for image in images}
    assert len(images) == 3
    second, fifth, seventh = (by_id[store.image(number).path] for number in (2, 5, 7))
    assert [(a.class_index, a.truth) for a in second.answers] == [(0, 0), (1, 2)]
    assert second.answers[0].rle is not None
    assert second.answers[1].anchor_boxes == ((28, 18, 44, 30), (26, 18, 42, 30))
    assert [(a.class_index, a.truth) for a in fifth.answers] == [(1, -1)]
    assert (second.is_healthy, seventh.is_healthy) == (None, True)
    assert all(a.truth == -1 for a in seventh.answers)
    assert all((image.domain, image.split, image.labelled) == (1, "train", False) for image in images)
    assert second.baseline_map == str(store.map_path(1, 2))


def test_a_batch_of_answers(store: FeedbackStore, parts: Path) -> None:
    say(store, 2, 0, "confirm")
    say(store, 2, 1, "reject")
    say(store, 5, 1, "reject")
    batch = next(iter(learned_from(store, parts).train_dataloader()))
    assert batch["domain"].tolist() == [0, 1, 0, 1]
    assert batch["labelled"].tolist() == [True, False, True, False]
    assert batch["answer_mask"].shape == (4, 2, 64, 64)  # 48 rows are padded to 64
    row = next(row for row in range(4) if batch["path"][row] == store.image(2).path)
    assert batch["answer_truth"][row].tolist() == [0, -1]
    assert int(batch["answer_mask"][row, 0].sum()) == 64
    assert bool(batch["answer_mask"][row, 0, 8:16, 8:16].all())
    assert batch["answer_boxes"][row, 0, 0].tolist() == [8, 8, 16, 16]
    assert batch["answer_boxes"][row, 1].tolist() == [[28, 18, 44, 30], [26, 18, 42, 30]]
    known = batch["baseline_map"][row, :48]
    assert torch.equal(known, torch.full_like(known, float(np.float16(0.02))))
    assert bool(batch["baseline_map"][row, 48:].isnan().all())
    assert bool(batch["baseline_map"][0].isnan().all())
    assert bool((batch["class_mask"][row] == 255).all())


def test_maps_of_another_folder_and_no_maps(store: FeedbackStore, parts: Path) -> None:
    say(store, 2, 0, "confirm")
    (parts / "maps").mkdir()
    assert mentored_images(store.path, CLASSES, maps=parts / "maps")[0].baseline_map is None
    np.savez(parts / "maps/2.npz", score=np.zeros((6, 8), dtype=np.float16))
    assert mentored_images(store.path, CLASSES, maps=parts / "maps")[0].baseline_map == str(parts / "maps/2.npz")


def test_a_store_without_answers_or_runs(store: FeedbackStore) -> None:
    with pytest.raises(LabelError, match=r"answers.db: no image of the new domain has an answer in force"):
        mentored_images(store.path, CLASSES)
    say(store, 2, 0, "confirm")
    with pytest.raises(StoreError, match="no run 9"):
        mentored_images(store.path, CLASSES, [9])
    with pytest.raises(StoreError):
        mentored_images("/nowhere/answers.db", CLASSES)


def test_an_image_that_changed_or_vanished(store: FeedbackStore) -> None:
    say(store, 2, 0, "confirm")
    path = Path(store.image(2).path)
    Image.new("RGB", (64, 48)).save(path)
    with pytest.raises(LabelError, match=rf"image {path} changed since it was mined"):
        mentored_images(store.path, CLASSES)
    path.unlink()
    with pytest.raises(LabelError, match=rf"image {path} cannot be read .* mine again"):
        mentored_images(store.path, CLASSES)


def test_a_store_of_another_model(store: FeedbackStore) -> None:
    say(store, 2, 1, "reject")
    unknown = r"detection 4 on .* has the unknown class 'dent'; the classes are scratch, stain"
    with pytest.raises(LabelError, match=unknown):
        mentored_images(store.path, ["scratch", "stain"])


def test_a_healthy_image_with_a_confirmed_detection(store: FeedbackStore) -> None:
    say(store, 2, 0, "confirm")
    with sqlite3.connect(store.path) as raw:  # the store itself refuses this; another program may not
        raw.execute(
            "INSERT INTO answer (client_id, run_id, image_id, scope, verdict, annotator, created)"
            " VALUES ('x', 1, 2, 'image', 'healthy', 'ann', '2026')"
        )
    healthy = r"new_train.* is flagged healthy, but detection 3 \(scratch\) on it was confirmed"
    with pytest.raises(LabelError, match=healthy):
        mentored_images(store.path, CLASSES)


def test_an_answered_image_that_is_judged_on(store: FeedbackStore, parts: Path) -> None:
    file = next(iter(sorted(parts.glob("images/new_val_*.png"))))
    image = store.add_image(file, file_sha256(file), 64, 48, 1)
    store.add_detections(1, image, [Detection(0, 0.9, (8, 8, 16, 16), 0.4, 0.3)], CLASSES)
    say(store, image, 0, "confirm")
    with pytest.raises(LabelError, match=r"new_val.* is in split 'train' here and in 'val' in .*manifest.csv, line"):
        learned_from(store, parts)


def test_answers_to_another_model_are_refused(store: FeedbackStore, parts: Path, tmp_path: Path) -> None:
    say(store, 2, 0, "confirm")
    other = tmp_path / "other.ckpt"
    other.write_bytes(b"another model")
    with pytest.raises(StoreError, match="was mined by another model"):
        mentored_images(store.path, CLASSES, deployed=other)
