"""What two runs wrote, side by side."""

from __future__ import annotations

import csv
import json
import math
import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

# Host, command line and clock of a run, by design its own.
OWN = ("run.json", "config.yaml", "starts.json", "log.txt")
TIMES = {"seconds", "created", "created_at", "at", "started", "key", "run", "time"}


def files(folder: Path) -> list[str]:
    """Names of all files below a folder, a run's events as their folder alone."""
    found = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    found = (name for name in found if Path(name).name not in OWN)
    return sorted({"tensorboard/events" if "tfevents" in name else name for name in found})


def differences(one: Path, two: Path, exactly: bool = False) -> list[str]:
    """Files that one folder has and the other has not, and those that differ.

    Args:
        one: What was written.
        two: What should be the same.
        exactly: To the last bit; else numbers may differ by the rounding of batches of another size.
    """
    names = files(one), files(two)
    missing = [f"only in one folder: {name}" for name in sorted(set(names[0]) ^ set(names[1]))]
    shared = [name for name in names[0] if name in names[1]]
    differ = (f"{name}: {told}" for name in shared if (told := difference(name, one, two, exactly)))
    return [*missing, *differ]


def difference(name: str, one: Path, two: Path, exactly: bool) -> str:
    """Where two files of one name differ first; empty for nowhere."""
    return first_difference(content(one / name), content(two / name), 0.0 if exactly else 1e-5)


def content(path: Path) -> Any:
    """What a file says, as numbers, texts and lists of them."""
    if path.name == "events":
        return scalars(path.parent)
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as stream:
            return [{name: number(value) for name, value in row.items()} for row in csv.DictReader(stream)]
    if path.suffix == ".json":
        return json.loads(path.read_text("utf-8"))
    if path.suffix == ".safetensors":
        return {name: tensor.tolist() for name, tensor in load_file(path).items()}
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    if path.suffix == ".sqlite":
        return rows(path)
    if path.suffix == ".npz":
        with np.load(path) as arrays:
            return {key: arrays[key] for key in arrays}
    if path.suffix == ".png":
        return np.asarray(Image.open(path))
    if path.suffix == ".ckpt":
        return learnt(path)
    if path.suffix == ".mp4":
        return path.stat().st_size > 0  # its encoder works in threads, which cut the pictures as they come
    return path.read_text("utf-8")


def first_difference(first: Any, second: Any, tolerance: float, where: str = "") -> str:
    """Where two contents differ first, and how; NaN is equal to NaN, times are not looked at."""
    if isinstance(first, dict) and isinstance(second, dict):
        if first.keys() != second.keys():
            return f"{where} has {sorted(map(str, first.keys() ^ second.keys()))} on one side alone"
        places: Iterable[Any] = (name for name in first if name not in TIMES)
    elif isinstance(first, list) and isinstance(second, list):
        if len(first) != len(second):
            return f"{where} has {len(first)} and {len(second)} items: {first} {second}"[:2000]
        places = range(len(first))
    else:
        return "" if same(first, second, tolerance) else f"{where}: {first} and {second}"[:2000]
    found = (first_difference(first[place], second[place], tolerance, f"{where}/{place}") for place in places)
    return next(filter(None, found), "")


def same(first: Any, second: Any, tolerance: float) -> bool:
    """Whether two values agree."""
    if isinstance(first, torch.Tensor) and isinstance(second, torch.Tensor):
        return same(first.cpu().numpy(), second.cpu().numpy(), tolerance)
    if isinstance(first, np.ndarray) and isinstance(second, np.ndarray):
        if first.shape != second.shape or first.dtype != second.dtype:
            return False
        if first.dtype.kind != "f":
            return bool((first == second).all())
        return bool(np.allclose(first, second, rtol=tolerance, atol=tolerance, equal_nan=True))
    if isinstance(first, float) and isinstance(second, float | int):
        return math.isclose(first, second, rel_tol=tolerance, abs_tol=tolerance) or (
            math.isnan(first) and math.isnan(second)
        )
    return bool(first == second)


def number(value: str) -> float | str:
    """A field of a table as a number, where it is one."""
    try:
        return float(value)
    except ValueError:
        return value


def rows(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Every table of a database, in the order of its rows."""
    with sqlite3.connect(path) as connection:
        connection.row_factory = sqlite3.Row
        names = [name for (name,) in connection.execute("select name from sqlite_master where type = 'table'")]
        return {name: [dict(row) for row in connection.execute(f"select * from {name}")] for name in names}


def scalars(folder: Path) -> dict[str, list[list[float]]]:
    """Step and value of all that TensorBoard shows of a run; a step that was logged twice is shown once, as last."""
    events = EventAccumulator(str(folder))
    events.Reload()
    shown = {tag: {one.step: one.value for one in events.Scalars(tag)} for tag in events.Tags()["scalars"]}
    return {tag: [[step, float(value)] for step, value in sorted(found.items())] for tag, found in shown.items()}


def learnt(path: Path) -> dict[str, Any]:
    """What a checkpoint knows but for its paths: weights, optimisers, schedules, step and best score."""
    saved = torch.load(path, map_location="cpu", weights_only=True)
    parts = ("state_dict", "optimizer_states", "lr_schedulers", "global_step", "epoch")
    found: dict[str, Any] = {name: saved[name] for name in parts}
    for name, state in saved["callbacks"].items():
        if name.startswith("BestAndLast"):
            found[name] = {key: state[key] for key in ("best_model_score", "monitor", "kth_value")}
    return found


def metrics(printed: str) -> dict[str, float]:
    """Metrics that a command printed, each of them once.

    Raises:
        ValueError: If one is there twice, as where two processes print.
    """
    lines = [line.split() for line in printed.splitlines() if line.startswith(("val/", "test/"))]
    if len({name for name, _ in lines}) != len(lines):
        raise ValueError(f"a metric was printed twice: {sorted(lines)}")
    return {name: float(value) for name, value in lines}


def texts(paths: Iterable[Path]) -> str:
    """The end of some logs, for the message of a test that fails."""
    return "\n".join(f"--- {path}\n{path.read_text()[-2500:]}" for path in paths if path.is_file())
