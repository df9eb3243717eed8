"""A sweep of a program that takes no time, in place of a training."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

import cli

# Behaves as `fit` does: refuses unknown options in one sentence, and keeps its run in the folder that it is told.
PROGRAM = """
import os, sys, time
from pathlib import Path

given = dict(word[2:].split("=", 1) for word in sys.argv[2:] if "=" in word)
for name in given:
    if name.rpartition(".")[2] not in ("rate", "width", "kind", "config", "output"):
        print("config train", file=sys.stderr)
        sys.exit(f"appraise fit: unknown option --{name}: did you mean --model.rate?")
if "--print_config" in sys.argv:
    sys.exit(0)
folder = Path(os.environ["APPRAISE_RUN"])
with (folder / "starts.txt").open("a") as stream:
    print(os.getpid(), file=stream)
while "TOGETHER" in os.environ and len(list(folder.parent.glob("*/starts.txt"))) < int(os.environ["TOGETHER"]):
    time.sleep(0.05)
while "FOR_EVER" in os.environ:
    time.sleep(0.05)
if given.get("model.kind") == os.environ.get("BROKEN"):
    print("appraise fit: this kind does not work\\nwandb: Find logs at: elsewhere", file=sys.stderr)
    sys.exit(1)
loss = (float(given["model.rate"]) - 0.3) ** 2
(folder / "metrics.csv").write_text(f"step,val/loss,val/worse\\n1,{loss},\\n2,,nan\\n3,{loss + 1},\\n")
(folder / "config.yaml").write_text(f"model: {{rate: {given['model.rate']}}}\\nckpt_path: last.ckpt\\n")
print("environment", os.environ["WANDB_MODE"], os.environ["OMP_NUM_THREADS"], os.environ.get("CUDA_VISIBLE_DEVICES"))
"""

CONTENT: dict[str, Any] = {
    "program": "train.py",
    "method": "random",
    "metric": {"name": "val/loss", "goal": "minimize"},
    "parameters": {
        "model.rate": {"distribution": "log_uniform_values", "min": 0.01, "max": 1.0},
        "model.width": {"distribution": "q_uniform", "min": 8, "max": 64, "q": 8},
        "model.kind": {"values": ["plain", "crossed"]},
    },
    "command": ["${env}", "${interpreter}", "${program}", "fit", "--config=one", "${args}"],
}

WriteSweep = Callable[..., Path]
RunSweep = Callable[..., int]


@pytest.fixture
def write_sweep(workdir: Path) -> WriteSweep:
    """Write sweep.yaml with some keys changed; None leaves a key out."""
    (workdir / "train.py").write_text(textwrap.dedent(PROGRAM), encoding="utf-8")

    def write(**changes: object) -> Path:
        content = {name: value for name, value in {**CONTENT, **changes}.items() if value is not None}
        (workdir / "sweep.yaml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
        return workdir / "sweep.yaml"

    write()
    return write


@pytest.fixture
def sweep(write_sweep: WriteSweep, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> RunSweep:
    """Run `appraise sweep sweep.yaml` in the folder `swept`."""
    for name in ("WANDB_MODE", "WANDB_API_KEY", "OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str, offline: bool = True) -> int:
        own = ["--offline", "--output", "swept"] if offline else []
        return cli.main(["sweep", "sweep.yaml", *own, *words])

    return run
