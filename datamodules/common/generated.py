"""Generated data sets: made on first use, once whatever the number of processes, and kept in a cache folder."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from datamodules.common.cache_folder import cache_folder
from datamodules.common.errors import AppraiseError, ConfigurationError
from datamodules.common.fingerprint import config_digest

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


def content_of(settings: DataclassInstance, *left_out: str) -> dict[str, int | float | bool]:
    """The settings that decide what is made, without those that say where and how."""
    return {name: value for name, value in asdict(settings).items() if name not in ("cache_dir", *left_out)}


def generated_folder(name: str, cache_dir: str | None, content: Mapping[str, object]) -> Path:
    """Where a data set is or will be; all that decides it, and the version of its code, is in its name."""
    return cache_folder(cache_dir) / name / config_digest(dict(content))[:16]


def made_once(
    folder: Path,
    is_complete: Callable[[], bool],
    make: Callable[[Path], None],
    *,
    what: str,
    megabytes: int,
    failure: type[AppraiseError],
) -> Path:
    """Have a folder made unless it is complete; processes that ask at the same time wait for the one that makes it.

    Args:
        folder: The folder.
        is_complete: Whether all of it is there.
        make: Fills a partial folder beside it, which then takes its name; called by one process at a time.
        what: What is made, for the message.
        megabytes: Room that it takes.
        failure: Class of the error where the folder cannot be written.

    Raises:
        AppraiseError: Of the class ``failure``, if the folder cannot be written.
    """
    if is_complete():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            if not is_complete():
                partial = folder.with_suffix(".partial")
                make(partial)
                if folder.exists():  # something was deleted from it by hand
                    shutil.rmtree(folder)
                partial.replace(folder)
    except OSError as error:
        if isinstance(error, AppraiseError):
            raise
        raise failure(
            f"Cannot make the demo {what} in {folder}: {error}; free some disk space ({megabytes} MB) or name another "
            "folder by the environment variable APPRAISE_CACHE."
        ) from error
    return folder


def check_fractions(val_fraction: float, test_fraction: float) -> None:
    """Refuse shares of a demo that leave nothing for one of its splits.

    Raises:
        ConfigurationError: If they do.
    """
    if not (val_fraction > 0 and test_fraction > 0 and val_fraction + test_fraction < 1):
        raise ConfigurationError(
            f"The demo's val_fraction is {val_fraction} and test_fraction {test_fraction}; both must be above 0 and "
            "their sum below 1."
        )
