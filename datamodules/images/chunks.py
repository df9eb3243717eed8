"""Chunks of PNG files, found without decoding them."""

from __future__ import annotations

from pathlib import Path


def png_chunk(path: str | Path, name: bytes) -> bytes | None:
    """Content of the first chunk of a name; the others are stepped over, not read. None where there is none."""
    with Path(path).open("rb") as stream:
        stream.seek(8)
        while len(head := stream.read(8)) == 8:
            length = int.from_bytes(head[:4])
            if head[4:] == name:
                return stream.read(length)
            stream.seek(length + 4, 1)
    return None
