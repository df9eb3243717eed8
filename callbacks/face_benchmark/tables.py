"""Tables and a figure of all answers."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from callbacks.face_benchmark.figure import draw_categories
from callbacks.figures.plain import markdown_table, without_nan
from datamodules.common.atomic_write import write_text
from datamodules.face_benchmark.batch import CATEGORIES, TASKS
from datamodules.face_benchmark.published import ROWS, spelling
from datamodules.tables.csv import csv_text, short_numbers
from lightning_modules.face_benchmark.results.outcome import Outcome, tokens_of
from lightning_modules.face_benchmark.results.published import QUESTIONS, README_FIGURES, published
from lightning_modules.face_benchmark.results.scores import Gap, Score, Turned, gaps_of, scores_of, turned_of
from lightning_modules.nn.estimate import Estimate

_HEADER: Final = (
    "part", "name", "questions", "accuracy", "low", "high", "official", "official_low", "official_high", "unparsed",
    "refused", "chance", "frequent",
)  # fmt: skip


def write_tables(
    folder: Path, title: str, outcomes: Sequence[Outcome], settings: Mapping[str, Any], asked: int, price: float = 0.0
) -> None:
    """Write ``results.md``, ``results.csv``, ``results.json`` and ``results.png``; nothing where nobody answered.

    Args:
        folder: Where to.
        title: Name of the model.
        outcomes: All answers.
        settings: What they depend on.
        asked: Questions, those that have no answer among them.
        price: Of all answers; 0 where none is known.
    """
    scores = scores_of(outcomes)
    if not scores or not scores[0].strict.n:
        return
    frequent = _frequent(outcomes)
    gaps, turns = gaps_of(outcomes), turned_of(outcomes)
    rows = [short_numbers(_row(score, frequent[score.kind, score.name])) for score in scores]
    write_text(folder / "results.csv", csv_text(_HEADER, rows))
    content = {
        "model": title,
        "settings": dict(settings),
        "unanswered": asked - len(outcomes),
        **dict(zip(("tokens_in", "tokens_out"), tokens_of(outcomes), strict=True)),
        "price": price or None,
        "scores": [dict(zip(_HEADER, _row(one, frequent[one.kind, one.name]), strict=True)) for one in scores],
        "gaps": [_plain_gap(gap) for gap in gaps],
        "turned": None if turns is None else {**turns._asdict(), "all_right": turns.all_right._asdict(),
                                              "same_option": turns.same_option._asdict()},
    }  # fmt: skip
    write_text(folder / "results.json", json.dumps(without_nan(content), indent=1, ensure_ascii=False) + "\n")
    write_text(folder / "results.md", _markdown(title, scores, gaps, turns, settings, frequent, outcomes, asked, price))
    draw_categories(title, scores, frequent, comparable(outcomes), folder / "results.png")


def comparable(outcomes: Sequence[Outcome]) -> bool:
    """Whether the questions are FaceXBench's, all of each category that was asked."""
    known = {(spelling(dataset), task) for dataset, task, *_ in ROWS}
    asked = [one for one in outcomes if one.rotation == 0]
    counts = Counter(one.category for one in asked)
    return all((spelling(one.dataset), one.task) in known for one in asked) and all(
        counts[name] == QUESTIONS.get(name) for name in counts
    )


def name_of(score: Score) -> str:
    """A part as it is shown."""
    if score.kind == "category":
        return CATEGORIES.get(score.name, score.name)
    if score.kind == "task":
        return TASKS[score.name][0] if score.name in TASKS else score.name
    return _PICTURES.get(score.name, score.name) if score.kind == "images" else score.name


def _row(score: Score, frequent: float) -> list[object]:
    return [
        score.kind, score.name, score.strict.n, *score.strict[:3], *score.official[:3], score.unparsed.value,
        score.refused.value, score.chance, frequent,
    ]  # fmt: skip


def _frequent(outcomes: Sequence[Outcome]) -> dict[tuple[str, str], float]:
    """Share that the most frequent letter of each task gets right, of every part."""
    asked = [one for one in outcomes if one.rotation == 0]
    letters = {
        task: Counter(one.right for one in asked if one.task == task).most_common(1)[0][0]
        for task in {one.task for one in asked}
    }
    hits: Counter[tuple[str, str]] = Counter()
    total: Counter[tuple[str, str]] = Counter()
    for one in asked:
        for part in (
            ("overall", "all"), ("category", one.category), ("task", one.task),
            ("dataset", f"{one.dataset}/{one.task}"), ("images", one.image_count),
        ):  # fmt: skip
            total[part] += 1
            hits[part] += one.right == letters[one.task]
    return {part: hits[part] / number for part, number in total.items()}


def _markdown(
    title: str,
    scores: Sequence[Score],
    gaps: Sequence[Gap],
    turns: Turned | None,
    settings: Mapping[str, Any],
    frequent: Mapping[tuple[str, str], float],
    outcomes: Sequence[Outcome],
    asked: int,
    price: float,
) -> str:
    header = ("part", "questions", "accuracy", "released rules", "unparsed", "refused", "chance", "frequent letter")
    rows = [
        (
            f"**{name_of(one)}**" if one.kind in ("overall", "category") else name_of(one),
            str(one.strict.n),
            _with_interval(one.strict),
            _with_interval(one.official),
            _percent(one.unparsed.value),
            _percent(one.refused.value),
            _percent(one.chance),
            _percent(frequent[one.kind, one.name]),
        )
        for one in scores
    ]
    told = "; ".join(f"{name} {value}" for name, value in settings.items() if name in _TOLD and value is not None)
    parts = [
        f"# {title}\n",
        f"{told}.\n",
        _unanswered(len(outcomes), asked),
        _spent(outcomes, price),
        "\n",
        markdown_table(header, rows),
        "\nPercent. In brackets 95 % intervals for questions that share templates and pictures; the released rules "
        "read an answer as FaceXBench's own script does. Nothing that could not be read was guessed.\n",
    ]
    if comparable(outcomes):
        parts += ["\n## Beside published results\n\n", _beside_published(title, scores), _REMARKS]
    for gap in gaps:
        parts += [f"\n## By {gap.kind}\n\n", _gap_table(gap)]
    if turns is not None:
        parts.append(
            f"\n## Options turned\n\n{turns.questions} questions, each with its options in {turns.rotations} orders: "
            f"accuracy {_percent(turns.mean)} % over all, right in every order {_with_interval(turns.all_right)} %, "
            f"the same option in every order {_with_interval(turns.same_option)} %.\n"
        )
    return "".join(parts)


def _unanswered(answered: int, asked: int) -> str:
    if answered == asked:
        return ""
    return f"{asked - answered} of {asked} questions have no answer: all figures are of the others.\n"


def _spent(outcomes: Sequence[Outcome], price: float) -> str:
    asked, said = tokens_of(outcomes)
    cost = f"; price {price:.4g}" if price else ""
    return f"{asked:,} tokens of questions, {said:,} of answers{cost}.\n" if asked else ""


_PICTURES: Final = {"multiple": "several pictures", "single": "one picture", "zero": "no picture"}
_TOLD: Final = ("model_type", "setting", "scoring", "dtype", "pictures", "min_pixels", "max_pixels", "server")
_REMARKS: Final = (
    "\nPublished figures are those of the table in the slides of 2025; the benchmark's README has "
    + ", ".join(f"{model} {figure:.2f}" for model, figure in README_FIGURES.items())
    + ". There the 400 questions on head pose may stand under Face Analysis, in the files they are Face Localization: "
    "compare these two by task. The benchmark states no licence of its questions; the sets of pictures have their "
    "own.\n"
)


def _beside_published(title: str, scores: Sequence[Score]) -> str:
    own = {score.name: score for score in scores if score.kind == "category"}
    overall = scores[0]
    rows = [
        (
            100 * overall.official.value,
            f"**{title}, released rules**",
            [_known(own.get(c), official=True) for c in CATEGORIES],
        )
    ]
    rows.append((100 * overall.strict.value, f"**{title}**", [_known(own.get(c), official=False) for c in CATEGORIES]))
    rows += [(one.overall, one.model, [f"{one.categories[name]:.2f}" for name in CATEGORIES]) for one in published()]
    rows.sort(key=lambda row: -row[0])
    return markdown_table(
        ("model", "overall", *CATEGORIES.values()), [(name, f"{value:.2f}", *parts) for value, name, parts in rows]
    )


def _known(score: Score | None, official: bool) -> str:
    return "-" if score is None else f"{100 * (score.official if official else score.strict).value:.2f}"


def _gap_table(gap: Gap) -> str:
    rows = [
        (name, str(right.n), _with_interval(right), _with_interval(refused))
        for name, (right, refused) in gap.groups.items()
    ]
    rows.append(("largest gap", "", _with_interval(gap.accuracy), _with_interval(gap.refusal)))
    return markdown_table((gap.kind, "questions", "accuracy", "refused"), rows)


def _plain_gap(gap: Gap) -> dict[str, Any]:
    return {
        "kind": gap.kind,
        "groups": {name: {"accuracy": right._asdict(), "refused": refused._asdict()}
                   for name, (right, refused) in gap.groups.items()},
        "accuracy": gap.accuracy._asdict(),
        "refusal": gap.refusal._asdict(),
    }  # fmt: skip


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f}"


def _with_interval(one: Estimate) -> str:
    return f"{_percent(one.value)} ({_percent(one.low)} to {_percent(one.high)})"
