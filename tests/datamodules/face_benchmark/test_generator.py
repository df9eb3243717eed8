"""Questions made from faces: what is asked is true of the picture, and nothing gives it away."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from random import Random

import numpy as np
import pytest
import torch

from datamodules import FaceXBenchDataModule
from datamodules.common.errors import ConfigurationError
from datamodules.face_benchmark.batch import TASKS, Question
from datamodules.face_benchmark.dataset import QuestionSource
from datamodules.face_benchmark.generator import localisation
from datamodules.face_benchmark.generator.making import Questions, QuestionsOfFaces, make_questions
from datamodules.face_benchmark.generator.pool import FacePool
from datamodules.face_benchmark.generator.scenes import PARTS, own_tilt, part_mask, wearers
from datamodules.faces.demo import DemoFaces
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.faces.schema import AttributeSchema
from tests.datamodules.face_benchmark.text_only import guessed

DRAWN = (
    "gender",
    "hr_fr",
    "lr_fr",
    "attributes",
    "expression",
    "headpose",
    "segmentation",
    "crowd_counting",
    "tools_retrieval",
)
NUMBER = 12  # questions of a task
DEMO = FaceDemoSettings(train=800, val=200, test=800)


def drawn_pool(size: int = 64, split: str = "test") -> FacePool:
    schema = AttributeSchema.from_file()
    faces = DemoFaces(DEMO, split, schema, size).still()
    return FacePool(faces, schema, faces.parameters(), "drawn")


@pytest.fixture(scope="module")
def pool() -> FacePool:
    return drawn_pool()


@pytest.fixture(scope="module")
def made(pool: FacePool) -> list[Question]:
    return list(make_questions(pool, NUMBER, 0, "test").questions)


def test_faces_that_are_drawn_together_are_those_drawn_alone(pool: FacePool, made: list[Question]) -> None:
    alone, together = QuestionsOfFaces(pool, Questions(made, {})), QuestionsOfFaces(drawn_pool(), Questions(made, {}))
    together.prepare(made[::5])
    for question in made[::5]:
        for one, other in zip(alone.pictures(question), together.pictures(question), strict=True):
            assert torch.equal(one, other)


def test_faces_that_were_not_asked_for_lately_go_first(monkeypatch: pytest.MonkeyPatch) -> None:
    own = drawn_pool(32)
    monkeypatch.setattr("datamodules.face_benchmark.generator.pool._MOST_BYTES", 5 * 3 * 32 * 32)
    for rows, held in (([1, 2, 3, 3], {1, 2, 3}), ([4, 5], {1, 2, 3, 4, 5}), ([1, 6, 7], {4, 5, 1, 6, 7}),
                       (range(10, 17), set(range(10, 17)))):  # fmt: skip
        own.prepare(rows)
        assert set(own._held) == held


def of(made: Sequence[Question], task: str, text: str = "") -> list[Question]:
    return [question for question in made if question.task == task and text in question.text]


def rows(question: Question) -> list[int]:
    return [int(name.split("/")[1]) for name in question.images]


def right(question: Question) -> str:
    return question.options["ABCD".index(question.letter)]


def test_nine_tasks_are_made_and_the_others_named_with_the_reason(pool: FacePool, made: Sequence[Question]) -> None:
    assert Counter(question.task for question in made) == dict.fromkeys(DRAWN, NUMBER)
    lacking = make_questions(pool, 1, 0, "test").lacking
    assert set(DRAWN) | set(lacking) == set(TASKS)
    assert lacking["age"] == "labels of age"
    assert lacking["fas"] == "pictures of attacks"


def test_the_same_seed_makes_the_same_and_another_split_others(pool: FacePool, made: Sequence[Question]) -> None:
    assert list(make_questions(pool, NUMBER, 0, "test").questions) == made
    assert list(make_questions(pool, NUMBER, 1, "test").questions) != made
    assert list(make_questions(pool, NUMBER, 0, "val").questions) != made
    # a question depends on its number alone, not on how many there are
    assert [one for one in made if int(one.key.split("/")[1]) <= 7] == list(
        make_questions(pool, 7, 0, "test").questions
    )


def test_every_question_has_options_of_its_own_and_its_answer(made: Sequence[Question]) -> None:
    for question in made:
        assert len(set(question.options)) == len(question.options) >= 2
        assert right(question) == question.answer
        assert question.image_count == ("zero" if question.task == "tools_retrieval" else question.image_count)
        assert len({question.key for question in made}) == len(made)


def test_gender_and_expression_are_those_of_the_faces(pool: FacePool, made: Sequence[Question]) -> None:
    for kind in ("gender", "expression"):
        facts = pool.facts[kind]
        for question in of(made, kind, "in this image"):
            assert facts[rows(question)[0]] == right(question)
        for question in of(made, kind, "Which image"):
            wanted = next(word for word in pool.values(kind) if f" {word} " in question.text)
            shown = [facts[row] == wanted for row in rows(question)]
            assert right(question) == {
                (True, False): "image 1", (False, True): "image 2", (True, True): "both images",
                (False, False): "none of the above",
            }[tuple(shown)]  # fmt: skip


def test_people_are_the_same_or_not(pool: FacePool, made: Sequence[Question]) -> None:
    for task in ("hr_fr", "lr_fr"):
        for question in of(made, task, "two images show the same"):
            first, second = (pool.people[row] for row in rows(question))
            assert right(question) == ("yes" if first == second else "no")
            assert rows(question)[0] != rows(question)[1]
        for question in of(made, task, "Which two"):
            people = [pool.people[row] for row in rows(question)]
            pairs = [f"images {a + 1} and {b + 1}" for a in range(4) for b in range(a + 1, 4) if people[a] == people[b]]
            assert pairs == [right(question)]
        for question in of(made, task, "How many"):
            assert right(question) == str(len({pool.people[row] for row in rows(question)}))


def test_attributes_are_shown_or_not(pool: FacePool, made: Sequence[Question]) -> None:
    for wanted, text in ((1, "image show?"), (0, "NOT show")):
        for question in of(made, "attributes", text):
            (row,) = rows(question)
            seen = {name: int(pool.attributes[row, pool.names.index(name)]) for name in question.options}
            assert seen.pop(right(question)) == wanted
            assert set(seen.values()) == {1 - wanted}


def test_a_tilt_is_that_of_the_picture(pool: FacePool, made: Sequence[Question]) -> None:
    """A drawn face of a known tilt, turned back by it, is upright: its eyes are level."""
    questions = of(made, "headpose")
    for question in questions:
        low, high = (float(word) for word in right(question).split(" to "))
        assert low < float(question.images[0].split("/")[2]) < high
    source = QuestionsOfFaces(pool, make_questions(pool, 1, 0, "test"))
    row = int(torch.tensor([own_tilt(pool, row) for row in range(60)]).abs().argmax())
    tilt = own_tilt(pool, row)
    assert abs(tilt) > 4
    plain = questions[0].__class__(**{**questions[0].__dict__, "images": (f"face/{row}",)})
    same = questions[0].__class__(**{**questions[0].__dict__, "images": (f"tilted/{row}/{tilt:.3f}",)})
    other = questions[0].__class__(**{**questions[0].__dict__, "images": (f"tilted/{row}/{-tilt:.3f}",)})
    first, again, mirrored = (source.pictures(one)[0].int() for one in (plain, same, other))
    assert (first - again).abs().float().mean() < 8 < (first - mirrored).abs().float().mean()


def test_a_part_is_where_the_face_changes_without_it(pool: FacePool, made: Sequence[Question]) -> None:
    source = QuestionsOfFaces(pool, make_questions(pool, 1, 0, "test"))
    for question in of(made, "segmentation")[:4]:
        (picture,) = source.pictures(question)
        mask = part_mask(pool, rows(question)[0], right(question), 64)
        assert 0.002 <= mask.float().mean() < 0.6
        assert bool((picture[:, mask] == 255).all())
    heights = {name: _height(pool, name) for name in PARTS}
    assert heights["hat"] < heights["glasses"] < heights["moustache"] < heights["necktie"]


def _height(pool: FacePool, name: str) -> float:
    """Mean row of a part."""
    places = [part_mask(pool, int(row), name, 64).nonzero()[:, 0].float() for row in wearers(pool, name)[:4]]
    return float(torch.cat(places).mean())


def test_as_many_faces_as_are_counted_are_in_a_crowd(made: Sequence[Question]) -> None:
    for question in of(made, "crowd_counting"):
        assert right(question) == str(len(question.images[0].split("/")[2].split("-")))


def test_a_call_of_each_step_is_in_the_right_sequence(made: Sequence[Question]) -> None:
    for question in of(made, "tools_retrieval"):
        catalogue = dict(line.split(". ", 1)[1].split(": ", 1)[::-1] for line in question.context.splitlines()[2:])
        steps = question.text.split(". Which")[0].removeprefix("First ").split(", then ")
        assert right(question) == ", ".join(catalogue[step] for step in steps)


def test_labels_decide_which_tasks_there_are() -> None:
    """Of FairFace's labels age, gender and race, of nothing else."""
    schema = AttributeSchema.from_file("fairface")
    faces = DemoFaces(FaceDemoSettings(train=60, val=8, test=60, photos_per_person=1), "test", schema, 32)
    labelled = FacePool(faces, schema, None, "fairface")
    random = np.random.default_rng(0)
    attributes = torch.zeros(60, len(schema.attributes), dtype=torch.int8)
    attributes[:, 0] = torch.from_numpy(random.integers(0, 2, 60))
    for row in range(60):
        attributes[row, 1 + random.integers(0, 7)] = 1
        attributes[row, 8 + random.integers(0, 9)] = 1
    labelled.attributes = attributes
    labelled.people = [""] * 60
    found = make_questions(labelled, 8, 0, "test")
    assert set(Counter(question.task for question in found.questions)) == {
        "age", "gender", "race", "crowd_counting", "tools_retrieval",
    }  # fmt: skip
    assert found.lacking["hr_fr"].startswith("several pictures of each")
    assert found.lacking["headpose"] == "labels of the head's pose"
    for question in of(list(found.questions), "age", "Which age group"):
        (row,) = rows(question)
        assert labelled.attributes[row, schema.index(f"Age {right(question)}")] == 1
    assert all(set(question.groups) <= {"gender", "race"} for question in found.questions)


# Nothing but the picture tells.


def many(pool: FacePool, task: str, template: int, templates: int, number: int, split: str) -> list[Question]:
    from datamodules.face_benchmark.generator.making import _TASKS, _question

    places = range(template, template + templates * number, templates)
    return [_question(pool, task, _TASKS[task], place, Random(f"{split}/{place}")) for place in places]


COUNTS = {
    "gender": 2, "hr_fr": 3, "attributes": 3, "expression": 2, "headpose": 1, "segmentation": 1, "crowd_counting": 1,
}  # fmt: skip
TEMPLATES = [(task, template) for task, count in COUNTS.items() for template in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize(("task", "template"), TEMPLATES)
def test_no_option_gives_itself_away(pool: FacePool, task: str, template: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained on 5,000 texts, a scorer of options stays at chance on 5,000 others."""
    # what is asked about is drawn before it is looked for
    monkeypatch.setattr(localisation, "shows_part", lambda *_: True)
    train = many(pool, task, template, COUNTS[task], 5000, "train")
    test = many(pool, task, template, COUNTS[task], 5000, "test")
    chance = 1 / len(test[0].options)
    share = guessed(train, test)
    assert share + 1.96 * (share * (1 - share) / 5000) ** 0.5 < chance + 0.03, (share, chance)


def test_letters_are_alike(pool: FacePool) -> None:
    for task, template in TEMPLATES[:4]:
        letters = Counter(one.letter for one in many(pool, task, template, COUNTS[task], 800, "train"))
        wanted = 800 / len(letters)
        assert all(abs(number - wanted) < 4.5 * wanted**0.5 for number in letters.values())


def test_the_data_module_makes_questions_of_three_splits_of_other_people() -> None:
    data = FaceXBenchDataModule(per_task=2, demo=DEMO, image_size=32)
    people = []
    for split in ("train", "val", "test"):
        source: QuestionSource = data.source(split)
        assert len(source.questions) == 18
        pictures = [source.pictures(question) for question in source.questions]
        assert all(picture.dtype == torch.uint8 and picture.shape[0] == 3 for own in pictures for picture in own)
        people.append(split)
    summary = data.data_summary()
    assert "test: 18 questions" in summary.lines()[2]
    assert any("no Age Estimation: it needs labels of age" in finding.text for finding in summary.findings)


def test_wanted_tasks_alone_are_made_and_alike(pool: FacePool, made: list[Question]) -> None:
    wanted = make_questions(pool, NUMBER, 0, "test", ["crowd_counting", "gender"]).questions
    assert list(wanted) == of(made, "gender") + of(made, "crowd_counting")


def test_tasks_that_faces_do_not_allow_say_what_they_need() -> None:
    data = FaceXBenchDataModule(tasks=["age", "fas"], demo=DEMO)
    needed = "not one question can be made of the test faces: Age Estimation needs labels of age; Face Anti-spoofing n"
    with pytest.raises(ConfigurationError, match=needed):
        data.dataset("test")


def test_names_as_they_are_shown_are_told_their_keys() -> None:
    with pytest.raises(ConfigurationError, match=r"tasks has Age Estimation \(Age Estimation is age\); the tasks are"):
        FaceXBenchDataModule(tasks=["Age Estimation", "gender"])
    with pytest.raises(ConfigurationError, match=r"\(Bias & Fairness is bias_fairness\)"):
        FaceXBenchDataModule(categories=["Bias & Fairness"])


def test_what_wanted_tasks_lack_is_told_alone() -> None:
    data = FaceXBenchDataModule(tasks=["gender", "age"], per_task=2, demo=DEMO)
    told = [finding.text for finding in data.data_summary().findings]
    assert [one for one in told if "it needs" in one] == ["no Age Estimation: it needs labels of age"]


def test_a_training_may_have_more_questions() -> None:
    data = FaceXBenchDataModule(per_task=3, train_per_task=8, tasks=["gender"], demo=DEMO)
    assert [len(data.dataset(split)) for split in ("train", "val", "test")] == [8, 3, 3]
