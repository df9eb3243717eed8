"""The page in a real browser against the real server: nothing is lost, nothing is doubled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.rows import StoredAnswer
from tests.running import free_port

from .helpers import CLASSES, Server, browser, make_store, new_page, serving, wait_ready, wait_until


def read(store: Path) -> list[StoredAnswer]:
    with closing(FeedbackStore(store)) as opened:
        return opened.answers()


def settle(page: Any) -> None:
    wait_until(page, "appraise.pending === 0")


def press(page: Any, key: str) -> str:
    """Press a key when a question is painted; the detection that it answers."""
    shown = painted(page)
    page.keyboard.press(key)
    return shown


def painted(page: Any) -> str:
    """Wait for the picture of a question, without which nothing can be answered or zoomed; its detection."""
    shown: str = wait_until(page, "document.getElementById('hint').hidden && stage.dataset.detection")
    return shown


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with browser() as opened:
        yield opened


@pytest.fixture
def opened(tmp_path: Path, chrome: Any) -> Iterator[tuple[Any, Path]]:
    store = make_store(tmp_path, images=6, each=3)
    with serving(store) as server, new_page(chrome) as page:
        page.goto(server.address)
        wait_ready(page)
        yield page, store


@pytest.mark.parametrize("number_of_answers", [100, pytest.param(500, marks=pytest.mark.slow)])
def test_answers_with_undo_reload_and_a_killed_server(number_of_answers: int, tmp_path: Path, chrome: Any) -> None:
    store, port = make_store(tmp_path, images=number_of_answers // 3 + 4, each=3, size=(120, 160)), free_port()
    reloaded = (3 * number_of_answers // 25, 3 * number_of_answers // 5)
    killed = 2 * number_of_answers // 5
    undone = (number_of_answers // 5, killed + 3, reloaded[1] + 1)
    server = Server(store, port)
    asked: dict[str, str] = {}
    try:
        with new_page(chrome) as page:
            page.goto(server.address)
            wait_ready(page)
            for number in range(number_of_answers):
                if number in reloaded:
                    page.reload()
                    wait_ready(page)
                if number == killed:
                    wait_until(page, "appraise.waiting >= 5")  # on a busy machine fewer may be there
                    server.kill()  # kill -9; the questions that wait are answered while there is no server
                if number == killed + 4:
                    assert page.evaluate("appraise.pending") > 0
                    server = Server(store, port)
                if number in undone:  # the last answer is taken back, and given again the other way round
                    page.keyboard.press("Backspace")
                    shown = press(page, "n")
                    assert asked[shown] == "y"
                    asked[shown] = "n"
                key = "y" if number % 3 else "n"
                if number + 1 in undone:
                    key = "y"
                shown = press(page, key)
                assert shown not in asked  # never asked twice
                asked[shown] = key
            settle(page)
    finally:
        server.stop()
    answers = read(store)
    assert len({one.client_id for one in answers}) == len(answers)
    taken_back = {one.undoes for one in answers if one.undoes is not None}
    assert len(taken_back) == 3
    in_force = [one for one in answers if one.undoes is None and one.id not in taken_back]
    assert len(in_force) == number_of_answers
    assert {str(one.detection_id): one.verdict for one in in_force} == {
        shown: "confirm" if key == "y" else "reject" for shown, key in asked.items()
    }
    assert all(one.annotator == "anna" and one.milliseconds is not None for one in answers if one.undoes is None)


def test_answers_of_a_page_that_was_closed_while_the_server_was_down_are_sent_by_the_next(
    tmp_path: Path, chrome: Any
) -> None:
    store, port = make_store(tmp_path, images=4), free_port()
    server = Server(store, port)
    try:
        with new_page(chrome) as page:
            page.goto(server.address)
            wait_ready(page)
            wait_until(page, "appraise.waiting >= 3")
            server.kill()
            for key in ("y", "n", "y"):
                press(page, key)
            wait_until(page, "document.getElementById('saved-text').textContent === '3 kept here'")
            assert read(store) == []
            second = page.context.new_page()
            page.close()
            server = Server(store, port)
            second.goto(server.address)
            wait_ready(second)
            assert [one.verdict for one in read(store)] == ["confirm", "reject", "confirm"]
            assert second.evaluate("document.getElementById('answered').textContent") == "3"
    finally:
        server.stop()


def test_number_key_skip_healthy_and_overlay(opened: tuple[Any, Path]) -> None:
    page, store = opened
    first = press(page, "Shift+Digit2")  # class 12
    skipped = press(page, " ")
    press(page, "h")  # refused: this image has a confirmed defect
    wait_until(page, "document.getElementById('note').textContent.includes('cannot be healthy')")
    settle(page)
    before = page.evaluate("document.getElementById('overlay').getAttribute('aria-pressed')")
    page.keyboard.press("o")
    assert (before, page.evaluate("document.getElementById('overlay').getAttribute('aria-pressed')")) == (
        "true",
        "false",
    )
    with closing(FeedbackStore(store)) as opened_store:
        answers = {str(one.detection_id): one for one in opened_store.answers()}
        assert (answers[first].verdict, answers[first].truth) == ("reclass", "rust")
        assert answers[skipped].verdict == "skip"
        assert len(answers) == 2
    while True:  # every image that is left is healthy; then the skipped question returns, with what was refused
        shown = painted(page)
        image = page.evaluate("document.getElementById('name').textContent")
        if image == "part_0000.jpg":
            break
        press(page, "h")
        wait_until(page, f"stage.dataset.detection !== '{shown}' && appraise.pending === 0")
    assert skipped in {shown, *press_all(page)}


def press_all(page: Any) -> set[str]:
    """Say no until all is done; the questions that were asked."""
    asked: set[str] = set()
    while page.evaluate("document.getElementById('done') === null"):
        if page.evaluate("document.getElementById('hint').hidden && stage.dataset.detection !== ''"):
            asked.add(press(page, "n"))
        settle(page)
        page.wait_for_timeout(50)
    return asked


def test_a_missed_defect_by_click_and_by_drag(opened: tuple[Any, Path]) -> None:
    page, store = opened
    page.keyboard.press("f")  # the whole part
    area = page.locator("#canvas").bounding_box()
    scale = min(area["width"] / 640, area["height"] / 480)
    middle = (area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)

    def at(x: float, y: float) -> tuple[float, float]:
        return middle[0] + (x - 320) * scale, middle[1] + (y - 240) * scale

    page.keyboard.press("m")
    page.mouse.click(*at(200, 200))
    page.keyboard.press("Digit4")
    page.keyboard.press("m")
    page.mouse.move(*at(300, 200))
    page.mouse.down()
    page.mouse.move(*at(340, 210))
    page.mouse.move(*at(380, 260))
    page.mouse.up()
    page.keyboard.press("Enter")
    settle(page)
    shown = page.evaluate("document.getElementById('shown').textContent")
    with closing(FeedbackStore(store)) as opened_store:
        clicked, dragged = (one for one in opened_store.detections(1) if one.origin == "operator")
        assert (clicked.shown_class, dragged.shown_class) == ("crack", shown)
        assert clicked.box == pytest.approx((183, 183, 217, 217), abs=3)
        assert dragged.box == pytest.approx((300, 200, 380, 260), abs=3)
        (image,) = opened_store.mentored_images()
        assert [one.truth for one in image.answers] == ["crack", shown]
    page.keyboard.press("Backspace")
    settle(page)
    with closing(FeedbackStore(store)) as opened_store:
        (image,) = opened_store.mentored_images()
        assert [one.truth for one in image.answers] == ["crack"]


def test_swipes_taps_and_zoom_that_is_kept(tmp_path: Path, chrome: Any) -> None:
    store = make_store(tmp_path, images=4)
    phone = {"viewport": {"width": 390, "height": 780}, "has_touch": True, "is_mobile": True}
    with serving(store) as server, new_page(chrome, **phone) as page:
        page.goto(server.address)
        wait_ready(page)
        remote = page.context.new_cdp_session(page)

        def swipe(dx: int, dy: int) -> None:
            for kind, part in (("touchStart", 0.0), ("touchMove", 0.5), ("touchMove", 1.0), ("touchEnd", None)):
                points = [] if part is None else [{"x": 195 + dx * part, "y": 350 + dy * part}]
                remote.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

        for dx, dy in ((120, 5), (-120, 5), (5, -120), (30, 0)):  # yes, no, skip, too short
            painted(page)
            swipe(dx, dy)
        painted(page)
        page.locator("#zoom-in").tap()
        page.locator("#yes").tap()
        painted(page)
        page.locator("#other").tap()
        page.locator("#chooser .class").nth(4).tap()
        settle(page)
        assert [one.verdict for one in read(store)] == ["confirm", "reject", "skip", "confirm", "reclass"]
        assert zoom(page) == pytest.approx(1.3)
        page.reload()
        wait_ready(page)
        painted(page)
        page.keyboard.press("+")
        assert zoom(page) == pytest.approx(1.69, rel=0.01)


def zoom(page: Any) -> float:
    return float(page.evaluate("JSON.parse(localStorage.getItem('appraise/zoom')).value"))


def test_the_token_in_the_address_opens_the_page_and_leaves_the_address_bar(tmp_path: Path, chrome: Any) -> None:
    store = make_store(tmp_path, images=4, size=(120, 160))
    with serving(store, "--host", "0.0.0.0", "--token", "let-me-in") as server, new_page(chrome) as page:
        page.goto(server.address)
        wait_until(page, "document.getElementById('done')?.textContent.includes('needs its token')")
        page.goto("about:blank")
        page.goto(f"{server.address}#token=let-me-in")
        wait_ready(page)
        assert page.evaluate("location.href") == server.address
        press(page, "y")
        settle(page)
        assert [one.verdict for one in read(store)] == ["confirm"]


def test_two_annotators_and_another_order(opened: tuple[Any, Path]) -> None:
    page, store = opened
    press(page, "y")
    settle(page)
    page.locator("#who").click()
    page.locator("#dialog-input").fill("ben")
    page.keyboard.press("Enter")
    page.wait_for_timeout(100)
    wait_ready(page)
    page.locator("#order").select_option("margin")
    page.wait_for_timeout(100)
    wait_ready(page)
    shown = press(page, "n")
    settle(page)
    with closing(FeedbackStore(store)) as opened_store:
        assert [one.annotator for one in opened_store.answers()] == ["anna", "ben"]
        nearest = min(opened_store.detections(1), key=lambda one: abs(one.margin or 0.0))
        assert shown == str(nearest.id)


def test_an_image_that_changed_cannot_be_answered(tmp_path: Path, chrome: Any) -> None:
    store = make_store(tmp_path, images=4)
    first = tmp_path / "part_0000.jpg"
    first.write_bytes(first.read_bytes() + b"x")
    with serving(store) as server, new_page(chrome) as page:
        page.goto(server.address)
        wait_until(page, "document.getElementById('done')?.textContent.includes('changed since it was mined')")
        page.keyboard.press("y")
        page.keyboard.press("h")
        assert read(store) == []
        for _ in range(3):
            page.keyboard.press(" ")
            page.wait_for_timeout(50)
        press(page, "y")
        settle(page)
        assert [one.verdict for one in read(store)] == ["skip", "skip", "skip", "confirm"]


def test_of_one_class_no_other_is_offered(tmp_path: Path, chrome: Any) -> None:
    store = make_store(tmp_path, images=2, each=3, classes=CLASSES[:1])
    with serving(store) as server, new_page(chrome) as page:
        page.goto(server.address)
        wait_ready(page)
        first = painted(page)
        page.keyboard.press("1")
        settle(page)
        assert painted(page) == first
        title = "document.getElementById('classes-title').textContent"
        assert page.evaluate(f"[{title}, document.querySelector('#classes .class').disabled]") == [
            "The only class",
            True,
        ]
        page.keyboard.press("m")
        page.mouse.click(300, 300)  # is saved without the choice of one
        wait_until(page, "document.getElementById('n-missed').textContent === '1'")
        assert page.locator("#chooser").is_hidden()
        assert press_all(page)
        background = page.evaluate("getComputedStyle(document.getElementById('done')).backgroundColor")
        assert background == "rgb(7, 9, 12)"  # nothing shines through
        settle(page)
    assert next(iter(read(store))).truth == CLASSES[0]
