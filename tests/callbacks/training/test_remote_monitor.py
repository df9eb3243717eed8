"""Numbers of each epoch reach a real server; a server that is not there, slow or hostile costs one warning."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader, TensorDataset

from callbacks.training.epoch_numbers import EpochRow
from callbacks.training.remote_monitor import RemoteMonitor
from datamodules.common.errors import ConfigurationError
from tests.running import free_port, quiet_trainer


class Toy(L.LightningModule):
    """Logs in every place that a module may log in."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Linear(1, 1)

    def training_step(self, batch: list[Tensor], batch_idx: int) -> Tensor:
        self.log("train/loss", float(self.current_epoch), on_step=True, on_epoch=True, batch_size=1)
        return self.net(batch[0]).mean()

    def on_train_epoch_end(self) -> None:
        self.log("train/late", float(self.current_epoch))

    def validation_step(self, batch: list[Tensor], batch_idx: int) -> None:
        self.log("val/loss", float("nan") if self.current_epoch == 1 else 0.5, batch_size=1)

    def configure_optimizers(self) -> dict[str, object]:
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)}


class Inbox(ThreadingHTTPServer):
    """Keeps what is posted."""

    daemon_threads = True

    def __init__(self, status: int = 200, delay: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.delay = status, delay
        self.posts: list[tuple[str, dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    server: Inbox

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posts.append((self.path, dict(self.headers), body))
        time.sleep(self.server.delay)
        self.send_response(self.server.status)
        if self.server.status == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()

    def do_GET(self) -> None:
        self.server.posts.append((self.path, {}, b""))
        self.send_response(200)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Silence."""


@pytest.fixture
def inbox() -> Iterator[Inbox]:
    server = Inbox()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def fit(monitor: RemoteMonitor, folder: Path, epochs: int = 3) -> float:
    """Train and return the seconds that it took."""
    loader = DataLoader(TensorDataset(torch.ones(2, 1)))
    trainer = quiet_trainer(folder, monitor, max_epochs=epochs, check_val_every_n_epoch=2)
    started = time.monotonic()
    trainer.fit(Toy(), loader, loader)
    return time.monotonic() - started


def warnings_of(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "callbacks.training.remote_monitor"]


def test_each_epoch_is_posted_with_its_own_numbers(inbox: Inbox, tmp_path: Path) -> None:
    fit(RemoteMonitor(inbox.url, headers={"X-Run": "seven"}), tmp_path)
    assert [path for path, _, _ in inbox.posts] == ["/publish/epoch/end/"] * 3
    assert all(headers["Content-Type"] == "application/json" for _, headers, _ in inbox.posts)
    assert all(headers["X-Run"] == "seven" for _, headers, _ in inbox.posts)
    numbers = [json.loads(body) for _, _, body in inbox.posts]
    assert [row["epoch"] for row in numbers] == [0, 1, 2]
    assert [row["train/loss_epoch"] for row in numbers] == [0, 1, 2]
    assert [row["train/late"] for row in numbers] == [0, 1, 2]  # logged when other callbacks have been asked already
    assert [row["learning_rate"] for row in numbers] == pytest.approx([0.1, 0.05, 0.025])
    # Validated in the second epoch alone, with a result that is no number.
    assert ["val/loss" in row for row in numbers] == [False, True, False]
    assert numbers[1]["val/loss"] is None
    assert not any(name.endswith("_step") for row in numbers for name in row)


def test_a_form_field_as_keras_sends_it(inbox: Inbox, tmp_path: Path) -> None:
    fit(RemoteMonitor(f"{inbox.url}/", path="in", field="data"), tmp_path, epochs=1)
    (path, headers, body), *more = inbox.posts
    assert not more
    assert path == "/in"
    assert headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert json.loads(parse_qs(body.decode())["data"][0])["epoch"] == 0


def test_nobody_listens(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    fit(RemoteMonitor(url, path="/a?token=secret"), tmp_path)
    (text,) = warnings_of(caplog)
    assert url in text
    assert "training goes on" in text
    assert "secret" not in text


@pytest.mark.parametrize("status", [302, 404, 500])
def test_an_answer_that_is_no_success_is_one_warning(
    status: int, inbox: Inbox, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    inbox.status = status
    fit(RemoteMonitor(inbox.url), tmp_path)
    (text,) = warnings_of(caplog)
    assert str(status) in text
    assert [path for path, _, _ in inbox.posts] == ["/publish/epoch/end/"] * 3  # a redirect is not followed


def test_a_server_that_hangs_holds_up_nothing(inbox: Inbox, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    inbox.delay = 5.0
    caplog.set_level(logging.WARNING)
    took = fit(RemoteMonitor(inbox.url, timeout=0.3), tmp_path, epochs=12)
    assert took < 3.0
    assert len(warnings_of(caplog)) == 1


def test_only_the_first_process_posts(inbox: Inbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(L.Trainer, "is_global_zero", False)
    monitor = RemoteMonitor(inbox.url)
    trainer = L.Trainer(accelerator="cpu", logger=False, default_root_dir=tmp_path)
    monitor.on_fit_start(trainer, Toy())
    monitor.epoch_done(trainer, EpochRow(0, {}))
    monitor.on_train_end(trainer, Toy())
    assert not inbox.posts


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://host", "localhost:9000", "http://", "http://h:x", "http://a:b@h", "http://a b"]
)
def test_addresses_that_cannot_be_posted_to(url: str) -> None:
    with pytest.raises(ConfigurationError, match="http"):
        RemoteMonitor(url)


def test_bad_headers_and_timeouts() -> None:
    with pytest.raises(ConfigurationError, match="header"):
        RemoteMonitor(headers={"X": "a\r\nY: b"})
    with pytest.raises(ConfigurationError, match="timeout"):
        RemoteMonitor(timeout=0)
