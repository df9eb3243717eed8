"""The released rules of FaceXBench, mistakes included, for comparison with published numbers.

They are those of ``aggregate_results.py`` at commit 07b4445 of Kartik-3004/facexbench, reduced: of its six patterns
four find nothing that the first, a letter that stands alone, has not found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from datamodules.face_benchmark.batch import LETTERS

_ALONE: Final = re.compile(r"\b[A-Za-z]\b")
_OPTION: Final = re.compile(r"Option\s+([A-Za-z])\b")


def official_letter(text: str, options: Sequence[object]) -> str | None:
    """The option that the released rules take an answer for; None where they find none, which counts as wrong.

    A letter that the text begins with counts first, then one after "Option" that it begins with, then the first
    capital that stands alone anywhere, then the first option whose text is anywhere in the answer. So "A person" is
    option A, the first letter of a chain of thought wins, and the option "5" is found in "15".

    Args:
        text: The answer.
        options: Texts of the options.

    Example:
        >>> official_letter("A person who smiles: (C)", ["1", "2", "3"])
        'A'
        >>> official_letter("about 15", ["5", "15"])
        'A'
    """
    answer, letters = text.strip(), LETTERS[: len(options)]
    begins = _ALONE.match(answer) or _OPTION.match(answer)
    if begins and begins[0][-1] in letters:
        return begins[0][-1]
    found = (one for one in _ALONE.findall(answer) if one in letters)
    texts = (letter for letter, option in zip(letters, options, strict=True) if str(option).strip() in answer)
    return next(found, None) or next(texts, None)
