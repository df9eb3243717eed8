"""Files of other tools come into a store as they were meant, or are refused in one sentence."""

from __future__ import annotations

import copy
import json
import os
import random
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from datamodules.common.errors import AppraiseError, LabelError
from datamodules.inspection.labels.sources import ImageSources
from datamodules.inspection.settings import InspectionDataSettings
from datamodules.inspection.store.exchange.formats import export_store, import_into
from datamodules.inspection.store.exchange.regions import brush_of, mask_of, rectangle
from datamodules.inspection.store.feedback import FeedbackStore

SIZE = (200, 100)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pictures a.png to e.png of 200 x 100."""
    for name in "abcde":
        Image.new("RGB", SIZE).save(tmp_path / f"{name}.png")
    return tmp_path


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(tmp_path / "s.sqlite", create=True) as opened:
        yield opened


def shape(kind: str, label: str = "scratch", name: str = "r", **value: Any) -> dict[str, Any]:
    """A region of Label Studio."""
    size = {"original_width": SIZE[0], "original_height": SIZE[1]}
    return {"id": name, "type": f"{kind}labels", **size, "value": {f"{kind}labels": [label], **value}}


def box(x: float, y: float, width: float, height: float, **more: Any) -> dict[str, Any]:
    return shape("rectangle", x=x, y=y, width=width, height=height, **more)


def task(image: str, *results: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    """A task whose annotations come from the people 1, 2 and so on."""
    said = [{"completed_by": number, "result": result} for number, result in enumerate(results, 1)]
    return {"id": 1, "data": {"image": image}, "annotations": said, **more}


def coco(*annotations: dict[str, Any], **image: Any) -> dict[str, Any]:
    said = [{"id": number, "image_id": 1, "category_id": 1} | one for number, one in enumerate(annotations, 1)]
    entry = {"id": 1, "file_name": "a.png"} | image
    return {"images": [entry], "categories": [{"id": 1, "name": "scratch"}], "annotations": said}


def take(store: FeedbackStore, folder: Path, content: object, **options: Any) -> str:
    file = folder / "labels.json"
    file.write_text(json.dumps(content))
    return import_into(store, file, "me", **options)


def drawn(store: FeedbackStore) -> dict[str, list[tuple[Any, ...]]]:
    """For each image its boxes, with the pixels of the region where there is one."""
    found: dict[str, list[tuple[Any, ...]]] = {}
    for image in store.images():
        for one in store.detections(1, image.id):
            pixels = None if one.rle is None else int(mask_of(one.rle, (image.width, image.height)).sum())
            found.setdefault(Path(image.path).name, []).append((*one.box, pixels))
    return found


def test_shapes_of_label_studio_are_kept_and_only_what_was_annotated_as_empty_is_healthy(
    store: FeedbackStore, folder: Path
) -> None:
    mask = rectangle((30.0, 20.0), (40.0, 10.0), 0.0, SIZE)
    said = take(
        store,
        folder,
        [
            task("a.png", [shape("polygon", points=[[10, 10], [30, 10], [10, 40]])]),
            task("b.png", [shape("brush", format="rle", rle=brush_of(mask))]),
            task("c.png", [shape("ellipse", x=50, y=50, radiusX=10, radiusY=10, rotation=90)]),
            task("d.png", [{"id": "c", "type": "choices", "value": {"choices": ["NG"]}}]),
            task("e.png", []),
        ],
    )
    found = drawn(store)
    assert found["a.png"] == [(20, 10, 59, 40, pytest.approx(600, rel=0.02))]
    assert found["b.png"] == [(30, 20, 70, 30, 400)]
    assert found["c.png"] == [(90, 30, 110, 70, pytest.approx(628, rel=0.02))]
    assert [Path(one.path).name for one in store.mentored_images() if one.is_healthy] == ["e.png"]
    assert "d.png" not in {Path(one.path).name for one in store.mentored_images()}
    assert said.endswith("3 detections and 4 answers")


@pytest.mark.parametrize(
    ("degrees", "expected"),
    [
        (0, (100, 20, 140, 30, None)),
        (90, (90, 20, 100, 60, None)),
        (180, (60, 10, 100, 20, None)),
        (45, (93, 20, 128, 55, pytest.approx(400, rel=0.06))),
    ],
)
def test_rectangles_turn_about_their_first_corner(
    store: FeedbackStore, folder: Path, degrees: float, expected: tuple[Any, ...]
) -> None:
    take(store, folder, [task("a.png", [box(50, 20, 20, 10, rotation=degrees)])])
    assert drawn(store)["a.png"] == [expected]


def test_what_one_marks_and_another_does_not_is_disputed(
    store: FeedbackStore, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alike = [[box(10, 10, 10, 10, name="p")], [box(10.5, 10, 10, 11, name="q")]]
    said = take(
        store,
        folder,
        [
            task("a.png", [box(10, 10, 10, 10)], []),
            task("b.png", *alike),
            task("c.png", [], []),
            task("d.png", [box(1, 1, 5, 5)], [box(1, 1, 5, 5, label="dent")]),
        ],
    )
    assert said.endswith("3 questions answered by two or more, 1 of them alike")
    agreement = store.agreement()
    assert agreement.annotators == ("annotator 1", "annotator 2")
    assert (agreement.questions, agreement.unanimous, len(agreement.disputed)) == (3, 1, 2)
    assert [len(found) for found in drawn(store).values()] == [1, 1, 1]
    assert [Path(one.path).name for one in store.mentored_images() if one.is_healthy] == ["c.png"]
    (file,) = export_store(store, "coco", folder / "out")
    images = json.loads(file.read_text())["images"]
    assert [one["answered"] for one in images] == [True] * 4  # a disputed drawing is a crowd, and no question
    assert not [record for record in caplog.records if "answered: false" in record.message]
    sources = ImageSources(
        InspectionDataSettings(labels=str(file), label_format="coco", val_fraction=0, test_fraction=0)
    )
    listed = {Path(one.path).name: one for one in sources.load(sources.class_names() or ())}
    assert listed["a.png"].box_classes == (-1,)


@pytest.mark.parametrize(
    "link",
    [
        "/data/upload/3/1b2c3d4e-a.png", "/data/local-files/?d=a.png", "/data/local-files/?d=line%201/a.png", "a.png",
        "https://example.org/media/a.png", "s3://bucket/parts/a.png", "C:\\parts\\a.png", "/home/other/a.png",
    ],
)  # fmt: skip
def test_links_are_found_beside_the_file_and_below_a_folder(
    store: FeedbackStore, tmp_path: Path, folder: Path, link: str
) -> None:
    content = [task(link, [box(1, 1, 5, 5)])]
    take(store, folder, content)
    deep = tmp_path / "elsewhere" / "deep"
    deep.mkdir(parents=True)
    (folder / "a.png").replace(deep / "a.png")
    with pytest.raises(LabelError, match=r"there is no image .*a\.png beside .* with --root DIR"):
        take(store, folder, content)
    take(store, folder, content, root=deep.parent)
    assert [one.path for one in store.images()] == [str(folder / "a.png"), str(deep / "a.png")]


def test_of_two_images_of_one_name_none_is_guessed(store: FeedbackStore, folder: Path) -> None:
    for name in ("one", "two"):
        (folder / "twice" / name).mkdir(parents=True)
        (folder / "twice" / name / "f.png").write_bytes((folder / "a.png").read_bytes())
    content = [task("/data/upload/3/1b2c3d4e-f.png", [box(1, 1, 5, 5)])]
    with pytest.raises(LabelError, match=r"there are 2 images f\.png"):
        take(store, folder, content, root=folder / "twice")


def test_regions_of_coco_are_kept_and_of_a_crowd_nothing_is_known(store: FeedbackStore, folder: Path) -> None:
    counts = [20 * 100 + 10, 30, SIZE[0] * SIZE[1] - 2040]
    take(
        store,
        folder,
        coco(
            {"bbox": [20, 10, 40, 30], "segmentation": [[20, 10, 60, 10, 20, 40]]},
            {"segmentation": {"size": [100, 200], "counts": counts}},
            {"bbox": [100, 10, 40, 30], "iscrowd": 1},
            {"bbox": [150, 10, 4, 3], "segmentation": [[150, 10, 154, 10, 154, 13, 150, 13]]},
        ),
    )
    assert sorted(drawn(store)["a.png"]) == [
        (20, 10, 21, 40, 30),
        (20, 10, 60, 40, pytest.approx(600, rel=0.02)),
        (100, 10, 140, 40, None),
        (150, 10, 154, 13, None),
    ]
    assert len(store.mentored_images()[0].answers) == 3
    assert store.next_items(1, "me") == []
    (path,) = export_store(store, "coco", folder / "out")
    assert [one["iscrowd"] for one in json.loads(path.read_text())["annotations"]].count(1) == 1


def test_sizes_of_the_header_are_taken_and_others_named(store: FeedbackStore, folder: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (64, 48)).save(folder / "turned.jpg", exif=exif)
    region = {"bbox": [4, 30, 20, 16], "segmentation": [[4, 30, 24, 30, 24, 46, 4, 46]]}
    take(store, folder, coco(region, file_name="turned.jpg", width=64, height=48))
    assert drawn(store)["turned.jpg"] == [(4, 30, 24, 46, None)]
    with pytest.raises(LabelError, match=r"for 128x96 pixels but the upright image .* has 48x64"):
        take(store, folder, coco(region, file_name="turned.jpg", width=128, height=96))


def test_bad_entries_are_named_together_and_left_out_where_asked(store: FeedbackStore, folder: Path) -> None:
    good = {"bbox": [20, 10, 40, 30]}
    bad = [
        {"bbox": [0.0, 47.4, 0.0, 30.2]},
        {"bbox": [120, 30, 12, 9], "segmentation": [[120, 30, 132, 39]]},
        {"segmentation": [[2**31, 2**31, 2**31 + 9, 2**31, 2**31, 2**31 + 9]]},
        {"segmentation": {"size": [100, 200], "counts": "\x7fgarbage"}},
        {"segmentation": {"size": [100, 200], "counts": [2**40, 5]}},
        {"bbox": [1, 2, float("nan"), 4]},
        {"bbox": good["bbox"], "category_id": 9},
        {"bbox": good["bbox"], "image_id": 7},
        {"bbox": "everywhere"},
        {"bbox": [80, 30, 12, 9], "segmentation": [[]]},
        {"bbox": [150, 40, 8, 9], "segmentation": [[150, 40], [150, 40, 158, 40, 158, 49]]},
        {"bbox": [0, 0, 0, 0], "segmentation": [[20, 50, 60, 50, 60, 80, 20, 80]]},
    ]
    content = coco(good, *bad)
    with pytest.raises(LabelError, match="12 entries cannot be taken over, so nothing was") as caught:
        take(store, folder, content)
    assert all(f"annotations id {number}:" in str(caught.value) for number in range(4, 11))
    assert "stands in" not in str(caught.value)
    assert store.runs() == []
    said = take(store, folder, content, on_error="skip")
    assert "8 entries left out" in said
    assert "4 entries taken in another way: annotations id 3: a polygon of 2 points (its box stands in); " in said
    assert sorted(drawn(store)["a.png"]) == [
        (20, 10, 60, 40, None),
        (20, 50, 60, 80, None),
        (80, 30, 92, 39, None),
        (120, 30, 132, 39, None),
        (150, 40, 158, 49, pytest.approx(36, abs=8)),
    ]


def test_a_yolo_set_of_another_tool_is_read(store: FeedbackStore, folder: Path) -> None:
    root = folder / "set"
    for name in ("images", "labels"):
        (root / "train" / name).mkdir(parents=True)
    (folder / "a.png").replace(root / "train" / "images" / "a.png")
    (folder / "b.png").replace(root / "train" / "images" / "b.png")
    (root / "data.yaml").write_text("nc: 2\nnames: [dent, 'pit #2']\n")
    lines = "1 0.5 0.5 0.1 0.2\n0 0.1 0.1 0.3 0.1 0.1 0.4\n0 0.5 0.1 0.6 0.1 0.6 0.2 0.5 0.2\n"
    (root / "train" / "labels" / "a.txt").write_text(lines)
    import_into(store, root, "me")
    assert sorted(drawn(store)["a.png"]) == [
        (20, 10, 59, 40, pytest.approx(600, rel=0.02)), (90, 40, 110, 60, None), (100, 10, 120, 20, None),
    ]  # fmt: skip
    assert {one.shown_class for one in store.detections(1)} == {"dent", "pit #2"}
    (root / "train" / "labels" / "lost.txt").write_text("")
    with pytest.raises(LabelError, match=r"train/labels/lost\.txt: there is no image of this name"):
        import_into(store, root / "data.yaml", "me")
    (root / "data.yaml").write_text("kpt_shape: [17, 3]\nnames: [person]\n")
    with pytest.raises(LabelError, match="describes keypoints"):
        import_into(store, root, "me")


def test_what_a_yolo_export_must_not_touch_is_left_alone(store: FeedbackStore, folder: Path) -> None:
    take(store, folder, coco({"bbox": [20, 10, 40, 30]}))
    (folder / "mine" / "images").mkdir(parents=True)
    with pytest.raises(AppraiseError, match="no export wrote it"):
        export_store(store, "yolo", folder / "mine")
    for _ in range(2):
        export_store(store, "yolo", folder / "out")
    assert [one.name for one in (folder / "out" / "images").iterdir()] == ["a.png"]


HEAD = (
    "image_path,image_sha256,image_width,image_height,image_domain,run_checkpoint_sha256,run_data_sha256,"
    "run_thresholds_json,run_created,detection_id,detection_origin,detection_class,detection_score,detection_margin,"
    "detection_entropy,detection_mc_dropout,detection_x1,detection_y1,detection_x2,detection_y2,detection_rle,"
    "detection_anchor_boxes,answer_client_id,answer_scope,answer_verdict,answer_class,answer_annotator,"
    "answer_milliseconds,answer_created,answer_undoes"
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_path": "/dev/zero"}, "image_path '/dev/zero' is no regular file"),
        ({"image_path": "FIFO"}, "image_path .* is no regular file"),
        ({"answer_created": "yesterday"}, "answer_created 'yesterday' is no time"),
        ({"answer_class": "nosuch"}, "answer_class 'nosuch' is no class of its run"),
        ({"detection_class": "nosuch"}, "detection_class 'nosuch' is no class of its run"),
        ({"run_thresholds_json": "5"}, "run_thresholds_json '5' is no object"),
        ({"run_thresholds_json": "[" * 9999}, "run_thresholds_json"),
        ({"detection_rle": "\x7f"}, "detection_rle"),
        ({"detection_anchor_boxes": "[[1]]"}, "detection_anchor_boxes"),
        ({"detection_x1": "nan"}, "detection_x1"),
        ({"detection_x2": "900"}, "detection_x2 '900' .* outside an image of 200x100"),
        ({"detection_rle": "04"}, "detection_rle '04' is no region: run lengths that do not fill 200x100"),
        ({"answer_verdict": "reject"}, "answer_class 'dent' does not go with the verdict reject"),
        ({"detection_id": "x"}, "id 'x' is no whole number"),
        ({"answer_undoes": "nobody"}, "nobody"),
    ],
)
def test_a_cell_of_a_table_that_says_nothing_is_named(
    store: FeedbackStore, folder: Path, change: dict[str, str], message: str
) -> None:
    import csv

    right = dict.fromkeys(HEAD.split(","), "") | {
        "image_path": str(folder / "a.png"), "image_sha256": "a" * 64, "image_width": "200", "image_height": "100",
        "image_domain": "1", "run_checkpoint_sha256": "c" * 64, "run_data_sha256": "d" * 64,
        "run_thresholds_json": '{"dent": 0.5}', "run_created": "2026-11-29T20:51:09+00:00", "detection_id": "1",
        "detection_origin": "model", "detection_class": "dent", "detection_score": "0.7", "detection_x1": "1.0",
        "detection_y1": "2.0", "detection_x2": "30.0", "detection_y2": "40.0", "detection_anchor_boxes": "[]",
        "answer_client_id": "abcdefgh1", "answer_scope": "detection", "answer_verdict": "confirm",
        "answer_class": "dent", "answer_annotator": "'=cmd|' /C calc'!A0",
        "answer_created": "2026-11-29T20:51:09+00:00",
    }  # fmt: skip
    os.mkfifo(folder / "fifo.png")
    if change.get("image_path") == "FIFO":
        change = {"image_path": str(folder / "fifo.png")}

    def write(name: str, row: dict[str, str]) -> Path:
        with (folder / name).open("w", newline="") as stream:
            writer = csv.DictWriter(stream, right)
            writer.writeheader()
            writer.writerow(row)
        return folder / name

    with pytest.raises(LabelError, match=f"(?s)wrong.csv, line 2.*{message}"):
        import_into(store, write("wrong.csv", right | change), "me")
    assert store.images() == []
    import_into(store, write("right.csv", right), "me")
    assert store.answers()[0].annotator == "=cmd|' /C calc'!A0"  # quoted for spreadsheets alone
    (table,) = export_store(store, "csv", folder / "out")
    assert table.read_text().splitlines()[1] == (folder / "right.csv").read_text().splitlines()[1]


def test_a_list_of_coco_results_is_told_from_tasks(store: FeedbackStore, folder: Path) -> None:
    with pytest.raises(LabelError, match="is a list of COCO results"):
        take(store, folder, [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "score": 0.5}])


def test_a_store_from_elsewhere_is_looked_at_row_by_row(store: FeedbackStore, folder: Path) -> None:
    take(store, folder, coco({"bbox": [20, 10, 40, 30]}))
    with FeedbackStore(folder / "other.sqlite", create=True) as other:
        store.connection.execute("UPDATE image SET path = '/dev/zero'")
        with pytest.raises(LabelError, match=r"s\.sqlite, detection 1 .* image_path '/dev/zero' is no regular file"):
            import_into(other, store.path, "me")
        assert other.images() == []


def test_no_json_ends_in_a_traceback(tmp_path: Path, folder: Path) -> None:
    """Values by chance at places by chance; what is taken over can be exported."""
    chance = random.Random(1)
    mask = brush_of(rectangle((30.0, 20.0), (40.0, 10.0), 0.0, SIZE))
    found = {"predictions": [{"result": [box(1, 1, 9, 9) | {"score": 0.5}]}]}
    scored = {"bbox": [20, 10, 40, 30], "segmentation": [[20, 10, 60, 10, 20, 40]], "score": 0.5}
    whole = [
        coco(scored, {"bbox": [1, 1, 9, 9]}),
        [
            task("a.png", [box(1, 1, 9, 9), shape("brush", name="b", format="rle", rle=mask[:60])], [], **found),
            task("b.png", [shape("polygon", points=[[10, 10], [30, 10], [10, 40]])]),
        ],
    ]  # fmt: skip
    odd = [None, -1, 0, 2**63, 1e308, float("nan"), "", "x", "a.png", [], {}, [[]], True, ["a"], {"a": 1}, "\udce4"]
    refused, stores = 0, 0
    for number in range(120):
        content = copy.deepcopy(whole[number % 2])
        for _ in range(chance.randrange(1, 3)):
            _spoil(content, chance, odd)
        (tmp_path / "labels.json").write_text(json.dumps(content))
        with closing(FeedbackStore(tmp_path / f"{stores}.sqlite", create=True)) as store:
            store.connection.execute("PRAGMA synchronous = OFF")
            try:
                import_into(store, tmp_path / "labels.json", "me", on_error=chance.choice(("skip", "fail")))
            except AppraiseError:
                refused += 1
                assert store.runs() == []
            else:
                stores += 1
                export_store(store, "coco", tmp_path / "out")
    assert min(refused, stores) > 20


def _spoil(content: Any, chance: random.Random, odd: list[Any]) -> None:
    places = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    walk(content)
    node, key = chance.choice(places)
    node[key] = chance.choice(odd)
