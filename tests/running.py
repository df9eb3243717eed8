"""What tests run things with: a quiet trainer, threads, free ports, a configuration as it would be."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import lightning as L
import torch

import cli

Command = Callable[..., Any]  # runs a command line, and returns what it gave
REPOSITORY = Path(__file__).resolve().parent.parent


def quiet_trainer(folder: Path | None, *callbacks: L.Callback, **options: Any) -> L.Trainer:
    """A trainer on the CPU that writes and shows nothing by itself."""
    shown = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    settings: dict[str, Any] = {"accelerator": "cpu", "callbacks": [*callbacks], **dict.fromkeys(shown, False)}
    return L.Trainer(default_root_dir=folder, **settings | options)


@contextmanager
def threads(number: int) -> Iterator[None]:
    """Let torch use so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def save_checkpoint(module: L.LightningModule, path: Path, **options: Any) -> Path:
    """A checkpoint of a module that was not trained."""
    trainer = quiet_trainer(path.parent)
    trainer.strategy.connect(module)
    trainer.save_checkpoint(path, **options)
    return path


class StopAfterOneEpoch(L.Callback):
    """Ends a training that was planned longer, as Ctrl-C would."""

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        trainer.should_stop = True


def free_port() -> int:
    """A port that nobody listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def printed_here(command: Sequence[str], otherwise: str) -> str:
    """What `printed_config` gives, found in this process, which has imported everything."""
    with redirect_stdout(StringIO()) as printed:
        assert cli.main([*command[2:], "--print_config"]) == 0, otherwise
    return printed.getvalue()
