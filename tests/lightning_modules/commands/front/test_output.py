"""What the terminal shows: results on stdout, notes on stderr, plain lines outside a terminal, no chatter."""

from __future__ import annotations

import re
import signal
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from jsonargparse import Namespace
from lightning.pytorch.callbacks import ModelSummary, RichModelSummary

import cli
from callbacks.training.plain_progress import PlainProgress, shown_metrics
from callbacks.training.terminal_progress import TerminalProgress
from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.front.lightning_cli import AppraiseCLI
from lightning_modules.commands.front.loggers import check_wandb, complete_logger, default_loggers
from lightning_modules.commands.front.report import next_commands
from lightning_modules.commands.front.run_folder import claim_run_folder
from tests.running import Command


def settings(**values: object) -> Namespace:
    return Namespace(**values)  # type: ignore[no-untyped-call]


def test_fit_ends_with_the_checkpoint_and_the_next_command(appraise: Command, workdir: Path) -> None:
    done = appraise("fit", "--config", "toy")
    path = next((workdir / "runs/toy/version_0/checkpoints").glob("*.ckpt"))
    assert done.out.splitlines() == [
        f"checkpoint {path}",
        "next: appraise test --run runs/toy/version_0",
    ]


def test_a_training_that_never_validated_is_tested_with_its_newest_weights(appraise: Command) -> None:
    saver = '{"class_path": "callbacks.BestAndLast", "init_args": {"monitor": "val/srcc"}}'
    options = ["--trainer.check_val_every_n_epoch", "5", f"--trainer.callbacks+={saver}", "--test_after_fit", "true"]
    done = appraise("fit", "--config", "toy", *options)
    assert done.code == 0
    assert done.out.splitlines()[0] == "test/srcc 0.83"
    assert done.out.splitlines()[1].endswith("last.ckpt")


def test_a_training_that_was_stopped_early_says_why(appraise: Command) -> None:
    stopper = '{"class_path": "EarlyStopping", "init_args": {"monitor": "val/srcc", "patience": 1}}'
    done = appraise("fit", "--config", "toy", "--trainer.max_epochs", "9", f"--trainer.callbacks+={stopper}")
    assert "stopped early: val/srcc got no better in 1 validation" in done.err


def test_the_next_command_works(appraise: Command) -> None:
    line = appraise("fit", "--config", "toy").out.splitlines()[-1]
    done = appraise(*line.removeprefix("next: appraise ").split())
    assert done.code == 0, done.err
    assert done.out == "test/srcc 0.83\n"


def test_libraries_say_nothing_of_limits_processes_and_checkpoints(appraise: Command) -> None:
    done = appraise("fit", "--config", "toy", "--trainer.limit_train_batches", "1", "--test_after_fit", "true")
    assert not re.search(r"Trainer\(|the checkpoint at|Initializing", done.err)
    resumed = appraise("fit", "--run", "runs/toy", "--trainer.max_epochs", "2").err
    assert "goes on from step 1: " in resumed
    assert "Restored" not in resumed


def test_after_fit_tests_the_best_checkpoint(appraise: Command) -> None:
    done = appraise("fit", "--config", "toy", "--test_after_fit", "true")
    assert done.out.splitlines()[0] == "test/srcc 0.83"
    assert "test with the weights of " in done.err
    assert "test/srcc" not in appraise("fit", "--config", "toy").out


@pytest.mark.parametrize("option", ["--trainer.enable_checkpointing=false", "--trainer.fast_dev_run=true"])
def test_after_fit_without_checkpoints_tests_the_last_weights(option: str, appraise: Command) -> None:
    done = appraise("fit", "--config", "toy", "--test_after_fit", "true", option)
    assert (done.code, done.out) == (0, "test/srcc 0.83\n"), done.err


def test_plain_lines_in_a_file(appraise: Command) -> None:
    done = appraise("fit", "--config", "toy", "--trainer.max_epochs", "2", "--trainer.logger", "true")
    assert "\r" not in done.out + done.err
    assert "\x1b" not in done.out + done.err
    lines = done.err.splitlines()
    assert lines[0] == "config toy: toy.yaml"
    assert lines[1].startswith("ToyModel: ")
    assert [line.split("  ")[0] for line in lines[2:]] == ["epoch 0/1", "epoch 1/1"]
    assert "val/srcc -0." in lines[2]


@pytest.mark.parametrize("terminal", [True, False])
def test_bars_on_a_terminal_only(terminal: bool, toy: object, workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AppraiseCLI, "fit", lambda self, **kwargs: None)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal)
    arguments = ["--model", "ToyModel", "--data", "ToyData", "--trainer.accelerator", "cpu"]
    trainer: Any = AppraiseCLI("fit", arguments, []).trainer
    kinds = {type(callback) for callback in trainer.callbacks}
    assert (TerminalProgress in kinds) == terminal
    assert not kinds & {ModelSummary, RichModelSummary}  # the progress has a line for it
    assert (PlainProgress in kinds) != terminal


def test_long_stages_say_how_far_they_are(caplog: pytest.LogCaptureFixture) -> None:
    progress = PlainProgress(every_percent=25, min_seconds=0)
    trainer: Any = SimpleNamespace(num_test_batches=[8], test_dataloaders=None)
    caplog.set_level("INFO")
    progress.on_test_start(trainer, trainer)
    for step in range(8):
        progress.on_test_batch_end(trainer, trainer, None, None, step)
    assert [record.message.split(",")[0] for record in caplog.records] == [f"test: {n} of 8 steps" for n in (2, 4, 6)]
    progress.disable()
    progress.on_test_batch_end(trainer, trainer, None, None, 1)
    assert len(caplog.records) == 3


def test_the_clock_of_an_epoch_that_is_resumed_begins_with_the_training(caplog: pytest.LogCaptureFixture) -> None:
    trainer: Any = SimpleNamespace(current_epoch=2, max_epochs=9, progress_bar_metrics={}, callback_metrics={})
    caplog.set_level("INFO")
    progress = PlainProgress()
    progress.on_train_start(trainer, trainer)
    progress.on_train_epoch_end(trainer, trainer)
    assert caplog.records[0].message == "epoch 2/8  0 s  "


def test_metrics_of_single_steps_are_left_out() -> None:
    assert shown_metrics({"a_step": 1.0, "a_epoch": 0.123456, "v_num": 2}) == "a_epoch 0.1235"


def test_ctrl_c_names_the_checkpoint(
    appraise: Command, toy: ModuleType, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def press(self: Any) -> None:
        if self.current_epoch == 1:
            raise KeyboardInterrupt

    monkeypatch.setattr(toy.ToyModel, "on_train_epoch_start", press)
    handler = signal.getsignal(signal.SIGINT)
    try:
        done = appraise("fit", "--config", "toy", "--trainer.max_epochs", "3")
    finally:
        signal.signal(signal.SIGINT, handler)  # Lightning ignores further presses for the rest of the process
    path = next((workdir / "runs/toy/version_0/checkpoints").glob("epoch=0-*.ckpt"))
    assert done.code == 130
    assert done.err.splitlines()[-2].startswith(f"checkpoint so far: {path};")
    assert done.err.splitlines()[-1] == "appraise fit: stopped by Ctrl-C; anything written so far is kept"


def test_default_loggers_share_the_run_folder(tmp_path: Path) -> None:
    csv, tensorboard = default_loggers(tmp_path)
    assert Path(str(csv.log_dir)) == tmp_path
    assert Path(str(tensorboard.log_dir)) == tmp_path / "tensorboard"


def test_configured_loggers_keep_what_they_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")
    kind = "lightning.pytorch.loggers.WandbLogger"
    stated, gap = (settings(class_path=kind, init_args=settings(save_dir=folder)) for folder in ("mine", "."))
    for logger in (stated, gap):
        complete_logger(logger, tmp_path)
    assert (stated.init_args.save_dir, gap.init_args.save_dir) == ("mine", str(tmp_path))


@pytest.mark.parametrize("mode", ["offline", "argument"])
def test_wandb_cannot_upload_while_offline(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = settings(log_model="all", offline=mode == "argument")
    logger = settings(class_path="lightning.pytorch.loggers.WandbLogger", init_args=arguments)
    if mode == "offline":
        monkeypatch.setenv("WANDB_MODE", "offline")
    with pytest.raises(CommandLineError, match="log_model = all, but W&B is offline"):
        check_wandb([logger])
    arguments.log_model = False
    check_wandb([logger])


def test_after_a_tested_training_scoring_comes_next(toy: object) -> None:
    lines = next_commands(Path("/x/run 0"), "VideoQualityDataModule", tested=True)
    assert lines[0].endswith(" predict --run '/x/run 0'")
    assert "--data.path FOLDER_OR_FILE" in lines[1]
    assert next_commands(Path("/x"), "VideoQualityDataModule", tested=False)[0].endswith(" test --run /x")
    assert next_commands(Path("/x"), "SomebodysData", tested=True)[0].endswith(" test --run /x")
    lines = next_commands(Path("/x"), "ActionDataModule", tested=True, source="/clips/a b.mp4")
    assert lines[0].endswith(" annotate '/clips/a b.mp4' --run /x")


@pytest.mark.parametrize("command", ["fit", "predict"])
def test_a_folder_that_cannot_be_made_is_one_sentence(command: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CommandLineError, match=r"cannot be made .* with --output DIR"):
        claim_run_folder(tmp_path / "file" / "run", numbered=command == "fit")


def test_annotate_says_how_to_name_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["annotate", "camera:0"]) == 2
    assert "add --run FOLDER or --ckpt_path FILE" in capsys.readouterr().err


@pytest.mark.parametrize("own", [True, False])
def test_a_plain_loader_is_split_over_devices_and_ours_splits_itself(own: bool, appraise: Command, toy: Any) -> None:
    seen: list[bool] = []

    class Watch(toy.ToyData):  # type: ignore[misc]  # a module found at run time
        brings_sampler = own

        def setup(self, stage: str) -> None:
            seen.append(self.trainer._accelerator_connector.use_distributed_sampler)

    toy.Watch = Watch
    Watch.__module__, Watch.__qualname__ = toy.__name__, "Watch"
    assert appraise("fit", "--config", "toy", "--data", "toy_parts.Watch").code == 0
    assert seen == [not own]
