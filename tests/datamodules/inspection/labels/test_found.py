"""Labels are found, or named: layouts of YOLO, sizes, entries that cannot be used."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from datamodules.common.errors import LabelError
from datamodules.inspection.labels.coco import read_coco
from datamodules.inspection.labels.manifest import read_manifest
from datamodules.inspection.labels.sources import ImageSources
from datamodules.inspection.labels.yolo import read_yolo
from datamodules.inspection.settings import InspectionDataSettings
from datamodules.summary.findings import Findings

BOX = "0 0.5 0.5 0.2 0.4\n"


def lay(root: Path, files: dict[str, str], names: str = "names: [dent]\n") -> Path:
    for name, text in {"data.yaml": names, **files}.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        if Path(name).suffix.lower() in (".png", ".jpg"):
            Image.new("RGB", (40, 20)).save(root / name)
        else:
            (root / name).write_text(text)
    return root


LAYOUTS: dict[str, tuple[list[str], str]] = {
    "beside": (["images/a.png", "images/a.txt"], ""),
    "beside, without a folder": (["a.png", "a.txt"], ""),
    "labels": (["images/train/a.png", "labels/train/a.txt"], ""),
    "capitals": (["Images/a.PNG", "Labels/a.TXT"], ""),
    "of roboflow": (["train/images/a.jpg", "train/labels/a.txt"], "train: ../train/images\nval: ../valid/images\n"),
    "of another machine": (
        ["own/train/a.png", "own/train/a.txt"],
        "path: /home/me/set\ntrain: /home/me/set/own/train\n",
    ),
    "of windows": (["own/train/a.png", "own/train/a.txt"], "train: 'C:\\set\\own\\train'\n"),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_labels_of_every_layout_are_found(tmp_path: Path, layout: str) -> None:
    files, text = LAYOUTS[layout]
    root = lay(
        tmp_path, dict.fromkeys(files, BOX) | {"README.txt": "made in 2020 by 5 people\n"}, f"names: [dent]\n{text}"
    )
    (image,) = read_yolo(root)
    assert [item.box for item in image.objects] == [(16.0, 6.0, 24.0, 14.0)]
    assert image.split == ("train" if "train" in files[0] else None)


def test_a_list_of_images_names_the_split(tmp_path: Path) -> None:
    files = {f"images/{name}.png": "" for name in "ab"} | {
        "val.txt": "/home/me/set/images/b.png\n",
        "train.txt": "./images/a.png\n",
    }
    root = lay(tmp_path, files | {"labels/a.txt": BOX}, "names: [dent]\ntrain: train.txt\nval: val.txt\n")
    assert [(image.name, image.split, len(image.objects)) for image in read_yolo(root)] == [
        ("a.png", "train", 1),
        ("b.png", "val", 0),
    ]


def test_label_files_without_an_image_are_named(tmp_path: Path) -> None:
    files = {f"images/{name}.png": "" for name in "abc"} | {f"labels/part_{name}.txt": BOX for name in "abc"}
    root = lay(tmp_path, files | {"labels/classes.txt": "dent\n", "images/a.xml": "<x/>"})
    with pytest.raises(LabelError, match=r"3 of 3 label files belong to no image \(labels/part_a.txt, .*same stem"):
        read_yolo(root)
    findings = Findings()
    read_yolo(root, findings=findings)
    assert [finding.status for finding in findings.found] == ["fault", "warning"]
    assert "1 .xml files beside the images are no labels of YOLO" in findings.found[1].text


def coco(folder: Path, annotations: list[dict[str, Any]], size: tuple[int, int] = (40, 20)) -> Path:
    if not (folder / "a.png").exists():
        Image.new("RGB", (40, 20)).save(folder / "a.png")
    entries = [{"id": number, "image_id": 1, "category_id": 1, **one} for number, one in enumerate(annotations)]
    images = [{"id": 1, "file_name": "a.png", "width": size[0], "height": size[1]}]
    content = {"images": images, "annotations": entries, "categories": [{"id": 1, "name": "dent"}]}
    (folder / "a.json").write_text(json.dumps(content))
    return folder / "a.json"


DEGENERATE = [
    {"bbox": [1, 2, 3, 4]},
    {"bbox": [0, 2, 0, 4], "segmentation": [[0, 2, 0, 6, 0, 4]]},
    {"bbox": [5, 6, 7, 8], "segmentation": [[5, 6, 12, 14]]},
    {"bbox": [5, 6, 7, 8], "segmentation": [[]]},
    {"bbox": [5, 6, 0, 8], "segmentation": [[5, 6, 12, 6, 12, 14]]},
    {"bbox": [5, 6, 7, 8], "segmentation": [[5, 6, 12, 6, 12, 14], [1, 1]]},
]


def test_degenerate_entries_are_all_named_or_left_out(tmp_path: Path) -> None:
    options: dict[str, Any] = {"labels": str(coco(tmp_path, DEGENERATE)), "label_format": "coco"}
    sources = ImageSources(InspectionDataSettings(**options))
    sources.load(["dent"])
    with pytest.raises(LabelError, match=r"6 faults: .*id 1: .*id 2: .*id 3: .*id 4: .*id 5: .*on_error skip"):
        sources.findings.stop()
    sources = ImageSources(InspectionDataSettings(**options, on_error="skip"))
    (image,) = sources.load(["dent"])
    sources.findings.stop()
    bounds = (6, 6, 12, 13)  # of the pixels that the triangle covers
    assert image.boxes == ((1, 2, 4, 6), (5, 6, 12, 14), (5, 6, 12, 14), bounds, (5, 6, 12, 14))
    assert [rle is None for rle in image.regions] == [True, True, True, False, False]
    assert [finding.text.rpartition("(")[2] for finding in sources.findings.found] == [
        "left out)",
        "left out)",
        "its box stands in)",
        "its box stands in)",
        "the bounds of its region stand in)",
        "its other polygons are kept)",
    ]
    skip = Findings("skip")
    (tmp_path / "boxes.csv").write_text("image,x1,y1,x2,y2,class\na.png,1,1,1,5,dent\na.png,1,1,3,5,dent\n")
    (tmp_path / "list.csv").write_text("image\na.png\n")
    (row,) = read_manifest(tmp_path / "list.csv", findings=skip)
    assert len(row.objects) == 1
    lines = f"{BOX}0 0.5 0.5 0 0.1\n0 0 0 0.1 0.1 0.2 0.2\n0 0 0 0.1 0 0.2 0\n"
    root = lay(tmp_path / "yolo", {"images/a.png": "", "labels/a.txt": lines})
    assert len(read_yolo(root, findings=skip)[0].objects) == 2
    assert len(skip.found) == 3


def test_every_source_is_held_against_the_upright_file(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"a.json, images id 1: the labels are for 80x40 pixels but .* has 40x20"):
        read_coco(coco(tmp_path, [{"bbox": [1, 2, 3, 4]}], (80, 40)))
    (tmp_path / "list.csv").write_text("image,width,height\na.png,80,40\n")
    with pytest.raises(LabelError, match=r"list.csv, line 2: the labels are for 80x40 pixels"):
        read_manifest(tmp_path / "list.csv")
    exif = Image.Exif()
    exif[274] = 6
    Image.new("RGB", (40, 20)).save(tmp_path / "a.png", exif=exif)
    polygon = [2, 25, 12, 25, 12, 35, 2, 35]
    (image,) = read_coco(coco(tmp_path, [{"bbox": [2, 25, 10, 10], "segmentation": [polygon]}]))
    assert image.objects[0].box == (2, 25, 12, 35)
    with pytest.raises(LabelError, match=r"it was drawn before the image was turned"):
        read_coco(coco(tmp_path, [{"bbox": [30, 2, 8, 8]}]))
