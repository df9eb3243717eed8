"""Where the package keeps what it makes and can make again: demos, decoded frames, features."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder(named: str | None = None) -> Path:
    """The folder that keeps what the package makes.

    Args:
        named: A folder that the user named in a setting; it wins.

    Returns:
        ``named``; else the environment variable ``APPRAISE_CACHE``; else ``$XDG_CACHE_HOME/appraise``; else
        ``~/.cache/appraise``. It need not exist. An empty variable counts as none, ``~`` is the home folder.

    Example:
        >>> cache_folder("/data/appraise").as_posix()
        '/data/appraise'
    """
    if named is not None:
        return Path(named).expanduser()
    if own := os.environ.get("APPRAISE_CACHE"):
        return Path(own).expanduser()
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else Path.home() / ".cache") / "appraise"


def cache_help(what: str) -> str:
    """Line of help for a setting that names another folder."""
    return (
        f"Folder that keeps {what}; by default the environment variable ``APPRAISE_CACHE``, else "
        "``$XDG_CACHE_HOME/appraise``, else ``~/.cache/appraise``."
    )
