"""The folder that keeps what the package makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from datamodules.common.cache_folder import cache_folder


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
