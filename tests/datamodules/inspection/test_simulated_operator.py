"""The simulated operator answers by the labels, makes the errors it was asked for and is never asked twice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.common.errors import ConfigurationError, LabelError, StoreError
from datamodules.inspection.batch import Box, Detection
from datamodules.inspection.labels.records import LabelledImage
from datamodules.inspection.simulated_operator import SimulatedSession, simulate_answers
from datamodules.inspection.store.feedback import FeedbackStore
from tests.datamodules.samples import rle

NAMES = ("scratch", "dent")
SIZE = 48


def region(top: int, left: int, class_index: int, *, as_box: bool = False) -> Detection:
    pixels = np.zeros((SIZE, SIZE), np.uint8)
    pixels[top : top + 16, left : left + 16] = 1
    box: Box = (left, top, left + 16, top + 16)
    return Detection(
        class_index=class_index, score=0.8, box=box, margin=0.3, entropy=0.5, rle=None if as_box else rle(pixels)
    )


class Line:
    """A store with one run over images whose defect, if any, lies at the upper left."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = FeedbackStore(folder / "feedback.sqlite", create=True)
        self.run = self.store.start_run("c" * 64, "d" * 64, dict.fromkeys(NAMES, 0.5))
        self.images: list[LabelledImage] = []

    def add(self, defect: int | None, *detections: Detection, labelled: bool = True) -> None:
        number = len(self.images)
        image, mask = self.folder / f"{number}.png", self.folder / f"{number}_mask.png"
        Image.fromarray(np.full((SIZE, SIZE, 3), number, np.uint8)).save(image)
        drawn = np.zeros((SIZE, SIZE), np.uint8)
        if defect is not None:
            drawn[:16, :16] = defect + 1
        Image.fromarray(drawn).save(mask)
        known = LabelledImage(
            path=str(image),
            name=image.name,
            domain=1,
            split="train",
            group=image.name,
            mask=str(mask),
            is_healthy=defect is None,
            labelled=labelled,
        )
        self.images.append(known)
        row = self.store.add_image(image, f"{number:064d}", SIZE, SIZE, 1)
        self.store.add_detections(self.run, row, detections, NAMES)

    def answer(self, **options: object) -> SimulatedSession:
        return simulate_answers(self.store, self.run, self.images, **options)  # type: ignore[arg-type]


@pytest.fixture
def line(tmp_path: Path) -> Line:
    made = Line(tmp_path)
    made.add(0, region(0, 0, 0), region(32, 32, 0))
    made.add(1, region(0, 0, 0), region(0, 0, 1, as_box=True))
    made.add(None, region(8, 8, 1))
    return made


def test_answers_follow_the_labels(line: Line) -> None:
    session = line.answer(seconds_per_answer=6)
    assert session == SimulatedSession(
        answers=5, accepted=2, rejected=3, reclassed=0, flagged=1, images=3, minutes=pytest.approx(0.5)
    )
    mentored = line.store.mentored_images()
    assert [[answer.truth for answer in image.answers] for image in mentored] == [
        ["scratch", None],
        [None, "dent"],
        [None],
    ]
    assert [image.is_healthy for image in mentored] == [False, False, True]
    assert {answer.milliseconds for answer in line.store.answers() if answer.detection_id} == {6000}


def test_the_right_class_on_demand(line: Line) -> None:
    assert line.answer(corrects_class=True).reclassed == 1
    assert line.store.mentored_images()[1].answers[0].truth == "dent"


def test_a_second_session_changes_nothing(line: Line) -> None:
    first = line.answer()
    before = line.store.answers()
    assert line.answer() == first
    assert line.answer(error_rate=1.0) == first, "what was answered stands"
    assert line.store.answers() == before


def test_errors_turn_answers_round(line: Line) -> None:
    session = line.answer(error_rate=1.0)
    assert (session.accepted, session.rejected) == (3, 2)
    assert session.flagged == 0, "a defect was confirmed on the healthy image"
    assert line.answer(error_rate=0.5, annotator="other") == line.answer(error_rate=0.5, annotator="other")


def test_errors_come_at_their_rate(tmp_path: Path) -> None:
    line = Line(tmp_path)
    places = [(top, left) for top in (0, 16, 32) for left in (0, 16, 32)]
    for _ in range(20):
        line.add(None, *(region(top, left, index) for top, left in places for index in (0, 1)))
    session = line.answer(error_rate=0.1, healthy_share=0.5)
    assert session.answers == 360
    assert 18 <= session.accepted <= 60
    assert session.flagged <= 15


def test_flags_may_be_withheld(line: Line) -> None:
    assert line.answer(healthy_share=0.0).flagged == 0


def test_images_without_a_detection_are_flagged_too_unless_left_out(line: Line) -> None:
    line.add(None)
    line.add(1)
    assert line.answer(flags_unmined=False).flagged == 1
    session = line.answer()
    assert (session.flagged, session.images, session.answers) == (2, 3, 5)
    assert [image.is_healthy for image in line.store.mentored_images()] == [False, False, True, True]


def test_an_image_without_labels_is_named(line: Line) -> None:
    line.add(0, region(0, 0, 0), labelled=False)
    with pytest.raises(LabelError, match=r"3\.png"):
        line.answer()
    assert line.store.answers() == []


@pytest.mark.parametrize(
    "options",
    [
        {"error_rate": 1.1},
        {"error_rate": -0.1},
        {"accept_share": 0.0},
        {"healthy_share": 2.0},
        {"seconds_per_answer": -1.0},
    ],
)
def test_numbers_out_of_range(line: Line, options: dict[str, float]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        line.answer(**options)


@pytest.mark.parametrize("errors", [(1.0, 0.0), (0.0, 1.0)], ids=["wrong first", "wrong second"])
def test_a_second_run_on_the_same_store_never_contradicts_the_first(line: Line, errors: tuple[float, float]) -> None:
    line.answer(error_rate=errors[0])
    line.run = line.store.start_run("e" * 64, "d" * 64, dict.fromkeys(NAMES, 0.5))
    for image in line.store.images():
        line.store.add_detections(line.run, image.id, [region(24, 24, 0)], NAMES)
    session = line.answer(error_rate=errors[1])
    assert session.answers == 3
    for image in line.store.mentored_images():
        assert not (image.is_healthy and any(answer.truth is not None for answer in image.answers))


def test_an_unknown_run_is_named(line: Line) -> None:
    line.run = 99
    with pytest.raises(StoreError, match="99"):
        line.answer()


def test_an_unknown_image_is_named(line: Line) -> None:
    with pytest.raises(StoreError, match="there is no image 99"):
        line.store.image(99)
