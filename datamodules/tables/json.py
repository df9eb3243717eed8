"""JSON with every key once."""

from __future__ import annotations

import json
from pathlib import Path

from datamodules.common.errors import LabelError, fail
from datamodules.tables.text import read_text


def read_json(path: str | Path, layout: str) -> object:
    """Read a JSON file.

    Args:
        path: Any text that `read_text` reads.
        layout: What the file should be, for messages: "give a COCO file".

    Raises:
        LabelError: If it cannot be read or is no valid JSON, an object has a key twice.
    """
    text = read_text(path, f"cannot be read ({{}}); {layout}")
    try:
        content: object = json.loads(text, object_pairs_hook=_once)
    except json.JSONDecodeError as error:
        raise fail(path, error.lineno, f"not valid JSON ({error.msg}); {layout}") from error
    except (ValueError, RecursionError) as error:
        reason = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise LabelError(f"{path}: {reason}; {layout}") from error
    return content


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"an object has the key {twice!r} twice, and only one of them would count")
    return found
