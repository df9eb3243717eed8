"""Generated data sets of all kinds: made once, kept by their content, made again where something is gone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from datamodules.action.demo.making import action_demo_folder, make_action_demo
from datamodules.action.demo.settings import ActionDemoSettings
from datamodules.common.errors import AppraiseError, ConfigurationError, StoreError, VideoError
from datamodules.inspection.demo.making import inspection_demo_folder, make_inspection_demo
from datamodules.inspection.demo.settings import InspectionDemoSettings
from datamodules.video_quality.demo.making import demo_folder, make_demo
from datamodules.video_quality.demo.sources import DemoSettings


class Demo(NamedTuple):
    name: str
    settings: Callable[..., Any]
    folder: Callable[[Any], Path]
    make: Callable[[Any], Path]
    error: type[AppraiseError]
    small: dict[str, Any]
    change: dict[str, Any]


DEMOS = {
    "action": Demo(
        "action_demo", ActionDemoSettings, action_demo_folder, make_action_demo, VideoError,
        {"clips": 3, "clip_seconds": 0.2, "width": 64, "height": 64, "untrimmed": 1, "untrimmed_pair": 0,
         "segments": 1, "shortest_segment": 0.5, "longest_segment": 0.6},
        {"seed": 1},
    ),
    "inspection": Demo(
        "inspection_demo", InspectionDemoSettings, inspection_demo_folder, make_inspection_demo, StoreError,
        {"original_train": 2, "new_train": 1, "original_val": 1, "new_val": 1, "original_test": 1, "new_test": 1,
         "size": 64},
        {"contrast": 0.5},
    ),
    "video quality": Demo(
        "video_quality_demo", DemoSettings, demo_folder, make_demo, VideoError,
        {"sources": 3, "frames": 4, "size": 64}, {"seed": 1},
    ),
}  # fmt: skip


@pytest.fixture(params=DEMOS)
def demo(request: pytest.FixtureRequest) -> Demo:
    return DEMOS[request.param]


def test_it_is_made_once_and_what_was_deleted_is_made_again(
    demo: Demo, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    settings = demo.settings(cache_dir=str(tmp_path), **demo.small)
    folder = demo.make(settings)
    assert folder == demo.folder(settings)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    capfd.readouterr()
    assert demo.make(settings) == folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    assert capfd.readouterr().err == ""
    next(path for path in sorted(before) if path.suffix in (".mp4", ".png")).unlink()
    assert demo.make(settings) == folder
    assert set(folder.rglob("*")) == before.keys()


def test_the_folder_depends_on_content_only(demo: Demo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own, other = (demo.settings(cache_dir=str(tmp_path / name)) for name in ("own", "other"))
    assert demo.folder(own).name == demo.folder(other).name
    assert demo.folder(own).parent == tmp_path / "own" / demo.name
    assert demo.folder(own) != demo.folder(demo.settings(cache_dir=str(tmp_path / "own"), **demo.change))
    monkeypatch.setenv("APPRAISE_CACHE", str(tmp_path))
    assert demo.folder(demo.settings()).parent == tmp_path / demo.name


def test_the_number_of_workers_is_no_content() -> None:
    assert demo_folder(DemoSettings(workers=7)) == demo_folder(DemoSettings())


def test_a_cache_that_cannot_be_written_is_named(demo: Demo, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(demo.error, match="APPRAISE_CACHE"):
        demo.make(demo.settings(cache_dir=str(tmp_path / "file"), **demo.small))


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("action", {"clips": 2}, "clips is 2"),
        ("action", {"width": 63}, "width is 63"),
        ("action", {"height": 62}, "height is 62"),
        ("action", {"clip_seconds": 0.0}, "clip_seconds is 0"),
        ("action", {"segments": 0}, "segments is 0"),
        ("action", {"shortest_segment": 3.0, "longest_segment": 2.0}, "shortest_segment is 3"),
        ("action", {"blur_share": 0.5, "random_share": 0.5}, "above 0.9"),
        ("action", {"val_fraction": 0.6, "test_fraction": 0.4}, "below 1"),
        ("action", {"seed": -1}, "seed is -1"),
        ("inspection", {"new_val": 0}, "new_val is 0"),
        ("inspection", {"size": 63}, "size is 63"),
        ("inspection", {"healthy_share": 1.5}, "healthy_share is 1.5"),
        ("inspection", {"flagged_share": -0.5}, "flagged_share is -0.5"),
        ("inspection", {"contrast": 0.0}, "contrast is 0.0"),
        ("inspection", {"lookalike_contrast": 3.0}, "lookalike_contrast is 3.0"),
        ("video quality", {"sources": 2}, "sources is 2"),
        ("video quality", {"frames": 3}, "frames is 3"),
        ("video quality", {"size": 62}, "size is 62"),
        ("video quality", {"size": 97}, "even"),
        ("video quality", {"workers": 0}, "workers is 0"),
        ("video quality", {"val_fraction": 0.6, "test_fraction": 0.5}, "below 1"),
    ],
)
def test_settings_out_of_range(kind: str, change: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        DEMOS[kind].settings(**change)
