"""How a line of a figure is drawn, as tests compare it."""

from __future__ import annotations

from typing import Any


def look_of(line: Any) -> tuple[object, str]:
    """Colour and dashes of a line; matplotlib has no public name that tells the dashes."""
    return line.get_color(), str(line._dash_pattern)
