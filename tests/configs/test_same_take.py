"""Real video, a same-take check: learn signs from the first half of each clip, find them in the second halves.

Twelve clips of one sign each are too few to know a sign from its signer or its room; what is checked is that segments
and times come out right on real pictures, not that signs are recognised.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

import cli
from datamodules.video.writing.encode import encode_video

FPS = 30
SIZE = (320, 240)


def frames_of(path: Path) -> list[NDArray[np.uint8]]:
    with av.open(str(path)) as container:
        return [frame.reformat(*SIZE, format="rgb24").to_ndarray() for frame in container.decode(video=0)]


def make_halves(clips: list[Path], folder: Path) -> Path:
    """Write the first halves as clips with a list, and the second halves as one video with its true segments."""
    rows = ["video,class,split"]
    annotations, start = [], 0.0
    second: list[list[NDArray[np.uint8]]] = []
    for clip in clips:
        frames = frames_of(clip)
        half = len(frames) // 2
        learnt = int(0.8 * half)
        for split, part in (("train", frames[:learnt]), ("val", frames[learnt:half])):
            encode_video(folder / f"{clip.stem}_{split}.mp4", part, FPS, qp=18)
            rows.append(f"{clip.stem}_{split}.mp4,{clip.stem},{split}")
        second.append(frames[half:])
        end = start + len(second[-1]) / FPS
        annotations.append({"segment": [start, end], "label": clip.stem})
        start = end
    (folder / "clips.csv").write_text("\n".join(rows) + "\n")

    def joined() -> Iterator[NDArray[np.uint8]]:
        for part in second:
            yield from part

    encode_video(folder / "second_halves.mp4", joined(), FPS, qp=18)
    truth = {"database": {"second_halves": {"duration": start, "subset": "test", "annotations": annotations}}}
    (folder / "truth.json").write_text(json.dumps(truth))
    return folder


@pytest.mark.slow
def test_second_halves_of_real_clips(shared_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = sorted((shared_dir / "data" / "action" / "intel_asl").glob("*.mkv"))
    if len(clips) != 12:
        pytest.skip("the twelve clips of signs are not there")
    folder = make_halves(clips, tmp_path)
    fit = ["fit", "--config", "action/demo", f"--data.init_args.labels={folder / 'clips.csv'}", "--seed_everything=0"]
    fit += ["--data.init_args.frames_per_video=40", "--test_after_fit=false", "--trainer.max_epochs=40"]
    assert cli.main([*fit, f"--output={tmp_path / 'run'}"]) == 0
    checkpoint = next((tmp_path / "run").rglob("best.ckpt"))
    scores = {}
    for mode in ("trailing", "centred"):
        words = ["annotate", str(folder / "second_halves.mp4"), "--ckpt_path", str(checkpoint), "--seconds=0.5"]
        words += [f"--mode={mode}", f"--truth={folder / 'truth.json'}", f"--output={tmp_path / mode}"]
        assert cli.main([*words, "--trainer.accelerator=cpu", "--video=false"]) == 0
        scores[mode] = json.loads((tmp_path / mode / "summary.json").read_text())
    with capsys.disabled():
        for mode, summary in scores.items():
            print(f"\nsame take, {mode}: {json.dumps(summary, indent=1)}")  # noqa: T201  # a figure for the reader
