"""MPEG-2 whose frames are coded as two fields, which ffmpeg reads but does not write."""

from __future__ import annotations

import re
from pathlib import Path

from tests.datamodules.video.reading.containers import ffmpeg

_SEQUENCE, _GROUP, _EXTENSION = 0xB3, 0xB8, 0xB5


def field_coded(folder: Path) -> Path:
    """Twelve frames of 128x128 pixels: key frames of half the height, told to be the fields of one twice as high."""
    plain, path = folder / "intra.m2v", folder / "fields.m2v"
    ffmpeg("-f", "lavfi", "-i", "testsrc2=size=128x64:rate=50:duration=0.48", "-c:v", "mpeg2video", "-g", "1", plain)
    number, kept = -1, []
    for unit in re.split(b"(?=\x00\x00\x01)", plain.read_bytes()):
        if not unit:
            continue
        data, kind = bytearray(unit), unit[3]
        number += kind == _SEQUENCE
        second = number % 2 == 1
        extension = data[4] >> 4 if kind == _EXTENSION else 0
        if kind == _SEQUENCE:
            data[5:7] = [data[5] & 0xF0, 128]  # height
        elif extension == 1:
            data[5] &= ~0x08  # progressive_sequence
        elif extension == 8:
            data[6] = data[6] & ~0x03 | (2 if second else 1)  # picture_structure
            data[7] &= ~0xC2  # top_field_first, frame_pred_frame_dct, repeat_first_field
            data[8] &= ~0x80  # progressive_frame
        if not second or (kind not in (_SEQUENCE, _GROUP) and extension not in (1, 2)):
            kept.append(bytes(data))
    path.write_bytes(b"".join(kept))
    return path
