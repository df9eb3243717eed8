"""Label lists of faces in the formats of PubFig, LFW, CelebA and csv, read and refused."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.faces.lists.celeba import pairs_of, read_celeba
from datamodules.faces.lists.index import images_at
from datamodules.faces.lists.pubfig import read_boxes, read_pubfig, read_tabbed
from datamodules.faces.lists.records import FaceList
from datamodules.faces.lists.settings import FaceListSettings
from datamodules.faces.lists.sources import detect_format, pictures, read_faces
from datamodules.faces.lists.splits import split_faces
from datamodules.faces.lists.values import attributes_of, warn_of_rare
from datamodules.faces.schema import AttributeSchema
from datamodules.summary.checks import check_pictures
from datamodules.summary.findings import Findings

SCHEMA = AttributeSchema.from_plain(
    {
        "heads": [
            {"name": "expression", "kind": "exclusive", "attributes": ["Smiling", "Frowning"]},
            {"name": "shadow", "kind": "binary", "attributes": ["5 o'Clock Shadow"]},
        ]
    }
)
PHOTOS = [("Abe Allen", 1), ("Abe Allen", 3), ("Bea Bond", 2)]
VALUES = [[1.5, -0.5, 0.125], [-2.0, 0.25, -1.0], [0.5, -1.5, 2.0]]


def _picture(path: Path, size: tuple[int, int] = (40, 40)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, (200, 100, 50)).save(path)
    return path


def _attribute_list(path: Path) -> Path:
    """The columns stand in an order of their own: frowning, shadow, smiling."""
    title = "#lfw_attributes, v1.0" if "lfw" in path.name else "#PubFig Dataset v1.2 - evaluation set attributes"
    lines = [title, "#\tperson\timagenum\tFrowning\t5 o' Clock Shadow\tSmiling"]
    for (person, number), (smiling, frowning, shadow) in zip(PHOTOS, VALUES, strict=True):
        lines.append("\t".join([person, str(number), *map(repr, (frowning, shadow, smiling))]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def _box_list(path: Path, boxes: Mapping[tuple[str, int], str]) -> Path:
    lines = ["# PubFig Dataset v1.2 - evaluation set image urls", "#\tperson\timagenum\turl\trect\tmd5sum"]
    for (person, number), box in boxes.items():
        lines.append(f"{person}\t{number}\thttp://host.org/{number}.jpg\t{box}\t{number:032x}")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def pubfig(tmp_path: Path) -> Path:
    """A list of PubFig with three pictures of 40 x 40 beside it."""
    for person, number in PHOTOS:
        stem = person.replace(" ", "_")
        _picture(tmp_path / "images" / stem / f"{stem}_{number:04d}.jpg")
    return _attribute_list(tmp_path / "pubfig_attributes.txt")


def _load(labels: Path | None, **options: Any) -> FaceList:
    """Load faces from files; no lists of boxes but those that are named."""
    named = {name: str(value) if isinstance(value, Path) else value for name, value in options.items()}
    return read_faces(FaceListSettings(labels=str(labels) if labels else None, **{"boxes": [], **named}), SCHEMA)


# PubFig and LFW


def test_pubfig_values_come_in_the_order_of_the_schema(pubfig: Path) -> None:
    faces = _load(pubfig)
    assert detect_format(pubfig) == "pubfig"
    assert faces.identities == ["Abe Allen", "Abe Allen", "Bea Bond"]
    assert faces.values is not None
    np.testing.assert_array_equal(faces.values, np.array(VALUES, dtype=np.float32))
    np.testing.assert_array_equal(faces.attributes, [[1, 0, 1], [0, 1, 0], [1, 0, 1]])
    assert np.isnan(faces.boxes).all()
    assert faces.names[2] == "images/Bea_Bond/Bea_Bond_0002.jpg"
    assert faces.sources[0].endswith("pubfig_attributes.txt, line 3")


def test_values_near_zero_are_missing(pubfig: Path) -> None:
    faces = _load(pubfig, missing_margin=0.3)
    np.testing.assert_array_equal(faces.attributes, [[1, 0, -1], [0, -1, 0], [1, 0, 1]])


def test_address_lists_beside_the_attributes_give_their_boxes(pubfig: Path, tmp_path: Path) -> None:
    _box_list(tmp_path / "eval_urls.txt", dict.fromkeys(PHOTOS, "5,10,25,30"))
    np.testing.assert_array_equal(read_faces(FaceListSettings(labels=str(pubfig)), SCHEMA).boxes, [[5, 10, 25, 30]] * 3)
    np.testing.assert_array_equal(_load(pubfig, boxes=tmp_path / "eval_urls.txt").boxes, [[5, 10, 25, 30]] * 3)
    assert np.isnan(read_faces(FaceListSettings(labels=str(pubfig), boxes=[]), SCHEMA).boxes).all()


def test_a_picture_may_bear_its_digest_or_its_number(pubfig: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "images")
    _picture(tmp_path / "Abe Allen" / "1.png")
    _picture(tmp_path / "any" / f"{3:032x}.jpg")
    _picture(tmp_path / "Bea_Bond_2.jpeg")
    boxes = _box_list(tmp_path / "eval_urls.txt", dict.fromkeys(PHOTOS, "5,10,25,30"))
    assert _load(pubfig, boxes=str(boxes)).names == ["Abe Allen/1.png", f"any/{3:032x}.jpg", "Bea_Bond_2.jpeg"]


def test_pictures_that_are_gone_are_named(pubfig: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "images/Abe_Allen/Abe_Allen_0003.jpg").unlink()
    assert len(_load(pubfig)) == 2
    assert "1 of 3 pictures" in caplog.text
    assert "Abe Allen 3" in caplog.text
    with pytest.raises(ConfigurationError, match=r"not one of the 3 pictures"):
        _load(pubfig, root=_picture(tmp_path / "other" / "x.png").parent)


def test_a_picture_without_a_box_is_named(pubfig: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    boxes = _box_list(tmp_path / "eval_urls.txt", dict.fromkeys(PHOTOS[:2], "5,10,25,30"))
    assert len(_load(pubfig, boxes=str(boxes))) == 2
    assert "1 of 3 pictures" in caplog.text
    assert "Bea Bond 2" in caplog.text
    none = _box_list(tmp_path / "dev_urls.txt", {("Zoe Zimmer", 1): "5,10,25,30"})
    with pytest.raises(ConfigurationError, match=r"not one of the 3 pictures .* has a face box"):
        _load(pubfig, boxes=str(none))


def test_boxes_beyond_the_picture(pubfig: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    places = dict(zip(PHOTOS, ["-5,10,25,30", "50,50,60,60", "5,10,25,30"], strict=True))
    faces = _load(pubfig, boxes=_box_list(tmp_path / "eval_urls.txt", places))
    np.testing.assert_array_equal(faces.boxes, [[0, 10, 25, 30], [5, 10, 25, 30]])
    assert "1 of 3 face boxes reach beyond" in caplog.text
    assert "the face box 50,50,60,60 lies outside the picture" in caplog.text
    assert "40x40" in caplog.text
    outside = _box_list(tmp_path / "dev_urls.txt", dict.fromkeys(PHOTOS, "90,90,99,99"))
    with pytest.raises(ConfigurationError, match=r"line 3: the face box 90,90,99,99 lies outside .* all others"):
        _load(pubfig, boxes=str(outside))


def test_a_broken_picture_is_named(pubfig: Path, tmp_path: Path) -> None:
    (tmp_path / "images/Bea_Bond/Bea_Bond_0002.jpg").write_bytes(b"no picture")
    boxes = _box_list(tmp_path / "eval_urls.txt", dict.fromkeys(PHOTOS, "5,10,25,30"))
    faces, found = _load(pubfig, boxes=str(boxes)), Findings()
    assert len(faces) == 3  # of a picture without a size the box stays
    check_pictures(faces.paths, faces.sources, found)
    assert [finding.status for finding in found.found] == ["fault"]
    assert "Bea_Bond_0002.jpg cannot be read" in found.found[0].text


def test_lfw_has_its_own_box(tmp_path: Path) -> None:
    labels = _attribute_list(tmp_path / "lfw_attributes.txt")
    for person, number in PHOTOS:
        stem = person.replace(" ", "_")
        _picture(tmp_path / "lfw" / stem / f"{stem}_{number:04d}.jpg", (250, 250))
    faces = _load(None, root=tmp_path)
    assert detect_format(labels) == "lfw"
    np.testing.assert_allclose(faces.boxes, [[68.18, 68.18, 181.82, 181.82]] * 3, atol=0.01)


# CelebA


def _celeba(folder: Path) -> Path:
    rows = ["000001.jpg -1  1 -1", "000002.jpg  1 -1 -1", "000003.jpg -1 -1  1"]
    path = folder / "list_attr_celeba.txt"
    path.write_text("\n".join(["3", "Frowning 5_o_Clock_Shadow Smiling ", *rows]) + "\n", encoding="utf-8")
    for number in (1, 2, 3):
        _picture(folder / "img_align_celeba" / f"{number:06d}.jpg", (178, 218))
    return path


def test_celeba_with_what_lies_beside_it(tmp_path: Path) -> None:
    labels = _celeba(tmp_path)
    (tmp_path / "list_eval_partition.txt").write_text("000001.jpg 0\n000002.jpg 1\n000003.jpg 2\n")
    (tmp_path / "identity_CelebA.txt").write_text("000001.jpg 2880\n000002.jpg 2937\n000003.jpg 8692\n")
    faces = _load(None, root=tmp_path)
    assert detect_format(labels) == "celeba"
    np.testing.assert_array_equal(faces.attributes, [[0, 0, 1], [0, 1, 0], [1, 0, 0]])
    assert faces.splits == ["train", "val", "test"]
    assert faces.identities == ["2880", "2937", "8692"]
    assert faces.values is None


def test_celeba_as_csv_and_boxes(tmp_path: Path) -> None:
    _celeba(tmp_path).unlink()
    labels = tmp_path / "list_attr_celeba.csv"
    labels.write_text("image_id,Frowning,5_o_Clock_Shadow,Smiling\n000001.jpg,-1,1,-1\n000002.jpg,1,-1,0\n")
    boxes = tmp_path / "list_bbox_celeba.txt"
    boxes.write_text("2\nimage_id x_1 y_1 width height\n000001.jpg 10 20 100 110\n000002.jpg 0 0 50 60\n")
    faces = _load(labels, boxes=str(boxes))
    np.testing.assert_array_equal(faces.boxes, [[10, 20, 110, 130], [0, 0, 50, 60]])
    np.testing.assert_array_equal(faces.attributes, [[0, 0, 1], [-1, 1, 0]])


def test_a_split_of_celeba_that_is_none(tmp_path: Path) -> None:
    labels = _celeba(tmp_path)
    (tmp_path / "partition.txt").write_text("000001.jpg 0\n000002.jpg 7\n000003.jpg 2\n")
    with pytest.raises(LabelError, match=r"the split of 000002\.jpg is '7'"):
        _load(labels, partition=tmp_path / "partition.txt")


# csv


def _csv(folder: Path, *lines: str) -> Path:
    for name in ("a.png", "b.png"):
        _picture(folder / name)
    path = folder / "faces.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_csv_with_everything(tmp_path: Path) -> None:
    path = _csv(
        tmp_path,
        "file,identity,split,left,top,right,bottom,smiling,5_o_Clock_shadow",
        "a.png,Abe,train,1,2,20,22,1,",
        "b.png,Bea,test,1,2,20,22,0,-1",
    )
    faces = _load(path)
    np.testing.assert_array_equal(faces.attributes, [[1, -1, -1], [0, -1, -1]])
    assert faces.values is None
    assert faces.identities == ["Abe", "Bea"]
    assert faces.splits == ["train", "test"]
    np.testing.assert_array_equal(faces.boxes, [[1, 2, 20, 22]] * 2)


def test_csv_of_real_values(tmp_path: Path) -> None:
    path = _csv(tmp_path, "file,Smiling", "a.png,0.75", "b.png,-1")
    with pytest.raises(LabelError, match=r"line 2: Smiling is 0\.75; write 1 .* say so with threshold"):
        _load(path)
    faces = _load(path, threshold=0)
    np.testing.assert_array_equal(faces.attributes[:, 0], [1, 0])
    assert faces.values is not None
    np.testing.assert_array_equal(faces.values[:, 0], [0.75, -1])
    probable = _load(_csv(tmp_path, "file,Smiling", "a.png,0.52", "b.png,0.1"), threshold=0.5, missing_margin=0.05)
    np.testing.assert_array_equal(probable.attributes[:, 0], [-1, 0])


def test_codes_mean_what_the_whole_list_says(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def read(*values: str) -> list[int]:
        rows = [f"{name}.png,{value}" for name, value in zip("ab", values, strict=True)]
        labels: list[int] = _load(_csv(tmp_path, "file,Smiling,Frowning", *rows)).attributes[:, :2].ravel().tolist()
        return labels

    assert read("1,0", "0,-1") == [1, 0, 0, -1]
    assert not caplog.records
    assert read("1,-1", "-1,1") == [1, 0, 0, 1]
    assert "-1 is read as absent" in caplog.text
    for values, said in (("1,2", "Frowning is 2"), ("0.5,1", r"Smiling is 0\.5"), ("1,1_0", "Frowning is '1_0'")):
        with pytest.raises(LabelError, match=rf"faces\.csv, line 3: {said}; write 1"):
            read("0,1", values)


def test_a_picture_is_one_whatever_its_spelling(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = _csv(tmp_path, "file,split,Smiling", "a.png,train,1", "./a.png,train,1", "b.png,train,0")
    assert _load(path).names == ["a.png", "b.png"]
    assert "1 row(s) repeat another" in caplog.text
    for row, said in (("train,0", "with other attributes"), ("test,1", "with split 'train', here with 'test'")):
        path = _csv(tmp_path, "file,split,Smiling", "a.png,train,1", f".//a.png,{row}")
        with pytest.raises(LabelError, match=rf"line 3: '\./?/a\.png' was already named in line 2 {said}"):
            _load(path)
    copies = _load(_csv(tmp_path, "file,split,Smiling", "a.png,train,1", "b.png,test,0"))  # equal pictures
    assert len(split_faces(copies, FaceListSettings(labels=str(path)))["test"]) == 1
    assert "1 picture(s) are in two splits under different names" in caplog.text
    head = "file,split,left,top,right,bottom"
    faces = _load(_csv(tmp_path, head, "a.png,train,1,2,9,9", "./a.png,test,11,12,19,19"))
    with pytest.raises(LabelError, match=r"line 3: the picture \./a\.png is in test, but in train at .*line 2"):
        split_faces(faces, FaceListSettings(labels=str(path)))


def test_a_box_of_zeros_costs_its_own_face(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    faces = _load(_csv(tmp_path, "file,left,top,right,bottom", "a.png,0,0,0,0", "b.png,1,2,9,9"))
    assert faces.names == ["b.png"]
    assert "1 face box(es) have no extent, so these faces are left out: a.png (line 2)" in caplog.text
    labels = _celeba(tmp_path)
    boxes = tmp_path / "list_bbox_celeba.txt"
    rows = ["000001.jpg 10 20 100 110", "000002.jpg 0 0 0 0", "000003.jpg 1 1 9 9"]
    boxes.write_text("\n".join(["3", "image_id x_1 y_1 width height", *rows]))
    assert _load(labels, boxes=str(boxes)).names == ["000001.jpg", "000003.jpg"]
    assert "000002.jpg (line 4)" in caplog.text
    assert caplog.text.count("000002.jpg") == 1


def test_celeba_of_zeros_and_ones(tmp_path: Path) -> None:
    labels = _celeba(tmp_path)
    labels.write_text(labels.read_text().replace("-1", "0"))
    np.testing.assert_array_equal(_load(labels).attributes, [[0, 0, 1], [0, 1, 0], [1, 0, 0]])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (["file,Smilling", "a.png,1"], "no attribute for the column Smilling: the nearest to Smilling is Smiling"),
        (["file,Smiling", "a.png,yes"], r"line 2: Smiling is 'yes'; write 1"),
        (["file,Smiling", "a.png,inf"], "line 2: Smiling is 'inf'"),
        (["file,split,Smiling", "a.png,some,1"], "line 2: split 'some' is not known"),
        (["file,left,top,right,bottom", "a.png,1,2,9,9", "b.png,,,,"], "line 3: the face has no box though others"),
        (["file,left,top,right,bottom", "a.png,9,2,1,9"], "line 2: the box 9,2,1,9 has no area"),
    ],
)
def test_malformed_csv(tmp_path: Path, lines: list[str], said: str) -> None:
    with pytest.raises(LabelError, match=said):
        _load(_csv(tmp_path, *lines))


def test_csv_whose_pictures_are_gone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert len(_load(_csv(tmp_path, "file,Smiling", "a.png,1", "z.png,0"))) == 1
    assert "1 of 2 pictures" in caplog.text
    assert "z.png" in caplog.text
    with pytest.raises(ConfigurationError, match="not one of the 1 pictures"):
        _load(_csv(tmp_path, "file,Smiling", "z.png,0"))


def test_a_column_left_out_is_not_unknown(tmp_path: Path) -> None:
    path = _csv(tmp_path, "file,Smiling,Male", "a.png,1,0")
    assert len(_load(path, exclude_attributes=["Male"])) == 1
    with pytest.raises(LabelError, match="no attribute for the column Male"):
        _load(path)


# Bare pictures, and what sources cannot be


def test_bare_pictures(tmp_path: Path) -> None:
    _csv(tmp_path / "in", "file,left,top,right,bottom", "a.png,1,2,9,9", "b.png,3,3,50,50")
    faces = _load(None, root=tmp_path / "in", label_format="images")
    assert faces.names == ["a.png", "b.png"]
    assert (faces.attributes == -1).all()
    cut = pictures([str(tmp_path / "in")], SCHEMA, str(tmp_path / "in/faces.csv"))
    np.testing.assert_array_equal(cut.boxes, [[1, 2, 9, 9], [3, 3, 40, 40]])
    for line in ("", "b.png,,,,\n"):  # no row, and a row without a box
        (tmp_path / "in/faces.csv").write_text("file,left,top,right,bottom\na.png,1,2,9,9\n" + line)
        with pytest.raises(LabelError, match=r"1 of 2 pictures have no face box here, the first is b\.png; add its"):
            pictures([str(tmp_path / "in")], SCHEMA, str(tmp_path / "in/faces.csv"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigurationError, match="holds no picture"):
        pictures([str(tmp_path / "empty")], SCHEMA, None)


def test_what_sources_cannot_be(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("hello\n")
    with pytest.raises(ConfigurationError, match="name its label_format"):
        detect_format(text)
    labels = _attribute_list(tmp_path / "p.txt")
    with pytest.raises(ConfigurationError, match="is no folder"):
        _load(labels, root=tmp_path / "none")


# Values


def test_signs_of_values() -> None:
    values = np.array([[0.0, 2.0, -0.1, np.nan]], dtype=np.float32)
    np.testing.assert_array_equal(attributes_of(values, 0.0), [[0, 1, 0, -1]])


def test_rare_attributes_are_named(caplog: pytest.LogCaptureFixture) -> None:
    labels = np.array([[1, 0, -1], [0, 0, -1], [0, 1, -1], [1, 0, -1]], dtype=np.int8)
    assert warn_of_rare(labels, SCHEMA) == ["Frowning"]
    assert "Frowning (1 with, 3 without)" in caplog.text


def test_celeba_without_any_picture_or_box(tmp_path: Path) -> None:
    labels = _celeba(tmp_path)
    boxes = tmp_path / "list_bbox_celeba.txt"
    boxes.write_text("1\nimage_id x_1 y_1 width height\n000009.jpg 10 20 100 110\n")
    with pytest.raises(ConfigurationError, match=r"not one of the 3 pictures of .* has a face box"):
        read_celeba(labels, tmp_path, SCHEMA, boxes=str(boxes))
    shutil.rmtree(tmp_path / "img_align_celeba")
    with pytest.raises(ConfigurationError, match=r"not one of the 3 pictures of .* is below"):
        read_celeba(labels, tmp_path, SCHEMA)
    with pytest.raises(ConfigurationError, match="is no folder"):
        read_celeba(labels, tmp_path / "gone", SCHEMA)


COLUMNS = "# person\timagenum\tFrowning\t5 o Clock Shadow\tSmiling\n"
WHOLE = f"{COLUMNS}Abe\t1\t0.5\t1.0\t1.0\n"
NAMES, RECT = "Frowning 5_o_Clock_Shadow Smiling", "# person\timagenum\trect\nAbe\t1\t"
READERS: dict[str, Callable[[Path], object]] = {
    "two columns": pairs_of,
    "tabs": read_tabbed,
    "addresses": lambda path: read_boxes([path]),
    "pubfig": lambda path: read_pubfig(path, path.parent, SCHEMA),
    "celeba": lambda path: read_celeba(path, path.parent, SCHEMA),
    "boxes of celeba": lambda path: read_celeba(_celeba(path.parent), path.parent, SCHEMA, boxes=str(path)),
}


@pytest.mark.parametrize(
    ("kind", "text", "message"),
    [
        ("two columns", "a.jpg 0\nb.jpg\n", "line 2: 'b.jpg' has one field"),
        ("two columns", "\n", "is empty"),
        ("two columns", None, "cannot be read"),
        ("tabs", None, "cannot be read"),
        ("tabs", "# person\timagenum\n", "names of its columns"),
        ("tabs", "Abe\t1\n", "names of its columns"),
        ("addresses", "# person\timagenum\turl\nAbe\t1\thttp://a\n", "columns person, imagenum, url lack rect"),
        ("addresses", "# person\timagenum\trect\nAbe\t1\n", "line 2: 2 fields, expected 3"),
        ("addresses", f"{RECT}1,2,3\n", r"list\.txt, line 2: .*box"),
        ("addresses", f"{RECT}1,2,3,x\n", r"list\.txt, line 2: .*box"),
        ("addresses", f"{RECT}9,9,9,9\n", r"list\.txt, line 2: .*box"),
        ("pubfig", f"{COLUMNS}Abe\t1\t0.5\t1.0", "line 2: 4 fields, expected 5"),
        ("pubfig", f"{COLUMNS}Abe\tone\t0.5\t1.0\t1.0", "line 2: imagenum 'one' is not a whole number"),
        ("pubfig", f"{COLUMNS}Abe\t1\t0.5\tmuch\t1.0", "line 2: a value 'much' is not a number"),
        ("pubfig", f"{COLUMNS}Abe\t1\t0.5\tnan\t1.0", "line 2: a value 'nan' is not finite"),
        (
            "pubfig",
            WHOLE.replace("Smil", "Smill"),
            "line 1: .* no column for Smiling: the nearest to Smiling is Smilling",
        ),
        ("pubfig", WHOLE.replace("5 o Clock Shadow", "frowning"), "column frowning is there twice"),
        ("pubfig", "# name\timagenum\tSmiling\nAbe\t1\t0.5\n", "not with person and imagenum"),
        ("celeba", "0\nSmiling\n", "no names of attributes or no picture"),
        ("celeba", f"1\n{NAMES}\n1.jpg 1 2 -1\n", "line 3: the value '2' is neither 1"),
        ("celeba", f"1\n{NAMES}\n1.jpg 1 -1\n", "line 3: 2 values after 1.jpg, expected 3"),
        ("celeba", f"1\n{NAMES[:-3]}e\n1.jpg 1 1 1\n", "no column for Smiling: the nearest to Smiling is Smile"),
        ("boxes of celeba", "2\n", "holds no box"),
        ("boxes of celeba", "000001.jpg 1 2 3\n", "line 1: 4 fields, expected image_id, x_1"),
    ],
)
def test_what_is_wrong_with_a_text_is_named(kind: str, text: str | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    if text is not None:
        path.write_text(text)
    with pytest.raises(LabelError, match=message):
        READERS[kind](path)


def test_sources_that_contradict_their_format(tmp_path: Path) -> None:
    labels = _celeba(tmp_path)
    with pytest.raises(ConfigurationError, match="label_format images takes bare pictures"):
        FaceListSettings(labels=str(labels), label_format="images")
    boxes = [str(labels), str(labels)]
    with pytest.raises(ConfigurationError, match="boxes names 2 lists; only PubFig has more than one"):
        read_faces(FaceListSettings(labels=str(labels), label_format="celeba", boxes=boxes), SCHEMA)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        detect_format(tmp_path / "absent.txt")
    with pytest.raises(ConfigurationError, match="does not exist; give pictures"):
        images_at([tmp_path / "absent"])
