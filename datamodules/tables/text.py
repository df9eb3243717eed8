"""Text of a file, whatever program saved it: byte-order marks, UTF-16 and all ends of lines are understood."""

from __future__ import annotations

import codecs
import stat
from pathlib import Path

from datamodules.common.errors import LabelError, fail

_MARKS = (  # the longer ones first: that of UTF-32 begins like that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_NO_TEXT = {
    b"PK\x03\x04": "an Excel or zip file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"\x1f\x8b": "a gzip file",
    b"%PDF": "a PDF",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"SQLite format 3": "an SQLite file",
    b"version https://git-lfs": "a pointer of Git LFS, whose content `git lfs pull` fetches",
    b"<!DOCTYPE": "a web page, perhaps of a download that failed",
    b"<html": "a web page, perhaps of a download that failed",
}
UNREAD = "the list cannot be read ({}); check the path"


def read_text(path: str | Path, sentence: str = UNREAD, *, exact: bool = False) -> str:
    r"""Text of a file, its lines ended by ``\n`` alone.

    Args:
        path: UTF-8, with or without a byte-order mark, UTF-16, or UTF-32 with one.
        sentence: The error after the path where the file cannot be opened, with ``{}`` for the reason.
        exact: Keep ends of lines, and NUL, as they are.

    Raises:
        LabelError: If it cannot be read, is no regular file (a pipe would be waited for without end), or is no text;
            of another encoding the message names the line and how to convert the file.
    """
    try:
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise LabelError(f"{path}: {sentence.format('it is no regular file')}")
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:
        if isinstance(error, LabelError):
            raise
        reason = getattr(error, "strerror", None) or str(error)  # of a NUL in the path, ValueError
        raise LabelError(f"{path}: {sentence.format(reason)}") from error
    text = _decoded(path, data)
    return text if exact else _plain(path, text)


def read_lines(path: str | Path, sentence: str = UNREAD) -> list[str]:
    """Lines of a file, without their ends.

    Raises:
        LabelError: As `read_text`.
    """
    return read_text(path, sentence).removesuffix("\n").split("\n")  # splitlines parts at form feeds and more


def is_utf8(path: str | Path) -> bool:
    """Whether a file is UTF-8, as programs want it that know no other encoding."""
    try:
        Path(path).read_bytes().decode()
    except UnicodeDecodeError:
        return False
    return True


def _plain(path: str | Path, text: str) -> str:
    plain = text.replace("\r\n", "\n").replace("\r", "\n").rstrip("\x1a")  # DOS ended files so
    if "\0" in plain:
        line = plain.count("\n", 0, plain.index("\0")) + 1
        raise fail(path, line, "it holds a NUL byte, so it is damaged or no text; save it anew")
    return plain


def _decoded(path: str | Path, data: bytes) -> str:
    known = next((what for beginning, what in _NO_TEXT.items() if data.startswith(beginning)), None)
    if known is not None:
        raise LabelError(f"{path}: this is {known}; a plain text is wanted, such as csv in UTF-8")
    encoding = next((name for mark, name in _MARKS if data.startswith(mark)), None) or _without_mark(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise _other_encoding(path, data, encoding, error.start) from error


def _without_mark(data: bytes) -> str:
    """UTF-16 without a mark shows by its letters, of which every other byte is 0."""
    head = data[:4096]
    for encoding, zeros, letters in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if zeros and zeros.count(0) > 0.6 * len(zeros) and not letters.count(0):
            return encoding
    return "utf-8"


def _other_encoding(path: str | Path, data: bytes, encoding: str, place: int) -> LabelError:
    """Error that names the line, how it reads in the encoding of Western Windows, and how to convert the file."""
    if encoding != "utf-8":
        return LabelError(f"{path}: it begins as {encoding.upper()} but is damaged at byte {place}; save it anew")
    before = data[:place].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    start = before.rfind(b"\n") + 1
    number, line = before.count(b"\n") + 1, (before[start:] + data[place:].splitlines()[0])[:80]
    try:
        seen = f"read as Windows-1252 (cp1252) the line is {line.decode('cp1252').strip()!r}; if that is right, "
    except UnicodeDecodeError:
        seen = "with the encoding of its program in place of cp1252, "
    return fail(
        path,
        number,
        f"byte 0x{data[place]:02x} is no UTF-8; {seen}save the file as UTF-8, for example by "
        f"`iconv -f cp1252 -t utf-8 {Path(path).name} > new_{Path(path).name}`",
    )
