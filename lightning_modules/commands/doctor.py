"""``appraise doctor``: is this machine ready, is this installation whole, and are these data fit to learn from?

Each check answers with findings. A fault is something that will stop a run; the exit code is then 1. Heavy packages
are imported inside the checks, so that one that is broken is a finding and not the end.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from datamodules.common.atomic_write import write_text
from datamodules.common.errors import number_of
from datamodules.summary.findings import Finding
from lightning_modules.commands.front.errors import CommandLineError

if TYPE_CHECKING:
    from datamodules.summary.training_data import DataSummary
    from datamodules.video.reading.contract import FrameChunk, VideoInfo
    from datamodules.video.reading.reader import ReaderName

ROOT = Path(__file__).resolve().parents[2]  # the folder that holds this project's packages
OWN_NAMES = ("cli", "lightning_modules", "datamodules", "callbacks", "configs")
PACKAGES = (
    "lightning", "torch", "torchvision", "torchmetrics", "timm", "transformers", "kornia", "wandb", "omegaconf",
    "jsonargparse", "av", "numpy", "scipy", "matplotlib", "scikit-learn", "rich", "safetensors", "tensorboard",
)  # fmt: skip
MALICIOUS = {("lightning", "2.6.2"), ("lightning", "2.6.3")}  # releases that an attacker published
OLDEST_PYTHON = (3, 11)
ENOUGH_DISK = 2.0  # GB, for the demo's clips and a few checkpoints
DECODE_ERROR = 6.0  # grey levels, mean; the clip is smooth and encoded at QP 10


def run(command: str, arguments: Sequence[str]) -> int:
    """Check this machine, or with ``--data`` or ``--config`` what a training would learn from; a line a finding.

    Returns:
        1 if there is a fault, else 0.

    Raises:
        CommandLineError: If the arguments cannot work.
    """
    given, report = _parted(arguments)
    findings: list[Finding] = []
    summary: DataSummary | None = None
    if given:
        from lightning_modules.commands.data_findings import findings_of  # Lightning may be what is broken

        findings, summary = findings_of(given)
        _tell(findings)
    else:
        for check in CHECKS:
            found = examine(check)
            _tell(found)
            findings += found
    faults, warnings = (sum(finding.status == status for finding in findings) for status in ("fault", "warning"))
    well = f"no fault, {number_of(warnings, 'warning')}" if warnings else "all well"
    sys.stdout.write(f"{number_of(faults, 'fault') if faults else well}\n")
    if report is not None:
        content = {"faults": faults, "findings": [one._asdict() for one in findings]}
        content |= {} if summary is None else {"data": summary.plain()}
        write_text(Path(report), json.dumps(content, indent=1))
    return int(faults > 0)


def _parted(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """Options about the data, and the file for the report."""
    given: list[str] = []
    report: str | None = None
    words = iter(arguments)
    for word in words:
        name, equals, value = word.partition("=")
        if name == "--report":
            report = value if equals else next(words, None)
            if not report:
                raise CommandLineError("--report needs the name of a file")
        elif name in ("--config", "-c", "--data") or name.startswith("--data."):
            given += (
                [word] if equals else [word, *([next_word] if (next_word := next(words, None)) is not None else [])]
            )
        else:
            raise CommandLineError(f'doctor takes --data, --config and --report alone, got "{word}"')
    return given, report


def _tell(findings: Sequence[Finding]) -> None:
    for finding in findings:
        hint = f" -> {finding.hint}" if finding.hint else ""
        sys.stdout.write(f"{finding.status:<8}{finding.topic:<13}{finding.text}{hint}\n")
    sys.stdout.flush()


def examine(check: Callable[[], list[Finding]]) -> list[Finding]:
    """Run one check; whatever goes wrong inside it is a fault of its topic."""
    try:
        return check()
    except Exception as error:  # reported as a fault, whatever it is: finding faults is the command's purpose
        topic = check.__name__.removeprefix("check_")
        text = " ".join(f"{type(error).__name__}: {error}".split())
        return [Finding("fault", topic, text, "reinstall with the command in the README")]


def check_versions() -> list[Finding]:
    """Python and the packages that a run needs."""
    found = [Finding("ok", "appraise", f"{_version('appraise') or 'not installed'}, code in {ROOT}")]
    old = sys.version_info[:2] < OLDEST_PYTHON
    hint = f"install Python {'.'.join(map(str, OLDEST_PYTHON))} or later" if old else ""
    found.append(Finding("fault" if old else "ok", "python", f"{platform.python_version()} {sys.executable}", hint))
    versions = {name: _version(name) for name in PACKAGES}
    present = ", ".join(f"{name} {number}" for name, number in versions.items() if number)
    found.append(Finding("ok", "packages", present))
    for name, number in versions.items():
        if number is None:
            found.append(Finding("fault", "packages", f"{name} is missing", f"pip install {name} -c constraints.txt"))
        elif (name, number) in MALICIOUS:
            found.append(
                Finding("fault", "packages", f"{name} {number} is a malicious release", "remove it, change passwords")
            )
    return found


def check_processor() -> list[Finding]:
    """CPU, threads and GPU."""
    import torch

    found = [Finding("ok", "cpu", f"{os.cpu_count()} processors, torch uses {torch.get_num_threads()} threads")]
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            memory = torch.cuda.get_device_properties(index).total_memory / 1e9
            found.append(Finding("ok", "gpu", f"{torch.cuda.get_device_name(index)}, {memory:.0f} GB"))
    else:
        hint = "the demo runs on the CPU; for a GPU install its driver and torch's build for it"
        found.append(Finding("note", "gpu", "none that torch can use", hint))
    return found


def moving_gradient(frames: int = 12, height: int = 96, width: int = 128) -> NDArray[np.uint8]:
    """Smooth picture that moves, so that a wrong order of frames shows: uint8 ``(T, H, W, 3)``."""
    y, x, t = np.meshgrid(np.arange(height), np.arange(width), np.arange(frames), indexing="ij")
    wave = np.stack([np.sin(x / 20 + t / 2), np.cos(y / 15 - t / 3), np.sin((x + y) / 30 + t / 4)], axis=-1)
    clip: NDArray[np.uint8] = (128 + 90 * wave).astype(np.uint8).transpose(2, 0, 1, 3)
    return clip


class _Keep:
    """Keeps all frames of a short video."""

    def __init__(self) -> None:
        self.frames: list[NDArray[np.uint8]] = []

    def start(self, info: VideoInfo) -> NDArray[np.int64]:
        self.frames = []
        return np.arange(info.frames)

    def add(self, chunk: FrameChunk) -> None:
        self.frames.append(chunk.frames.copy())


def check_video() -> list[Finding]:
    """Encode a clip, then decode it with each reader and compare."""
    from datamodules.video.reading.reader import decord_available, read_video
    from datamodules.video.writing.encode import encode_video

    clip = moving_gradient()
    found = []
    with tempfile.TemporaryDirectory() as folder:
        path = encode_video(Path(folder) / "doctor.mp4", clip, fps=25, qp=10)
        found.append(Finding("ok", "encode", f"{len(clip)} frames with x264, {path.stat().st_size} bytes"))
        readers: tuple[ReaderName, ...] = ("decord", "pyav")
        for reader in readers:
            if reader == "decord" and not decord_available():
                text = f"not installed ({platform.system()} {platform.machine()})"
                found.append(Finding("note", "decord", text, "PyAV reads in its place"))
                continue
            keep = _Keep()
            info = read_video(str(path), keep, reader=reader, timeout=30.0)
            found.append(compare_frames(reader, info.reader, clip, np.concatenate(keep.frames)))
    return found


def compare_frames(reader: str, used: str, clip: NDArray[np.uint8], decoded: NDArray[np.uint8]) -> Finding:
    """Finding about the reader that was asked for: did it deliver what was encoded, uint8 ``(T, H, W, 3)``?"""
    if used != reader:
        return Finding("fault", reader, f"could not read an H.264 clip: {used}", f"reinstall the package {reader}")
    if decoded.shape != clip.shape:
        text = f"gave {decoded.shape} for {clip.shape}"
        return Finding("fault", reader, text, "reinstall the package")
    error = float(np.abs(decoded.astype(np.int16) - clip).mean())
    if error > DECODE_ERROR:
        return Finding("fault", reader, f"differs by {error:.1f} grey levels from what was encoded", "reinstall it")
    return Finding("ok", reader, f"{len(decoded)} frames, mean difference {error:.1f} grey levels")


def check_disk() -> list[Finding]:
    """Room and the right to write, here and in the folder for temporary files."""
    found = []
    for topic, folder in (("disk here", Path.cwd()), ("disk temp", Path(tempfile.gettempdir()))):
        free = shutil.disk_usage(folder).free / 1e9
        text = f"{free:.1f} GB free in {folder}"
        if not os.access(folder, os.W_OK):
            found.append(Finding("fault", topic, f"{folder} is not writable", "run from another folder"))
        elif free < ENOUGH_DISK:
            found.append(Finding("fault", topic, text, f"a first run needs {ENOUGH_DISK:g} GB: make room"))
        else:
            found.append(Finding("ok", topic, text))
    return found


def check_wandb() -> list[Finding]:
    """What Weights & Biases would do if a run asked for it."""
    mode = os.environ.get("WANDB_MODE", "online")
    if mode not in ("online", "offline", "disabled", "dryrun", "run", "shared"):
        return [Finding("fault", "wandb", f"WANDB_MODE={mode}", "set it to online, offline or disabled")]
    hint = "needs an account; WANDB_MODE=offline needs none" if mode in ("online", "run", "shared") else ""
    return [Finding("note", "wandb", f"{mode}; off unless --trainer.logger _parts/logger/wandb", hint)]


def check_slurm() -> list[Finding]:
    """Whether this machine belongs to a Slurm cluster, and whether this is a job."""
    job = os.environ.get("SLURM_JOB_ID")
    if job:
        return [Finding("ok", "slurm", f"this is job {job}")]
    present = shutil.which("sbatch")
    return [Finding("note", "slurm", f"present ({present})" if present else "not present; runs start here")]


def check_names() -> list[Finding]:
    """Whether another package hides one of this project's common names, or is hidden by it."""
    found = []
    owners = packages_distributions()
    for name in OWN_NAMES:
        spec = find_spec(name)
        place = Path(spec.origin).resolve() if spec is not None and spec.origin else None
        others = sorted(set(owners.get(name, [])) - {"appraise"})
        hint = "give appraise an environment of its own"
        if place is None or not place.is_relative_to(ROOT):
            found.append(Finding("fault", "names", f"`{name}` is {place}, not the one in {ROOT}", hint))
        elif others:
            found.append(Finding("fault", "names", f"`{name}` also belongs to the package {others[0]}", hint))
    return found or [Finding("ok", "names", f"{', '.join(OWN_NAMES)} are this project's own")]


def check_parts() -> list[Finding]:
    """Whether every public class can be imported."""
    import callbacks
    import datamodules
    import lightning_modules

    found = []
    count = 0
    for package in (lightning_modules, datamodules, callbacks):
        for name in package.PUBLIC:
            count += 1
            try:
                getattr(package, name)
            except ImportError as error:
                found.append(Finding("fault", "parts", f"{package.__name__}.{name}: {error}", "reinstall"))
    return found or [Finding("ok", "parts", f"{count} methods, data modules and callbacks can be imported")]


CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    check_versions,
    check_names,
    check_disk,
    check_wandb,
    check_slurm,
    check_processor,
    check_video,
    check_parts,
)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
