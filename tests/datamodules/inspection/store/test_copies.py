"""Copies of a store: made while it is open, of one that may only be read, of a damaged one."""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from datamodules.common.errors import StoreError
from datamodules.inspection.batch import Detection
from datamodules.inspection.store.copies import backup, recover
from datamodules.inspection.store.exchange.formats import export_store
from datamodules.inspection.store.feedback import FeedbackStore

ANSWERS = 25
# Root may write everything, so that it becomes nobody, once all is imported from where nobody may look.
AS_NOBODY = """
import os, sys
import uvicorn, datamodules.inspection.server, datamodules.inspection.store.exchange.formats
from lightning_modules.commands.mentoring.ask import run
os.getuid() or os.setuid(65534)
sys.exit(run("mentor", ["--annotator", "x", *sys.argv[1:]]))
"""


def answered(path: Path) -> FeedbackStore:
    """An open store whose answers came one by one."""
    store = FeedbackStore(path, create=True)
    with store.transaction():
        run = store.start_run("c" * 64, "d" * 64, {"dent": 0.5})
        image = store.add_image("/a.png", "s" * 64, 640, 480, 1)
        found = [Detection(0, 0.6, (8.0 * n, 8, 8 * n + 6, 20), 0.1, 0.3, rle="0d10") for n in range(ANSWERS)]
        store.add_detections(run, image, found, ["dent"])
    for number in range(ANSWERS):
        store.answer(
            client_id=f"a{number}", run_id=1, image_id=1, detection_id=number + 1, verdict="confirm", annotator="anna"
        )
    return store


def test_a_store_that_is_copied_while_open_is_whole(tmp_path: Path) -> None:
    with answered(tmp_path / "s.sqlite") as store:
        shutil.copyfile(store.path, tmp_path / "plain.sqlite")  # its log is left behind
        store.maps_folder(1).mkdir(parents=True)
        store.map_path(1, 1).write_bytes(b"map")
        with store.transaction():
            store.add_image("/b.png", "s" * 64, 640, 480, 1)
            with FeedbackStore(store.path) as reader:
                said = backup(reader, tmp_path / "backup.sqlite")
        assert said.startswith(f"{tmp_path / 'backup.sqlite'} holds all of 1 image, 25 detections and 25 answers")
        with pytest.raises(StoreError, match="is there already"):
            backup(store, tmp_path / "backup.sqlite")
    for name in ("plain", "backup"):
        with FeedbackStore(tmp_path / f"{name}.sqlite") as copy:
            assert len(copy.answers()) == ANSWERS
    assert (tmp_path / "backup.sqlite.maps" / "1" / "1.npz").read_bytes() == b"map"


def test_a_store_that_may_only_be_read_is_exported(tmp_path: Path) -> None:
    answered(tmp_path / "only" / "s.sqlite").close()
    shutil.rmtree(tmp_path / "only" / "s.sqlite.maps", ignore_errors=True)
    (tmp_path / "out").mkdir()
    for folder, mode in ((tmp_path, 0o755), (tmp_path / "only", 0o555), (tmp_path / "out", 0o777)):
        folder.chmod(mode)
    (tmp_path / "only" / "s.sqlite").chmod(0o444)
    for folder in tmp_path.parents:
        if os.getuid() == 0 and not folder.stat().st_mode & 1:
            folder.chmod(folder.stat().st_mode | 0o011)

    def mentor(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", AS_NOBODY, "--store", str(tmp_path / "only" / "s.sqlite"), *options]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    done = mentor("--export", "csv", "--output", str(tmp_path / "out"))
    assert done.returncode == 0, done.stderr
    assert len((tmp_path / "out" / "answers.csv").read_text().splitlines()) == ANSWERS + 1
    served = mentor("--port", "0")
    assert served.returncode != 0
    assert "may only be read" in served.stderr


def test_no_damage_goes_unnoticed_and_what_can_be_read_is_recovered(tmp_path: Path) -> None:
    answered(tmp_path / "s.sqlite").close()
    whole = (tmp_path / "s.sqlite").read_bytes()
    chance = random.Random(0)
    noticed = 0
    for number in range(60):
        damaged = bytearray(whole)
        damaged[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path, target = tmp_path / f"{number}.sqlite", tmp_path / f"{number}.new.sqlite"
        path.write_bytes(damaged)
        try:
            with FeedbackStore(path) as store:
                (table,) = export_store(store, "csv", tmp_path / f"out{number}")
            assert len(table.read_text(errors="replace").splitlines()) == ANSWERS + 1
        except StoreError as error:
            noticed += 1
            wanted = re.compile("damaged|version|no feedback store")
            assert wanted.search(str(error)) is not None  # noqa: PT017  # some flips do no harm
            try:
                lines = recover(path, target)
            except StoreError:
                continue
            kept = int(lines[3].split()[2 if "all" in lines[3] else 1])
            with FeedbackStore(target) as store:
                assert len(store.answers()) == kept
                store.require_whole()
            assert ("lost" in lines[3]) == (kept < ANSWERS)
    assert noticed > 5
