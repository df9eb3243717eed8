"""The feedback store: nothing is lost, nothing is asked twice, and every state can be rebuilt."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datamodules.common.errors import StoreError, StoreUnavailableError
from datamodules.inspection.batch import Detection
from datamodules.inspection.store.agreement import measure_agreement
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.order import ORDERS, Order

CLASSES = ["dent", "scratch"]
IMAGES, EACH = 3, 2
LONG = "x" * 900  # makes a client id that fills a disk quickly
DRAWN: Any = {"run_id": 1, "class_name": "dent", "box": (1, 1, 9, 9)}
SAVED: list[int] = []  # answers that `answer_without_end` was told are saved


def detection(number: int, **more: Any) -> Detection:
    box = (10.0 * number, 5.0, 10.0 * number + 8.0, 20.0)
    return Detection(number % 2, 0.5 + number / 20, box, number / 20, 0.6 - number / 20, **more)


def fill(path: Path, images: int = IMAGES, each: int = EACH, **more: Any) -> FeedbackStore:
    store = FeedbackStore(path, create=True)
    with store.transaction():
        run = store.start_run("c" * 64, "d" * 64, dict.fromkeys(CLASSES, 0.5))
        for number in range(images):
            image = store.add_image(f"/parts/{number}.png", f"{number:064}", 640, 480, 1)
            store.add_detections(run, image, [detection(place, **more) for place in range(each)], CLASSES)
    return store


@pytest.fixture
def store(tmp_path: Path) -> Iterator[FeedbackStore]:
    with fill(tmp_path / "store.sqlite") as opened:
        yield opened


def say(
    store: FeedbackStore, detection_id: int, verdict: str, client_id: str, annotator: str = "anna", **more: Any
) -> int:
    image_id = store.detection(detection_id).image_id
    values: Any = {"client_id": client_id, "image_id": image_id, "detection_id": detection_id, "annotator": annotator}
    return store.answer(run_id=1, verdict=verdict, **values, **more)  # type: ignore[arg-type]


def snapshot(store: FeedbackStore) -> tuple[Any, ...]:
    return store.mentored_images(), [store.progress(1, name) for name in ("anna", "ben")], store.agreement()


steps = st.tuples(
    st.sampled_from(["confirm", "reject", "reclass", "skip", "healthy", "missed", "undo"]),
    st.integers(1, IMAGES * EACH),
    st.sampled_from(["anna", "ben"]),
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sequence=st.lists(steps, min_size=1, max_size=14), cut=st.integers(0, 14))
def test_every_state_is_rebuilt_from_the_rows_and_undo_gives_the_last_one_back(
    tmp_path_factory: pytest.TempPathFactory, sequence: list[tuple[str, int, str]], cut: int
) -> None:
    folder = tmp_path_factory.mktemp("states")
    with fill(folder / "store.sqlite") as store:
        store.connection.execute("PRAGMA synchronous = OFF")  # what the disk does is not asked here
        states, before = [snapshot(store)], []
        for number, (what, detection_id, annotator) in enumerate(sequence):
            if step(store, what, detection_id, annotator, f"client-{number}"):
                rows = store.answers()
                assert rows[:-1] == before  # only ever added
                before = rows
                states.append(snapshot(store))
        cut = min(cut, len(before))
        with fill(folder / "again.sqlite") as again:
            with again.transaction():
                for row in store.all("SELECT * FROM answer ORDER BY id LIMIT ?", cut):
                    drawn = row["detection_id"] is not None and row["detection_id"] > IMAGES * EACH
                    if drawn and again.one("SELECT 1 FROM detection WHERE id = ?", row["detection_id"]) is None:
                        copied = store.one("SELECT * FROM detection WHERE id = ?", row["detection_id"])
                        assert copied is not None
                        again.add("detection", **dict(copied))
                    again.add("answer", **dict(row))
            assert snapshot(again) == states[cut]
        for annotator in ("anna", "ben"):  # taken back one by one, nothing is left
            for one in store.recent_answers(1, annotator, limit=100):
                store.undo(one.id, client_id=f"back-{one.id}", annotator=annotator)
        assert snapshot(store) == states[0]


def step(store: FeedbackStore, what: str, detection_id: int, annotator: str, client_id: str) -> bool:
    """One action of an operator; False where there was nothing to take back or the store refused it."""
    image_id = store.detection(detection_id).image_id
    try:
        if what == "undo":
            last = store.recent_answers(1, annotator, limit=1)
            if not last:
                return False
            store.undo(last[0].id, client_id=client_id, annotator=annotator)
        elif what == "missed":
            store.add_missed(client_id=client_id, image_id=image_id, annotator=annotator, **DRAWN)
        elif what == "healthy":
            store.answer(client_id=client_id, run_id=1, image_id=image_id, verdict="healthy", annotator=annotator)
        else:
            say(store, detection_id, what, client_id, annotator, class_name="scratch" if what == "reclass" else None)
    except StoreError as error:
        if "take that back first" not in str(error):
            raise
        return False
    return True


def test_answers_can_neither_be_changed_nor_removed(store: FeedbackStore) -> None:
    say(store, 1, "confirm", "a")
    for statement in ("UPDATE answer SET verdict = 'reject'", "DELETE FROM answer"):
        with (
            closing(sqlite3.connect(store.path)) as other,
            pytest.raises(sqlite3.IntegrityError, match="only ever added"),
        ):
            other.execute(statement)


def test_nothing_is_asked_twice_and_what_was_skipped_returns_at_the_end(store: FeedbackStore) -> None:
    asked: list[int] = []
    while items := store.next_items(1, "anna", limit=1):
        (item,) = items
        verdict = "skip" if item.id in (2, 5) and item.id not in asked else "reject"
        say(store, item.id, verdict, f"client-{len(asked)}")
        asked.append(item.id)
    assert asked[-2:] == [2, 5]
    assert sorted(asked[:-2]) == [1, 2, 3, 4, 5, 6]
    assert len(store.next_items(1, "ben", limit=50)) == 6  # another one is asked everything
    assert store.progress(1, "anna").answered == 6


def test_a_healthy_image_closes_its_questions_and_rejects_the_open_ones(store: FeedbackStore) -> None:
    say(store, 1, "reject", "a")
    store.answer(client_id="h", run_id=1, image_id=1, verdict="healthy", annotator="anna")
    assert {item.image_id for item in store.next_items(1, "anna", limit=50)} == {2, 3}
    (image,) = store.mentored_images()
    assert image.is_healthy
    assert [(one.detection_id, one.truth) for one in image.answers] == [(1, None), (2, None)]


@pytest.mark.parametrize("verdict", ["confirm", "reclass"])
def test_healthy_and_defective_at_once_is_refused_in_both_orders(
    store: FeedbackStore, verdict: Literal["confirm"]
) -> None:
    confirmed = say(store, 1, verdict, "a", class_name="dent")
    with pytest.raises(StoreError, match=r"0\.png has a defect that anna confirmed .* cannot be healthy"):
        store.answer(client_id="h", run_id=1, image_id=1, verdict="healthy", annotator="ben")
    store.undo(confirmed, client_id="u", annotator="anna")
    store.answer(client_id="h", run_id=1, image_id=1, verdict="healthy", annotator="ben")
    with pytest.raises(StoreError, match="was flagged healthy by ben"):
        say(store, 2, verdict, "b", class_name="dent")
    assert len(store.answers()) == 3


def test_the_same_answer_sent_twice_is_saved_once(store: FeedbackStore) -> None:
    assert say(store, 1, "confirm", "a") == say(store, 1, "confirm", "a")
    drawn: Any = DRAWN | {"image_id": 2, "annotator": "anna"}
    assert store.add_missed(client_id="m", **drawn) == store.add_missed(client_id="m", **drawn)
    assert store.undo(1, client_id="u", annotator="anna") == store.undo(1, client_id="u", annotator="anna")
    assert len(store.answers()) == 3
    assert len(store.detections(1)) == 7
    with pytest.raises(StoreError, match="belongs to another answer"):
        say(store, 2, "confirm", "a")


def test_answers_that_do_not_fit_are_refused(store: FeedbackStore) -> None:
    other = store.start_run("e" * 64, "d" * 64, {"dent": 0.5})
    wrong: list[tuple[dict[str, Any], str]] = [
        ({"detection_id": 99}, "no detection 99"),
        ({"image_id": 2}, "meant for another store or an older page"),
        ({"run_id": other}, "meant for another store or an older page"),
        ({"verdict": "maybe"}, 'no verdict "maybe"'),
        ({"verdict": "reclass", "class_name": "rust"}, 'no class "rust"'),
        ({"verdict": "healthy"}, "names no detection"),
        ({"detection_id": None}, "needs a detection"),
        ({"annotator": " "}, "name of its annotator"),
    ]
    right = {"client_id": "a", "run_id": 1, "image_id": 1, "detection_id": 1, "verdict": "confirm", "annotator": "anna"}
    for change, message in wrong:
        values: Any = right | change
        with pytest.raises(StoreError, match=message):
            store.answer(**values)
    say(store, 1, "confirm", "a")
    with pytest.raises(StoreError, match="no answer 1 of ben"):
        store.undo(1, client_id="u", annotator="ben")
    with pytest.raises(StoreError, match="lies outside"):
        store.add_missed(client_id="m", image_id=1, annotator="anna", **DRAWN | {"box": (700, 2, 800, 9)})
    assert len(store.answers()) == 1


def test_a_box_is_clipped_and_a_class_needs_a_name(tmp_path: Path) -> None:
    with fill(tmp_path / "store.sqlite") as store:
        image = store.add_image("/parts/new.png", "f" * 64, 64, 48, 1)
        (row,) = store.add_detections(1, image, [Detection(0, 0.6, (-3, 1, 70, 48), 0.1, 0.3)], CLASSES)
        assert store.detection(row).box == (0, 1, 64, 48)
        other = store.add_image("/parts/other.png", "0" * 64, 64, 48, 1)
        with pytest.raises(StoreError, match="class 2, but there are 2"):
            store.add_detections(1, other, [Detection(2, 0.6, (1, 1, 2, 2), 0, 0)], CLASSES)


ANSWER_MANY = """
import sys
from datamodules.inspection.store.feedback import FeedbackStore
path, name = sys.argv[1:]
with FeedbackStore(path, wait=30) as store:
    for one in store.detections(1):
        said = {"detection_id": one.id, "image_id": one.image_id, "verdict": "confirm", "annotator": name}
        store.answer(client_id=f"{name}-{one.id}", run_id=1, **said)
"""


def test_two_processes_answer_at_once(tmp_path: Path) -> None:
    fill(tmp_path / "store.sqlite", images=60, each=2).close()
    path = str(tmp_path / "store.sqlite")
    workers = [subprocess.Popen([sys.executable, "-c", ANSWER_MANY, path, name]) for name in ("anna", "ben")]
    assert [worker.wait(60) for worker in workers] == [0, 0]
    with FeedbackStore(path) as store:
        answers = store.answers()
        assert len(answers) == len({one.client_id for one in answers}) == 240
        assert store.agreement().unanimous == 120


def test_threads_share_one_store(store: FeedbackStore) -> None:
    threads = [threading.Thread(target=say, args=(store, one, "confirm", f"t{one}")) for one in range(1, 7)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(store.answers()) == 6


def test_a_locked_store_says_so_and_takes_the_answer_later(tmp_path: Path) -> None:
    fill(tmp_path / "store.sqlite").close()
    with FeedbackStore(tmp_path / "store.sqlite", wait=0.05) as store:
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(StoreUnavailableError, match="locked by another program"):
                say(store, 1, "confirm", "a")
            assert store.next_items(1, "anna")  # it can still be read
            other.execute("ROLLBACK")
        say(store, 1, "confirm", "a")
        assert len(store.answers()) == 1


def answer_without_end(store: FeedbackStore) -> None:
    for number in range(2000):
        say(store, 1, "reject", f"{number}-{LONG}")
        SAVED.append(number)


def test_a_full_disk_says_so_and_loses_nothing(store: FeedbackStore) -> None:
    pages = store.connection.execute("PRAGMA page_count").fetchone()[0]
    store.connection.execute(f"PRAGMA max_page_count = {pages}")  # SQLite's own SQLITE_FULL
    with pytest.raises(StoreUnavailableError, match=r"disk .* is full; what was saved before is unchanged"):
        answer_without_end(store)
    saved = len(store.answers())
    store.connection.execute("PRAGMA max_page_count = 100000")
    say(store, 1, "reject", f"{saved}-{LONG}")
    assert len(store.answers()) == saved + 1
    assert store.connection.execute("PRAGMA integrity_check").fetchone()[0] == "ok"


def test_a_disk_that_is_really_full(tmp_path: Path) -> None:
    small = tmp_path / "small"
    small.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(small)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk needs more rights")
    try:
        with fill(small / "store.sqlite") as store:
            SAVED.clear()
            with pytest.raises(StoreUnavailableError, match=r"is full|could not be written"):
                answer_without_end(store)
        with FeedbackStore(small / "store.sqlite") as store:
            assert [int(one.client_id.partition("-")[0]) for one in store.answers()] == SAVED
    finally:
        subprocess.run(["umount", str(small)], check=True)


def test_a_transaction_saves_all_or_nothing(store: FeedbackStore) -> None:
    with suppress(RuntimeError), store.transaction():
        say(store, 1, "confirm", "a")
        raise RuntimeError
    assert store.answers() == []
    with store.transaction():
        say(store, 1, "confirm", "a")
        with pytest.raises(StoreError):
            say(store, 2, "confirm", "a")  # refused alone; the rest stays
    assert len(store.answers()) == 1


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no feedback store"):
        FeedbackStore(tmp_path / "none.sqlite")
    (tmp_path / "text").write_text("no database at all, only some words\n" * 40)
    with pytest.raises(StoreError, match="is no feedback store, or is damaged"):
        FeedbackStore(tmp_path / "text")
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as other:
        other.execute("CREATE TABLE t (a)")
    with pytest.raises(StoreError, match="an SQLite file, but no feedback store"):
        FeedbackStore(tmp_path / "other.sqlite", create=True)
    fill(tmp_path / "newer.sqlite").close()
    with closing(sqlite3.connect(tmp_path / "newer.sqlite")) as other:
        other.execute("PRAGMA user_version = 2")
    with pytest.raises(StoreError, match="version 2, this program reads version 1"):
        FeedbackStore(tmp_path / "newer.sqlite")
    with pytest.raises(StoreError, match="is a folder"):
        FeedbackStore(tmp_path)


def test_the_file_is_as_durable_as_promised(store: FeedbackStore) -> None:
    for name, value in (("journal_mode", "wal"), ("synchronous", 2)):
        assert store.connection.execute(f"PRAGMA {name}").fetchone()[0] == value


def test_importing_the_store_needs_no_torch() -> None:
    module = "lightning_modules.commands.mentoring.ask"
    code = f"import sys, {module}; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("order", ORDERS)
def test_every_order_asks_everything_once(tmp_path: Path, order: Order) -> None:
    torch.manual_seed(0)
    with fill(tmp_path / "s.sqlite", 4, 5, embedding=torch.randn(8), mc_dropout=0.2) as store:
        first = [one.id for one in store.next_items(1, "anna", limit=50, order=order)]
        assert sorted(first) == list(range(1, 21))
        assert first == [one.id for one in store.next_items(1, "ben", limit=50, order=order)]


def test_orders(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / "s.sqlite", create=True) as store:
        run = store.start_run("c", "d", {"dent": 0.5})
        image = store.add_image("/a.png", "s", 640, 480, 1)
        points = [(0.0, 0.0), (0.1, 0.0), (9.0, 0.0), (0.0, 5.0)]
        values = [(0.9, 0.4, 0.1, 0.3), (0.55, 0.05, 0.6, 0.1), (0.4, -0.1, 0.5, 0.9), (0.7, 0.2, 0.2, 0.0)]
        found = [
            Detection(
                0, score, (number, 1, number + 5, 9), margin, entropy, mc_dropout=bald, embedding=torch.tensor(point)
            )
            for number, ((score, margin, entropy, bald), point) in enumerate(zip(values, points, strict=True))
        ]
        store.add_detections(run, image, found, ["dent"])

        def ask(order: Order, seed: int = 0) -> list[int]:
            return [one.id for one in store.next_items(run, "anna", order=order, seed=seed)]

        assert ask("any") == [1, 4, 2, 3]
        assert ask("margin") == [2, 3, 4, 1]
        assert ask("entropy") == [2, 3, 4, 1]
        assert ask("mc_dropout") == [3, 1, 2, 4]
        far_apart = ask("k_centre")
        assert {far_apart[1], far_apart[2], far_apart[0]} in ({1, 3, 4}, {2, 3, 4})
        assert len({tuple(ask("random", seed)) for seed in range(20)}) > 3


def test_an_order_without_its_values_says_how_to_get_them(store: FeedbackStore) -> None:
    lacking = r"needs embedding, but 6 detections of run 1 have none: mine into a new store with --model"
    with pytest.raises(StoreError, match=lacking):
        store.next_items(1, "anna", order="k_centre")
    with pytest.raises(StoreError, match='no order "best"'):
        store.next_items(1, "anna", order="best")  # type: ignore[arg-type]


def test_the_majority_decides_and_a_tie_is_left_out(store: FeedbackStore) -> None:
    for name in ("anna", "ben", "cleo"):
        say(store, 1, "reject" if name == "ben" else "confirm", f"{name}-1", name)
    say(store, 2, "confirm", "anna-2", "anna")
    say(store, 2, "reject", "ben-2", "ben")
    (image,) = store.mentored_images()
    assert [(one.detection_id, one.truth) for one in image.answers] == [(1, "dent")]
    found = store.agreement()
    assert (found.questions, found.unanimous, found.disputed) == (2, 0, (2,))
    shares = {(pair.first, pair.second): pair.share for pair in found.pairs}
    assert shares == {("anna", "ben"): 0.0, ("anna", "cleo"): 1.0, ("ben", "cleo"): 0.0}


def test_kappa_of_a_worked_example() -> None:
    votes = [(name, place, truth) for place, pair in enumerate(["yy"] * 20 + ["yn"] * 5 + ["ny"] * 10 + ["nn"] * 15)
             for name, truth in zip(("a", "b"), pair, strict=True)]  # fmt: skip
    (pair,) = measure_agreement(votes).pairs
    assert pair.kappa == pytest.approx(0.4)  # observed .70, by chance .50


def test_answers_of_several_runs_join_by_image(store: FeedbackStore) -> None:
    again = store.start_run("e" * 64, "d" * 64, dict.fromkeys(CLASSES, 0.4))
    store.add_detections(again, 1, [detection(4)], CLASSES)
    say(store, 1, "confirm", "a")
    store.answer(client_id="b", run_id=again, image_id=1, detection_id=7, verdict="reject", annotator="anna")
    (image,) = store.mentored_images()
    assert image.run_ids == (1, again)
    assert [one.run_id for one in image.answers] == [1, again]
    (image,) = store.mentored_images([again])
    assert [(one.detection_id, one.truth) for one in image.answers] == [(7, None)]
    with pytest.raises(StoreError, match="has no run 9"):
        store.mentored_images([9])


def test_merging_stores_joins_what_is_the_same(tmp_path: Path) -> None:
    with fill(tmp_path / "a.sqlite") as first, fill(tmp_path / "b.sqlite") as second:
        say(first, 1, "confirm", "a")
        say(second, 2, "reject", "b", "ben")
        drawn = second.add_missed(client_id="m", image_id=3, annotator="ben", **DRAWN)
        second.undo(drawn, client_id="u", annotator="ben")
        image = second.add_image("/parts/more.png", "f" * 64, 64, 48, 1)
        second.add_detections(1, image, [detection(0)], CLASSES)
        second.map_path(1, image).parent.mkdir(parents=True)
        second.map_path(1, image).write_bytes(b"map")
        for _ in range(2):
            first.merge(tmp_path / "b.sqlite")
            assert [one.client_id for one in first.answers()] == ["a", "b", "m", "u"]
            assert len(first.detections(1)) == 8
            assert len(first.images()) == 4
            assert first.map_path(1, 4).read_bytes() == b"map"
        assert len(first.mentored_images()) == 1
        with pytest.raises(StoreError, match="merged into itself"):
            first.merge(first)


def test_open_questions_and_minutes(store: FeedbackStore) -> None:
    assert store.open_questions() == 6
    say(store, 1, "confirm", "a", milliseconds=30_000)
    say(store, 3, "skip", "b", milliseconds=15_000)
    back = say(store, 4, "reject", "c", "ben", milliseconds=15_000)
    assert store.open_questions(1) == 3  # a skipped one was seen
    store.undo(back, client_id="u", annotator="ben")
    store.answer(client_id="h", run_id=1, image_id=3, verdict="healthy", annotator="ben", milliseconds=60_000)
    assert store.open_questions() == 2
    assert store.operator_minutes() == store.operator_minutes([1]) == 2.0


def test_ten_thousand_detections_in_seconds(tmp_path: Path) -> None:
    started = time.perf_counter()
    with fill(tmp_path / "s.sqlite", images=2000, each=5) as store:
        assert time.perf_counter() - started < 8
        started = time.perf_counter()
        store.next_items(1, "anna")
        assert time.perf_counter() - started < 1


def test_changes_that_cannot_be_are_refused(tmp_path: Path) -> None:
    with FeedbackStore(tmp_path / "a.sqlite", create=True) as store:
        with pytest.raises(StoreError, match="there is no class"):
            store.start_run("c", "d", {})
        run = store.start_run("c" * 64, "d" * 64, {"dent": 0.5})
        image = store.add_image(tmp_path / "a.png", "0" * 64, 4, 4, 1)
        answer = store.answer(client_id="a", run_id=run, image_id=image, verdict="healthy", annotator="anna")
        store.undo(answer, client_id="b", annotator="anna")
        with pytest.raises(StoreError, match="was taken back before"):
            store.undo(answer, client_id="c", annotator="anna")
