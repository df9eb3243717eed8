"""Files of FaceXBench's layout, and what is wrong with some."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.face_benchmark.files import names_of, read_questions, template_of
from datamodules.face_benchmark.published import ANSWERS, IMAGES, QUESTIONS, ROWS, differences, spelling
from datamodules.summary.findings import Findings
from tests.datamodules.face_benchmark.benchmark_files import question, write_benchmark, write_file

SAMPLE = Path(__file__).parents[3].parent / "shared" / "data" / "facexbench"


def read(place: Path, on_error: Any = "raise") -> tuple[list[Any], list[str]]:
    findings = Findings(on_error)
    found = read_questions(place, findings)
    return found.questions, [finding.text for finding in findings.found]


def test_a_folder_and_the_repository_around_it_and_one_file_are_read(tmp_path: Path) -> None:
    folder = write_benchmark(tmp_path / "repository" / "benchmark")
    whole, said = read(folder)
    assert [one.key for one in whole][:2] == ["set0_multiple_mcq/1", "set0_multiple_mcq/2"]
    assert not said
    assert read(tmp_path / "repository")[0] == whole
    assert read(folder / "set1_multiple_mcq.json")[0] == whole[4:]
    assert len(names_of(whole)) == 16


def test_everything_a_question_says_is_kept(tmp_path: Path) -> None:
    entry = question(["a.png"], "C", answer=40, options=["30 to 34", "35", "38 to 42"], groups={"gender": "female"})
    write_file(tmp_path, "crowd_single", {"7": entry}, num_images="single", context="Ignore it.")
    ((one,), said) = read(tmp_path)
    assert not said  # an answer may be a number that is no option's text
    assert (one.key, one.letter, one.answer, one.letters) == ("crowd_single/7", "C", "40", "ABC")
    assert (one.description, one.instruction, one.context) == ("Ages are told.", "Letter only.", "Ignore it.")
    assert one.groups == {"gender": "female"}


@pytest.mark.parametrize("number", [2, 5, 26])
def test_as_many_options_as_letters(tmp_path: Path, number: int) -> None:
    options = [f"option {place}" for place in range(number)]
    write_file(tmp_path, "many", {"1": question(["a.png"], "B", options=options)})
    assert len(read(tmp_path)[0][0].letters) == number


WRONG = {
    "a letter beyond the options": (question(["a.png"], "E"), "is 'E'; it is A to D"),
    "no letter": (question(["a.png"], ""), "correct_answer_option is ''"),
    "one option": (question(["a.png"], "A", options=["x"]), "options is 1 of them"),
    "27 options": (question(["a.png"], "A", options=[str(n) for n in range(27)]), "options is 27 of them"),
    "an empty option": (question(["a.png"], "A", options=["x", ""]), "each needs a text"),
    "no pictures": (question([], "A"), "image_paths is empty"),
    "a picture elsewhere": (question(["../a.png"], "A"), "'../a.png' lies outside the folder"),
    "a picture by its whole path": (question(["/etc/a.png"], "A"), "'/etc/a.png' lies outside the folder"),
    "a text for pictures": (question(["a.png"], "A", image_paths="a.png"), "image_paths is 'a.png'"),
    "no question": (question(["a.png"], "A", question_text=" "), "question_text is ' '"),
    "a text": ("Who?", "is no question"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_question_is_named_and_the_others_stay(tmp_path: Path, name: str) -> None:
    entry, told = WRONG[name]
    file = write_file(tmp_path, "some", {"1": question(["a.png"]), "2": entry})
    questions, said = read(tmp_path, "skip")
    assert [one.key for one in questions] == ["some/1"]
    assert len(said) == 1
    assert told in said[0]
    assert f"{file}, question 2" in said[0]


@pytest.mark.parametrize("text", ["{", "[]", '{"a": 1}', '{"questions": {}}', '{"questions": {}, "questions": {}}'])
def test_a_file_that_holds_no_questions_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.json").write_text(text)
    write_file(tmp_path, "some", {"1": question(["a.png"])})
    questions, said = read(tmp_path, "skip")
    assert len(questions) == 1
    assert len(said) == 1
    assert "odd.json" in said[0]


def test_an_answer_that_is_another_options_text_is_told_and_the_letter_counts(tmp_path: Path) -> None:
    write_file(tmp_path, "some", {"1": question(["a.png"], "C", answer="Image 2")})
    ((one,), said) = read(tmp_path)
    assert one.letter == "C"
    assert "answer is 'Image 2', but option C is 'Both Images'; the letter counts" in said[0]


def test_options_that_are_the_same_are_told(tmp_path: Path) -> None:
    write_file(tmp_path, "some", {"1": question(["a.png"], options=["x", "x", "y"])})
    questions, said = read(tmp_path)
    assert len(questions) == 1
    assert "are the same" in said[0]


def test_a_place_without_questions_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="does not exist"):
        read(tmp_path / "nowhere")
    with pytest.raises(ConfigurationError, match="holds no question"):
        read(tmp_path)
    write_benchmark(tmp_path / "deep" / "down")
    with pytest.raises(ConfigurationError, match=r"down holds json files"):
        read(tmp_path)
    (tmp_path / "odd.json").write_text("{")
    with pytest.raises(LabelError, match=r"odd\.json"):
        read(tmp_path)


def test_published_counts_add_up() -> None:
    several, one, none = (sum(row[place] for row in ROWS) for place in (2, 3, 4))
    assert (several, one, none, several + one + none) == (2750, 2150, 100, QUESTIONS)
    assert sum(ANSWERS.values()) == QUESTIONS
    assert IMAGES == 11266
    assert len({(spelling(row[0]), row[1]) for row in ROWS}) == len(ROWS) == 30


def test_every_difference_to_the_published_benchmark_is_listed(tmp_path: Path) -> None:
    questions, _ = read(write_benchmark(tmp_path))
    texts = [finding.text for finding in differences(questions, 16)]
    assert "questions: 8, published 5000" in texts
    assert "different pictures: 16, published 10441" in texts
    assert (
        "FairFace, Age Estimation: questions on several pictures, one, none: [8, 0, 0], published [200, 100, 0]"
        in texts
    )
    assert sum("questions on several pictures, one, none" in text for text in texts) == 30
    odd, _ = read(write_file(tmp_path, "odd", {"1": question(["a.png"])}, dataset="own"))
    assert "1 question of own, age, multiple: not published" in [finding.text for finding in differences(odd)]


def test_as_many_questions_as_published_are_all_well(tmp_path: Path) -> None:
    write_file(tmp_path, "one", {"1": question(["a.png"])})
    ((one,), _) = read(tmp_path)
    kinds = ("multiple", "single", "zero")
    parts = [
        (dataset, task, kind)
        for dataset, task, *numbers in ROWS
        for kind, number in zip(kinds, numbers, strict=True)
        for _ in range(number)
    ]
    letters = [letter for letter, number in ANSWERS.items() for _ in range(number)]
    each, more = divmod(IMAGES, QUESTIONS)
    made = [
        replace(
            one, dataset=dataset, task=task, image_count=kind, letter=letter, images=("a.png",) * (each + (n < more))
        )
        for n, ((dataset, task, kind), letter) in enumerate(zip(parts, letters, strict=True))
    ]
    found = differences(made)
    assert [finding.status for finding in found] == ["ok"]
    assert "no licence" in found[0].text


@pytest.mark.skipif(not SAMPLE.is_dir(), reason="the sample of FaceXBench's files is not at hand")
def test_the_released_files_are_read() -> None:
    questions, said = read(SAMPLE)
    assert len(questions) == 14
    assert not said
    assert {one.answer for one in questions} >= {"40", "5"}
    assert [one.image_count for one in questions].count("zero") == 1
    known = {spelling(row[0]) for row in ROWS}
    assert {spelling(one.dataset) for one in questions} <= known


def test_templates_leave_numbers_out() -> None:
    assert template_of("Age 40-49  in Image 2?") == template_of("age 20-29 in image 1?")
