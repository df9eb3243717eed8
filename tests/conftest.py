"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the working tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of real videos and reference numbers that is not part of the project; skips where it is absent."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the folder ../shared with real videos is not here")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what the tests make out of the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("APPRAISE_CACHE")
    os.environ["APPRAISE_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["APPRAISE_CACHE"]
    else:
        os.environ["APPRAISE_CACHE"] = before
