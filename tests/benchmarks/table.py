"""The rows of the table of speed, what each is held to, and the README's copy of what was measured last.

``python -m tests.benchmarks.table --write`` brings the README up to ``benchmarks.json``; without the option it is
shown.
"""

from __future__ import annotations

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypedDict

FILE = Path(__file__).with_name("benchmarks.json")
README = Path(__file__).parents[2] / "README.md"
BLOCK = re.compile(r"(?<=<!-- benchmarks -->\n).*?(?=<!-- /benchmarks -->)", re.DOTALL)

Domain = Literal[
    "front", "video_quality", "inspection", "action", "face_attributes", "face_diffusion", "face_benchmark"
]


@dataclass(frozen=True)
class Row:
    """A ratio that is measured.

    Attributes:
        domain: Its marker.
        what: What is measured.
        beside: The limit that it is measured against, in the same run.
        at_least: Bound of the median; None: the ratio is told and holds nobody.
        at_most: Likewise, from above.
        everywhere: False: not every machine can measure it, and the table is whole without it.
    """

    domain: Domain
    what: str
    beside: str
    at_least: float | None = None
    at_most: float | None = None
    everywhere: bool = True

    @property
    def bound(self) -> str:
        """What the median is held to, in signs."""
        if self.at_least is not None:
            return f"≥ {self.at_least:g}"
        return "" if self.at_most is None else f"≤ {self.at_most:g}"

    def holds(self, ratio: float) -> bool:
        """Whether a ratio keeps the bound."""
        low, high = self.at_least, self.at_most
        return (low is None or ratio >= low) and (high is None or ratio <= high)


ROWS = {
    "start": Row(
        "front",
        "time of `appraise --help`, `--version`, `list` or `fit --help`, the slowest of them",
        'time of `python -c "import numpy"`',
        at_most=1.0,
    ),
    "early": Row(
        "front",
        "a mistyped option, checkpoint or path of `fit`, until it is named, or its first line: the slowest of them",
        'time of `python -c "import numpy"`',
        at_most=2.0,
    ),
    "page": Row(
        "front",
        "feedback page: from the key to the next image painted, 95th percentile",
        "the same of a bare page with one animation, which draws a decoded image",
        at_most=2.0,
    ),
    "network": Row(
        "video_quality",
        "KSVQE `official`, a clip of 32 frames, float32: rate of its arithmetic",
        "rate of matrix products",
        at_least=0.55,
    ),
    "network bf16": Row("video_quality", "the same in bfloat16", "the same in bfloat16", everywhere=False),
    "network memory": Row(
        "video_quality",
        "the same, peak memory above the loaded model",
        "that of a bare MLP of the size of its first stage",
        at_most=3.0,
    ),
    "decord": Row(
        "video_quality",
        "clips of 32 frames from 720p, 540p and 360p, every 2nd and 4th frame, decord: rate",
        "bare decoding",
        at_least=0.8,
        everywhere=False,
    ),
    "pyav": Row("video_quality", "the same with PyAV", "bare decoding", at_least=0.8),
    "export quality": Row(
        "video_quality", "KSVQE `official`, a clip, exported to onnxruntime: time", "torch in eager mode", at_most=1.0
    ),
    "topk": Row(
        "video_quality",
        "perturbed top-k, forward and backward, its slowest kind: times as fast",
        "one-hot tensors",
        at_least=15.0,
    ),
    "topk memory": Row(
        "video_quality", "the same, peak memory: times less, of its largest kind", "one-hot tensors", at_least=15.0
    ),
    "predict": Row(
        "inspection",
        "`predict`, resnet18 at 512 px, with or without embeddings: images a second of the slower",
        "decoding and network in turn",
        at_least=0.8,
    ),
    "batches": Row(
        "inspection",
        "training batches of images of 128 px from memory, a thread: times as fast",
        "bare decoding of their files",
        at_least=3.0,
    ),
    "moves": Row(
        "inspection",
        "flips and turns of such a batch, labels and boxes with it: rate",
        "bare moves of the same pixels",
        at_least=0.1,
    ),
    "export segmenter": Row(
        "inspection", "segmenter, resnet18 at 512 px, exported to onnxruntime: time", "torch in eager mode", at_most=1.0
    ),
    "export detector": Row("inspection", "detector, likewise", "torch in eager mode", at_most=1.0),
    "annotate": Row(
        "action",
        "`annotate` without video, 640x360, resnet18 at 112 px: frames a second",
        "decoding and network in turn",
        at_least=0.9,
    ),
    "annotate tiny": Row(
        "action",
        "the same, `test_resnet` at 64 px",
        "decoding to that size and network in turn",
        at_least=0.9,
    ),
    "annotate loop": Row(
        "action", "`annotate`, resnet18 at 112 px: times as fast", "the original's loop", at_least=1.0
    ),
    "stream": Row(
        "action",
        "frames of a stream to 64 or 224 px, with or without the source's: rate of the slowest, in processor time",
        "bare decoding to the same sizes",
        at_least=0.9,
    ),
    "stream memory": Row(
        "action",
        "reading and writing a video: memory taken in each of five later minutes",
        "that in the first minute",
        at_most=1.25,
    ),
    "features": Row(
        "action",
        "epoch of a head on cached features of resnet50 at 224 px: times as fast",
        "the epoch with the network in the loop",
        at_least=20.0,
    ),
    "features small": Row(
        "action", "the same, resnet18 at 112 px", "the epoch with the network in the loop", at_least=20.0
    ),
    "averages": Row(
        "action",
        "rolling average in any mode, or segment machine: times as fast, the slowest",
        "the mean of a deque",
        at_least=4.0,
    ),
    "window": Row(
        "action", "rolling average over 8,192 frames: its time", "the same over 128 frames", at_most=2.0
    ),
    "export frames": Row(
        "action",
        "8 frames through resnet18 at 112 px, exported to onnxruntime: time",
        "torch in eager mode",
        at_most=1.0,
    ),
    "statistics": Row(
        "face_attributes",
        "statistics of fc6 and conv5_3 of VGG-16 at 224 px: time of a pass",
        "bare forward pass",
        at_most=1.15,
    ),
    "statistics early": Row("face_attributes", "the same of conv4_3", "bare forward pass"),
    "export faces": Row(
        "face_attributes",
        "8 faces through `small_vgg` at 64 px, exported to onnxruntime: time",
        "torch in eager mode",
        at_most=1.0,
    ),
    "inversion": Row(
        "face_attributes",
        "steps of the inversion, VGG-16 at 224 px: rate in the slowest space",
        "bare forward and backward passes",
        at_least=0.8,
    ),
    "inversion small": Row(
        "face_attributes",
        "the same, `small_vgg` at 64 px, where the picture's own parts count",
        "bare forward and backward passes",
    ),
    "together": Row("face_attributes", "16 faces made together: times as fast", "one by one"),
    "drawn": Row(
        "face_attributes",
        "faces drawn, 64 px, a thread: rate in processor time",
        "laying the same layers with their outlines known",
        at_least=0.075,
    ),
    "diffusion training": Row(
        "face_diffusion",
        "steps of a whole training at 16 px, 64 pictures each",
        "bare forward and backward passes of the UNet",
        at_least=0.9,
    ),
    "diffusion tuning": Row(
        "face_diffusion", "steps of a tuning, 64 samples and 64 pictures each", "the same of both batches", at_least=0.9
    ),
    "diffusion sampling": Row(
        "face_diffusion", "steps of sampling, 128 samples", "bare forward passes of the UNet", at_least=0.9
    ),
    "questions": Row(
        "face_benchmark",
        "questions of a whole test, 62 million random weights, 4 at a time",
        "processor and `generate` alone on the same pictures",
        at_least=0.9,
        everywhere=False,
    ),
}  # fmt: skip


class Measured(TypedDict):
    """A row of the file: what its `Row` says, and the figures."""

    domain: Domain
    what: str
    beside: str
    bound: str
    ratio: float
    least: float
    greatest: float
    pairs: int
    limit: float
    unit: str


class Report(TypedDict):
    """The file: figures of one run over all rows that the machine can measure."""

    machine: dict[str, str | int | float]
    versions: dict[str, str]
    minutes: float
    load: float
    rows: list[Measured]


def short(value: float) -> str:
    """Three digits, and no exponent."""
    return f"{value:,.0f}" if value >= 99.95 else f"{value:#.3g}"


def markdown(rows: list[Measured]) -> str:
    """The table."""
    lines = ["| domain | what | beside | ratio (least to greatest) | held to | limit measured |", "| --- " * 6 + "|"]
    last = ""
    for row in rows:
        figures = f"{short(row['ratio'])} ({short(row['least'])} to {short(row['greatest'])})"
        domain = "" if row["domain"] == last else f"`{row['domain']}`"
        cells = [domain, row["what"], row["beside"], figures, row["bound"], f"{short(row['limit'])} {row['unit']}"]
        lines.append(f"| {' | '.join(cells)} |")
        last = row["domain"]
    return "\n".join(lines) + "\n"


def caption(report: Report) -> str:
    """Machine, versions and how long it took, in a sentence."""
    machine, versions = report["machine"], ", ".join(f"{name} {of}" for name, of in report["versions"].items())
    return (
        f"Measured in {report['minutes']:.0f} minutes, load {report['load']:.1f} at the start: {machine['processor']}, "
        f"{machine['cores']} cores, {machine['threads']} threads, {machine['memory_gb']} GB, GPU: {machine['gpu']}; "
        f"{versions}.\n"
    )


def section(report: Report) -> str:
    """What stands in the README between its two marks."""
    return f"\n{markdown(report['rows'])}\n{caption(report)}\n"


def read() -> Report:
    """What was measured last."""
    report: Report = json.loads(FILE.read_text(encoding="utf-8"))
    return report


def main(arguments: list[str]) -> None:
    """Show the README's section, or write it there."""
    text = section(read())
    if arguments == ["--write"]:
        README.write_text(BLOCK.sub(lambda _: text, README.read_text(encoding="utf-8"), count=1), encoding="utf-8")
    else:
        sys.stdout.write(text)


if __name__ == "__main__":
    main(sys.argv[1:])
