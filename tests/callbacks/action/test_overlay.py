"""Labels in pictures, in any script; the window that shows them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.fontBuilder import FontBuilder  # type: ignore[import-untyped]  # it ships no types
from fontTools.pens.ttGlyphPen import TTGlyphPen  # type: ignore[import-untyped]
from matplotlib import font_manager
from numpy.typing import NDArray

from callbacks.action.live_window import LiveWindow
from callbacks.action.overlay import Kind, Overlay, OverlayStyle
from callbacks.figures import fonts
from datamodules.common.errors import ConfigurationError

Picture = NDArray[np.uint8]


def drawn(text: str, kind: Kind = "class", score: float = float("nan")) -> Picture:
    """A grey picture with a label."""
    picture = grey()
    Overlay(320, 180).draw(picture, text, kind, score)
    return picture


def grey(width: int = 320, height: int = 180, level: int = 128) -> Picture:
    return np.full((height, width, 3), level, np.uint8)


@pytest.mark.parametrize("level", [0, 128, 255])
@pytest.mark.parametrize("kind", ["class", "computing"])
def test_text_is_readable_on_any_background(level: int, kind: str) -> None:
    picture = grey(level=level)
    Overlay(320, 180).draw(picture, "drinking", kind)  # type: ignore[arg-type]  # one of the two
    box = picture[:40, :80].astype(int).sum(axis=2)
    assert box.max() - box.min() > 300  # light letters on a dark box
    assert (picture[60:] == level).all()
    assert (picture[:, 200:] == level).all()


def test_the_box_alone_is_touched_and_the_bar_has_the_score_s_length() -> None:
    lengths = []
    for score in (0.0, 0.5, 1.0, float("nan")):
        picture = drawn("drinking", "class", score)
        lengths.append(int((picture == (140, 235, 150)).all(axis=2).sum(axis=1).max()))
    empty, half, whole, unknown = lengths
    assert empty == unknown < half < whole
    assert abs((half - empty * 0) / whole - 0.5) < 0.1


def test_the_two_states_have_different_colours() -> None:
    assert (drawn("computing...", "class") != drawn("computing...", "computing")).any()


@pytest.mark.parametrize("style", ["default", "legacy"])
@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 3), (16, 16), (200, 9), (9, 200), (1920, 1080)])
@pytest.mark.parametrize("text", ["drinking", "", "a label much longer than any picture of this size is wide"])
def test_any_size_of_picture(style: OverlayStyle, width: int, height: int, text: str) -> None:
    picture = grey(width, height)
    Overlay(width, height, style).draw(picture, text, "class", 0.5)
    assert picture.shape == (height, width, 3)


def test_the_label_grows_with_the_picture() -> None:
    heights = []
    for factor in (1, 4):
        picture = grey(320 * factor, 180 * factor)
        Overlay(320 * factor, 180 * factor).draw(picture, "drinking")
        heights.append(int((picture != 128).any(axis=(1, 2)).sum()))
    assert 3 < heights[1] / heights[0] < 5


def test_legacy_is_the_original_line() -> None:
    picture = grey()
    Overlay(320, 180, "legacy").draw(picture, "activity: drinking", "class", 0.9)
    changed = (picture != 128).any(axis=2)
    assert changed[:8].sum() == 0
    assert changed[:, :10].sum() == 0
    assert changed[35:].sum() == 0
    assert (picture[changed][:, 1] >= 128).all()
    assert (picture[changed][:, 0] <= 128).all()


@pytest.mark.parametrize("text", ["приготовление", "πίνω", "naïve café", "شرب"])
def test_scripts_that_the_shipped_font_has(text: str) -> None:
    assert fonts.runs_of(text) == [(text, fonts.default_font())]
    assert (drawn(" ") != drawn(text)).any()


@pytest.fixture
def system_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A font of the system, drawn here: its one letter is a full square."""
    pen = TTGlyphPen(None)
    pen.moveTo((0, 0))
    for corner in ((0, 700), (700, 700), (700, 0)):
        pen.lineTo(corner)
    pen.closePath()
    builder = FontBuilder(1000)
    builder.setupGlyphOrder([".notdef", "drink"])
    builder.setupCharacterMap({ord("飲"): "drink"})
    builder.setupGlyf({".notdef": TTGlyphPen(None).glyph(), "drink": pen.glyph()})
    builder.setupHorizontalMetrics({".notdef": (700, 0), "drink": (700, 0)})
    builder.setupHorizontalHeader(ascent=800, descent=-200)
    builder.setupNameTable({"familyName": "Square", "styleName": "Regular"})
    builder.setupOS2()
    builder.setupPost()
    path = tmp_path / "Square.ttf"
    builder.save(path)
    monkeypatch.setattr(fonts, "system_fonts", lambda: (str(path),))
    fonts.candidates.cache_clear()
    known = list(font_manager.fontManager.ttflist)
    yield path
    font_manager.fontManager.ttflist = known
    fonts.candidates.cache_clear()


def test_a_system_font_takes_over_where_it_must(system_font: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert fonts.runs_of("a飲") == [("a", fonts.default_font()), ("飲", str(system_font))]
    assert fonts.figure_families(["飲"]) == ["DejaVu Sans", "Square"]
    letter = (drawn("飲") == (140, 235, 150)).all(axis=2)
    assert letter.sum() >= 64  # a square, full of the colour of classes
    assert not caplog.records


def test_glyphs_that_no_font_has_are_named_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fonts, "system_fonts", lambda: ())
    monkeypatch.setattr(fonts, "_named", set())
    fonts.candidates.cache_clear()
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            drawn("飲む tea")
    fonts.candidates.cache_clear()
    assert len(caplog.records) == 1
    assert "U+98F2" in caplog.text
    assert "install" in caplog.text


# In a process of its own: Xlib ends the process when its server goes away.
WINDOW = """
import numpy as np
from callbacks.action.live_window import LiveWindow
picture = np.full((180, 320, 3), 128, np.uint8)
window = LiveWindow()
assert window.show(picture)
assert window.show(np.zeros((2000, 3000, 3), np.uint8))  # larger than the screen
assert window._root.winfo_width() <= 800
window._root.event_generate("<q>")
window._root.update()
assert not window.show(picture)
window.close()
window.close()
other = LiveWindow()
assert other.show(picture)
other._root.destroy()
assert not other.show(picture)
other.close()
print("fine")
"""


def test_the_window_shows_pictures_until_it_is_asked_to_end(display: str, repository: Path) -> None:
    command = [sys.executable, "-c", WINDOW]
    answer = subprocess.run(
        command, cwd=repository, env={**os.environ, "DISPLAY": display}, capture_output=True, text=True, timeout=60
    )
    assert answer.stdout == "fine\n", answer.stderr


def test_without_a_display_the_error_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(ConfigurationError, match="--show"):
        LiveWindow()
