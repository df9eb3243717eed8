"""Labels in pictures, in any script; the window that shows them."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fontTools.ttLib import TTFont
from numpy.typing import NDArray

from callbacks.action.live_window import LiveWindow
from callbacks.action.overlay import Overlay, OverlayStyle
from callbacks.figures import fonts
from datamodules.common.errors import ConfigurationError

Picture = NDArray[np.uint8]


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
        picture = grey()
        Overlay(320, 180).draw(picture, "drinking", "class", score)
        lengths.append(int((picture == (140, 235, 150)).all(axis=2).sum(axis=1).max()))
    empty, half, whole, unknown = lengths
    assert empty == unknown < half < whole
    assert abs((half - empty * 0) / whole - 0.5) < 0.1


def test_the_two_states_have_different_colours() -> None:
    shown = []
    for kind in ("class", "computing"):
        picture = grey()
        Overlay(320, 180).draw(picture, "computing...", kind)
        shown.append(picture)
    assert (shown[0] != shown[1]).any()


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
    blank, written = grey(), grey()
    Overlay(320, 180).draw(blank, " ")
    Overlay(320, 180).draw(written, text)
    assert (blank != written).any()


# In a process of its own, since fonts are looked up once a process.
FONTS = """
import sys
from matplotlib import font_manager
font_manager.findSystemFonts = lambda: sys.argv[1:]
from callbacks.figures import fonts
"""


def with_fonts(code: str, repository: Path, *system: Path) -> tuple[list[str], list[str]]:
    """Lines of the output and of the log of some code, on a machine with these fonts."""
    command = [sys.executable, "-c", FONTS + code, *map(str, system)]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=True)
    return done.stdout.splitlines(), done.stderr.splitlines()


def test_a_system_font_takes_over_where_it_must(tmp_path: Path, repository: Path) -> None:
    other = tmp_path / "Other.ttf"
    with TTFont(fonts.default_font(bold=False)) as font:
        for table in font["cmap"].tables:
            if table.isUnicode():
                table.cmap[ord("飲")] = "A"
        for record in font["name"].names:
            if record.nameID in (1, 16):
                record.string = "Other"
        font.save(other)
    code = 'print(ascii(fonts.runs_of("a飲"))); print(fonts.figure_families(["飲"]))'
    found, _ = with_fonts(code, repository, other)
    assert found == [ascii([("a飲", str(other))]), "['DejaVu Sans', 'Other']"]


def test_glyphs_that_no_font_has_are_named_once(repository: Path) -> None:
    _, log = with_fonts('fonts.runs_of("飲む tea"); fonts.runs_of("飲む tea")', repository)
    assert len(log) == 1
    assert "U+98F2" in log[0]
    assert "install" in log[0]


# In a process of its own: Xlib ends the process when its server goes away.
WINDOW = """
import tkinter
import numpy as np
from callbacks.action.live_window import LiveWindow
roots = []
class Root(tkinter.Tk):
    def __init__(self):
        super().__init__()
        roots.append(self)
tkinter.Tk = Root
picture = np.full((180, 320, 3), 128, np.uint8)
window = LiveWindow()
assert window.show(picture)
assert window.show(np.zeros((2000, 3000, 3), np.uint8))  # larger than the screen
assert roots[0].winfo_width() <= 800
roots[0].event_generate("<q>")
roots[0].update()
assert not window.show(picture)
window.close()
window.close()
other = LiveWindow()
assert other.show(picture)
roots[1].destroy()
assert not other.show(picture)
other.close()
print("fine")
"""


@pytest.fixture
def display() -> Iterator[str]:
    """A display without a screen."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("Xvfb is not installed")
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    reading, writing = os.pipe()
    command = [program, "-displayfd", str(writing), "-screen", "0", "800x600x24"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:
        os.close(writing)
        with os.fdopen(reading) as answer:
            number = answer.readline().strip()
        yield f":{number}"
        server.terminate()


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
