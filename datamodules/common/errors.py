"""Errors that a user can act on: each message says what failed, the value, what is allowed and what to do."""

from __future__ import annotations

from pathlib import Path


class AppraiseError(Exception):
    """Base of every error that the package raises on purpose."""


class ConfigurationError(AppraiseError, ValueError):
    """An option has a value that cannot work, alone or together with another."""


class LabelError(AppraiseError, ValueError):
    """A label list is malformed; the message names the file and the line."""


class VideoError(AppraiseError, OSError):
    """A video cannot be opened, decoded in time, or written; the message names the file."""


class ImageError(AppraiseError, OSError):
    """A picture cannot be read or cut; the message names the file."""


class CheckpointError(AppraiseError, RuntimeError):
    """A file of weights does not fit; the message lists the keys."""


class StoreError(AppraiseError, RuntimeError):
    """A feedback store cannot be used, or an answer contradicts what it holds; what it holds is unchanged."""


class StoreUnavailableError(StoreError):
    """The store cannot be written just now: locked, full disk, failing disk. Nothing was saved; later it may be."""


class ExportError(AppraiseError, RuntimeError):
    """A network cannot be exported, or a folder holds no export that can be run."""


def fail(path: str | Path, line: int, problem: str) -> LabelError:
    """Build the error for one line of a list: ``FILE, line N: problem``."""
    return LabelError(f"{path}, line {line}: {problem}")
