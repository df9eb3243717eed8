"""A checkpoint under its final name is whole, whatever stops the process that writes it."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from callbacks.training.saving.checkpoint_files import CheckpointFiles
from datamodules.common import atomic_write
from tests.forks import forks
from tests.running import REPOSITORY

POINTS = ["before fsync", "before replace", "before the folder's fsync"]


def save(target: Path, step: int) -> None:
    CheckpointFiles().save_checkpoint(
        {"step": step, "state_dict": {"weight": torch.full((1000,), float(step))}}, target
    )


def write_until(point: str, target: Path, paused: Path) -> None:
    """Write a second checkpoint and stop at a point, which a file tells."""

    def pause(*_: object) -> None:
        paused.touch()
        time.sleep(60)

    before = atomic_write._synchronise
    if point == "before fsync":
        atomic_write._synchronise = pause
    elif point == "before replace":
        atomic_write._use_default_mode = lambda path: (before(path), pause())
    elif point == "before the folder's fsync":
        atomic_write._synchronise_folder = pause
    save(target, 2)


def step_of(target: Path) -> int:
    saved = torch.load(target, weights_only=True)
    assert bool((saved["state_dict"]["weight"] == saved["step"]).all())
    return int(saved["step"])


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_any_point_leaves_the_old_or_the_new_and_nothing_after_the_next(tmp_path: Path, point: str) -> None:
    (tmp_path / "run").mkdir()
    target, paused = tmp_path / "run" / "last.ckpt", tmp_path / "paused"
    save(target, 1)
    writer = forks().Process(target=write_until, args=(point, target, paused))
    writer.start()
    while not paused.exists():
        assert writer.is_alive()
        time.sleep(0.01)
    writer.kill()
    writer.join()
    assert step_of(target) == (2 if point == POINTS[-1] else 1)
    assert len(list(target.parent.iterdir())) == (1 if point == POINTS[-1] else 2)
    save(target, 3)
    assert step_of(target) == 3
    assert [path.name for path in target.parent.iterdir()] == ["last.ckpt"]


def test_files_of_living_processes_and_of_other_machines_stay(tmp_path: Path) -> None:
    target = tmp_path / "last.ckpt"
    host = re.sub(r"\W", "-", socket.gethostname())
    kept = [f".last.{host}.{os.getpid()}.abcdefgh.ckpt", ".last.elsewhere.1.abcdefgh.ckpt", ".best.elsewhere.1.a.ckpt"]
    for name in kept:
        (tmp_path / name).touch()
    old = tmp_path / ".last.elsewhere.2.abcdefgh.ckpt"
    old.touch()
    os.utime(old, (time.time() - 2 * 24 * 3600,) * 2)
    save(target, 1)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "last.ckpt"])


def test_a_link_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    save(tmp_path / "kept.ckpt", 1)
    (tmp_path / "last.ckpt").symlink_to("kept.ckpt")
    save(tmp_path / "last.ckpt", 2)
    assert (step_of(tmp_path / "kept.ckpt"), step_of(tmp_path / "last.ckpt")) == (1, 2)
    assert not (tmp_path / "last.ckpt").is_symlink()


def test_a_full_disk_is_an_error_of_the_system_and_the_old_file_stands(tmp_path: Path) -> None:
    """A file system of 1 MB of its own, where that is allowed."""
    script = (
        "import sys, torch\nfrom callbacks.training.saving.checkpoint_files import CheckpointFiles\n"
        "target = sys.argv[1] + '/last.ckpt'\nCheckpointFiles().save_checkpoint({'step': 1}, target)\n"
        "try:\n    CheckpointFiles().save_checkpoint({'weight': torch.ones(1 << 20)}, target)\n"
        "except OSError as error:\n    print(error.errno, error.filename == target)\n"
        "import os\nprint(torch.load(target, weights_only=True), os.listdir(sys.argv[1]))\n"
    )
    mount = 'mount -t tmpfs -o size=1m none "$1" && exec "$2" -c "$3" "$1"'
    command = ["unshare", "-rm", "sh", "-c", mount, "sh", str(tmp_path), sys.executable, script]
    try:
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        if "mount" in str(getattr(error, "stderr", error)) or isinstance(error, OSError):
            pytest.skip("no file system can be mounted here")
        raise
    assert done.stdout == "28 True\n{'step': 1} ['last.ckpt']\n"
