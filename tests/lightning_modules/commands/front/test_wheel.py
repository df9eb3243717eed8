"""The installed wheel works outside the repository, configurations included."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest
import yaml


@pytest.fixture(scope="module")
def installed(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with the scripts of an environment that has the wheel and, beside it, this environment's packages."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(repository)]
    subprocess.run(build, check=True, capture_output=True)
    wheel = next(folder.glob("appraise-*.whl"))
    venv.create(folder / "env", with_pip=False)
    scripts = folder / "env" / ("Scripts" if os.name == "nt" else "bin")
    python = scripts / "python"
    target = f"{sysconfig.get_path('purelib', vars={'base': str(folder / 'env')})}"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    # The packages of this environment, without the editable install of the repository that its .pth files bring.
    Path(target, "others.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    return scripts


def call(scripts: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(scripts / "appraise"), *arguments]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_wheel(installed: Path, tmp_path: Path) -> None:
    assert "usage: appraise" in call(installed, tmp_path, "--help").stdout
    listed = call(installed, tmp_path, "list")
    assert "video_quality/demo" in listed.stdout, listed.stderr
    assert "inspection/mine" in listed.stdout
    page = list(installed.parent.rglob("datamodules/feedback/static/index.html"))
    assert page, "the feedback page travels with the wheel"
    printed = call(installed, tmp_path, "fit", "--config", "video_quality/demo", "--print_config=skip_default")
    assert printed.returncode == 0, printed.stderr
    site = str(installed.parent)
    assert site in printed.stderr, "the configuration of the wheel was taken, not that of the repository"
    config = yaml.safe_load(printed.stdout)
    assert config["model"]["class_path"] == "lightning_modules.KSVQE"
    assert config["trainer"]["accelerator"] == "cpu", "files named inside a shipped configuration are found"
    version = call(installed, tmp_path, "--version")
    assert version.stdout.startswith("appraise ")
