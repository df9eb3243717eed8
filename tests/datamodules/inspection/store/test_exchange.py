"""Answers leave a store in four formats and come back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pycocotools.coco import COCO

from cli import COMMANDS
from datamodules.common.errors import ConfigurationError, LabelError, StoreError
from datamodules.common.fingerprint import file_sha256
from datamodules.inspection.batch import Detection
from datamodules.inspection.labels.sources import ImageSources
from datamodules.inspection.settings import InspectionDataSettings
from datamodules.inspection.store.exchange.formats import export_store, import_into
from datamodules.inspection.store.exchange.regions import rectangle, rle_of
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.order import ORDERS
from lightning_modules.commands.front.help_text import command_help
from lightning_modules.commands.mentoring import ask as mentor_command

CLASSES = ["dent", "scratch", "pit"]
BOXES = ((8.0, 8.0, 24.0, 24.0), (40.0, 4.0, 60.0, 40.0), (16.0, 30.0, 24.0, 40.0))
REGIONS = [rle_of(rectangle((x1, y1), (x2 - x1, y2 - y1), 0.0, (64, 48))) for x1, y1, x2, y2 in BOXES]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    """Three images of three detections: one confirmed, rejected, re-classed; one open; the third image healthy."""
    with FeedbackStore(tmp_path / "store.sqlite", create=True) as opened:
        run = opened.start_run("c" * 64, "d" * 64, dict.fromkeys(CLASSES, 0.5))
        for number in range(3):
            path = tmp_path / f"{number}.png"
            Image.new("RGB", (64, 48), (number, 9, 9)).save(path)
            image = opened.add_image(path, file_sha256(path), 64, 48, 1)
            found = [Detection(index, 0.6, box, 0.1, 0.3, rle=REGIONS[index]) for index, box in enumerate(BOXES)]
            opened.add_detections(run, image, found, CLASSES)
        verdicts = [(1, 1, "confirm", None), (2, 1, "reject", None), (3, 1, "reclass", "dent"), (4, 2, "confirm", None)]
        for detection, image, verdict, name in verdicts:
            opened.answer(
                client_id=f"a{detection}", run_id=run, image_id=image, detection_id=detection, verdict=verdict,
                class_name=name, annotator="anna", milliseconds=5,
            )  # fmt: skip
        opened.undo(4, client_id="u4", annotator="anna")
        opened.add_missed(client_id="m", run_id=run, image_id=2, class_name="pit", box=(1, 2, 11, 12), annotator="anna")
        opened.answer(client_id="h", run_id=run, image_id=3, verdict="healthy", annotator="anna")
        yield opened


def test_images_that_are_not_answered_yet_are_no_background_of_a_training(store: FeedbackStore, tmp_path: Path) -> None:
    (file,) = export_store(store, "coco", tmp_path / "out")
    sources = ImageSources(InspectionDataSettings(labels=str(file), label_format="coco"))
    images = sources.load(sources.class_names() or ())
    assert {Path(image.path).name: image.labelled for image in images} == {"0.png": True, "1.png": False, "2.png": True}
    assert [finding.status for finding in sources.findings.found] == ["note"]
    assert "1 of 3 images say answered false" in sources.findings.found[0].text


def test_a_table_of_answers_is_checked_and_safe_in_a_spreadsheet(tmp_path: Path) -> None:
    names = ["=HYPERLINK(1)", "'-x", "plain"]
    with FeedbackStore(tmp_path / "one.sqlite", create=True) as store:
        run = store.start_run("c" * 64, "d" * 64, {"dent": 0.5})
        for name in names:
            image = store.add_image(tmp_path / f"{name}.png", "a" * 64, 64, 48, 1)
            (row,) = store.add_detections(run, image, [Detection(0, 0.6, BOXES[0], -0.1, 0.3)], ["dent"])
            ids = {"run_id": run, "image_id": image, "detection_id": row}
            store.answer(client_id=name, verdict="confirm", annotator="@a", **ids)
        (table,) = export_store(store, "csv", tmp_path)
    text = table.read_text()
    assert all(part in text for part in (",'=HYPERLINK(1),", ",''-x,", ",plain,", ",'@a,", ",-0.1,"))
    with FeedbackStore(tmp_path / "two.sqlite", create=True) as other:
        import_into(other, table, "nobody")
        assert [one.client_id for one in other.answers()] == names
        assert {one.annotator for one in other.answers()} == {"@a"}
        for old, new, said in (
            (str(tmp_path / "plain.png"), str(tmp_path), "line 4: .*image_path .* no regular file"),
            ('""dent"": 0.5', '""dent"": true', "line 2: .*run_thresholds_json .* a number for each class"),
            ('"{""dent"": 0.5}"', "5", "run_thresholds_json '5' is no object"),
            (",model,dent,", ",model,dnt,", "detection_class 'dnt' is no class of its run, which knows dent"),
            ("confirm,dent,", "confirm,dnt,", "answer_class 'dnt'"),
            ("a" * 64, "b", "image_sha256 'b' is no SHA-256"),
            ("T", " at ", "run_created .* is no time"),
            ("[]", "[[1]]", "detection_anchor_boxes"),
            (",0.6,", ",0_6,", "score '0_6' is no number"),
        ):
            table.write_text(text.replace(old, new))
            with pytest.raises(LabelError, match=said):
                import_into(other, table, "nobody")
        assert len(other.answers()) == 3


def truths(store: FeedbackStore) -> list[tuple[str, bool, list[tuple[str, str | None, tuple[float, ...]]]]]:
    return [
        (
            Path(image.path).name,
            image.is_healthy,
            [(one.shown_class, one.truth, tuple(round(value, 2) for value in one.box)) for one in image.answers],
        )
        for image in store.mentored_images()
    ]


def test_csv_brings_every_row_back(store: FeedbackStore, tmp_path: Path) -> None:
    (table,) = export_store(store, "csv", tmp_path / "out")
    with FeedbackStore(tmp_path / "other.sqlite", create=True) as other:
        for _ in range(2):
            import_into(other, table, "ben")
            assert truths(other) == truths(store)
            assert [(one.client_id, one.verdict, one.created) for one in other.answers()] == [
                (one.client_id, one.verdict, one.created) for one in store.answers()
            ]
            assert len(other.detections(1)) == 10
        assert other.detections(1)[0].rle == REGIONS[0]


@pytest.mark.parametrize(("form", "name"), [("coco", "annotations.json"), ("label-studio", "tasks.json")])
def test_verdicts_survive_a_round_trip(store: FeedbackStore, tmp_path: Path, form: str, name: str) -> None:
    export_store(store, form, tmp_path / "out")  # type: ignore[arg-type]
    with FeedbackStore(tmp_path / "other.sqlite", create=True) as other:
        for _ in range(2):  # a repeat changes nothing
            import_into(other, tmp_path / "out" / name, "ben")
            assert [(*image[:2], sorted(image[2])) for image in truths(other)] == [
                (*image[:2], sorted(image[2])) for image in truths(store)
            ]
        run = other.run()
        assert len([one for one in other.detections(run.id) if one.origin == "model"]) == 9
        annotator = "ben" if form == "coco" else "anna"  # COCO names nobody
        assert len(other.next_items(run.id, annotator, limit=20)) == 3  # the open ones of the second image


def test_yolo_keeps_defects_and_healthy_images(store: FeedbackStore, tmp_path: Path) -> None:
    export_store(store, "yolo", tmp_path / "out")
    assert (tmp_path / "out" / "labels" / "2.txt").read_text() == ""
    assert (tmp_path / "out" / "labels" / "0.txt").read_text().split()[:2] == ["0", "0.25"]
    with FeedbackStore(tmp_path / "other.sqlite", create=True) as other:
        import_into(other, tmp_path / "out", "ben")
        found = {
            name: (healthy, [(truth, box) for _, truth, box in answers]) for name, healthy, answers in truths(other)
        }
        assert found["0.png"] == (False, [("dent", BOXES[0]), ("dent", BOXES[2])])
        assert found["1.png"] == (False, [("pit", (1, 2, 11, 12))])
        assert found["2.png"] == (True, [])


def test_pycocotools_reads_the_coco_file(store: FeedbackStore, tmp_path: Path) -> None:
    (path,) = export_store(store, "coco", tmp_path / "out")
    coco = COCO(str(path))
    assert len(coco.anns) == 3
    assert sorted(coco.loadCats(one["category_id"])[0]["name"] for one in coco.anns.values()) == ["dent", "dent", "pit"]
    for one in coco.anns.values():
        assert one["area"] == coco.annToMask(one).sum()
    assert [one["answered"] for one in coco.imgs.values()] == [True, False, True]
    assert coco.dataset["info"]["description"]


def test_predictions_of_another_tool_are_questions(store: FeedbackStore, tmp_path: Path) -> None:
    content = {
        "images": [{"id": 7, "file_name": "0.png"}],
        "categories": [{"id": 3, "name": "dent"}],
        "annotations": [{"image_id": 7, "category_id": 3, "bbox": [1, 2, 10, 10], "score": 0.75}],
    }
    (tmp_path / "found.json").write_text(json.dumps(content))
    with FeedbackStore(tmp_path / "other.sqlite", create=True) as other:
        import_into(other, tmp_path / "found.json", "ben")
        (item,) = other.next_items(1, "ben")
        assert (item.shown_class, item.box, item.score) == ("dent", (1, 2, 11, 12), 0.75)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.json", "{", "not valid JSON"),
        ("a.json", "{}", "no COCO file"),
        ("a.json", "[1]", "no list of Label Studio tasks"),
        ("a.json", '{"images": [{"id": 1, "file_name": "no.png"}], "categories": []}', "there is no image no.png"),
        ("a.csv", "path,verdict\n", "the header lacks image_path"),
        ("a.txt", "x", "no format that is known"),
        ("b.json", None, "there is no"),
    ],
)
def test_malformed_files_are_named(
    store: FeedbackStore, tmp_path: Path, name: str, text: str | None, message: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(LabelError, match=message):
        import_into(store, tmp_path / name, "ben")


def test_a_malformed_line_is_named_and_nothing_is_taken_over(store: FeedbackStore, tmp_path: Path) -> None:
    (table,) = export_store(store, "csv", tmp_path / "out")
    table.write_text(table.read_text().replace("confirm", "maybe", 1))
    with FeedbackStore(tmp_path / "other.sqlite", create=True) as other:
        with pytest.raises(LabelError, match=r"answers.csv, line \d+"):
            import_into(other, table, "ben")
        assert other.runs() == []
    folder = tmp_path / "yolo"
    export_store(store, "yolo", folder)
    (folder / "labels" / "0.txt").write_text("0 0.5 0.5 0.1 0.1\n0 0.5 7 0.1 0.1\n")
    with pytest.raises(LabelError, match=r"0.txt, line 2"):
        import_into(store, folder, "ben")


def test_an_image_of_another_size_is_refused(store: FeedbackStore, tmp_path: Path) -> None:
    (path,) = export_store(store, "coco", tmp_path / "out")
    Image.new("RGB", (32, 32)).save(tmp_path / "0.png")
    with pytest.raises(LabelError, match=r"labels are for 64x48 pixels but the upright image .* has 32x32"):
        import_into(store, path, "ben")


def test_the_command(store: FeedbackStore, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--store", str(store.path)]
    assert mentor_command.run("mentor", [*options, "--export", "csv", "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.strip().endswith("answers.csv")
    new = ["--store", str(tmp_path / "new.sqlite")]
    assert mentor_command.run("mentor", [*new, "--import", str(store.path)]) == 0
    assert "1 run, 10 detections and 7 answers" in capsys.readouterr().out
    assert mentor_command.run("mentor", [*options, "--agreement"]) == 0
    assert "0 questions answered by two or more" in capsys.readouterr().out
    with pytest.raises(StoreError, match="there is no feedback store"):
        mentor_command.run("mentor", ["--store", str(tmp_path / "none.sqlite")])
    for wrong in (["--export", "csv"], ["--order", "best"], ["--nothing"]):
        with pytest.raises(ConfigurationError):
            mentor_command.run("mentor", [*options, *wrong])


def test_the_help_names_every_option() -> None:
    text = command_help("mentor", COMMANDS["mentor"][1])
    for action in mentor_command.build_parser()._actions:
        assert any(option in text for option in action.option_strings)
    for order in ORDERS:
        assert order in text


def test_what_still_holds_questions_is_said(store: FeedbackStore, tmp_path: Path, caplog: Any) -> None:
    export_store(store, "yolo", tmp_path / "out")
    assert (
        "1 of 3 images hold detections that nobody answered, or that people disagree on: those without" in caplog.text
    )


def test_exports_of_an_earlier_release_are_read(store: FeedbackStore, tmp_path: Path) -> None:
    old = tmp_path / "old"
    (old / "labels").mkdir(parents=True)
    (old / "classes.txt").write_text("dent\n")
    (old / "images.txt").write_text(f"{tmp_path}/0.png\n{tmp_path}/1.png\n")
    (old / "labels" / "0.txt").write_text("0 0.5 0.5 0.25 0.5\n")
    (old / "labels" / "1.txt").write_text("")
    size = {"original_width": 64, "original_height": 48}
    value = {"x": 25, "y": 25, "width": 50, "height": 50, "rotation": 0, "rectanglelabels": ["dent"]}
    result = [{"id": f"d{n}", "type": "rectanglelabels", "score": 0.6, "value": value, **size} for n in (1, 2)]
    task = {
        "data": {"image": "/data/local-files/?d=nowhere"},
        "meta": {"path": f"{tmp_path}/0.png", "domain": 1, "healthy": False, "open": ["d2"]},
        "predictions": [{"result": result}],
        "annotations": [{"result": result[:1]}],
    }
    (tmp_path / "tasks.json").write_text(json.dumps([task]))
    for source, expected in ((old, [(False, ["dent"]), (True, [])]), (tmp_path / "tasks.json", [(False, ["dent"])])):
        with FeedbackStore(tmp_path / f"{source.stem}.sqlite", create=True) as other:
            import_into(other, source, "ben")
            assert [(healthy, [one[1] for one in answers]) for _, healthy, answers in truths(other)] == expected


def test_an_import_that_the_store_refuses_takes_nothing_over(store: FeedbackStore, tmp_path: Path) -> None:
    export_store(store, "coco", tmp_path / "out")
    with FeedbackStore(tmp_path / "other.sqlite", create=True) as other:
        with pytest.raises(StoreError, match="needs the name of its annotator"):
            import_into(other, tmp_path / "out" / "annotations.json", "")
        assert other.images() == []
        assert other.answers() == []


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"classes.txt": b"dent"}, "is no YOLO folder"),
        ({"classes.txt": b"dent", "labels/0.txt": b"dent 1 2\n"}, r"0\.txt, line 1: 'dent 1 2' is not `class x y"),
        ({"classes.txt": b"\xff", "labels/0.txt": b""}, r"classes\.txt, line 1: byte 0xff is no UTF-8"),
        ({"classes.txt": b"dent", "labels/0.txt": b"\xff"}, r"0\.txt, line 1: byte 0xff is no UTF-8"),
    ],
)
def test_what_is_wrong_with_a_yolo_folder_is_named(files: dict[str, bytes], message: str, tmp_path: Path) -> None:
    folder = tmp_path / "yolo"
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "images").mkdir()
    Image.new("RGB", (8, 8)).save(folder / "images" / "0.png")
    with FeedbackStore(tmp_path / "other.sqlite", create=True) as other, pytest.raises(LabelError, match=message):
        import_into(other, folder, "ben")


def test_tasks_without_a_label_are_named(store: FeedbackStore, tmp_path: Path) -> None:
    path = tmp_path / "tasks.json"
    path.write_text(json.dumps([{"data": {"image": str(tmp_path / "0.png")}, "annotations": []}]))
    with pytest.raises(LabelError, match="holds no labelled region"):
        import_into(store, path, "ben")
