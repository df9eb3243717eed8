"""The pieces of work of `appraise mentor-loop`, each run in a process of its own and recorded when it is done."""

from __future__ import annotations

import gc
import json
import shlex
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

from datamodules.common.atomic_write import write_text
from datamodules.common.fingerprint import file_sha256
from lightning_modules.commands.front.config_files import find_config
from lightning_modules.commands.mentoring.settings import OperatorSettings
from lightning_modules.commands.rows.processes import logged
from lightning_modules.commands.rows.results import OptionValue, Result, option_arguments, write_result

STORE = "feedback.sqlite"


@dataclass(frozen=True)
class Training:
    """A row of one seed and round.

    Attributes:
        folder: Where its runs, its log and its result go.
        config: Configuration of the training.
        options: All options of ``fit``, placeholders filled in.
        baseline: Checkpoint of the deployed model; None for the baseline itself.
        sheet: Draw the false positives that went away.
    """

    folder: Path
    config: str
    options: dict[str, OptionValue]
    baseline: Path | None = None
    sheet: bool = False


@dataclass(frozen=True)
class Mining:
    """Mining with a deployed model, and the simulated answers.

    Attributes:
        folder: Where its log and its result go.
        store: The feedback store.
        config: Configuration of the mining.
        data: Configuration of the training, of which the data are taken.
        checkpoint: The deployed model.
        options: Options of the data.
        seed: Seed of the operator's errors.
        operator: The simulated operator; None leaves the answers to people.
    """

    folder: Path
    store: Path
    config: str
    data: str
    checkpoint: Path
    options: dict[str, OptionValue]
    seed: int
    operator: OperatorSettings | None


def train(task: Training) -> Result:
    """Fit and test one row; the command can be repeated by hand from ``command.txt``."""
    from lightning_modules.commands.front.lightning_cli import launch

    arguments = ["--config", task.config, f"--output={task.folder}", "--test_after_fit=true"]
    arguments += option_arguments(task.options)
    for name, settings in _test_callbacks(task).items():
        arguments.append(
            f"--trainer.callbacks+={json.dumps({'class_path': f'callbacks.{name}', 'init_args': settings})}"
        )
    write_text(task.folder / "command.txt", shlex.join(["appraise", "fit", *arguments]) + "\n")
    began = time.monotonic()
    with logged(task.folder):
        cli = launch("fit", arguments)
    values = {name: float(value) for name, value in cli.trainer.callback_metrics.items()}
    values["seconds"] = time.monotonic() - began
    checkpoint = str(getattr(cli.trainer.checkpoint_callback, "best_model_path", ""))
    del cli
    gc.collect()  # the next training of this process needs the memory
    return write_result(task.folder, Result(values, checkpoint))


def _test_callbacks(task: Training) -> dict[str, dict[str, str | bool]]:
    callbacks: dict[str, dict[str, str | bool]] = {"DefectFeatures": {"picture": False}}
    if task.baseline is not None:
        callbacks["NewFalsePositives"] = {"baseline": str(task.baseline)}
    if task.baseline is not None and task.sheet:
        callbacks["FalsePositiveSheet"] = {"baseline": str(task.baseline)}
    return callbacks


def mine(task: Mining) -> Result:
    """Write the deployed model's detections into the store and, if asked, answer them."""
    from datamodules.inspection.simulated_operator import simulate_answers
    from datamodules.inspection.store.feedback import FeedbackStore
    from lightning_modules.commands.front.lightning_cli import launch

    data = yaml.safe_load(find_config(task.data).path.read_text(encoding="utf-8")).get("data", {})
    write_text(task.folder / "data.yaml", yaml.safe_dump({"data": data}, sort_keys=False))
    arguments = ["--config", str(task.folder / "data.yaml"), "--config", task.config]
    arguments += [f"--ckpt_path={task.checkpoint}", f"--output={task.store.parent}"]
    arguments += option_arguments(task.options)
    write_text(task.folder / "command.txt", shlex.join(["appraise", "predict", *arguments]) + "\n")
    with logged(task.folder):
        cli = launch("predict", arguments)
    store = FeedbackStore(task.store)
    run = max(store.runs(), key=lambda run: run.id)
    store.require_run(run.id, checkpoint_sha256=file_sha256(task.checkpoint))
    if task.operator is None:
        return write_result(task.folder, Result())
    session = simulate_answers(
        store,
        run.id,
        cli.datamodule.images("predict"),
        error_rate=task.operator.error_rate,
        accept_share=task.operator.accept_share,
        corrects_class=task.operator.corrects_class,
        seconds_per_answer=task.operator.seconds_per_answer,
        healthy_share=task.operator.healthy_share,
        seed=task.seed,
    )
    values = {
        "answers": float(session.answers),
        "accepted": float(session.accepted),
        "rejected": float(session.rejected),
        "reclassed": float(session.reclassed),
        "flagged": float(session.flagged),
        "images": float(session.images),
        "operator_minutes": session.minutes,
    }
    return write_result(task.folder, Result(values))
