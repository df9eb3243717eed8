"""What version of the code runs."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git_state(file: Path) -> dict[str, object] | None:
    """Commit of the working tree that holds a file of the package.

    Returns:
        ``{"commit": ..., "dirty": whether it has uncommitted changes, "pushed": whether a remote holds the commit}``,
        or None when the code was installed without its repository.
    """
    folder = file.resolve().parent
    commit = _git(folder, "rev-parse", "HEAD")
    inside = _git(folder, "ls-files", "--error-unmatch", file.name)
    if commit is None or inside is None:  # the second: installed below somebody else's repository
        return None
    dirty = bool(_git(folder, "status", "--porcelain", "--untracked-files=no"))
    return {"commit": commit, "dirty": dirty, "pushed": bool(_git(folder, "branch", "-r", "--contains", commit))}


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
