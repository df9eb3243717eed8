"""The folder that keeps what the package makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.action.demo.making import action_demo_folder
from datamodules.action.demo.settings import ActionDemoSettings
from datamodules.common.cache_folder import cache_folder
from datamodules.inspection.demo.making import inspection_demo_folder
from datamodules.inspection.demo.settings import InspectionDemoSettings
from datamodules.video_quality.demo.making import demo_folder
from datamodules.video_quality.demo.sources import DemoSettings


def test_a_setting_then_the_variables_then_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("APPRAISE_CACHE", str(tmp_path / "own"))
    assert cache_folder(str(tmp_path / "named")) == tmp_path / "named"
    assert cache_folder("~/named") == tmp_path / "home" / "named"
    assert cache_folder() == tmp_path / "own"
    monkeypatch.setenv("APPRAISE_CACHE", "~/own")
    assert cache_folder() == tmp_path / "home" / "own"
    monkeypatch.setenv("APPRAISE_CACHE", "")
    assert cache_folder() == tmp_path / "xdg" / "appraise"
    monkeypatch.delenv("APPRAISE_CACHE")
    assert cache_folder() == tmp_path / "xdg" / "appraise"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == tmp_path / "home" / ".cache" / "appraise"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / "home" / ".cache" / "appraise"


def test_each_demo_has_its_room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("APPRAISE_CACHE", str(tmp_path))
    assert action_demo_folder(ActionDemoSettings()).parent == tmp_path / "action_demo"
    assert demo_folder(DemoSettings()).parent == tmp_path / "video_quality_demo"
    assert inspection_demo_folder(InspectionDemoSettings()).parent == tmp_path / "inspection_demo"
    named = tmp_path / "named"
    assert action_demo_folder(ActionDemoSettings(cache_dir=str(named))).parent == named / "action_demo"
    assert demo_folder(DemoSettings(cache_dir=str(named))).parent == named / "video_quality_demo"
    assert inspection_demo_folder(InspectionDemoSettings(cache_dir=str(named))).parent == named / "inspection_demo"
