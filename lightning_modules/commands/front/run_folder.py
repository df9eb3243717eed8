"""One folder a run: claimed once, the same for all processes of the run."""

from __future__ import annotations

import contextlib
import os
import shutil
from itertools import count
from pathlib import Path

from lightning_modules.commands.front.errors import CommandLineError

RUN_FOLDER = "APPRAISE_RUN"  # set by the script of a job: the run's folder, the same after every restart
HANDED_DOWN = "APPRAISE_RUN_FOLDER"  # tells the processes that a run starts which folder it has claimed
# Written before the first step of a run.
_RECORDS = {"config.yaml", "run.json", "metrics.csv", "hparams.yaml", "tensorboard", "checkpoints"}
_made: dict[Path, list[Path]] = {}  # run folder -> those above it that this process made, the lowest first


def claim_run_folder(base: Path, numbered: bool) -> Path:
    """Decide the folder of a run, absolute, and create it.

    Args:
        base: Folder that was asked for.
        numbered: Take the next free ``version_N`` below ``base``, so that no run overwrites another; under Slurm
            ``job_<id>`` instead, so that all tasks, and the job after it was requeued, share one folder.

    Returns:
        The folder, absolute; that of the environment variable ``APPRAISE_RUN`` for a run that goes on in its own.

    Raises:
        CommandLineError: If it cannot be made.
    """
    own = own_folder()
    if own is not None and numbered:
        own.mkdir(parents=True, exist_ok=True)
        return own
    handed = os.environ.get(HANDED_DOWN)
    if handed and is_child_process():
        return Path(handed)
    folder = base.expanduser().absolute()
    above = [one for one in (*([folder] if numbered else []), *folder.parents) if not one.exists()]
    try:
        if numbered:
            job = _job_name()
            folder = folder / job if job else _agreed_version(folder)
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandLineError(
            f"the folder {folder} cannot be made ({error.strerror or error}): give one that you may write to with "
            "--output DIR"
        ) from error
    os.environ[HANDED_DOWN] = str(folder)
    _made[folder] = above
    return folder


def is_numbered(folder: Path) -> bool:
    """Whether a run's folder got its number from this process, for this run alone."""
    own = folder.name.startswith("version_") and own_folder() is None
    return own and not is_child_process() and is_first_process() and folder.is_dir()


def discard_attempt(folder: Path, *, whole: bool = False) -> None:
    """Give a run's number back where no step was taken: only the records that every run begins with are removed.

    Args:
        folder: The run's folder; one that holds anything else stays, and so does one that this process did not number.
        whole: What it holds is what an earlier run's folder holds too: it goes, whatever that is.
    """
    if not is_numbered(folder):
        return
    with contextlib.suppress(OSError):
        bare = {path.name for path in folder.iterdir()} <= _RECORDS and not any(folder.glob("checkpoints/*"))
        if whole or bare:
            shutil.rmtree(folder)
            remove_empty(folder)


def remove_empty(folder: Path) -> None:
    """Remove a run's folder that is empty or gone, and those above it that were made for it alone."""
    with contextlib.suppress(OSError):  # one holds something after all
        for one in (folder, *_made.pop(folder, [])):
            if one.exists():
                one.rmdir()


def own_folder() -> Path | None:
    """The folder of a run that is started again and again until it is done; None for ordinary ones."""
    given = os.environ.get(RUN_FOLDER)
    return Path(given) if given else None


def is_child_process() -> bool:
    """Whether this process was started by the first process of a run, on the same machine."""
    return "LOCAL_RANK" in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ


def is_first_process() -> bool:
    """Whether this process speaks for the run: rank zero, before any process group exists."""
    ranks = (os.environ.get(name, "0") for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))
    return all(rank in ("", "0") for rank in ranks)


def _job_name() -> str:
    tasks = os.environ.get("SLURM_NTASKS")
    if tasks and "SLURM_JOB_ID" in os.environ and os.environ.get("SLURM_JOB_NAME") not in ("bash", "interactive"):
        return f"job_{os.environ['SLURM_JOB_ID']}"
    elastic = os.environ.get("TORCHELASTIC_RUN_ID", "none")
    return "" if elastic == "none" else f"job_{elastic}"


def _agreed_version(base: Path) -> Path:
    """The next free folder; the first process's for all that torchrun started without a name for their job."""
    if os.environ.get("TORCHELASTIC_USE_AGENT_STORE") != "True":
        return _next_version(base)
    from torch.distributed import TCPStore  # type: ignore[attr-defined]  # torch does not list it

    store = TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    if os.environ["RANK"] == "0" and not store.check([HANDED_DOWN]):  # torchrun may start all of them again
        store.set(HANDED_DOWN, str(_next_version(base)))
    return Path(store.get(HANDED_DOWN).decode())


def _next_version(base: Path) -> Path:
    base.mkdir(parents=True, exist_ok=True)
    for number in count():
        folder = base / f"version_{number}"
        try:
            folder.mkdir()  # fails if another run was faster, so that no two runs share a folder
        except FileExistsError:
            continue
        return folder
    raise AssertionError("unreachable")
