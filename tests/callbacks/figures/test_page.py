"""The builder of HTML pages: names stay text, the page is whole, and a browser sorts and filters it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from callbacks.figures.page import Page
from tests.datamodules.feedback.helpers import browser

HOSTILE = [
    "<script>document.title = 'broken in'</script>",
    "<img src=x onerror=\"document.title = 'broken in'\">",
    "\" autofocus onfocus=\"document.title = 'broken in'",
    "</td></tr></table></title></style><!--",
    "&lt;already&gt; &amp; ]]>",
    "\udcff\x00\x1b[31m.mp4",
    "\u202egnp.\u05d0",
]
VOID = {"meta", "img", "input"}


class Reader(HTMLParser):
    """Elements and texts of a page; a tag that is not closed in its place is an error."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.seen.append(tag)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def png() -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), 200, np.uint8)).save(stream, format="PNG")
    return stream.getvalue()


def page_of(names: list[str], title: str = "results") -> Page:
    page = Page(title)
    page.add_heading(names[0])
    page.add_paragraph(names[0])
    page.add_list(names)
    rows = [[name, number * 1.5 if number else None] for number, name in enumerate(names)]
    page.add_table(["name", names[0]], rows, marked=[1])
    page.add_table(["name", names[0]], rows, still=True)
    page.add_picture(png(), names[0])
    return page


def test_a_page_is_whole_and_hostile_names_stay_text() -> None:
    plain, hostile = Reader(), Reader()
    plain.feed(page_of([f"name {number}" for number in range(len(HOSTILE))]).html())
    hostile.feed(page_of(HOSTILE, HOSTILE[3]).html())
    assert plain.open == hostile.open == []
    assert hostile.seen == plain.seen  # not one element more
    assert plain.seen.count("script") == 1
    for name in HOSTILE[:5]:
        assert hostile.texts.count(name) >= 2  # in the list and in the table


def test_a_page_asks_for_nothing_outside_it(tmp_path: Path) -> None:
    page_of(HOSTILE).write(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text(encoding="utf-8")  # a name that is no UTF-8 does not stop it
    assert "default-src 'none'" in text
    assert "unsafe-inline" not in text
    assert "http://" not in text
    assert "https://" not in text
    assert text.count('src="data:image/png;base64,') == 1


def test_what_does_not_fit_is_an_error() -> None:
    with pytest.raises(ValueError, match="a row has 1 cells, but the table has 2 columns"):
        Page("a").add_table(["a", "b"], [["only one"]])
    with pytest.raises(ValueError, match="neither PNG nor JPEG"):
        Page("a").add_picture(b"<svg onload=alert(1)>", "a drawing")


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with browser() as opened:  # skipped where there is none
        yield opened


def open_page(chrome: Any, page: Page, path: Path) -> Any:
    page.write(path)
    opened = chrome.new_page()
    opened.said = []
    opened.on("console", lambda message: opened.said.append(message.text))  # a policy that is broken says so
    opened.on("pageerror", lambda error: opened.said.append(str(error)))
    opened.goto(path.as_uri())
    return opened


def first_cells(opened: Any) -> list[str]:
    found: list[str] = opened.eval_on_selector_all(
        "tbody tr:not([hidden])", "rows => rows.map(r => r.cells[0].innerText)"
    )
    return found


def test_a_browser_sorts_and_filters(chrome: Any, tmp_path: Path) -> None:
    page = Page("modes")
    rows = [["sample 10", 0.5], ["sample 9", 0.09], ["mean", None], ["paper", -2.0], ["nearest", float("nan")]]
    page.add_table(["mode", "agreement"], rows, digits=1)
    opened = open_page(chrome, page, tmp_path / "page.html")
    agreement, mode = opened.get_by_role("button", name="agreement"), opened.get_by_role("button", name="mode")
    agreement.click()
    assert first_cells(opened) == ["sample 10", "sample 9", "paper", "mean", "nearest"]
    agreement.click()
    assert first_cells(opened) == ["paper", "sample 9", "sample 10", "mean", "nearest"]  # missing ones stay last
    mode.click()
    assert first_cells(opened) == ["mean", "nearest", "paper", "sample 9", "sample 10"]
    assert opened.get_attribute("th:nth-child(1)", "aria-sort") == "ascending"
    assert opened.get_attribute("th:nth-child(2)", "aria-sort") is None
    opened.get_by_label("filter rows").fill("SAMPLE 0.1")
    assert first_cells(opened) == ["sample 9"]  # every word, in any cell, as it is shown
    assert opened.inner_text("output") == "1 of 5"
    opened.get_by_label("filter rows").fill("")
    assert len(first_cells(opened)) == 5
    assert opened.said == []
    opened.close()


def test_a_browser_runs_nothing_of_a_hostile_name(chrome: Any, tmp_path: Path) -> None:
    opened = open_page(chrome, page_of(HOSTILE), tmp_path / "page.html")
    assert opened.title() == "results"
    assert opened.eval_on_selector_all("img", "images => images.map(image => image.naturalWidth)") == [8]
    assert first_cells(opened)[:5] == HOSTILE[:5]
    assert opened.said == []
    opened.close()


def test_the_policy_stops_a_script_that_got_in(chrome: Any, tmp_path: Path) -> None:
    page = Page("results")
    page._parts.append(f"{HOSTILE[0]}{HOSTILE[1]}<img src='https://example.org/a.png'>")  # as if nothing were escaped
    opened = open_page(chrome, page, tmp_path / "page.html")
    assert opened.title() == "results"
    assert any("Content Security Policy" in line for line in opened.said)
    opened.close()
