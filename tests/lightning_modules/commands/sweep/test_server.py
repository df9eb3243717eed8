"""A sweep with an account of W&B, as far as it can be seen without one."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lightning_modules.commands.sweep import server
from tests.lightning_modules.commands.sweep.conftest import RunSweep, WriteSweep


@pytest.fixture
def home(workdir: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without a key of W&B."""
    monkeypatch.setenv("HOME", str(workdir))
    for name in ("NETRC", "WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_IDENTITY_TOKEN_FILE", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    return workdir


class Server:
    """What was asked of W&B, and which agents were started."""

    def __init__(self, codes: tuple[int, ...] = (0, 0)) -> None:
        self.codes = list(codes)
        self.made: dict[str, Any] = {}
        self.place: tuple[str | None, str | None] = (None, None)
        self.agents: list[list[str]] = []
        self.paths: list[str] = []

    def sweep(self, content: dict[str, Any], project: str | None = None, entity: str | None = None) -> str:
        self.made, self.place = content, (project, entity)
        return "abc123"

    def start(self, command: list[str], env: dict[str, str]) -> SimpleNamespace:
        self.agents.append(command[3:])
        self.paths.append(env["PATH"])
        code = self.codes[len(self.agents) - 1]
        return SimpleNamespace(wait=lambda: code)


@pytest.fixture
def fake(home: Path, sweep: RunSweep, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server that takes what it is given."""
    server_of_wandb = Server()
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(sweep=server_of_wandb.sweep, Error=RuntimeError))
    monkeypatch.setattr(server, "subprocess", SimpleNamespace(Popen=server_of_wandb.start))
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    return server_of_wandb


def test_without_an_account_one_sentence_says_what_to_do(
    home: Path, sweep: RunSweep, capsys: pytest.CaptureFixture[str]
) -> None:
    assert sweep(offline=False) == 2
    said = (
        "no account of W&B is known here: run `wandb login`, or set WANDB_API_KEY, or add --offline, which needs none"
    )
    assert capsys.readouterr().err == f"appraise sweep: {said}\n"


def test_offline_mode_of_the_client_is_no_account(
    home: Path, sweep: RunSweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    monkeypatch.setenv("WANDB_MODE", "offline")
    assert sweep(offline=False) == 2
    assert (
        "WANDB_MODE is offline, but a sweep of W&B needs its server: unset it, or add --offline"
        in capsys.readouterr().err
    )


@pytest.mark.parametrize("text", ["machine api.wandb.ai login user password key", "no netrc at all {"])
def test_a_login_is_found_where_the_client_keeps_it(home: Path, text: str) -> None:
    (home / ".netrc").write_text(text)
    (home / ".netrc").chmod(0o600)
    if text.startswith("machine"):
        server.check_account()
    else:
        with pytest.raises(ValueError, match="no account"):
            server.check_account()


def test_the_sweep_is_made_and_agents_share_its_points(
    fake: Server, sweep: RunSweep, write_sweep: WriteSweep, workdir: Path
) -> None:
    write_sweep(run_cap=9, name="rates", entity="team")
    fake.codes = [0, 1]
    assert sweep("--count=3", "--jobs=2", "--output=here", "--", "--config=two", offline=False) == 1
    assert fake.place == ("appraise", "team")
    assert fake.made["run_cap"] == 9
    assert fake.made["name"] == "rates"
    assert fake.made["command"][-3:] == ["--config=two", "--output=here", "${args}"]
    assert fake.made["program"] == "train.py"
    common = ["agent", "--project", "appraise", "--entity", "team", "--count"]
    assert fake.agents == [[*common, "2", "abc123"], [*common, "1", "abc123"]]
    assert all(path.startswith(str(Path(sys.executable).parent)) for path in fake.paths)
    assert not (workdir / "swept").exists()


def test_names_are_checked_before_the_server_hears_of_them(
    fake: Server, sweep: RunSweep, write_sweep: WriteSweep, capsys: pytest.CaptureFixture[str]
) -> None:
    write_sweep(parameters={"model.rat": {"values": [0.1, 0.2]}})
    assert sweep("--count=1", offline=False) == 2
    assert "did you mean --model.rate?" in capsys.readouterr().err
    assert fake.made == {}


def test_a_refusal_of_the_server_is_one_sentence(
    fake: Server, sweep: RunSweep, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> str:
        raise RuntimeError("entity\n  unknown")

    monkeypatch.setattr(sys.modules["wandb"], "sweep", refuse)
    assert sweep(offline=False) == 2
    assert capsys.readouterr().err == "appraise sweep: W&B refused the sweep: entity unknown\n"
