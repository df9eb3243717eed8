"""`reward-study`: which work waits for which, what is refused, and a small study from end to end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image

import cli
from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.reward_study.settings import StudyRow, StudySettings
from lightning_modules.commands.reward_study.study import Study, parse
from lightning_modules.commands.reward_study.tasks import TRAINING, Measuring, Training
from lightning_modules.commands.rows.results import Result, write_result
from tests.configs.shipped import CONFIGS
from tests.tables import csv_rows

MEASURED = {"judge": {"class_path": "FaceJudge", "init_args": {"checkpoint": "{judge_b}"}}}


def study(folder: Path, **rows: StudyRow) -> Study:
    given = {
        "judge": StudyRow(fit="face_diffusion/judge", once=True),
        "judge_b": StudyRow(fit="face_diffusion/judge", once=True, options={"seed_everything": 9}),
        "start": StudyRow("start", fit="face_diffusion/demo"),
        "tuned": StudyRow("tuned", fit="face_diffusion/tune", options={"weights": "{start}", "asks": ["{judge}"]}),
        "led": StudyRow("led", model="start", sampling={"guidance": {"by": "{judge}"}}),
        **rows,
    }
    return Study(StudySettings(given, seeds=[4, 5], measure=MEASURED, output=str(folder)))


def finish(one: Study, task: Training | Measuring) -> None:
    task.folder.mkdir(parents=True, exist_ok=True)
    (task.folder / TRAINING).write_text("faces\n")
    write_result(task.folder, Result({}, f"{task.folder}/last.ckpt"))


def test_work_waits_for_what_it_needs_and_a_judge_is_trained_once(tmp_path: Path) -> None:
    one = study(tmp_path)
    seen: list[list[str]] = []
    while tasks := list(one.ready()):
        seen.append([str(task.folder.relative_to(tmp_path)) for task in tasks])
        finish(one, tasks[0])
    assert seen[0] == ["judge/once", "judge_b/once", "start/seed_4", "start/seed_5"]
    assert seen[2] == ["start/seed_4", "start/seed_5"]  # both judges are there
    assert seen[3] == ["start/seed_4/measured", "tuned/seed_4", "led/seed_4/measured", "start/seed_5"]
    assert len(seen) == len(one.folders()) == 2 + 2 * 5


def test_names_stand_for_checkpoints_and_seeds_are_set(tmp_path: Path) -> None:
    one = study(tmp_path)
    found: dict[str, Training | Measuring] = {}
    while tasks := list(one.ready()):
        found[str(tasks[0].folder.relative_to(tmp_path))] = tasks[0]
        finish(one, tasks[0])
    judge = found["judge_b/once"]
    assert isinstance(judge, Training)
    assert judge.options == {"seed_everything": 9}  # one for all seeds has none of them
    tuned, led = found["tuned/seed_5"], found["led/seed_5/measured"]
    assert isinstance(tuned, Training)
    assert isinstance(led, Measuring)
    assert tuned.options["weights"] == f"{tmp_path}/start/seed_5/last.ckpt"
    assert tuned.options["asks"] == [f"{tmp_path}/judge/once/last.ckpt"]
    assert led.checkpoint == tuned.options["weights"]
    assert led.options["guidance"] == {"by": f"{tmp_path}/judge/once/last.ckpt"}
    asked = {"checkpoint": f"{tmp_path}/judge_b/once/last.ckpt"}
    assert led.measure == {"judge": {"class_path": "FaceJudge", "init_args": asked}}
    assert led.training == tmp_path / "pictures" / "faces"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({"odd": StudyRow("odd")}, 'row "odd" needs either `fit`'),
        ({"odd": StudyRow("odd", fit="x", model="start")}, 'row "odd" needs either `fit`'),
        ({"odd": StudyRow("odd", model="strat")}, 'row "odd" names the row "strat", and there is none.*start'),
        ({"odd": StudyRow(fit="x", options={"weights": "{odd}"})}, "the rows odd wait for one another"),
    ],
)
def test_rows_that_cannot_be_are_refused(tmp_path: Path, rows: dict[str, StudyRow], message: str) -> None:
    with pytest.raises(CommandLineError, match=message):
        study(tmp_path, **rows)


def test_a_folder_of_another_study_is_refused_and_rows_may_join(tmp_path: Path) -> None:
    for one in (study(tmp_path), study(tmp_path, more=StudyRow("more", model="start"))):
        one.check_folder(one.facts())
    other = study(tmp_path, tuned=StudyRow("tuned", fit="face_diffusion/tune", options={"weights": "{start}"}))
    with pytest.raises(CommandLineError, match="holds a study whose row tuned differs"):
        other.check_folder(other.facts())


@pytest.mark.parametrize("name", [file.stem for file in (CONFIGS / "face_diffusion").glob("study*.yaml")])
def test_shipped_studies_are_whole(name: str) -> None:
    files = dict.fromkeys(["study", name])  # the others stand on the first
    settings = parse([f"--config={CONFIGS / 'face_diffusion' / file}.yaml" for file in files])
    assert settings.measured
    assert settings.held_out is not None
    for row in settings.rows.values():
        assert row.fit is None or (CONFIGS / f"{row.fit}.yaml").is_file()


def small(folder: Path, **changes: Any) -> list[str]:
    """A study of two rows at their smallest."""
    demo = {"train": 24, "val": 8, "test": 8}
    options = {f"data.init_args.demo.{name}": value for name, value in demo.items()}
    options |= {f"model.init_args.{name}": value for name, value in (("channels", [8, 16]), ("sampling_steps", 2))}
    settings: dict[str, object] = {
        "seed_options": ["seed_everything"],
        "options": {"trainer.logger": False, "trainer.max_epochs": 1, "data.init_args.batch_size": 8, **options},
        "samples": 8,
        "measure": {"neighbours": 2},
        "held_out": {"class_path": "FaceDiffusionDataModule", "init_args": {"demo": {**demo, "seed": 7}}},
        "rows": {
            "start": {"title": "start", "fit": "face_diffusion/demo", "line": "plain", "place": 1},
            "noisy": {
                "title": "with noise", "model": "start", "line": "noise", "place": 2,
                "sampling": {"model.init_args.eta": 1.0},
            },
        },
        "against": "start",
        "figure": {"y": ["kid", "similarity_mean"], "place": "noise"},
        "processes": 1,
        "output": str(folder / "study"),
        **changes,
    }  # fmt: skip
    file = folder / "study.yaml"
    file.write_text(yaml.safe_dump(settings, sort_keys=False))
    return ["reward-study", "--config", str(file)]


def test_a_study_ends_with_table_figure_and_page_and_goes_on(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = small(tmp_path)
    assert cli.main(command) == 0
    assert "| with noise |" in capfd.readouterr().out
    folder = tmp_path / "study"
    rows = csv_rows(folder / "table.csv")
    assert [row["row"] for row in rows] == ["start", "with noise"]
    assert rows[0]["kid"] != rows[1]["kid"]
    assert len(list((folder / "noisy" / "seed_0" / "measured" / "samples").glob("*.png"))) == 8 + 1  # and the sheet
    assert "with noise" in (folder / "page" / "page.html").read_text()
    assert f"{float(rows[1]['kid']) - float(rows[0]['kid']):.3f}" in (folder / "differences.md").read_text()
    with Image.open(folder / "figure.png") as picture:
        assert picture.width > picture.height
    trained = folder / "start" / "seed_0" / "result.json"
    measured = folder / "noisy" / "seed_0" / "measured" / "result.json"
    before, kept = json.loads(measured.read_text())["values"], trained.stat().st_mtime_ns
    measured.unlink()
    assert cli.main(command) == 0
    after = json.loads(measured.read_text())["values"]
    assert trained.stat().st_mtime_ns == kept  # what is done is not done again
    assert {**after, "seconds": 0} == {**before, "seconds": 0}
