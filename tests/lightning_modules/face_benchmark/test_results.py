"""Published results, accuracies and their intervals."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from datamodules.face_benchmark.batch import CATEGORIES
from datamodules.face_benchmark.published import ROWS
from lightning_modules.face_benchmark.asking.contract import Answered
from lightning_modules.face_benchmark.results.intervals import (
    Clusters,
    accuracy,
    clusters_of,
    difference,
    mean_variance,
)
from lightning_modules.face_benchmark.results.outcome import Outcome, outcome_of, read_line
from lightning_modules.face_benchmark.results.published import QUESTIONS, published
from lightning_modules.face_benchmark.results.scores import gaps_of, scores_of, turned_of
from tests.lightning_modules.face_benchmark.questions import outcome, question


@pytest.mark.parametrize("row", published(), ids=lambda row: row.model)
def test_published_categories_come_to_the_published_whole(row: object) -> None:
    assert len(row.categories) == 6
    weighted = sum(row.categories[name] * QUESTIONS[name] for name in CATEGORIES) / sum(QUESTIONS.values())
    assert abs(weighted - row.overall) < 0.005
    assert round(row.from_categories(), 2) == row.overall


def test_published_table_has_every_model_once() -> None:
    assert len({row.model for row in published()}) == 30
    assert [row.size for row in published()].count("baseline") == 2
    assert sum(QUESTIONS.values()) == sum(sum(row[2:]) for row in ROWS)


def alone(number: int) -> Clusters:
    return Clusters(*(np.arange(number) for _ in range(3)))


def test_questions_on_their_own_have_wilsons_interval() -> None:
    right = np.array([True] * 45 + [False] * 55)
    found = accuracy(right, alone(100))
    assert found.value == 0.45
    assert found.low == pytest.approx(0.3561, abs=0.002)  # Wilson of 45 in 100
    assert found.high == pytest.approx(0.5475, abs=0.002)


def test_questions_that_are_asked_twice_count_once() -> None:
    right = np.array(([True] * 45 + [False] * 55) * 2)
    twice = Clusters(*(np.tile(np.arange(100), 2) for _ in range(3)))
    found, single = accuracy(right, twice), accuracy(right[:100], alone(100))
    assert (found.low, found.high) == pytest.approx((single.low, single.high), abs=1e-3)
    assert found.n == 200


def test_variance_is_that_of_a_bootstrap_of_clusters() -> None:
    random = np.random.default_rng(0)
    clusters = random.integers(0, 60, 600)
    values = (random.random(600) < 0.3 + 0.4 * random.random(60)[clusters]).astype(float)
    sums, counts = np.bincount(clusters, values), np.bincount(clusters)
    drawn = random.integers(0, 60, (20_000, 60))
    bootstrap = float((sums[drawn].sum(1) / counts[drawn].sum(1)).var())
    found = mean_variance(values, Clusters(clusters, np.arange(600), np.arange(600)))
    assert found == pytest.approx(bootstrap, rel=0.1)


@pytest.mark.slow
def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Templates shift the difficulty of their questions, and so do shared pictures."""
    random = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        templates, pictures = random.integers(0, 40, 400), random.integers(0, 80, 400)
        chance = 0.5 + 0.25 * random.choice([-1, 1], 40)[templates] + 0.2 * random.choice([-1, 1], 80)[pictures]
        both = np.unique(templates * 1000 + pictures, return_inverse=True)[1]
        found = accuracy(random.random(400) < chance, Clusters(templates, pictures, both))
        held += found.low <= 0.5 <= found.high
    assert held >= 0.92 * 400


def test_pictures_that_questions_share_join_them() -> None:
    hashes = [("a",), ("b", "c"), ("c", "d"), (), ("d",), ("e",), ()]
    clusters = clusters_of([outcome(f"q{n}", True, picture_hashes=own) for n, own in enumerate(hashes)])
    groups = clusters.pictures.tolist()
    assert groups[1] == groups[2] == groups[4]
    assert len(set(groups)) == 5


def test_all_right_is_no_certainty() -> None:
    found = accuracy(np.ones(100, dtype=bool), Clusters(np.repeat(np.arange(10), 10), np.arange(100), np.arange(100)))
    assert found.value == found.high == 1
    assert found.low == pytest.approx(0.722, abs=0.01)  # ten templates, not a hundred questions


def test_a_difference_is_paired() -> None:
    random = np.random.default_rng(0)
    first = random.random(500) < 0.5
    second = first.copy()
    second[:10] = ~second[:10]
    found = difference(first, second, alone(500))
    assert found.high - found.low < 0.03
    assert found.low <= found.value <= found.high
    nothing = difference(first, first, alone(500))  # that all agree is no certainty
    assert nothing.value == 0
    assert -nothing.low == nothing.high == pytest.approx(0.0076, abs=1e-4)
    every, none = np.ones(4, dtype=bool), np.zeros(4, dtype=bool)
    for value, found in ((1, difference(every, none, alone(4))), (-1, difference(none, every, alone(4)))):
        assert found.value == value
        assert abs(found.low + found.high) / 2 == pytest.approx(0.51, abs=0.01)


def test_questions_of_one_template_are_as_many_as_their_pictures() -> None:
    """Nothing is known of other templates, whether all or nearly all are right."""
    one = Clusters(np.zeros(200, dtype=np.int64), np.arange(200), np.arange(200))
    right = np.ones(200, dtype=bool)
    assert accuracy(right, one).low == pytest.approx(0.981, abs=0.001)
    right[0] = False
    assert accuracy(right, one).low == pytest.approx(0.972, abs=0.002)


def mixed() -> list[Outcome]:
    made = []
    for number in range(40):
        right = number % 4 != 0
        task, category = ("age", "bias_fairness") if number < 30 else ("crowd_counting", "face_localization")
        group = {"gender": "female" if number % 2 else "male"}
        made.append(
            outcome(f"q{number}", right, task=task, category=category, groups=group, template=f"t{number % 10}")
        )
    made[1] = replace(made[1], strict=None, refused=True)
    return made


def test_parts_add_up_to_the_whole() -> None:
    scores = scores_of(mixed())
    whole = scores[0]
    parts = [one for one in scores if one.kind == "category"]
    assert [one.name for one in parts] == ["bias_fairness", "face_localization"]
    assert sum(one.strict.value * one.strict.n for one in parts) == pytest.approx(whole.strict.value * whole.strict.n)
    assert whole.official.value == 0.75
    assert whole.strict.value == pytest.approx(29 / 40)
    assert whole.unparsed.value == whole.refused.value == 1 / 40
    assert whole.chance == 0.25


def test_gaps_between_groups() -> None:
    made = [replace(one, strict="B", refused=False) for one in mixed()]
    women = [n for n, one in enumerate(made) if one.groups["gender"] == "female"]
    for place in women[:10]:
        made[place] = replace(made[place], strict=None, refused=True)
    (gap,) = gaps_of(made)
    assert gap.kind == "gender"
    assert gap.groups["female"][0].value == 0.5
    assert gap.accuracy.value == gap.refusal.value == 0.5
    assert 0 < gap.accuracy.low < 0.5 < gap.accuracy.high
    assert gaps_of([replace(one, groups={}) for one in made]) == []


def test_options_that_are_turned() -> None:
    options = ("w", "x", "y", "z")
    made = []
    for number in range(10):
        for places in range(4):
            turned = options[4 - places :] + options[: 4 - places]
            right = "ABCD"[(1 + places) % 4]
            # even ones know the option, odd ones say B
            strict = right if number % 2 == 0 else "B"
            own = outcome(f"q{number}", False, rotation=places, options=turned, right=right, strict=strict)
            made.append(own)
    found = turned_of(made)
    assert found is not None
    assert (found.rotations, found.questions) == (4, 10)
    assert found.mean == pytest.approx((5 + 5 / 4) / 10)
    assert found.all_right.value == found.same_option.value == 0.5
    assert turned_of([one for one in made if one.rotation == 0]) is None
    assert scores_of(made)[0].strict.n == 10


def test_an_outcome_is_a_line_and_a_torn_line_is_none() -> None:
    answered = Answered("The answer is (B)", (-1.0, -0.5, -2.0, -3.0), 20, 5)
    made = outcome_of(question(groups={"gender": "male"}), 0, ["h1", "h2"], "p", answered, 0.12345)
    line = made.line()
    assert "\n" not in line
    assert read_line(line) == made
    assert made.is_right
    assert made.is_officially_right
    for end in range(0, len(line), 7):
        assert read_line(line[:end]) is None
    assert read_line("[]") is None
