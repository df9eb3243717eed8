"""PQ and HLG as a usual screen would show them, beside the formulas of BT.2100, BT.2390 and BT.709 written out."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from datamodules.video.reading.reader import KeepFrames, decord_available, read_video
from datamodules.video.reading.tone_mapping import ToneMapping, mapping_of
from datamodules.video.streaming.reader import PictureConverter, StreamReader
from tests.datamodules.video.reading.containers import ffmpeg, needs_ffmpeg

GREY = 0.58  # about reference white in PQ
TRANSFERS = ["smpte2084", "arib-std-b67"]


def pq(light: float) -> float:
    power = (light / 10_000) ** 0.1593017578125
    return ((0.8359375 + 18.8515625 * power) / (1 + 18.6875 * power)) ** 78.84375


def light_of(signal: float, transfer: str) -> float:
    """Of grey, in candela a square metre."""
    if transfer == "smpte2084":
        root = signal ** (1 / 78.84375)
        return 10_000 * (max(root - 0.8359375, 0) / (18.8515625 - 18.6875 * root)) ** (1 / 0.1593017578125)
    scene = signal**2 / 3 if signal <= 0.5 else (math.exp((signal - 0.55991073) / 0.17883277) + 0.28466892) / 12
    return 1000 * scene**1.2


def expected(signal: float, transfer: str) -> float:
    """The 8-bit value of a grey signal."""
    top, most = pq(1000), pq(203) / pq(1000)
    part, knee = min(pq(light_of(signal, transfer)) / top, 1.0), 1.5 * most - 0.5
    if part >= knee:
        t = (part - knee) / (1 - knee)
        part = (2 * t**3 - 3 * t**2 + 1) * knee
        part += (t**3 - 2 * t**2 + t) * (1 - knee) + (3 * t**2 - 2 * t**3) * most
    return 255 * min(light_of(part * top, "smpte2084") / 203, 1.0) ** (1 / 2.4)


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_greys_follow_the_formulas(transfer: str) -> None:
    signal = np.linspace(0, 1, 257)
    picture = np.repeat(np.round(signal * 65535).astype(np.uint16)[None, :, None], 3, axis=2)
    mapped = ToneMapping(transfer).apply(picture)
    assert (mapped == mapped[..., :1]).all()  # grey stays grey
    right = np.array([expected(float(one), transfer) for one in signal])
    assert np.abs(mapped[0, :, 0] - right).max() < 1.0
    assert (np.diff(mapped[0, :, 0].astype(int)) >= 0).all()


def test_colours_keep_their_hue_and_those_beyond_bt709_are_cut_off() -> None:
    apply = ToneMapping("smpte2084").apply
    bright, dim = (apply(np.array([[[int(65535 * pq(part * light)) for part in (1.0, 0.9, 0.9)]]], dtype=np.uint16))
                   for light in (400, 50))  # fmt: skip
    linear = [(one[0, 0] / 255.0) ** 2.4 for one in (bright, dim)]
    assert linear[0] / linear[0].max() == pytest.approx(linear[1] / linear[1].max(), abs=0.03)
    green = apply(np.array([[[0, int(65535 * pq(203)), 0]]], dtype=np.uint16))
    assert green[0, 0].tolist()[::2] == [0, 0]


def test_usual_video_is_left_alone() -> None:
    assert mapping_of("bt709") is None
    assert mapping_of("") is None


@needs_ffmpeg
@pytest.mark.parametrize("transfer", TRANSFERS)
def test_readers_say_what_they_find_and_map_it_where_asked(tmp_path: Path, transfer: str) -> None:
    path = tmp_path / "hdr.mp4"
    level = round(GREY * 255)
    tags = ["-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_trc", transfer]
    scene = f"color=c=0x{level:02x}{level:02x}{level:02x}:size=64x48:rate=25:duration=0.2,format=gbrp"
    shades = ["-vf", "scale=out_color_matrix=bt2020", "-pix_fmt", "yuv444p10le"]
    ffmpeg("-f", "lavfi", "-i", scene, *shades, "-c:v", "libx264", "-qp", "4", *tags, path)
    for mapped, right in ((False, float(level)), (True, expected(level / 255, transfer))):
        for reader in ("decord", "pyav"):
            kept = KeepFrames(np.array([0, 4]))
            info = read_video(str(path), kept, reader=reader, tone_mapping=mapped)
            assert info.transfer == transfer
            assert kept.frames().mean() == pytest.approx(right, abs=2.5)
            if reader == "decord" and decord_available():
                assert info.reader.startswith("pyav (decord: it hands over 8 bits") == mapped
        stream = StreamReader(str(path))
        frame = next(stream.frames()).frame
        facts = stream.facts(frame)
        converter = PictureConverter(facts, 16, mapped)
        square, full = np.empty((3, 16, 16), dtype=np.uint8), np.empty((48, 64, 3), dtype=np.uint8)
        converter.square(frame, square)
        converter.full(frame, full)
        assert facts.transfer == transfer
        assert [square.mean(), full.mean()] == pytest.approx([right, right], abs=2.5)
