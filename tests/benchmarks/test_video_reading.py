"""Clips a second of the whole way from a file to tensors, beside the bare decoding of the same frames."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from datamodules.video.reading.reader import ReaderName, decord_available
from datamodules.video.writing.encode import encode_video
from datamodules.video_quality.dataset import VideoQualityDataset
from datamodules.video_quality.labels import LabelledVideo
from datamodules.video_quality.settings import ClipSettings
from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import in_turns

SIZES = ((720, 1280), (540, 960), (360, 640))
INTERVALS = (2, 4)
GRAIN = 5.0  # grey levels


def bare_decord(path: str, indices: list[int]) -> None:
    import decord

    decord.logging.set_level(decord.logging.QUIET)
    decord.VideoReader(path, ctx=decord.cpu(0)).get_batch(indices)


def bare_pyav(path: str, indices: list[int]) -> None:
    import av

    wanted, last = set(indices), indices[-1]
    frames = []
    with av.open(path) as container:
        stream = container.streams.video[0]
        stream.thread_type = "AUTO"
        for position, frame in enumerate(container.decode(stream)):
            if position in wanted:
                frames.append(frame.to_ndarray(format="rgb24"))
            if position >= last:
                break
    assert len(np.stack(frames)) == len(indices)


def filmed(count: int, height: int, width: int) -> Iterator[NDArray[np.uint8]]:
    """A hand-held camera over a coarse scene, with grain: one to two Mbit/s in 720p, as clips that people upload."""
    generator = np.random.default_rng(0)
    scene = generator.integers(40, 200, (height // 16 + 8, width // 16 + 8, 3)).repeat(16, 0).repeat(16, 1)
    grain = generator.normal(0, GRAIN, (8, height, width, 1))
    for number in range(count):
        y, x = number // 2 % 64, number % 64
        picture = scene[y : y + height, x : x + width] + grain[number % len(grain)]
        yield picture.clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("videos")
    return [str(encode_video(folder / f"{high}.mp4", filmed(300, high, wide), 30, crf=23)) for high, wide in SIZES]


@pytest.mark.benchmark
@pytest.mark.video_quality
@pytest.mark.parametrize("reader", ["decord", "pyav"])
def test_clips_a_second_beside_bare_decoding(reader: ReaderName, files: list[str], speed: Speed) -> None:
    if reader == "decord" and not decord_available():
        pytest.skip("decord has no wheel for this machine")
    bare = bare_decord if reader == "decord" else bare_pyav
    settings = [ClipSettings(clip_length=32, frame_interval=each, key_frame_layout="official") for each in INTERVALS]
    cases = [(file, own) for file in files for own in settings]
    sets = [VideoQualityDataset([LabelledVideo(file, file)], own, reader=reader) for file, own in cases]
    items = [data[0] for data in sets]
    assert {(item["record"]["reader"], item["record"]["upsampled"]) for item in items} == {(reader, False)}
    wanted = [torch.unique(item["frame_index"]).tolist() for item in items]

    def alone() -> None:
        for (file, _), indices in zip(cases, wanted, strict=True):
            bare(file, indices)

    taken = in_turns({"ours": lambda: [data[0] for data in sets], "bare": alone})
    clips = len(sets) * settings[0].eval_clips
    speed.add(reader, taken["bare"] / taken["ours"], clips / float(np.median(taken["bare"])), "clips/s")
