"""RunComparison: several trainings in one figure and one table."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from callbacks.training.run_comparison import ComparedRun, RunComparison, draw_runs, read_runs
from datamodules.common.errors import ConfigurationError
from tests.lines import look_of
from tests.running import quiet_trainer
from tests.tables import csv_rows


class Line(L.LightningModule):
    def __init__(self, freeze_below: str = "none") -> None:
        super().__init__()
        self.save_hyperparameters()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: Any, batch_idx: int) -> Any:
        self.log("train/accuracy", 0.5)
        return (self.weight - batch).square().mean()

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        self.log("val/loss", (self.weight - batch).square().mean())

    def test_step(self, batch: Any, batch_idx: int) -> None:
        self.log("test/accuracy", 0.25)

    def configure_optimizers(self) -> Any:
        return torch.optim.SGD(self.parameters(), lr=0.1)


def run(folder: Path, freeze_below: str, **options: Any) -> L.Trainer:
    trainer = quiet_trainer(
        folder, RunComparison("freeze_below"), num_sanity_val_steps=0, **{"max_epochs": 3, **options}
    )
    torch.manual_seed(0)
    loader = DataLoader(torch.ones(4, 1), batch_size=2)
    module = Line(freeze_below)
    trainer.fit(module, loader, loader)
    trainer.test(module, loader, verbose=False)
    return trainer


def rows(folder: Path) -> list[dict[str, str]]:
    return csv_rows(folder / "run_comparison.csv")


def test_two_runs_make_one_figure_and_two_rows(tmp_path: Path) -> None:
    run(tmp_path / "1", "fc6")
    assert [row["freeze_below"] for row in rows(tmp_path)] == ["fc6"]
    run(tmp_path / "2", "conv5")
    table = rows(tmp_path)
    assert [row["freeze_below"] for row in table] == ["conv5", "fc6"]
    assert [row["run"] for row in table] == ["2", "1"]
    assert all((row["epochs"], row["train/accuracy"], row["test/accuracy"]) == ("3", "0.5", "0.25") for row in table)
    record = json.loads((tmp_path / "1" / "run_comparison.json").read_text())
    losses = [values["val/loss"] for values in record["epochs"].values()]
    assert float(table[1]["smallest val/loss"]) == pytest.approx(losses[-1], rel=1e-5)
    assert losses == sorted(losses, reverse=True)
    assert (tmp_path / "run_comparison.png").stat().st_size > 5000


def test_a_test_from_a_checkpoint_keeps_the_curve_and_a_resumed_run_continues_it(tmp_path: Path) -> None:
    trainer = run(tmp_path / "1", "fc6", max_epochs=2)
    trainer.save_checkpoint(tmp_path / "two.ckpt")
    loader = DataLoader(torch.ones(4, 1), batch_size=2)
    trainer.test(Line("fc6"), loader, ckpt_path=str(tmp_path / "two.ckpt"), verbose=False, weights_only=True)
    assert (rows(tmp_path)[0]["freeze_below"], rows(tmp_path)[0]["epochs"]) == ("fc6", "2")
    resumed = quiet_trainer(tmp_path / "2", RunComparison(["freeze_below"]), num_sanity_val_steps=0, max_epochs=4)
    resumed.fit(Line("fc6"), loader, loader, ckpt_path=str(tmp_path / "two.ckpt"), weights_only=True)
    assert [row["epochs"] for row in rows(tmp_path)] == ["2", "4"]


def test_a_test_alone_is_no_run_and_writes_nothing(tmp_path: Path) -> None:
    trainer = quiet_trainer(tmp_path / "tested", RunComparison("freeze_below"))
    trainer.test(Line("fc6"), DataLoader(torch.ones(4, 1), batch_size=2), verbose=False)
    assert list(tmp_path.rglob("run_comparison*")) == []


def test_runs_of_one_label_share_a_colour() -> None:
    runs = [ComparedRun("fc6", name, {0: {"val/loss": 1.0}, 1: {"val/loss": 0.5}}) for name in "ab"]
    figure = draw_runs([*runs, ComparedRun("conv5", "c", {0: {"val/loss": 2.0}})], "freeze_below", "val/loss")
    axes = figure.axes[0]
    assert axes.lines[0].get_color() == axes.lines[1].get_color() != axes.lines[2].get_color()
    (legend,) = figure.legends  # beside the panel, over no curve
    assert [text.get_text() for text in legend.get_texts()] == ["fc6", "conv5"]
    assert draw_runs([], "freeze_below", "val/loss").legends == []


def test_every_label_has_a_look_of_its_own() -> None:
    runs = [ComparedRun(f"layer {number}", "a", {0: {"val/loss": 1.0}, 1: {"val/loss": 0.5}}) for number in range(40)]
    figure = draw_runs(runs, "freeze_below", "val/loss")
    assert len({look_of(line) for line in figure.axes[0].get_lines()}) == 40


def test_a_broken_record_is_named_and_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "run_comparison.json").write_text("[1, 2")
    assert read_runs(tmp_path) == []
    assert "is no record of a run" in caplog.text


def test_nothing_is_written_under_fast_dev_run(tmp_path: Path) -> None:
    run(tmp_path / "1", "fc6", fast_dev_run=True)
    assert list(tmp_path.rglob("run_comparison*")) == []


def test_an_unknown_hyper_parameter_is_an_error(tmp_path: Path) -> None:
    trainer = quiet_trainer(tmp_path, RunComparison("frozen"))
    with pytest.raises(
        ConfigurationError, match="'frozen', which is no hyper-parameter of Line: name one of freeze_be"
    ):
        trainer.fit(Line(), DataLoader(torch.ones(4, 1)))
