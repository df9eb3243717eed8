"""The option that a reader would take an answer for."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from datamodules.face_benchmark.batch import LETTERS


class Extracted(NamedTuple):
    """What an answer means.

    Attributes:
        letter: The option; None where it names none, or several.
        refused: It declines to answer.
    """

    letter: str | None
    refused: bool = False


# What models write around an answer: their thoughts (those that were cut off are no answer), emphasis, LaTeX.
_THOUGHTS: Final = re.compile(
    r"<think(?:ing)?>.*?</think(?:ing)?>|^.*</think(?:ing)?>|<think(?:ing)?>.*$", re.DOTALL | re.IGNORECASE
)
_DRESS: Final = re.compile(r"\\(?:boxed|text|mathrm|textbf)\s*|[*_`$#{}\"\u201c\u201d\u00ab\u00bb\u300c\u300d]+")
_BRACKETS: Final = str.maketrans("\u3010\u3011\u3014\u3015\u3008\u3009\u300a\u300b\u300e\u300f[]<>", "()()()()()()()")

_ANSWER: Final = (
    r"answer|respuesta|r[e\u00e9]ponse|antwort|risposta|resposta|\u043e\u0442\u0432\u0435\u0442|\u7b54\u6848"
    r"|\u6b63\u89e3|\u7b54\u3048|\uc815\ub2f5"
)
_OPTION: Final = r"option|choice|opci[o\u00f3]n|choix|\u9009\u9879|\u9078\u9805"
_BE: Final = (
    r":|=|-|\u2013|\u2014|>|would|should|must|be|is|was|es|est|ist|\u00e8|\u00e9|\u662f|\u4e3a|\u70ba|\u306f|\uc740"
)
_IS: Final = (
    rf"(?:\s|{_BE}|the|correct|right|best|final|likely|most|therefore|thus|option|choice|letter|la|die|der|,|\()*"
)
# "the final answer is (C)", "the option is C" and "C is the correct answer"; "option C" alone does not say that it is
_STATED: Final = re.compile(
    rf"(?:(?:{_ANSWER})(?![a-z])|(?:{_OPTION})(?![a-z])\s*(?:{_BE})(?!\w)){_IS}(?<![A-Za-z])([A-Z])(?![A-Za-z])",
    re.IGNORECASE,
)
_STATED_AFTER: Final = re.compile(
    r"(?<![A-Za-z])([A-Z])\)?\s+(?:is|would be|must be|seems)\s+(?:the\s+)?(?:correct|right|best|answer|most likely)"
)
_AND: Final = r"(?:,|/|&|\b(?:or|and|nor)\b|\u6216|\u548c)"
_DENIED: Final = re.compile(
    r"\b(?:not|isn't|cannot be|can't be|neither|rather than|instead of|rules? out)\W+"
    rf"\(?(?:[A-Z]\)?\s*{_AND}\s*\(?)*$",
    re.IGNORECASE,
)
_WRONG: Final = r"(?:also\s+|both\s+|all\s+)?(?:wrong|incorrect|false|out|ruled|excluded|impossible|unlikely)"
_DENIED_AFTER: Final = re.compile(
    rf"\)?(?:\s*{_AND}\s*\(?[A-Z]\)?)+\s+(?:(?:are|were|can|could|do)(?:n't|\s+not)\b|cannot\b|(?:are|were)\s+{_WRONG})"
    rf"|\)?\s+(?:(?:is|was|can|could|does)(?:n't|\s+not)\b|cannot\b|(?:is|was)\s+{_WRONG})"
)
# another letter follows, of which nothing more is said
_GOES_ON: Final = re.compile(rf"\)?\s*{_AND}\s*(?:or\s+|and\s+)?\(?([A-Z])(?![A-Za-z'])(?!\)?\s+(?:is|are)\b)")
_WHOLE: Final = re.compile(r"\(?([A-Za-z])\s*[).:,;!\u3001\u3002]*")
_LEADING: Final = re.compile(r"(?:\(([A-Za-z])\)|([A-Z])\s*[).:,;\u3001\u3002]|([A-Z])\s*[-\u2013]\s)")
# in brackets; after "option"; a capital that stands alone, at the beginning or before a mark, an end, a reason or
# another letter: "vitamin C" is no option; "A", which may be an article, at an end, before a mark or another letter
_ENDS: Final = rf"(?=\s*(?:$|[).:;,!?/\n\u3001\u3002]|{_AND}\s*\(?[A-Z](?![A-Za-z])"
_MARKED: Final = re.compile(
    rf"\(([A-Za-z])\)|(?:{_OPTION})\s*\(?((?i:[a-z]))(?![A-Za-z])|^([B-HJ-Z])(?![A-Za-z0-9'])"
    rf"|(?<![A-Za-z0-9.])([B-HJ-Z])(?![A-Za-z0-9']){_ENDS}|(?:because|since|as|for|is|are|shows?)\b))"
    rf"|(?<![A-Za-z0-9.])(A)(?![A-Za-z0-9']){_ENDS}))",
    re.MULTILINE,
)
_REFUSES: Final = re.compile(
    r"\b(?:sorry|apologi[sz]e|as an ai|i(?:'m| am) (?:not able|unable)|unable to"
    r"|i (?:can(?:not|'t)|won't|will not|do not|don't) (?:\w+ )?(?:help|assist|answer|identify|determine|provide|tell"
    r"|see|view|know|have|comply|recogni[sz]e|make|guess|say|speculate|infer)"
    r"|not (?:possible|appropriate|comfortable))\b"
    r"|\u62b1\u6b49|\u65e0\u6cd5|\u5f88\u907a\u61be|lo siento|je suis d\u00e9sol|es tut mir leid|leider",
    re.IGNORECASE,
)
_NO: Final = re.compile(
    r"\b(?:not|no|isn't|aren't|neither|nor|without|rather than|instead of)\s+(?:a|an|the)?\s*$", re.IGNORECASE
)


def strict_letter(text: str, options: Sequence[str]) -> Extracted:
    """The option that an answer settles on.

    In this order: the last "the answer is C"; an answer that is a letter, or begins with a marked one; the exact text
    of an option; the one letter that is marked, in the last line where lines differ; the one option whose words are
    in the answer, longer options first, so that "5" is not found in "15". An article "A" is no option; of two that
    are named and neither settled on, none is taken.

    Args:
        text: The answer.
        options: Texts of the options, at most 26.

    Example:
        >>> strict_letter("A person may be 20 or 30, so the answer is (c).", ["10", "20", "30"])
        Extracted(letter='C', refused=False)
        >>> strict_letter("I'm sorry, I can't identify people.", ["Ann", "Bob"])
        Extracted(letter=None, refused=True)
    """
    answer = _plain(text)
    letters = LETTERS[: len(options)]
    stated = _stated(answer, letters)
    if stated is not None:
        return Extracted(stated or None)
    for rule in (_whole, _leading):
        if letter := rule(answer, letters):
            return Extracted(letter)
    if exact := [one for one, option in zip(letters, options, strict=True) if _same(answer, option)]:
        return Extracted(exact[0])
    if letter := _by_lines(answer, lambda part: set(_marks(part, letters))):
        return Extracted(letter)
    if _REFUSES.search(answer):
        return Extracted(None, refused=True)
    return Extracted(_by_lines(answer, lambda part: _named(part, options)))


def _plain(text: str) -> str:
    """The answer without thoughts and dress, brackets and letters of any width as ASCII."""
    shown = unicodedata.normalize("NFKC", _THOUGHTS.sub("", text)).translate(_BRACKETS).replace("\u2019", "'")
    return _DRESS.sub("", shown).strip()


def _stated(answer: str, letters: str) -> str | None:
    """The last letter that is said to be the answer; empty where several are, None where none is."""
    found = [
        (match.start(1), match[1].upper(), match.end(1))
        for pattern in (_STATED, _STATED_AFTER)
        for match in pattern.finditer(answer)
        if match[1].upper() in letters
        and not _is_article(answer, match)
        and not _DENIED.search(answer[: match.start(1)])
        and not _DENIED_AFTER.match(answer, match.end(1))
    ]
    if not found:
        return None
    _, letter, end = max(found)
    another = _GOES_ON.match(answer, end)
    return "" if another and another[1] in letters and another[1] != letter else letter


def _is_article(answer: str, match: re.Match[str]) -> bool:
    """Whether "a" goes on as "a person": a word follows, and no bracket stands around it."""
    rest = answer[match.end(1) :]
    if match[1] not in "aA" or rest.startswith(")"):
        return False
    return bool(re.match(r"\s+[a-z]", rest)) or (match[1] == "a" and not re.match(r"\W*$", rest))


def _whole(answer: str, letters: str) -> str | None:
    match = _WHOLE.fullmatch(answer)
    return match[1].upper() if match and match[1].upper() in letters else None


def _leading(answer: str, letters: str) -> str | None:
    """A marked letter that the answer begins with, unless it is denied, or others are marked: that is a list of all."""
    match = _LEADING.match(answer)
    if match is None:
        return None
    letter = next(one for one in match.groups() if one).upper()
    others = set(_marks(answer, letters)) - {letter}
    denied = _DENIED_AFTER.match(answer, match.end(match.lastindex or 0))
    return letter if letter in letters and not others and not denied else None


def _marks(part: str, letters: str) -> Iterator[str]:
    for match in _MARKED.finditer(part):
        letter = next(one for one in match.groups() if one).upper()
        end = match.end(match.lastindex or 0)
        if letter in letters and not _DENIED.search(part[: match.start()]) and not _DENIED_AFTER.match(part, end):
            yield letter


def _by_lines(answer: str, letters_of: Callable[[str], set[str]]) -> str | None:
    """The only letter of the answer; where there are several, that of its last line or sentence with one."""
    found = letters_of(answer)
    if len(found) > 1:
        parts = [part for part in re.split(r"\n+|(?<=[.!?])\s+", answer) if part.strip()]
        found = letters_of(parts[-1])
    return found.pop() if len(found) == 1 else None


def _same(answer: str, option: str) -> bool:
    return answer.strip(" .:;!").casefold() == _plain(option).strip(" .:;!").casefold()


def _named(part: str, options: Sequence[str]) -> set[str]:
    """Letters of the options whose words stand in a text; what a longer one covers is not looked at again."""
    left, found = part.casefold(), set()
    order = sorted(range(len(options)), key=lambda place: -len(options[place]))
    for place in order:
        pattern = re.compile(rf"(?<![\w.-]){re.escape(_plain(options[place]).casefold())}(?![\w-]|\.\d)")
        for match in pattern.finditer(left):
            if not _NO.search(left[: match.start()]):
                found.add(LETTERS[place])
        left = pattern.sub(lambda match: "\0" * len(match[0]), left)
    return found
