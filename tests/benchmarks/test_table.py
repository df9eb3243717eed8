"""The README tells what was measured last, and nothing else."""

from __future__ import annotations

from tests.benchmarks.table import BLOCK, README, ROWS, read, section


def test_the_readme_shows_the_file() -> None:
    shown = BLOCK.search(README.read_text(encoding="utf-8"))
    assert shown is not None
    assert shown.group() == section(read()), "run: python -m tests.benchmarks.table --write"


def test_the_file_has_each_row_with_its_bound() -> None:
    told = {(row["domain"], row["what"], row["beside"], row["bound"]) for row in read()["rows"]}
    known = {(row.domain, row.what, row.beside, row.bound): row.everywhere for row in ROWS.values()}
    assert {row for row, everywhere in known.items() if everywhere} <= told <= set(known)


def test_every_row_of_the_file_holds_its_bound() -> None:
    bounds = {(row.what, row.beside): row for row in ROWS.values()}
    assert all(bounds[of["what"], of["beside"]].holds(of["ratio"]) for of in read()["rows"])
