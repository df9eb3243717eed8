"""Every format of labels: what it reads, and the sentence for everything that can be wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.inspection.labels.coco import read_coco
from datamodules.inspection.labels.deeppcb import read_deeppcb
from datamodules.inspection.labels.magnetic_tile import read_magnetic_tile
from datamodules.inspection.labels.masks import class_mask, labelled_boxes
from datamodules.inspection.labels.records import LabelledImage
from datamodules.inspection.labels.sources import ImageSources
from datamodules.inspection.settings import InspectionDataSettings
from tests.datamodules.samples import rle

Files = dict[str, str | NDArray[np.uint8]]


def write(folder: Path, files: Files) -> Path:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            (folder / name).write_text(content)
        else:
            Image.fromarray(content).save(folder / name)
    return folder


def grey(height: int = 20, width: int = 30, value: int = 0) -> NDArray[np.uint8]:
    return np.full((height, width), value, dtype=np.uint8)


def spot(value: int = 1, rows: slice = slice(4, 9), columns: slice = slice(10, 16)) -> NDArray[np.uint8]:
    mask = grey()
    mask[rows, columns] = value
    return mask


def load(**options: Any) -> list[LabelledImage]:
    sources = ImageSources(InspectionDataSettings(**options))
    images = sources.load(sources.class_names() or ())
    sources.findings.stop()
    return images


def unsplit(**options: Any) -> ImageSources:
    return ImageSources(InspectionDataSettings(val_fraction=0, test_fraction=0, **options))


def boxes_of(image: LabelledImage, classes: int = 3) -> list[tuple[list[float], int]]:
    boxes, box_class = labelled_boxes(image, class_mask(image, classes))
    return list(zip(boxes.tolist(), box_class.tolist(), strict=True))


# ---- manifest


def manifest(
    folder: Path, rows: str, boxes: str | None = None, header: str = "image,mask,class,split", **files: Any
) -> Path:
    shown: Files = {f"{name}.png": grey() for name in "abc"} | files
    shown["list.csv"] = f"{header}\n{rows}\n"
    if boxes is not None:
        shown["boxes.csv"] = f"image,x1,y1,x2,y2,class\n{boxes}\n"
    return write(folder, shown) / "list.csv"


def test_a_manifest_with_masks_boxes_and_flags(tmp_path: Path) -> None:
    rows = "a.png,m.png,dent,train,new,7,,\nb.png,,,train,original,8,1,\nc.png,,,train,new,9,,0\n"
    rows += "d.png,,,val,original,10,0,"
    path = manifest(
        tmp_path,
        rows,
        "d.png,1,2,11,12,scratch",
        "image,mask,class,split,domain,group,healthy,labelled",
        **{"m.png": spot(255), "d.png": grey()},
    )
    a, b, c, d = load(labels=str(path), label_format="manifest")
    assert (a.domain, a.split, a.group, a.mask_values, a.is_healthy, a.labelled) == (1, "train", "7", 0, None, True)
    assert (b.domain, b.is_healthy, c.labelled, d.is_healthy) == (0, True, False, False)
    assert (d.boxes, d.box_classes) == (((1, 2, 11, 12),), (1,))  # dent, scratch: sorted
    assert boxes_of(a) == [([10, 4, 16, 9], 0)]
    assert int((class_mask(a, 2) == 1).sum()) == 30
    assert int((class_mask(c, 2) == 255).sum()) == 600
    assert a.path == str(tmp_path / "a.png")


def test_mask_values_may_be_classes(tmp_path: Path) -> None:
    mask = spot(2)
    mask[0, 0] = 255
    path = manifest(tmp_path, "a.png,m.png,,train", **{"m.png": mask, "classes.txt": "scratch\ndent\n"})
    (image,) = load(labels=str(path), label_format="manifest")
    assert image.mask_values is None
    assert np.array_equal(class_mask(image, 2), mask)
    assert boxes_of(image) == [([10, 4, 16, 9], 1)]


BARE, MASKED, BOX = "a.png,,,train", "a.png,m.png,dent,train", "a.png,1,1,2,2,dent"
CRACK = r"list.csv, line 3: unknown class 'crack'; the classes are dent"
DENT: dict[str, Any] = {"classes": ("dent",)}
MANIFEST_ERRORS: list[tuple[str, str | None, str, dict[str, Any]]] = [
    (MASKED, None, r"list.csv, line 2: there is no mask .*m.png", {}),
    ("x.png,,,train", "x.png,1,1,2,2,dent", r"line 2: there is no image .*x.png", {}),
    ("x.png,,,train\na.png,,,train", BOX, r"line 2: there is no image .*x.png", {}),
    ("a.png,,dent,train", None, r"line 2: class 'dent' has no mask", {}),
    ("a.png,,,training", BOX, r"line 2: split 'training' must be train, val or test", {}),
    ("a.png,,,train\nb.png,,,", BOX, r"line 3: no split, but other rows name one", {}),
    ("a.png,,,train\n./a.png,,,test", None, r"line 3: './a.png' .* line 2 with split 'train', here with 'test'", {}),
    (BARE, "a.png,1,1,33,8,dent", r"boxes.csv, line 2: box 1,1,33,8 lies outside 'a.png', .*30x20", {}),
    (BARE, "a.png,-5,1,3,8,dent", r"boxes.csv, line 2: box -5,1,3,8 lies outside", {}),
    (BARE, "a.png,5,1,5,8,dent", r"boxes.csv, line 2: box 5,1,5,8 is empty", {}),
    (BARE, "q.png,1,1,5,8,dent", r"boxes.csv, line 2: image 'q.png' is not in .*list.csv", {}),
    (BARE, "a.png,1,1,5,8,", r"boxes.csv, line 2: the box of 'a.png' has no class", {}),
    (BARE, "a.png,1,one,5,8,dent", r"boxes.csv, line 2: y1 'one' is not a number", {}),
    (BARE, None, r"the labels write no name of a class; give classes", {}),
    (MASKED, None, r"list.csv, line 2: mask .*m.png is 31x20 but .* image is 30x20", {"m.png": grey(20, 31)}),
    ("a.png,,,train\nb.png,m.png,crack,train", None, CRACK, {"m.png": spot()} | DENT),
    (BARE, "a.png,1,1,5,5,crack", r"boxes.csv, line 2: unknown class 'crack'", DENT),
    ("a.png,1", BOX, r"list.csv, line 2: 'a.png' .* healthy but .*boxes.csv, line 2", {"header": "image,healthy"}),
    ("a.png,yes", None, r"line 2: healthy 'yes' must be 0, 1 or empty", {"header": "image,healthy"} | DENT),
    ("a.png,old", None, r"line 2: domain 'old' must be original or new", {"header": "image,domain"} | DENT),
    ("a.png,red", None, r"line 1: unknown column 'colour'", {"header": "image,colour"} | DENT),
    ("a.png,", None, r"line 1: the header lacks image", {"header": "picture,mask"} | DENT),
    (",m.png", None, r"line 2: the name of the image is empty", {"header": "image,mask"} | DENT),
    (
        "a.png,train,g\nb.png,test,g",
        None,
        r"line 3: group 'g' is in split 'test' here and in 'train' in .*line 2",
        {"header": "image,split,group"} | DENT,
    ),
]


@pytest.mark.parametrize(("rows", "boxes", "message", "more"), MANIFEST_ERRORS)
def test_what_is_wrong_with_a_manifest_is_named(
    tmp_path: Path, rows: str, boxes: str | None, message: str, more: dict[str, Any]
) -> None:
    files = dict(more)
    classes = files.pop("classes", None)
    with pytest.raises(LabelError, match=message):
        load(labels=str(manifest(tmp_path, rows, boxes, **files)), label_format="manifest", classes=classes)


@pytest.mark.parametrize(
    ("row", "mask", "message"),
    [
        ("a.png,m.png,,", spot(9), r"line 2: mask .* holds the value 9; allowed are 0 \(healthy\), 1 to 2"),
        ("a.png,m.png,,", np.stack([spot(90), grey(), grey()], axis=2), r"line 2: mask .* holds the value #5a0000"),
        ("a.png,m.png,dent,1", spot(), r"line 2: 'a.png' is flagged healthy but its labels hold a defect"),
    ],
)
def test_what_is_wrong_with_a_mask_is_named(tmp_path: Path, row: str, mask: NDArray[np.uint8], message: str) -> None:
    path = manifest(tmp_path, row, None, "image,mask,class,healthy", **{"m.png": mask})
    with pytest.raises(LabelError, match=message):
        load(labels=str(path), label_format="manifest", classes=("dent", "scratch"))


def test_two_lists_are_two_domains(tmp_path: Path) -> None:
    first = manifest(tmp_path, "a.png,train\nb.png,test", None, "image,split")
    write(tmp_path, {"new.csv": "image,split\nc.png,train\n", "bad.csv": "image,split\na.png,test\n"})
    options = {"label_format": "manifest", "classes": ("dent",), "labels": str(first)}
    images = load(**options, new_labels=str(tmp_path / "new.csv"))
    assert [(image.name, image.domain) for image in images] == [("a.png", 0), ("b.png", 0), ("c.png", 1)]
    with pytest.raises(
        LabelError, match=r"bad.csv, line 2: .*a.png is in split 'test' here and in 'train' in .*list.csv, line 2"
    ):
        load(**options, new_labels=str(tmp_path / "bad.csv"))
    (tmp_path / "new.csv").write_text("image,split,domain\nc.png,train,original\n")
    with pytest.raises(LabelError, match=r"new.csv, line 2: domain 'original' in the list of the other domain"):
        load(**options, new_labels=str(tmp_path / "new.csv"))


def test_a_part_that_two_lists_show_stays_in_one_split(tmp_path: Path) -> None:
    names = [f"{number}.png" for number in range(16)]
    write(tmp_path, {f"{domain}/{name}": grey() for domain in ("old", "new") for name in names})
    lists = {}
    for domain in ("old", "new"):
        rows = "\n".join(f"{domain}/{name},part{name}" for name in names)
        write(tmp_path, {f"{domain}.csv": f"image,group\n{rows}\n"})
        lists[domain] = str(tmp_path / f"{domain}.csv")
    options = {"label_format": "manifest", "classes": ("dent",), "labels": lists["old"]}
    images = load(**options, new_labels=lists["new"])
    sides = {(image.group, image.split) for image in images}
    assert len(sides) == 16
    assert {split for _, split in sides} == {"train", "val", "test"}
    write(
        tmp_path,
        {"one.csv": "image,group,split\nold/1.png,g,train\n", "two.csv": "image,group,split\nnew/1.png,g,test\n"},
    )
    options["labels"] = str(tmp_path / "one.csv")
    with pytest.raises(
        LabelError, match=r"two.csv, line 2: group 'g' is in split 'test' here and in 'train' in .*one.csv"
    ):
        load(**options, new_labels=str(tmp_path / "two.csv"))


# ---- folders


def test_a_folder_of_images_and_masks(tmp_path: Path) -> None:
    files: Files = {f"images/{name}": grey() for name in ("train/a.png", "train/b.jpg", "val/c.png", "test/d.png")}
    write(tmp_path, {**files, "masks/train/a.png": spot(2), "classes.txt": "scratch\ndent\n"})
    images = load(root=str(tmp_path), label_format="folder")
    assert [(image.name, image.split) for image in images] == [
        ("test/d.png", "test"),
        ("train/a.png", "train"),
        ("train/b.jpg", "train"),
        ("val/c.png", "val"),
    ]
    assert boxes_of(images[1]) == [([10, 4, 16, 9], 1)]
    assert boxes_of(images[2]) == []


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    files: Files = {"images/dent/a.png": grey(), "masks/dent/a.png": spot(255), "images/good/b.png": grey()}
    files |= {"images/crack/c.png": grey(), "masks/crack/c.bmp": spot(1)}
    write(tmp_path, files)
    sources = unsplit(root=str(tmp_path), label_format="class_folders")
    assert sources.class_names() == ["crack", "dent"]
    crack, dent, good = sources.load(["crack", "dent"])
    assert boxes_of(dent) == [([10, 4, 16, 9], 1)]
    assert boxes_of(crack) == [([10, 4, 16, 9], 0)]
    assert (good.is_healthy, good.mask, good.split) == (True, None, "train")


def test_the_layout_of_mvtec(tmp_path: Path) -> None:
    files: Files = {f"train/good/{number}.png": grey() for number in range(3)} | {"test/good/0.png": grey()}
    files |= {f"test/{kind}/{number}.png": grey() for kind in ("crack", "dent") for number in range(8)}
    files |= {f"ground_truth/{kind}/{number}_mask.png": spot(255) for kind in ("crack", "dent") for number in range(8)}
    options: dict[str, Any] = {"root": str(write(tmp_path, files)), "classes": ("crack", "dent")}
    images = load(label_format="mvtec", **options)
    assert unsplit(root=str(tmp_path), label_format="mvtec").class_names() == ["crack", "dent"]
    assert all(image.is_healthy and image.mask is None for image in images if image.split == "train")
    count = Counter((image.split, image.mask_values) for image in images)
    of_kinds = {(split, kind): n for split, n in (("val", 1), ("test", 7)) for kind in (0, 1)}
    assert count == {("train", None): 3, ("test", None): 1, **of_kinds}
    assert boxes_of(next(image for image in images if image.mask_values == 1)) == [([10, 4, 16, 9], 1)]
    count = Counter((image.split, image.mask_values) for image in load(label_format="mvtec_supervised", **options))
    assert [count[split, 0] for split in ("train", "val", "test")] == [6, 1, 1]
    with pytest.raises(LabelError, match="this is MVTec's layout, label_format mvtec"):
        load(label_format="class_folders", **options)
    with pytest.raises(LabelError, match=r"no folder test; .*name the folder of one \(the folders of .* are bottle"):
        load(label_format="mvtec", root=str(write(tmp_path / "all", {"bottle/test/good/0.png": grey()})))
    (tmp_path / "ground_truth/dent/3_mask.png").unlink()
    with pytest.raises(LabelError, match=r"dent/3.png: an image in the folder 'dent' has no mask .* in ground_truth"):
        load(label_format="mvtec", **options)


@pytest.mark.parametrize(
    ("label_format", "files", "message"),
    [
        ("folder", {"masks/a.png": spot()}, r"images: there is no image"),
        ("folder", {"images/a.png": grey(), "masks/b.png": spot()}, r"masks/b.png: the mask has no image .*images/b"),
        ("folder", {"images/a.png": grey(), "images/a.jpg": grey()}, r"a.png: .*a.jpg has the same stem"),
        ("folder", {"images/a.png": grey(), "masks/a.png": grey(9, 9)}, r"mask .*a.png is 9x9 but .* 30x20"),
        ("class_folders", {"images/a.png": grey()}, r"a.png: the image lies in no folder that names its class"),
        ("class_folders", {"images/dent/a.png": grey()}, r"a.png: an image in the folder 'dent' has no mask"),
        (
            "class_folders",
            {"images/ok/a.png": grey(), "masks/ok/a.png": spot()},
            r"'ok/a.png' is flagged healthy but .* a defect",
        ),
    ],
)
def test_what_is_wrong_with_a_folder_is_named(tmp_path: Path, label_format: Any, files: Files, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        load(root=str(write(tmp_path, files)), label_format=label_format, classes=("dent",))


# ---- COCO


def coco(folder: Path, change: Callable[[dict[str, Any]], object] = lambda content: None) -> Path:
    content: dict[str, Any] = {
        "images": [
            {"id": 5, "file_name": "a.png", "height": 20, "width": 30},
            {"id": 6, "file_name": "b.png", "height": 20, "width": 30},
        ],
        "categories": [{"id": 9, "name": "dent"}, {"id": 3, "name": "scratch"}],
        "annotations": [
            {"id": 1, "image_id": 5, "category_id": 9, "bbox": [10, 4, 6, 5]},
            {
                "id": 2,
                "image_id": 5,
                "category_id": 3,
                "bbox": [20, 10, 8, 8],
                "segmentation": [[20, 10, 28, 10, 28, 18]],
            },
            {
                "id": 3,
                "image_id": 6,
                "category_id": 3,
                "segmentation": {"size": [20, 30], "counts": rle(spot(1, slice(0, 3), slice(0, 5)))},
            },
            {"id": 4, "image_id": 6, "category_id": 3, "bbox": [20, 15, 10, 5], "iscrowd": 1},
        ],
    }
    changed = change(content)
    text = changed if isinstance(changed, str) else json.dumps(content)
    return write(folder, {"a.png": grey(), "b.png": grey(), "labels.json": text}) / "labels.json"


def test_coco_boxes_polygons_run_lengths_and_crowds(tmp_path: Path) -> None:
    sources = unsplit(labels=str(coco(tmp_path)), label_format="coco")
    assert sources.class_names() == ["scratch", "dent"]  # by id
    a, b = sources.load(["scratch", "dent"])
    assert boxes_of(a) == [([10, 4, 16, 9], 1), ([20, 10, 28, 18], 0)]
    drawn = class_mask(a, 2)
    assert int((drawn == 2).sum()) == 30
    assert 20 < int((drawn == 1).sum()) < 44  # a triangle: half of the box
    drawn = class_mask(b, 2)
    assert np.array_equal(drawn == 1, spot(1, slice(0, 3), slice(0, 5)) == 1)
    assert bool((drawn[15:, 20:] == 255).all())
    assert boxes_of(b) == [([0, 0, 5, 3], 0)]  # the crowd is no box


def test_coco_files_of_three_splits(tmp_path: Path) -> None:
    text = coco(tmp_path).read_text()
    for split, names in (("train", "ab"), ("test", "cd")):
        write(tmp_path, {f"{name}.png": grey() for name in names})
        (tmp_path / "splits").mkdir(exist_ok=True)
        renamed = text.replace("a.png", f"{names[0]}.png").replace("b.png", f"{names[1]}.png")
        (tmp_path / "splits" / f"{split}.json").write_text(renamed)
    images = load(labels=str(tmp_path / "splits"), root=str(tmp_path), label_format="coco")
    assert [image.split for image in images] == ["train", "train", "test", "test"]
    with pytest.raises(LabelError, match=r"holds none of train.json"):
        load(labels=str(tmp_path), label_format="coco")


def _change(part: str, row: int, **values: Any) -> Callable[[dict[str, Any]], None]:
    return lambda content: content[part][row].update(values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: "{", r"labels.json, line 1: not valid JSON"),
        (lambda content: "[]", r"labels.json: holds no JSON object"),
        (lambda content: '{"categories": []}', r"labels.json: has no list 'images'"),
        (
            _change("annotations", 0, category_id=4),
            r"annotations id 1: unknown class, category_id 4; .* 9 dent, 3 scratch",
        ),
        (_change("annotations", 0, image_id=8), r"annotations id 1: image_id 8 is no image"),
        (_change("annotations", 0, bbox=[1, 2, 3]), r"annotations id 1: bbox \[1, 2, 3\] must be"),
        (_change("annotations", 0, bbox=[1, 2, 0, 3]), r"annotations id 1: bbox .* is empty"),
        (_change("annotations", 0, bbox=[25, 2, 9, 3]), r"annotations id 1: box 25,2,34,5 lies outside 'a.png'"),
        (_change("annotations", 1, segmentation=[[1, 2]]), r"annotations id 2: a segmentation is a list of polygons"),
        (
            _change("annotations", 2, segmentation={"size": [9, 9], "counts": "0"}),
            r"annotations id 3: the segmentation has size",
        ),
        (_change("images", 1, file_name="a.png"), r"images id 6: 'a.png' was already named by .*images id 5"),
        (_change("images", 1, file_name=None), r"images id 6: has no file_name"),
        (_change("images", 1, file_name="z.png"), r"images id 6: there is no image .*z.png"),
        (_change("images", 0, height="20"), r"images id 5: height '20' must be a whole number"),
    ],
)
def test_what_is_wrong_with_coco_is_named(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], message: str
) -> None:
    with pytest.raises(LabelError, match=message):
        load(labels=str(coco(tmp_path, change)), label_format="coco")


# ---- YOLO


def yolo(folder: Path, text: str, yaml: str | None = "names: {0: scratch, 1: dent}") -> Path:
    files: Files = {"images/train/a.png": grey(), "images/val/b.png": grey(), "labels/train/a.txt": text}
    return write(folder, files | ({} if yaml is None else {"data.yaml": yaml}))


def test_yolo_boxes_and_polygons(tmp_path: Path) -> None:
    root = yolo(tmp_path, "1 0.5 0.5 0.2 0.3\n\n0 0.0 0.0 0.2 0.0 0.2 0.2 0.0 0.2\n")
    a, b = load(root=str(root), label_format="yolo")
    assert (a.split, b.split) == ("train", "val")
    np.testing.assert_allclose([box for box, _ in boxes_of(a)], [[12, 7, 18, 13], [0, 0, 6, 4]], atol=1e-4)
    assert a.box_classes == (1, 0)
    assert int((class_mask(a, 2) == 1).sum()) == 24
    assert boxes_of(b) == []


@pytest.mark.parametrize(
    ("text", "yaml", "message"),
    [
        ("1 0.5 0.5 0.2", "names: [a, b]", r"a.txt, line 1: 4 fields; a box has 5"),
        ("\n2 0.5 0.5 0.2 0.2", "names: [a, b]", r"a.txt, line 2: unknown class 2; the classes are 0 to 1 \(a, b\)"),
        ("x 0.5 0.5 0.2 0.2", "names: [a, b]", r"a.txt, line 1: class 'x' is not a whole number"),
        ("1 0.5 0.5 0.2 nan", "names: [a, b]", r"a.txt, line 1: coordinate 'nan' is not finite"),
        ("1 0.95 0.5 0.2 0.2", "names: [a, b]", r"a.txt, line 1: box .* lies outside 'train/a.png'"),
        ("1 0.95 0.5 0 0.2", "names: [a, b]", r"a.txt, line 1: box 0 x 0.2 is empty"),
        ("", None, r"data.yaml: cannot be read"),
        ("", "path: x", r"data.yaml: has no names"),
    ],
)
def test_what_is_wrong_with_yolo_is_named(tmp_path: Path, text: str, yaml: str | None, message: str) -> None:
    with pytest.raises(LabelError, match=message):
        load(root=str(yolo(tmp_path, text, yaml)), label_format="yolo")


def test_yolo_without_data_yaml_takes_the_classes_that_are_given(tmp_path: Path) -> None:
    root = yolo(tmp_path, "1 0.5 0.5 0.2 0.3", None)
    assert load(root=str(root), label_format="yolo", classes=["u", "v"])[0].box_classes == (1,)


# ---- arguments


def test_a_folder_to_mine(tmp_path: Path) -> None:
    write(tmp_path, {"sub/a.png": grey(), "b.jpg": grey(), "notes.txt": "no image", ".hidden.png": grey()})
    mined = ImageSources(InspectionDataSettings(path=str(tmp_path))).mined()
    assert mined is not None
    assert [(image.name, image.domain, image.labelled) for image in mined] == [
        ("b.jpg", 1, False),
        ("sub/a.png", 1, False),
    ]
    (one,) = ImageSources(InspectionDataSettings(path=str(tmp_path / "b.jpg"))).mined() or []
    assert one.path == str(tmp_path / "b.jpg")
    (tmp_path / "empty").mkdir()
    for folder, message in (("empty", "holds no image"), ("nowhere", "does not exist")):
        with pytest.raises(ConfigurationError, match=message):
            ImageSources(InspectionDataSettings(path=str(tmp_path / folder))).mined()


def tiles(row: str) -> Files:
    return {"manifest.csv": f"image,mask,defect_class,exposure,tile_group,split\n{row}\n"}


def boards(row: str, box: str) -> Files:
    rows = {"manifest.csv": f"image,template,board_group,domain,split\n{row}\n"} if row else {}
    return {"boxes.csv": f"image,class_name,x1,y1,x2,y2\n{box}\n", **rows}


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no such list"),
        (tiles("a.jpg,,free,1,t1,dev"), "line 2: split 'dev'"),
        (tiles("a.jpg,,crack,1,t1,train"), "line 2: defect_class 'crack' with mask ''"),
        (tiles("a.jpg,,free,bright,t1,train"), "line 2: exposure"),
        (boards("", "a.jpg,open,0,0,9,9"), "no such list"),
        (boards("a.jpg,,g,third,train", "a.jpg,open,0,0,9,9"), "line 2: domain 'third'"),
        (boards("a.jpg,,g,new,train", "a.jpg,open,0,0,0,9"), "line 2: box 0,0,0,9 is empty"),
        (boards("a.jpg,,g,new,train", "a.jpg,open,0,0,x,9"), "line 2: x2"),
    ],
)
def test_what_is_wrong_with_lists_of_tiles_and_boards_is_named(tmp_path: Path, files: Files, message: str) -> None:
    write(tmp_path, files)
    with pytest.raises(LabelError, match=message):
        read_deeppcb(tmp_path, 0.1) if "boxes.csv" in files else read_magnetic_tile(tmp_path)


def test_lists_that_are_no_text_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(b'{"images": "\xff"}')
    with pytest.raises(LabelError, match=r"a\.json, line 1: byte 0xff is no UTF-8"):
        read_coco(tmp_path / "a.json")
    with pytest.raises(LabelError, match=r"b\.json: there is no such list"):
        read_coco(tmp_path / "b.json")
