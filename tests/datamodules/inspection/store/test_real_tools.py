"""Exports as the tools themselves load them, each in an environment of its own below the folder APPRAISE_TOOLS."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO

from datamodules.inspection.store.exchange.formats import Format, export_store
from datamodules.inspection.store.feedback import FeedbackStore

from .random_stores import CLASSES, HEIGHT, WIDTH, fill, pictures

SEED = 45  # of a store in which every format has something to hold

ULTRALYTICS = """
import json, sys
from ultralytics.data.dataset import YOLODataset
from ultralytics.data.utils import check_det_dataset
data = check_det_dataset(sys.argv[1] + "/data.yaml", autodownload=False)
found = YOLODataset(img_path=data["train"], data=data, task="detect", imgsz=64, augment=False, cache=False)
boxes = {file.rsplit("/", 1)[1]: [[int(c), *b] for c, b in zip(one["cls"][:, 0].tolist(), one["bboxes"].tolist())]
         for file, one in zip(found.im_files, found.labels)}
print(json.dumps({"names": list(data["names"].values()), "boxes": boxes}))
"""
SUPERVISION = """
import json, sys
import supervision as sv
kind, place = sys.argv[2], sys.argv[1]
if kind == "coco":
    found = sv.DetectionDataset.from_coco("/", place + "/annotations.json", force_masks=True)
else:
    found = sv.DetectionDataset.from_yolo(place + "/images", place + "/labels", place + "/data.yaml")
boxes = {path: one.xyxy.tolist() for path, one in found.annotations.items()}
pixels = sum(int(one.mask.sum()) for one in found.annotations.values() if one.mask is not None)
print(json.dumps({"names": found.classes, "boxes": boxes, "pixels": pixels}))
"""
LABEL_STUDIO = """
import json, sys
from label_studio_sdk.converter import Converter
from label_studio_sdk.converter.brush import decode_rle
from label_studio_sdk.label_interface import LabelInterface
place = sys.argv[1]
config = open(place + "/labels.xml").read()
interface, tasks = LabelInterface(config), json.load(open(place + "/tasks.json"))
right = [interface.validate_prediction(one) for task in tasks for one in task["predictions"]]
right += [interface.validate_annotation(one) for task in tasks for one in task.get("annotations", [])]
said = [one for task in tasks for group in task.get("annotations", []) for one in group["result"]]
shape = lambda one: (one["original_height"], one["original_width"], 4)
pixels = [int((decode_rle(one["value"]["rle"]).reshape(shape(one))[..., 3] > 0).sum())
          for one in said if one["type"] == "brushlabels"]
Converter(config=config, project_dir=None, download_resources=False).convert_to_json_min(
    place + "/tasks.json", place + "/minimal", is_dir=False)
minimal = json.load(open(place + "/minimal/result.json"))
regions = sum(len(task.get(name, [])) for task in minimal for name in ("label", "region"))
print(json.dumps({"right": right, "tasks": len(tasks), "pixels": pixels, "regions": regions}))
"""


def ask(tool: str, code: str, *arguments: str) -> Any:
    """What a tool says in its own environment; the test is skipped where there is none."""
    python = Path(os.environ.get("APPRAISE_TOOLS", "/nowhere")) / tool / "bin" / "python"
    if not python.is_file():
        pytest.skip(f"APPRAISE_TOOLS names no folder with an environment {tool}")
    command = [str(python), "-W", "ignore", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture
def store(tmp_path: Path) -> FeedbackStore:
    opened = FeedbackStore(tmp_path / "s.sqlite", create=True)
    fill(opened, pictures(tmp_path / "pictures"), SEED)
    return opened


def exported(store: FeedbackStore, form: Format, folder: Path) -> Path:
    export_store(store, form, folder)
    return folder


def yolo_boxes(folder: Path) -> dict[str, list[list[float]]]:
    """Class and box of each line, by picture."""
    lines = {one.stem: one.read_text().splitlines() for one in (folder / "labels").glob("*.txt")}
    return {
        one.name: [[float(value) for value in line.split()] for line in lines[one.stem]]
        for one in (folder / "images").iterdir()
    }


def test_ultralytics_finds_every_image_and_box(store: FeedbackStore, tmp_path: Path) -> None:
    out = exported(store, "yolo", tmp_path / "out")
    wanted = yolo_boxes(out)
    found = ask("ultralytics", ULTRALYTICS, str(out))
    assert found["names"] == CLASSES
    assert found["boxes"].keys() == wanted.keys()
    for name, boxes in wanted.items():
        np.testing.assert_allclose(sorted(found["boxes"][name]), sorted(boxes), atol=1e-6)


def test_supervision_reads_both_formats(store: FeedbackStore, tmp_path: Path) -> None:
    out = exported(store, "yolo", tmp_path / "yolo")
    found = ask("supervision", SUPERVISION, str(out), "yolo")
    assert found["names"] == CLASSES
    assert sum(map(len, found["boxes"].values())) == sum(map(len, yolo_boxes(out).values())) > 0
    out = exported(store, "coco", tmp_path / "coco")
    content = json.loads((out / "annotations.json").read_text())
    found = ask("supervision", SUPERVISION, str(out), "coco")
    assert len(found["boxes"]) == len(content["images"])
    assert sum(map(len, found["boxes"].values())) == len(content["annotations"]) > 0
    coco = COCO(str(out / "annotations.json"))
    assert found["pixels"] == pytest.approx(sum(int(coco.annToMask(one).sum()) for one in coco.anns.values()), rel=0.1)


def test_label_studio_accepts_every_task(store: FeedbackStore, tmp_path: Path) -> None:
    out = exported(store, "label-studio", tmp_path / "out")
    tasks = json.loads((out / "tasks.json").read_text())
    said = [one for task in tasks for group in task.get("annotations", []) for one in group["result"]]
    found = ask("labelstudio", LABEL_STUDIO, str(out))
    assert all(found["right"])
    assert found["tasks"] == len(tasks) > 0
    assert found["regions"] == len(said) > 0
    assert len(found["pixels"]) == sum(one["type"] == "brushlabels" for one in said) > 0
    assert all(0 < one <= WIDTH * HEIGHT for one in found["pixels"])


def test_pycocotools_loads_every_annotation_and_its_pixels(store: FeedbackStore, tmp_path: Path) -> None:
    out = exported(store, "coco", tmp_path / "out")
    content = json.loads((out / "annotations.json").read_text())
    coco = COCO(str(out / "annotations.json"))
    assert len(coco.imgs) == len(content["images"])
    assert len(coco.anns) == len(content["annotations"]) > 0
    regions = [one for one in coco.anns.values() if isinstance(one["segmentation"], dict)]
    assert regions
    assert [one["area"] for one in regions] == [int(coco.annToMask(one).sum()) for one in regions]
    assert any(one["answered"] for one in coco.imgs.values())
    assert not all(one["answered"] for one in coco.imgs.values())
