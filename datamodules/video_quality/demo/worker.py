"""Makes the clips of some sources of the demo: the process that :mod:`datamodules.video_quality.demo.making` starts.

``python -m datamodules.video_quality.demo.worker FOLDER SETTINGS_JSON`` reads source numbers from the standard input,
one a line, and answers each with its number when it is done. A source whose record is already in the folder is
answered at once, so that an interrupted making goes on where it stopped.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TypedDict

import numpy as np

from datamodules.video.writing.encode import encode_video
from datamodules.video_quality.demo.drawing import Clip
from datamodules.video_quality.demo.sources import (
    ANCHOR_QP,
    FPS,
    QP_INTERVALS,
    DemoSettings,
    Source,
    decode,
    draw_source,
    draw_version,
    recompress,
)
from datamodules.video_quality.full_reference import fair_score, structure_loss

_MEASURED_STEP = 2  # every second frame is measured: neighbours lose alike


class ClipRecord(TypedDict):
    """What is known of one made clip."""

    file: str
    mos: float
    pattern: int
    reference: str
    region: list[int]
    layout: str
    kinds: str
    qp: int
    inside: str
    outside: str
    loss: float


def record_path(folder: Path, number: int) -> Path:
    """The file that says that a source is complete."""
    return folder / "records" / f"source{number:04d}.json"


def make_source(folder: Path, settings: DemoSettings, number: int) -> list[ClipRecord]:
    """Draw one source, encode its six versions into ``folder/clips`` and score them.

    Returns:
        A record for each clip, in the order of the QP intervals.

    Raises:
        VideoError: If a clip cannot be written.
    """
    source = draw_source(settings, number)
    anchors = _part_losses(source, recompress(source.frames, ANCHOR_QP))
    records: list[ClipRecord] = []
    for pattern in range(len(QP_INTERVALS)):
        version = draw_version(settings, source, pattern)
        path = folder / "clips" / f"source{number:04d}_{pattern}.mp4"
        encode_video(path, version.frames, FPS, qp=version.qp)
        losses = _part_losses(source, decode(path))
        frames = [part.stop - part.start for part in source.parts]
        scores = [fair_score(loss, anchor) for loss, anchor in zip(losses, anchors, strict=True)]
        records.append(
            ClipRecord(
                file=f"clips/{path.name}",
                mos=round(float(np.average(scores, weights=frames)), 4),
                pattern=pattern,
                reference=f"source{number:04d}",
                region=list(source.region),
                layout=source.layout,
                kinds="+".join(source.kinds),
                qp=version.qp,
                inside=version.inside,
                outside=version.outside,
                loss=round(float(np.average(losses, weights=frames)), 5),
            )
        )
    return records


def _part_losses(source: Source, distorted: Clip) -> list[float]:
    """Mean loss of each part over the region that counts."""
    x1, y1, x2, y2 = source.region
    region = (slice(None), slice(y1, y2), slice(x1, x2))
    pristine, damaged = source.frames[region], distorted[region]
    frames = [slice(part.start, part.stop, _MEASURED_STEP) for part in source.parts]
    return [float(structure_loss(pristine[part], damaged[part]).mean()) for part in frames]


def main() -> None:
    """Serve the numbers on the standard input until it ends."""
    folder, settings = Path(sys.argv[1]), DemoSettings(**json.loads(sys.argv[2]))
    for line in sys.stdin:
        number = int(line)
        done = record_path(folder, number)
        if not done.exists():
            text = json.dumps(make_source(folder, settings, number))
            partial = done.with_suffix(".partial")
            partial.write_text(text, encoding="utf-8")
            partial.replace(done)
        sys.stdout.write(f"{number}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
