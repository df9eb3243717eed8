"""A Slurm of one node, as plain processes in a folder of its own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "scontrol", "squeue", "scancel")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
# A job waits so long after it was queued again.
AuthInfo=socket={folder}/munge/socket,cred_expire=10
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
ReturnToService=2
MailProg=/bin/true
# Two processes want two processors, whatever this machine has.
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=4000
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Configuration file of a running Slurm; the environment names it, too."""
    missing = [name for name in PROGRAMS if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"no Slurm of its own here: {', '.join(missing) or 'only root'} (apt install slurm-wlm munge)")
    folder = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool", "munge"):
        (folder / name).mkdir(mode=0o700)
    (folder / "munge" / "key").write_bytes(os.urandom(1024))
    (folder / "munge" / "key").chmod(0o400)
    file = folder / "slurm.conf"
    host = socket.gethostname().partition(".")[0]
    file.write_text(CONFIGURATION.format(host=host, folder=folder, ports=(16817, 16818)))
    munge = {name: folder / "munge" / name for name in ("key-file", "socket", "pid-file", "log-file", "seed-file")}
    munge["key-file"] = folder / "munge" / "key"
    subprocess.run(["munged", "--force", *(f"--{name}={path}" for name, path in munge.items())], check=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(file))
        subprocess.run(["slurmctld", "-c"], check=True)
        subprocess.run(["slurmd", "-c"], check=True)
        wait_until_idle()
        yield file
        subprocess.run(["scancel", "--user=root"], check=False)
        subprocess.run(["scontrol", "shutdown"], check=False)
        subprocess.run(["munged", "--stop", f"--socket={munge['socket']}"], check=False)


def wait_until_idle(seconds: float = 60.0) -> None:
    """Wait until the node takes jobs."""
    deadline = time.monotonic() + seconds
    while True:
        done = subprocess.run(["sinfo", "--noheader", "--format=%T"], capture_output=True, text=True, check=False)
        if done.stdout.strip() == "idle":
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"Slurm's node is {done.stdout!r}, {done.stderr}")
        time.sleep(0.5)
