"""Find a font that has the characters of a text, among matplotlib's own and those of the system."""

from __future__ import annotations

import functools
import logging
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import matplotlib
import numpy as np
from fontTools.ttLib import TTFont, TTLibError  # type: ignore[import-untyped]  # it ships no types
from matplotlib import font_manager
from numpy.typing import NDArray

log = logging.getLogger(__name__)

_OUTLINES = ("glyf", "CFF ", "CFF2")  # a font of coloured bitmaps has one size only
_MANY = 1000  # system fonts looked at, so that a machine with thousands still answers at once


FontFile = str  # path of a font file; of a collection its first face is taken


def default_font(bold: bool = True) -> FontFile:
    """DejaVu Sans, which matplotlib brings: Latin, Greek, Cyrillic, Arabic and more."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name)


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
    fonts = [first, *candidates(needed - _covered(first, needed), bold)]
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
    for path in dict.fromkeys(font for text in texts for _, font in runs_of(text, bold=False)):
        if path == default_font(bold=False):
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
def candidates(missing: frozenset[str], bold: bool) -> tuple[FontFile, ...]:
    """System fonts that have some of the missing characters, those with the most first; one that has all is enough."""
    if not missing:
        return ()
    scripts = {_script(character) for character in missing}
    useful: list[tuple[int, FontFile]] = []
    for font in sorted(system_fonts(), key=lambda font: (_oddness(font, bold, scripts), font)):
        count = len(_covered(font, missing))
        if count == len(missing):
            return (font,)
        if count:
            useful.append((count, font))
    return tuple(font for _, font in sorted(useful, key=lambda entry: -entry[0]))


def _script(character: str) -> str:
    """Word that names of fonts use for a character's script.

    Example:
        >>> [_script(character) for character in "\N{HIRAGANA LETTER MU}\N{DEVANAGARI LETTER NA}"]
        ['cjk', 'devanagari']
    """
    word = unicodedata.name(character, "unknown").split()[0].split("-")[0].lower()
    return "cjk" if word in ("hiragana", "katakana", "hangul", "bopomofo") else word


def _oddness(font: FontFile, bold: bool, scripts: set[str]) -> int:
    """Order in which fonts are tried: made for the script, sans, upright, of the wanted weight."""
    name = Path(font).stem.lower()
    marks = {"sans": -4, "serif": 4, "mono": 6, "italic": 8, "oblique": 8, "light": 2, "thin": 2, "black": 2}
    marks |= dict.fromkeys(scripts, -32) | {"bold" if bold else "regular": -1}
    return sum(weight for mark, weight in marks.items() if mark in name)


@functools.cache
def system_fonts() -> tuple[FontFile, ...]:
    """Fonts of this machine; of very many, those for many scripts first."""
    paths = sorted(font_manager.findSystemFonts())
    if len(paths) > _MANY:
        paths.sort(key=lambda path: (not Path(path).stem.lower().startswith(("noto", "dejavu", "unifont")), path))
    return tuple(paths[:_MANY])


@functools.cache
def _code_points(font: FontFile) -> NDArray[np.uint32]:
    """Characters that a font can draw at any size; none where the file cannot be read."""
    codes: list[int] = []
    try:
        with TTFont(font, fontNumber=0, lazy=True) as face:
            if any(table in face for table in _OUTLINES):
                codes = sorted(face.getBestCmap() or {})
    except (TTLibError, OSError, ValueError, KeyError, AssertionError) as error:  # fontTools asserts on broken tables
        log.debug("%s is no usable font: %s", font, error)
    return np.array(codes, np.uint32)


_named: set[str] = set()


def _name_missing(characters: frozenset[str]) -> None:
    fresh = sorted(characters - _named)
    if fresh:
        _named.update(fresh)
        shown = ", ".join(f"{character} (U+{ord(character):04X})" for character in fresh[:8])
        more = f" and {len(fresh) - 8} more" if len(fresh) > 8 else ""
        log.warning("no font here has %s%s, so boxes stand for them: install one, such as Noto Sans", shown, more)
