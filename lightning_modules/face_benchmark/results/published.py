"""Published results of FaceXBench, to stand beside one's own."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from datamodules.face_benchmark.batch import CATEGORIES

# Questions of each category: with them the categories of a row come to its overall figure.
QUESTIONS: Final = dict(zip(CATEGORIES, (1500, 800, 700, 800, 1100, 100), strict=True))
# Figures of the benchmark's own README that differ from those of the paper's table.
README_FIGURES: Final = {"GPT-4o": 50.24, "Gemini 1.5 Pro": 54.40}


class Published(NamedTuple):
    """A row of the table.

    Attributes:
        model: Its name.
        size: "under 4B", "4B to 13B", "over 13B", "proprietary"; "baseline" for what no model did.
        overall: Percent of all questions.
        categories: Percent of each, by the keys of `CATEGORIES`.
    """

    model: str
    size: str
    overall: float
    categories: Mapping[str, float]

    def from_categories(self) -> float:
        """Overall percentage that the categories come to, each a whole number of questions."""
        right = sum(round(percent * QUESTIONS[name] / 100) for name, percent in self.categories.items())
        return 100 * right / sum(QUESTIONS.values())


@cache
def published() -> tuple[Published, ...]:
    """The 30 rows of the table in V. M. Patel's slides (IAPR/IEEE Winter School on Biometrics, 2025).

    Example:
        >>> best = max(published(), key=lambda row: row.overall)
        >>> best.model, best.overall, round(best.from_categories(), 2)
        ('Qwen2-VL-72b-Instruct', 57.86, 57.86)
    """
    header, *lines = (Path(__file__).parent / "published.csv").read_text(encoding="utf-8").splitlines()
    names = header.split(",")[3:]
    rows = [line.split(",") for line in lines]
    return tuple(
        Published(model, size, float(overall), dict(zip(names, map(float, parts), strict=True)))
        for model, size, overall, *parts in rows
    )
