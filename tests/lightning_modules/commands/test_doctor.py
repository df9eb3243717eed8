"""`appraise doctor`: one line a finding, exit code 1 on a fault."""

from __future__ import annotations

from collections import namedtuple
from importlib.machinery import ModuleSpec
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import numpy as np
import pytest

from lightning_modules.commands import doctor
from tests.running import Command


def test_all_is_well_here(appraise: Command) -> None:
    done = appraise("doctor")
    assert done.code == 0, done.out
    lines = done.out.splitlines()
    assert lines[-1] == "all well"
    assert {line.split()[0] for line in lines[:-1]} <= {"ok", "note"}
    text = done.out
    for topic in ("python", "packages", "names", "disk", "wandb", "slurm", "cpu", "gpu", "encode", "pyav", "parts"):
        assert topic in text


def test_a_fault_sets_the_exit_code_and_has_a_hint(appraise: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage(1, 1, 1e8))
    monkeypatch.setattr(doctor, "CHECKS", (doctor.check_disk,))
    done = appraise("doctor")
    assert done.code == 1
    assert done.out.splitlines()[-1] == "2 faults"
    assert "0.1 GB free" in done.out
    assert all(" -> " in line for line in done.out.splitlines()[:-1])


def test_a_missing_package_and_a_malicious_one(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "timm":
            raise PackageNotFoundError
        return "2.6.2" if name == "lightning" else "9.9"

    monkeypatch.setattr(doctor, "version", version)
    faults = [finding for finding in doctor.check_versions() if finding.status == "fault"]
    assert [finding.text for finding in faults] == ["lightning 2.6.2 is a malicious release", "timm is missing"]


def test_foreign_package_of_the_same_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def find(name: str) -> ModuleSpec:
        folder = tmp_path if name == "callbacks" else doctor.ROOT
        return ModuleSpec(name, None, origin=str(folder / name / "__init__.py"))

    monkeypatch.setattr(doctor, "find_spec", find)
    monkeypatch.setattr(doctor, "packages_distributions", lambda: {"configs": ["appraise", "other"]})
    texts = [finding.text for finding in doctor.check_names()]
    assert len(texts) == 2
    assert texts[0].startswith("`callbacks` is ")
    assert texts[1] == "`configs` also belongs to the package other"


def test_frames_are_compared() -> None:
    clip = doctor.moving_gradient()
    assert doctor.compare_frames("pyav", "pyav", clip, clip).status == "ok"
    assert doctor.compare_frames("pyav", "pyav", clip, clip[:-1]).status == "fault"
    assert doctor.compare_frames("pyav", "pyav", clip, np.roll(clip, 3, axis=0)).status == "fault"
    assert doctor.compare_frames("decord", "pyav (decord: broken)", clip, clip).status == "fault"


def test_a_check_that_breaks_is_a_fault() -> None:
    def check_something() -> list[doctor.Finding]:
        raise OSError("no library\nlibx.so")

    assert doctor.examine(check_something)[0][:3] == ("fault", "something", "OSError: no library libx.so")


def test_modes_of_wandb_and_slurm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "sometimes")
    assert doctor.check_wandb()[0].status == "fault"
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert doctor.check_wandb()[0].text.startswith("offline")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert doctor.check_slurm()[0].text == "this is job 7"


def test_no_arguments(appraise: Command) -> None:
    assert appraise("doctor", "now").code == 2
