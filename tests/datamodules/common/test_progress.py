"""Progress on many files outside a terminal: lines with an estimate, fewer the longer the work takes."""

from __future__ import annotations

import pytest

from datamodules.common import progress


def test_lines_tell_how_long_it_will_take(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(progress, "_FIRST", 0.0)
    with progress.file_progress("Reading", 12, 2) as advance:
        advance()
        advance(4)
        advance(5)
    lines = capsys.readouterr().err.splitlines()
    assert [line.partition(", about ")[0] for line in lines] == ["Reading: 3 of 12", "Reading: 7 of 12"]
    assert all(line.endswith(" left") for line in lines)
    with progress.file_progress("Making", 40, percent=True) as advance:
        advance(10)
    assert capsys.readouterr().err.startswith("Making: 25 %, about ")


def test_short_work_has_no_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with progress.file_progress("Reading", 4) as advance:
        for _ in range(4):
            advance()
    assert capsys.readouterr().err == ""
