"""`appraise compare`: where two results differ, on one page."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from lightning_modules.face_benchmark.results.outcome import Outcome
from tests.lightning_modules.commands.conftest import Command
from tests.lightning_modules.face_benchmark.questions import outcome


def result(folder: Path, outcomes: Sequence[Outcome]) -> str:
    folder.mkdir()
    (folder / "answers.jsonl").write_text("".join(f"{one.line()}\n" for one in outcomes))
    return str(folder)


@pytest.fixture
def two(workdir: Path) -> tuple[str, str]:
    """Ten questions: both right on 4, the first alone on 1, the second alone on 3, both wrong alike on 2."""
    first = [outcome(f"set/{place}", place < 5) for place in range(10)]
    second = [outcome(f"set/{place}", place < 4 or 5 <= place < 8) for place in range(10)]
    return result(workdir / "before", first), result(workdir / "after", second[::-1])


def test_the_page_shows_what_differs(appraise: Command, two: tuple[str, str], workdir: Path) -> None:
    ran = appraise("compare", *two)
    assert ran.code == 0
    said = (
        "10 questions answered by both, 4 of them differently: after is right on 3 where before is not, and the other "
        "way round on 1."
    )
    assert ran.out == f"{said}\ncompared.html\n"
    page = (workdir / "compared.html").read_text()
    assert said in page
    shown = re.findall(r"<h2>(set/\d): How many\?</h2>", page)
    assert shown == ["set/5", "set/6", "set/7", "set/4"]  # what the second gained comes first
    (whole,) = re.findall(r"<tr class=marked>(.*?)</tr>", page.replace('"', ""))[:1]
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", whole)
    assert cells[:5] == ["all", "10", "0.500", "0.700", "0.200"]
    assert float(cells[5]) < 0.2 < float(cells[6])


def test_a_page_of_two_that_agree_and_a_page_that_is_cut(appraise: Command, two: tuple[str, str]) -> None:
    assert "0 of them differently" in appraise("compare", two[0], two[0]).out
    appraise("compare", *two, "--most", "1", "--output", "short.html")
    page = Path("short.html").read_text()
    assert page.count("<h2>") == 1
    assert "3 more differ; --most shows more." in page


def test_only_words_that_say_more_than_the_letter_are_listed(appraise: Command, workdir: Path) -> None:
    first = result(workdir / "one", [outcome("set/1", True), outcome("set/2", True)])
    words = "It is <b>two</b>, so (A)."
    other = result(workdir / "two", [outcome("set/1", False, text="A"), outcome("set/2", False, text=words)])
    appraise("compare", first, other)
    page = Path("compared.html").read_text()
    assert page.count("<li>") == 2
    assert "&lt;b&gt;two&lt;/b&gt;" in page


def test_turned_questions_are_compared_turn_by_turn(appraise: Command, workdir: Path) -> None:
    turns = [outcome("set/1", True, rotation=place) for place in range(3)]
    first = result(workdir / "one", turns)
    other = result(workdir / "two", [turns[0], outcome("set/1", False, rotation=1), turns[2]])
    assert "3 questions answered by both, 1 of them differently" in appraise("compare", first, other).out
    assert "set/1, turned by 1: How many?" in Path("compared.html").read_text()


def test_pictures_of_a_run_stand_on_the_page(appraise: Command, workdir: Path) -> None:
    options = (
        "--data.init_args.per_task=2", "--data.init_args.tasks=[gender]", "--data.init_args.image_size=32",
        "--data.init_args.demo.test=60",
    )  # fmt: skip
    for script in ("oracle", "always_a"):
        words = ("--config", "face_benchmark/demo", "--model.init_args.script", script, "--output", script)
        assert appraise("predict", *words, *options).code == 0
    assert appraise("compare", "oracle", "always_a").code == 0
    page = Path("compared.html").read_text()
    assert page.count("data:image/png") == page.count("<h2>") > 0


def test_what_is_no_result_is_refused(appraise: Command, two: tuple[str, str], workdir: Path) -> None:
    assert "there is no such file or folder" in appraise("compare", two[0], "nowhere").sentence
    (workdir / "empty").mkdir()
    assert "since it holds no answers.jsonl" in appraise("compare", "empty", two[0]).sentence
    other = result(workdir / "other", [outcome("else/1", True)])
    assert "have no question in common" in appraise("compare", two[0], other).sentence
    assert not (workdir / "compared.html").exists()


def test_a_torn_last_line_is_left_out(appraise: Command, two: tuple[str, str]) -> None:
    file = Path(two[1]) / "answers.jsonl"
    file.write_text(file.read_text()[:-30])
    assert appraise("compare", *two).out.startswith("9 questions answered by both")


def test_other_questions_of_the_same_number_are_left_out(appraise: Command, workdir: Path) -> None:
    both = [outcome(f"set/{place}", True) for place in range(3)]
    first = result(workdir / "one", both)
    second = result(workdir / "two", [*both[:2], replace(both[2], options=both[2].options[::-1])])
    ran = appraise("compare", first, second)
    assert "2 questions answered by both" in ran.out
    assert "1 question of the same number have other words or options there" in ran.err
