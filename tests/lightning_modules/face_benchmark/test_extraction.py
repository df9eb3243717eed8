"""Answers in words, one by one: what the released rules make of them, and what a reader does."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from lightning_modules.face_benchmark.extraction.official import official_letter
from lightning_modules.face_benchmark.extraction.strict import strict_letter

GENDER = ("Male", "Both", "Female", "None of the above")
COUNTS = ("5", "15", "50", "10 to 15")
IMAGES = ("Image 1", "Image 2", "Both Images", "None of the above")
TRAITS = ("smiling", "hat", "earrings", "necklace")
AGES = ("20-29", "30-39", "40-49", "50-59")
UNSURE = ("No", "Yes", "Not Sure", "Cannot Determine")
RANGES = ("-10 to 0", "-20 to -10", "0 to 10", "10 to 20")
CALLS = ("api_4-detect_spoofing", "api_4-detect_spoofing, api_1-predict_age", "api_1-predict_age", "api_2-get")


class Case(NamedTuple):
    """An answer, its options, the letter by both rules; R: refused."""

    text: str
    options: tuple[str, ...]
    official: str | None
    strict: str | None


CASES = (
    # a letter, dressed in all ways
    Case("A", GENDER, "A", "A"),
    Case("  B\n", GENDER, "B", "B"),
    Case("(C)", GENDER, "C", "C"),
    Case("D.", GENDER, "D", "D"),
    Case("B:", GENDER, "B", "B"),
    Case("A)", GENDER, "A", "A"),
    Case("[C]", GENDER, "C", "C"),
    Case("**B**", GENDER, "B", "B"),
    Case("`C`", GENDER, "C", "C"),
    Case("$\\boxed{D}$", GENDER, "D", "D"),
    Case("\\boxed{\\text{B}}", GENDER, "B", "B"),
    Case('"A"', GENDER, "A", "A"),
    Case("(A) Male", GENDER, "A", "A"),
    Case("A: Male", GENDER, "A", "A"),
    Case("C. Female", GENDER, "C", "C"),
    Case("B - Both", GENDER, "B", "B"),
    Case("Option C", GENDER, "C", "C"),
    Case("Option (C)", GENDER, "C", "C"),
    Case("option b", GENDER, None, "B"),
    # small letters, which the released rules do not read
    Case("c", GENDER, None, "C"),
    Case("(b)", GENDER, None, "B"),
    Case("b)", GENDER, None, "B"),
    Case("the answer is c", GENDER, None, "C"),
    Case("The answer is (d).", GENDER, None, "D"),
    # sentences
    Case("The answer is C.", GENDER, "C", "C"),
    Case("The correct option is: B", GENDER, "B", "B"),
    Case("Answer: D", GENDER, "D", "D"),
    Case("I would choose B", GENDER, "B", "B"),
    Case("My choice would be A.", GENDER, "A", "A"),
    Case("It must be A", GENDER, "A", "A"),
    Case("C is the correct answer.", GENDER, "C", "C"),
    Case("(B) is the best answer, since both are seen.", GENDER, "B", "B"),
    Case("The final answer is **C**.", GENDER, "C", "C"),
    Case("The answer is option (B).", GENDER, "B", "B"),
    Case("Therefore, the most likely answer is: (A)", GENDER, "A", "A"),
    # an article is no option
    Case("A woman is in the picture.", GENDER, "A", None),
    Case("A person with long hair: Female", GENDER, "A", "C"),
    Case("There is A person, Female", GENDER, "A", "C"),
    Case("The answer is a woman, so (C)", GENDER, "C", "C"),
    Case("The answer is a Female.", GENDER, "C", "C"),
    Case("A man and a woman, so both.", GENDER, "A", "B"),
    # a chain of thought settles at its end
    Case("A shows a man. B shows nobody. The answer is C.", GENDER, "A", "C"),
    Case("First I thought A. But the answer is B.", GENDER, "A", "B"),
    Case("Could be (A) or (B).\nFinal answer: (B)", GENDER, "A", "B"),
    Case("Option A is wrong. Option D is correct.", GENDER, "A", "D"),
    Case("<think>A? Maybe (A).</think>C", GENDER, "A", "C"),
    Case("The answer is not A. It is B.", GENDER, "A", "B"),
    Case("The answer is A. No, wait: the answer is D.", GENDER, "A", "D"),
    Case("(A) and (B) are out.\n(C)", GENDER, "A", "C"),
    # what is denied is not the answer, and what comes behind it does not take its place
    Case("The correct answer is A. Option B is wrong.", GENDER, "A", "A"),
    Case("The correct answer is B. Option A is incorrect. Option D is wrong.", GENDER, "B", "B"),
    Case("The answer is (B). Options A, C and D are incorrect.", GENDER, "B", "B"),
    Case("The answer is B because choice D does not apply", GENDER, "B", "B"),
    Case("The answer is B, since the other options (A, C, D) do not match.", GENDER, "B", "B"),
    Case("The answer is B, A is wrong.", GENDER, "B", "B"),
    Case("The correct option is not B, C", GENDER, "B", None),
    Case("Not B, but C.", GENDER, "B", "C"),
    Case("B because of the hair", GENDER, "B", "B"),
    Case("I think it is B since both are seen", GENDER, "B", "B"),
    Case("option (a) is wrong, option (b) is right", GENDER, None, "B"),
    # a letter inside a word or a name is no option
    Case("A-level student", GENDER, "A", None),
    Case("Vitamin C deficiency is visible", GENDER, "C", None),
    # a thought that was cut off is no answer
    Case("<think>maybe the answer is A, or B", GENDER, "A", None),
    # two named, neither settled on
    Case("A or B", GENDER, "A", None),
    Case("A/B", GENDER, "A", None),
    Case("either A or B", GENDER, "A", None),
    Case("The answer is A or B", GENDER, "A", None),
    Case("The answer is A and C", GENDER, "A", None),
    Case("The answer is (A) or (B). Final answer: (B)", GENDER, "A", "B"),
    Case("Both (A) and (B).", TRAITS, "A", None),
    Case("(A) Male (B) Both (C) Female (D) None of the above", GENDER, "A", None),
    Case("Male or Female", GENDER, "A", None),
    # words of options
    Case("Female", GENDER, "C", "C"),
    Case("female.", GENDER, None, "C"),
    Case("The person is Female", GENDER, "C", "C"),
    Case("None of the above", GENDER, "D", "D"),
    Case("Both Images show it", IMAGES, "C", "C"),
    Case("Image 2 does.", IMAGES, "B", "B"),
    Case("Image 1 and Image 2", IMAGES, "A", None),
    Case("15", COUNTS, "A", "B"),
    Case("about 15 people", COUNTS, "A", "B"),
    Case("10 to 15", COUNTS, "A", "D"),
    Case("150", COUNTS, "A", None),
    Case("5", COUNTS, "A", "A"),
    Case("50", COUNTS, "A", "C"),
    Case("the yaw is 10 to 20", RANGES, "D", "D"),
    Case("-20 to -10", RANGES, "B", "B"),
    Case("20-29", AGES, "A", "A"),
    Case("The person looks 30-39 years old", AGES, "B", "B"),
    Case("not smiling, but a hat", TRAITS, "A", "B"),
    Case("smiling, without earrings", TRAITS, "A", "A"),
    Case("api_4-detect_spoofing, api_1-predict_age", CALLS, "A", "B"),
    Case("api_1-predict_age", CALLS, "C", "C"),
    Case("Cannot Determine", UNSURE, "D", "D"),
    Case("Not Sure", UNSURE, "A", "C"),
    Case("No", UNSURE, "A", "A"),
    Case("Nothing is seen", UNSURE, "A", None),
    # other languages and their brackets
    Case("\uff08B\uff09", GENDER, "B", "B"),
    Case("\u3010C\u3011", GENDER, "C", "C"),
    Case("\uff22", GENDER, None, "B"),
    Case("\u7b54\u6848\u662fC\u3002", GENDER, None, "C"),
    Case("\u7b54\u6848\uff1aB", GENDER, "B", "B"),
    Case("\u9009\u9879D", GENDER, None, "D"),
    Case("La respuesta es B.", GENDER, "B", "B"),
    Case("Die Antwort ist (C).", GENDER, "C", "C"),
    Case("La r\u00e9ponse est A", GENDER, "A", "A"),
    # no answer
    Case("", GENDER, None, None),
    Case("I do not understand.", GENDER, None, None),
    Case("E", GENDER, None, None),
    Case("The picture is dark.", GENDER, None, None),
    Case("I see many people", COUNTS, None, None),
    # refusals
    Case("I'm sorry, but I can't help with that.", GENDER, None, "R"),
    Case("I cannot identify people. A face is private.", GENDER, "A", "R"),
    Case("As an AI, I do not identify gender: Male or Female.", GENDER, "A", "R"),
    Case("I'm sorry, but the answer is B.", GENDER, "B", "B"),
    Case("I cannot determine the person's age.", UNSURE, None, "R"),
    Case("\u62b1\u6b49\uff0c\u6211\u65e0\u6cd5\u56de\u7b54\u3002", GENDER, None, "R"),
    # fewer and more options
    Case("C", ("Yes", "No"), None, None),
    Case("F", ("1", "2", "3", "4", "5", "6"), "F", "F"),
)


@pytest.mark.parametrize("case", CASES, ids=[f"{n}: {case.text[:30]!a}" for n, case in enumerate(CASES)])
def test_case(case: Case) -> None:
    found = strict_letter(case.text, case.options)
    assert official_letter(case.text, case.options) == case.official
    assert ("R" if found.refused else found.letter) == case.strict


def test_cases_are_many_and_differ() -> None:
    assert len(CASES) >= 60
    assert len({case.text for case in CASES}) == len(CASES)
    assert sum(case.official != case.strict and case.strict is not None for case in CASES) >= 20
