"""What leaves a store, comes into another and leaves that is the same, whatever the store holds."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datamodules.inspection.store.exchange.formats import Format, export_store, import_into
from datamodules.inspection.store.feedback import FeedbackStore

from .random_stores import fill, pictures


@contextmanager
def new_store(path: Path) -> Iterator[FeedbackStore]:
    with FeedbackStore(path, create=True) as store:
        store.connection.execute("PRAGMA synchronous = OFF")  # what the disk does is not asked here
        yield store


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return pictures(tmp_path_factory.mktemp("pictures"))


def content(folder: Path) -> dict[str, object]:
    """Files of an export; of a table its rows but for the numbers of detections, which link rows alone."""
    files: dict[str, object] = {str(one.relative_to(folder)): one for one in folder.rglob("*") if one.is_file()}
    for name, path in files.items():
        assert isinstance(path, Path)
        if path.suffix == ".csv":
            with path.open(newline="") as stream:
                rows = [row | {"detection_id": ""} for row in csv.DictReader(stream)]
            files[name] = sorted(map(repr, rows))
        else:
            files[name] = path.read_bytes()
    return files


@pytest.mark.parametrize("form", ["coco", "yolo", "label-studio", "csv"])
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 10**6))
def test_export_import_export_is_the_identity(
    tmp_path_factory: pytest.TempPathFactory, paths: list[Path], form: Format, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("trip")
    with new_store(folder / "first.sqlite") as first:
        fill(first, paths, seed)
        (begin, *_) = export_store(first, form, folder / "first")
    source = folder / "first" if form == "yolo" or seed % 2 else begin
    if form == "yolo" and not (folder / "first" / "labels").is_dir():
        return  # nothing is confirmed and nothing healthy
    with new_store(folder / "second.sqlite") as second:
        for _ in range(2):  # a repeat changes nothing
            import_into(second, source, "chris")
        export_store(second, form, folder / "second")
    assert content(folder / "first") == content(folder / "second")
