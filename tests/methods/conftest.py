"""Data and uninterrupted trainings of all methods, and the table of what holds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from datamodules.inspection.store.feedback import FeedbackStore
from tests.forks import ENVIRONMENT
from tests.methods import process
from tests.methods.data import answer, make_data
from tests.methods.outcomes import Outcomes
from tests.methods.table import METHODS, SEGMENTER, Method

OUTCOMES = Outcomes([*(method.name for method in METHODS), "generator"])
Training = Callable[[Method], Path]


@pytest.fixture(scope="session", autouse=True)
def plain_environment() -> Iterator[None]:
    """What processes inherit: one thread each, so that sums run in one order, and no display or account."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, plain_environment: None) -> Path:
    """Folder of the generated data, with a store of answers to what a segmenter has found."""
    folder = make_data(tmp_path_factory.mktemp("data"))
    base = [word for word in SEGMENTER.training(folder) if "mentored" not in word and "store" not in word]
    base += [f"--output={folder / 'base'}", "--trainer.max_epochs=1", "--test_after_fit=false"]
    mined = SEGMENTER.prediction(folder, folder / "base" / "version_0" / "checkpoints" / "best.ckpt")
    process.run([base, [*mined, f"--output={folder / 'mined'}"]], folder / "mined.txt")
    with FeedbackStore(folder / "mined" / "feedback.sqlite") as store:
        answer(store)
    return folder


@pytest.fixture(scope="session")
def uninterrupted(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """The folder of a method's training that nobody stops, made when it is first asked for."""

    def train(method: Method) -> Path:
        folder = tmp_path_factory.mktemp(method.name)
        process.run([[*method.training(data), f"--output={folder}"]], folder / "log.txt")
        return folder / "version_0"

    return cache(train)


@pytest.fixture(scope="session")
def uninterrupted_pair(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Training:
    """The same in two processes."""

    def train(method: Method) -> Path:
        folder = tmp_path_factory.mktemp(f"{method.name}_pair")
        process.run_pair([method.training(data)], folder / "log.txt", {"APPRAISE_RUN": str(folder / "run")})
        return folder / "run"

    return cache(train)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Take the outcome of a test into the table."""
    OUTCOMES.take(report)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the table where there is one."""
    for line in OUTCOMES.lines():
        terminalreporter.write_line(line)
