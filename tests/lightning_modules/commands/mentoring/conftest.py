"""Trainings of a table in processes that begin at once."""

from __future__ import annotations

import pytest

from tests.forks import use_forks


@pytest.fixture(autouse=True)
def forked_trainings(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The processes of `tests.forks`."""
    use_forks(request, monkeypatch)
