"""`mentor-loop` from end to end on a handful of generated parts: real trainings, real mining, a real store."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml
from filelock import FileLock

import cli
from datamodules.inspection.store.feedback import FeedbackStore

SIZES = {"original_train": 16, "new_train": 8, "original_val": 4, "new_val": 4, "original_test": 4, "new_test": 4}
STORE = {"data.init_args.new_training": "mentored", "data.init_args.store": "{store}"}


def write_settings(folder: Path, **changes: object) -> list[str]:
    settings: dict[str, object] = {
        "fit": "inspection/demo",
        "seeds": [3],
        "seed_options": ["seed_everything", "data.init_args.seed", "data.init_args.demo.seed"],
        "options": {
            "trainer.logger": False,
            "trainer.max_epochs": 1,
            "trainer.check_val_every_n_epoch": 1,
            "data.init_args.batch_size": 8,
            "model.init_args.width": 4,
            **{f"data.init_args.demo.{name}": value for name, value in {**SIZES, "size": 64}.items()},
        },
        "mine_options": {"model.init_args.threshold": 0.008},
        "processes": 1,
        "output": str(folder / "loop"),
        "rows": {
            "baseline": {"title": "baseline"},
            "all": {
                "title": "+ all fixes",
                "options": {
                    **STORE,
                    "model.init_args.weights": "{baseline}",
                    "model.init_args.omnia_epsilon": 0.01,
                    "model.init_args.healthy_knowledge": True,
                    "model.init_args.domain_weight": 0.1,
                },
            },
        },
        "figures": {"features": ["all"], "false_positives": "all"},
        **changes,
    }
    file = folder / "loop.yaml"
    file.write_text(yaml.safe_dump(settings, sort_keys=False))
    return ["mentor-loop", "--config", str(file)]


def test_loop_ends_with_a_table_and_goes_on_where_it_was(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = write_settings(tmp_path)
    assert cli.main(command) == 0
    out = capfd.readouterr().out
    assert "| + all fixes |" in out
    folder = tmp_path / "loop"
    lines = (folder / "table.csv").read_text().splitlines()
    assert len(lines) == 3
    header, baseline, fixed = (line.split(",") for line in lines)
    assert float(fixed[header.index("operator_minutes")]) > 0
    assert baseline[header.index("operator_minutes")] == ""
    assert fixed[header.index("test/new_false_positives_per_image_new")]
    assert (folder / "features.png").is_file()
    mined = folder / "seed_3" / "round_1" / "mining" / "result.json"
    row = folder / "seed_3" / "round_1" / "all" / "result.json"
    before, kept = measures(row), mined.stat().st_mtime_ns
    row.unlink()
    assert cli.main(command) == 0
    assert mined.stat().st_mtime_ns == kept  # what is done is not done again
    assert measures(row) == before != []  # the same, bit for bit


def measures(result: Path) -> list[str]:
    """Lines of the measures of a test; other lines hold paths, which may read ``test/`` too."""
    return [line for line in result.read_text().splitlines() if line.lstrip().startswith('"test/')]


@pytest.mark.slow
def test_loop_waits_for_people(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = write_settings(tmp_path, answers="page", mine_options={"model.init_args.threshold": 0.0105})
    assert cli.main(command) == 3
    assert "wait for an answer: run `appraise mentor --store" in capfd.readouterr().out
    store = FeedbackStore(tmp_path / "loop" / "seed_3" / "store" / "feedback.sqlite")
    run = store.runs()[0].id
    for number, item in enumerate(store.next_items(run, "anna", limit=100_000)):
        store.answer(
            client_id=f"anna-{item.id}",
            run_id=run,
            image_id=item.image_id,
            detection_id=item.id,
            verdict="reject" if number else "skip",
            annotator="anna",
            milliseconds=600,
        )
    assert cli.main(command) == 0
    assert "| + all fixes |" in capfd.readouterr().out


def test_two_loops_never_share_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = write_settings(tmp_path)
    (tmp_path / "loop").mkdir()
    with FileLock(tmp_path / "loop" / "loop.lock"):
        assert cli.main(command) == 2
    assert "another mentor-loop works in" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc/self/stat").is_file(), reason="processes are looked up in /proc")
def test_workers_end_with_a_killed_loop(tmp_path: Path) -> None:
    program = (
        "import multiprocessing, sys, time\n"
        "from lightning_modules.commands.rows.processes import set_up_process\n"
        "def work():\n"
        "    set_up_process(1); print(multiprocessing.current_process().pid, flush=True); time.sleep(120)\n"
        "if __name__ == '__main__':\n"
        "    process = multiprocessing.get_context('fork').Process(target=work)\n"
        "    process.start(); process.join()\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 20
    while Path(f"/proc/{worker}").exists() and time.monotonic() < deadline:
        if Path(f"/proc/{worker}/stat").read_text().split(") ")[1].startswith("Z"):
            return  # ended; nobody has read its exit code yet
        time.sleep(0.2)
    assert not Path(f"/proc/{worker}").exists()


@pytest.mark.slow
def test_two_rounds(tmp_path: Path) -> None:
    """The second round deploys the first one's model, mines with it and learns from the answers of both."""
    assert cli.main(write_settings(tmp_path, rounds=2, deploy="all", operator={"error_rate": 0.3})) == 0
    folder = tmp_path / "loop"
    assert (folder / "table_round_1.md").is_file()
    assert (folder / "table.md").is_file()
    store = FeedbackStore(folder / "seed_3" / "store" / "feedback.sqlite")
    assert len({run.checkpoint_sha256 for run in store.runs()}) == 2
    minutes = [
        float(dict(zip(*(line.split(",") for line in lines), strict=True))["operator_minutes"])
        for name in ("table_round_1", "table")
        for header, _, row in [(folder / f"{name}.csv").read_text().splitlines()]
        for lines in [(header, row)]
    ]
    assert minutes[1] > minutes[0] > 0
