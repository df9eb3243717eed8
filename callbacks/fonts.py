"""Find a font that has the characters of a text, among matplotlib's own and those of the system."""

from __future__ import annotations

import functools
import logging
import unicodedata
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from fontTools.ttLib import TTCollection, TTFont, TTLibError  # type: ignore[import-untyped]  # it ships no types
from matplotlib import font_manager
from numpy.typing import NDArray

log = logging.getLogger(__name__)

_OUTLINES = ("glyf", "CFF ", "CFF2")  # a font of coloured bitmaps has one size only
_MANY = 400  # system fonts looked at, so that a machine with thousands still answers at once


class FontFile(NamedTuple):
    """One face of a font file.

    Attributes:
        path: The file.
        number: The face inside a collection, else 0.
    """

    path: str
    number: int = 0


def default_font(bold: bool = True) -> FontFile:
    """DejaVu Sans, which matplotlib brings: Latin, Greek, Cyrillic, Arabic and more."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return FontFile(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name))


def runs_of(text: str, bold: bool = True) -> list[tuple[str, FontFile]]:
    """Cut a text where another font must take over; a text that one font covers is one run.

    Args:
        text: Any text, in Unicode.
        bold: Whether bold fonts are preferred.

    Returns:
        Pieces in order with the font of each; characters that no font has stay in the run before them and are named
        once in the log.

    Example:
        >>> [run for run, _ in runs_of("drinking")]
        ['drinking']
    """
    needed = frozenset(character for character in text if _is_drawn(character))
    first = default_font(bold)
    fonts = [first, *_candidates(needed - _covered(first, needed), bold)]
    for font in fonts:
        if needed == _covered(font, needed):
            return [(text, font)] if text else []
    pieces: list[tuple[str, FontFile]] = []
    for character in text:
        font = _font_of(character, fonts) or (pieces[-1][1] if pieces else first)
        if pieces and pieces[-1][1] == font:
            pieces[-1] = (pieces[-1][0] + character, font)
        else:
            pieces.append((character, font))
    _name_missing(needed.difference(*(_covered(font, needed) for font in fonts)))
    return pieces


def figure_families(texts: Sequence[str]) -> list[str]:
    """Font families, in order of preference, with which matplotlib can draw all ``texts``.

    Fonts that it does not know yet are registered with it.
    """
    families = ["DejaVu Sans"]
    manager = font_manager.fontManager
    for path in dict.fromkeys(font.path for text in texts for _, font in runs_of(text, bold=False)):
        if path == default_font(bold=False).path:
            continue
        if not any(entry.fname == path for entry in manager.ttflist):
            manager.addfont(path)
        families += [entry.name for entry in manager.ttflist if entry.fname == path][:1]
    return list(dict.fromkeys(families))


def _is_drawn(character: str) -> bool:
    """Whether a character needs a glyph: control, joining and space characters do not."""
    return unicodedata.category(character)[0] not in "CZ" and unicodedata.category(character) != "Mn"


def _font_of(character: str, fonts: Sequence[FontFile]) -> FontFile | None:
    if not _is_drawn(character):
        return None
    return next((font for font in fonts if _covered(font, frozenset(character))), None)


def _covered(font: FontFile, characters: frozenset[str]) -> frozenset[str]:
    """Those of ``characters`` that the font can draw."""
    known = _code_points(font)
    wanted = np.array([ord(character) for character in characters], np.uint32)
    return frozenset(chr(code) for code in wanted[np.isin(wanted, known)].tolist())


@functools.lru_cache(maxsize=256)
def _candidates(missing: frozenset[str], bold: bool) -> tuple[FontFile, ...]:
    """System fonts that have some of the missing characters, those with the most first."""
    if not missing:
        return ()
    found = [(len(_covered(font, missing)), font) for font in _system_fonts()]
    useful = [(count, font) for count, font in found if count]
    useful.sort(key=lambda entry: (-entry[0], _oddness(entry[1], bold), entry[1]))
    return tuple(font for _, font in useful)


def _oddness(font: FontFile, bold: bool) -> int:
    """Order among fonts of the same coverage: sans before serif, upright before italic, the wanted weight first."""
    name = Path(font.path).stem.lower()
    marks = {"sans": -4, "serif": 4, "mono": 6, "italic": 8, "oblique": 8, "light": 2, "thin": 2, "black": 2}
    marks["bold" if bold else "regular"] = -1
    return sum(weight for mark, weight in marks.items() if mark in name)


@functools.cache
def _system_fonts() -> tuple[FontFile, ...]:
    paths = sorted(font_manager.findSystemFonts())
    if len(paths) > _MANY:
        paths.sort(key=lambda path: (not Path(path).stem.lower().startswith(("noto", "dejavu", "unifont")), path))
    faces: list[FontFile] = []
    for path in paths[:_MANY]:
        faces += [FontFile(path, number) for number in range(_faces_in(path))]
    return tuple(faces)


def _faces_in(path: str) -> int:
    if not path.lower().endswith((".ttc", ".otc")):
        return 1
    try:
        with TTCollection(path, lazy=True) as collection:
            return len(collection.fonts)
    except (TTLibError, OSError, ValueError):
        return 0


@functools.cache
def _code_points(font: FontFile) -> NDArray[np.uint32]:
    """Characters that a font can draw at any size; none where the file cannot be read."""
    codes: list[int] = []
    try:
        with TTFont(font.path, fontNumber=font.number, lazy=True) as face:
            if any(table in face for table in _OUTLINES):
                codes = sorted(face.getBestCmap() or {})
    except (TTLibError, OSError, ValueError, KeyError, AssertionError) as error:  # fontTools asserts on broken tables
        log.debug("%s is no usable font: %s", font.path, error)
    return np.array(codes, np.uint32)


_named: set[str] = set()


def _name_missing(characters: frozenset[str]) -> None:
    fresh = sorted(characters - _named)
    if fresh:
        _named.update(fresh)
        shown = ", ".join(f"{character} (U+{ord(character):04X})" for character in fresh[:8])
        more = f" and {len(fresh) - 8} more" if len(fresh) > 8 else ""
        log.warning("no font here has %s%s, so boxes stand for them: install one, such as Noto Sans", shown, more)
