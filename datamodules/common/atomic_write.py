"""Writing files so that a stopped run leaves whole files and whole rows."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from datamodules.common.errors import one_line

BEYOND_UTF8 = "backslashreplace"  # what becomes of the bytes of a file's name that are no UTF-8, in a text file
_TEMPORARY_BYTES = 120  # of the part of a temporary file's name that tells whose it is


@contextmanager
def atomic_path(target: str | Path) -> Iterator[Path]:
    """Give a temporary path beside ``target`` that replaces it when the block ends without an error.

    The temporary file keeps the suffix of ``target`` (writers choose a format by it), is synchronised to the disk
    before the rename, and is removed when the block raises, so that ``target`` is either the old file or the new one.

    Args:
        target: File to write; missing parent folders are made.

    Yields:
        Path of the temporary file.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{_whose(target.stem)}.{_host()}.{os.getpid()}."
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=prefix, suffix=target.suffix)
    os.close(descriptor)
    temporary = Path(name)
    try:
        yield temporary
        _use_default_mode(temporary)
        _synchronise(temporary)
        temporary.replace(target)
        _synchronise_folder(target.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def atomic_folder(target: str | Path) -> Iterator[Path]:
    """Give a temporary folder beside ``target`` that takes its place when the block ends without an error.

    All files in it are synchronised to the disk first. A folder that is there already is moved aside, and removed once
    the new one stands; when the block raises, nothing has changed.

    Args:
        target: Folder to write; missing parent folders are made.

    Yields:
        Path of the temporary folder.
    """
    target = Path(target).absolute()
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{_whose(target.name)}.{_host()}.{os.getpid()}."))
    made, old = aside / "new", aside / "old"
    try:
        made.mkdir()
        yield made
        for file in made.rglob("*"):
            if file.is_file():
                _synchronise(file)
        if target.exists():
            target.rename(old)
        try:
            made.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
        _synchronise_folder(target.parent)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sweep_leftovers(target: str | Path) -> list[Path]:
    """Remove what killed processes left of their writing of ``target``.

    A temporary file goes when its process is gone; one that another machine wrote, whose processes are not seen from
    here, when it has not been touched for a day.

    Returns:
        The files removed.
    """
    target = Path(target)
    return _sweep(target.parent, rf"\.{re.escape(_whose(target.stem))}\.(.*)\.(\d+)\.\w+{re.escape(target.suffix)}")


def sweep_folder(folder: str | Path) -> list[Path]:
    """Remove what killed processes left of their writing of any file of a folder, as `sweep_leftovers` does of one.

    Returns:
        The files removed.
    """
    return _sweep(Path(folder), rf"\..+\.({re.escape(_host())})\.(\d+)\.\w{{8}}(?:\.\w+)?")


def _sweep(folder: Path, name: str) -> list[Path]:
    """Remove temporary files by a pattern that has the host and the process as its groups."""
    removed = []
    for path in folder.glob(".*") if folder.is_dir() else ():
        found = re.fullmatch(name, path.name)
        if found and _is_abandoned(path, found[1], int(found[2])):
            path.unlink(missing_ok=True)
            removed.append(path)
    return removed


def write_bytes(target: str | Path, content: bytes) -> None:
    """Write ``content`` to ``target`` at once: readers see the old file or the new one, never a part."""
    with atomic_path(target) as temporary:
        temporary.write_bytes(content)


def write_text(target: str | Path, content: str) -> None:
    """Write ``content`` as UTF-8 to ``target`` at once: readers see the old file or the new one, never a part.

    Bytes of a file's name that are no UTF-8 become escapes, which JSON reads back as they were.
    """
    write_bytes(target, content.encode("utf-8", BEYOND_UTF8))


def write_with(target: str | Path, writer: Callable[[Path], None]) -> None:
    """Let ``writer`` fill a temporary path, then move it to ``target`` at once (for figures, tensors, videos)."""
    with atomic_path(target) as temporary:
        writer(temporary)


def short_name(name: str, most: int = 200) -> str:
    r"""A file's name within so many bytes: the beginning of a longer one, and a hash of the whole.

    Example:
        >>> short_name("kitchen"), short_name("\N{CJK UNIFIED IDEOGRAPH-9577}" * 80, 30)
        ('kitchen', '\u9577\u9577\u9577\u9577\u9577\u9577\u9577-81cbf233')
    """
    held = name.encode("utf-8", "surrogatepass")
    if len(held) <= most:
        return name
    digest = hashlib.sha256(held).hexdigest()[:8]
    return f"{held[: most - 9].decode('utf-8', 'ignore')}-{digest}"


def output_name(stem: str) -> str:
    r"""What the results of a file are called: its name in 200 bytes, without control characters and odd bytes.

    Example:
        >>> output_name("a\nb\udce9")
        'a_b_'
    """
    return short_name("".join("_" if one_line(letter) != letter else letter for letter in stem))


def flush_row(stream: IO[str]) -> None:
    """Push what was written to an open text file down to the disk, so that the row survives a crash."""
    stream.flush()
    os.fsync(stream.fileno())


def append_row(target: str | Path, row: str) -> None:
    r"""Append one line to a text file and synchronise it; a half-written last line is ended first.

    Raises:
        ValueError: If ``row`` holds a newline.
    """
    if "\n" in row:
        raise ValueError(f"a row must be one line, but {row[:60]!r} holds a newline; escape it first")
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    torn = _lacks_final_newline(target)
    with target.open("a", encoding="utf-8", errors=BEYOND_UTF8, newline="") as stream:
        stream.write(("\n" if torn else "") + row + "\n")
        flush_row(stream)


def _whose(name: str) -> str:
    return short_name(name, _TEMPORARY_BYTES)


def _host() -> str:
    return re.sub(r"\W", "-", socket.gethostname())


def _is_abandoned(path: Path, host: str, process: int) -> bool:
    try:
        if host != _host() or os.name == "nt":  # Windows takes signal 0 for Ctrl-C
            return time.time() - path.stat().st_mtime > 24 * 3600
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except OSError:  # somebody else's process, or the file is gone
        return False
    return False


def _lacks_final_newline(path: Path) -> bool:
    if not path.exists() or path.stat().st_size == 0:
        return False
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1) != b"\n"


def _use_default_mode(path: Path) -> None:
    """Give the file the permissions that ``open`` would have given: mkstemp's are for the owner alone."""
    mask = os.umask(0)
    os.umask(mask)
    path.chmod(0o666 & ~mask)


def _synchronise(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _synchronise_folder(folder: Path) -> None:
    """Make the rename itself durable; Windows has no descriptor for a folder and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
