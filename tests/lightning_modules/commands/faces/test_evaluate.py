"""``appraise evaluate-faces`` with untrained networks: the whole way, going on, and errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from matplotlib.image import imread

from datamodules.common.errors import CheckpointError, ConfigurationError
from datamodules.face_attributes.datamodule import FaceAttributeDataModule
from datamodules.faces.renderer.settings import FaceDemoSettings
from lightning_modules.commands.faces.evaluate import join_lists, parse
from lightning_modules.commands.faces.judges import load_judges
from lightning_modules.commands.faces.measures import measure, seat
from lightning_modules.commands.faces.networks import load_generator
from lightning_modules.commands.faces.requests import draw_requests, images_of, real_faces
from lightning_modules.commands.faces.settings import EvaluationSettings
from lightning_modules.commands.front.config_files import resolve_config_options
from lightning_modules.commands.front.errors import CommandLineError
from tests.lightning_modules.commands.faces.small_faces import DEMO, OPTIONS, Files
from tests.running import Command
from tests.tables import csv_rows

REQUESTS = ["--requests=8", "--validation_requests=4"]


def test_lists_may_take_several_words() -> None:
    assert join_lists(["--modes", "paper", "nearest", "--seed=1", "--layers", "[fc6]"]) == [
        '--modes=["paper", "nearest"]',
        "--seed=1",
        "--layers=[fc6]",
    ]


def test_requests_and_real_faces_are_apart_and_repeat() -> None:
    data = FaceAttributeDataModule(image_size=32, demo=DEMO)
    real = real_faces(data, 40, seed=0)
    full = draw_requests(data, "test", "full", 8, 3, 40, seed=0)
    assert real.tested.shape == (40, 3, 32, 32)
    assert real.training_labels.shape == (96, 73)
    rows = {picture.numpy().tobytes(): row for row, picture in enumerate(images_of(data, "test", torch.arange(96)))}
    people = data.people("test")
    tested, asked = (
        {people[rows[picture.numpy().tobytes()]] for picture in part} for part in (real.tested, full.sources)
    )
    assert not tested & asked  # other pictures of them would do no better than the same
    short = draw_requests(data, "test", "short", 8, 3, 40, seed=0)
    assert ((short.asked == 1).sum(1) == 3).all()
    assert not (short.absent & (short.asked == 1)).any()
    assert short.absent.any(1).all()
    assert ((short.attributes == 1) == (short.asked == 1)).all()
    assert not torch.equal(short.attributes, short.asked)  # what follows is denied
    again = draw_requests(data, "test", "short", 8, 3, 40, seed=0)
    assert torch.equal(again.asked, short.asked)
    other = draw_requests(data, "test", "short", 8, 3, 40, seed=1)
    assert not torch.equal(other.asked, short.asked)


def test_copies_of_faces_that_the_generator_holds_are_seen(files: Files) -> None:
    data = FaceAttributeDataModule(image_size=32, demo=DEMO)
    generator = load_generator(str(files.generator), None, {})
    requests = draw_requests(data, "test", "full", 8, 3, 40, seed=0)
    alone = real_faces(data, 40, seed=0)
    known = {face.numpy().tobytes() for face in alone.reference}
    held = images_of(data, "train", torch.arange(96))
    held = torch.stack([face for face in held if face.numpy().tobytes() not in known])
    (judge,) = load_judges(files.judges[:1], generator.schema, generator.network)
    bench = seat(judge, alone, generator.schema.attributes, 0.5)
    own = generator.generator.decisions(held[:8])
    unseen = measure(held[:8], requests, alone, [bench], own)
    seen = measure(held[:8], requests, real_faces(data, 40, 0, held), [bench], own)
    assert unseen["copies"] < 0.5
    assert seen["copies"] == 1


def test_the_whole_way_and_again(appraise: Command, files: Files, workdir: Path) -> None:
    options = ["--ckpt_path", str(files.generator), "--judges", *files.judges, *OPTIONS, *REQUESTS]
    options += ["--sheet_faces=3", "--modes", "regression", "centred", "paper", "heads", "mean_face"]
    options += ["--candidates", "regression", "centred"]
    result = appraise("evaluate-faces", *options)
    assert result.code == 0, result.err
    assert "judge A does not know: " in result.out
    assert "chosen on validation requests: " in result.out
    folder = workdir / "out"
    found = json.loads((folder / "evaluation.json").read_text(encoding="utf-8"))
    assert found["chosen"] in ("regression", "centred")
    assert list(found["modes"]) == ["real faces", "chance", "regression", "centred", "paper", "heads", "mean_face"]
    mean_face = found["modes"]["mean_face"]["full"]
    assert mean_face["agreement"] == pytest.approx(0.5)  # one face for all requests
    assert mean_face["diversity_ratio"] == pytest.approx(0, abs=1e-6)
    real = found["modes"]["real faces"]["full"]
    assert real["variation_ratio"] == real["nearest_ratio"] == 1
    assert real["judges"]["judge A"]["similarity_percentile"] == 100
    regression = found["modes"]["regression"]["short"]
    assert {"recall", "specificity", "kid"} < set(regression["judges"]["judge B"])
    assert set(regression["target_distance"]) == {"conv2_1", "fc6"}
    assert found["judges"]["judge A"]["does_not_know"]
    assert found["independence"] == {
        "the generator": "does not say on whom its first weights were trained, so that they could not be checked",
        "judge A": "does not say on whom it was trained, so that this could not be checked",
        "judge B": "does not say on whom it was trained, so that this could not be checked",
    }
    assert "warning: judge A" in result.err
    assert "- judge B does not say on whom it was trained" in (folder / "evaluation.md").read_text(encoding="utf-8")
    assert found["ahead_of"]["full"]["mean_face"] == pytest.approx(
        found["modes"][found["chosen"]]["full"]["agreement"] - 0.5
    )
    rows = csv_rows(folder / "evaluation.csv")
    assert len(rows) == 14
    assert float(rows[-2]["judge A/agreement"]) == pytest.approx(0.5)
    assert f"**{found['chosen']}**" in (folder / "evaluation.md").read_text(encoding="utf-8")
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert f"<h1>Faces from attributes: {found['chosen']} was chosen on other requests</h1>" in page
    assert page.count("<table>") == 2  # full label sets and short requests
    assert page.count('src="data:image/png;base64,') == 5
    assert imread(folder / "evaluation.png").shape[1] > 1000
    assert {path.name for path in (folder / "sheets").iterdir()} >= {"regression_full.png", "paper_short.png"}
    before = {path.name: path.stat().st_mtime_ns for path in (folder / "faces").iterdir()}
    numbers = (folder / "evaluation.csv").read_text(encoding="utf-8")
    again = appraise("evaluate-faces", *options)
    assert again.code == 0
    assert {path.name: path.stat().st_mtime_ns for path in (folder / "faces").iterdir()} == before
    assert (folder / "evaluation.csv").read_text(encoding="utf-8") == numbers
    fewer = ["--modes", "regression", "--candidates", "regression"]
    assert appraise("evaluate-faces", *options, *fewer, "--contrast=3").code == 0  # other faces
    after = {path.name: path.stat().st_mtime_ns for path in (folder / "faces").iterdir()}
    assert after["regression_full_test.safetensors"] != before["regression_full_test.safetensors"]


def test_a_classifier_with_statistics(appraise: Command, files: Files, workdir: Path) -> None:
    options = ["--judges", files.judges[0], *OPTIONS, *REQUESTS, "--sheet_faces=3"]
    options += ["--modes", "mean_face", "regression", "--candidates", "regression", "--layers", "conv2_1", "fc6"]
    options += ["--inversion.steps=2", "--inversion.components=8"]
    with_both = ["--ckpt_path", str(files.classifier), "--statistics", str(files.statistics)]
    result = appraise("evaluate-faces", *with_both, *options)
    assert result.code == 0, result.err
    assert "chosen" not in result.out.split("|")[0]  # one candidate needs no choice
    found = json.loads((workdir / "out" / "evaluation.json").read_text(encoding="utf-8"))
    assert found["inversion"]["steps"] == 2
    assert "the only candidate" in (workdir / "out" / "evaluation.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--judges", "{classifier}"], "is the very network that the faces are made with"),
        (["--judges", "{generator}"], "was written by lightning_modules.AttributeFaceGenerator"),
        (["--judges", "{judge}", "--known=1"], "The judge knows no attribute"),
        (["--judges", "{judge}", "--candidates", "sample", "--modes", "paper"], "the candidates sample are not among"),
        (["--judges", "{judge}", "--candidates", "nearest"], "nearest copies real faces"),
        (["--judges", "{judge}", "--modes", "reconstruct", "regression"], "reconstruct makes faces from faces"),
        (["--judges", "{judge}", "--requests=1"], "requests is 1, but must be at least 2"),
        (["--judges", "{judge}", "--layers", "fc9"], "fc9"),
        (["--judges", "{judge}", "--modes", "papers"], "papers"),
        (["--judges"], "evaluate-faces needs a judge"),
    ],
)
def test_arguments_that_cannot_work(
    appraise: Command, files: Files, arguments: list[str], expected: str, workdir: Path
) -> None:
    names = {"classifier": files.classifier, "generator": files.generator, "judge": files.judges[0]}
    filled = [argument.format(**names) for argument in arguments]
    result = appraise("evaluate-faces", "--ckpt_path", str(files.generator), *OPTIONS, *REQUESTS, *filled)
    assert result.code in (1, 2)
    assert expected in result.sentence


def test_a_file_that_is_not_named_is_asked_for() -> None:
    with pytest.raises(CommandLineError, match=r"needs a generator: name the generator\.ckpt"):
        parse([])
    with pytest.raises(CommandLineError, match="evaluate-faces needs a judge"):
        parse(["--ckpt_path", "generator.ckpt"])
    with pytest.raises(CommandLineError, match=r"known is 0\.4, but must lie in 0\.5\.\.1"):
        EvaluationSettings("generator.ckpt", ["judge.ckpt"], known=0.4)


def test_the_shipped_configuration_states_the_defaults(files: Files) -> None:
    options = ["--config", "face_attributes/evaluate", "--ckpt_path", str(files.generator), "--judges", files.judges[0]]
    arguments, _ = resolve_config_options(join_lists([*options, "--data.demo.seed", "7", "--contrast", "2"]))
    settings, generator, data = parse(arguments)
    assert data.image_size == 32
    assert generator.target_options.contrast == 2
    assert settings.stated() == {"contrast": 2}
    defaults = EvaluationSettings(str(files.generator), [files.judges[0]], contrast=2.0)
    assert settings == defaults
    assert set(settings.candidates) < set(settings.modes)


def test_generators_that_cannot_be_built(files: Files, tmp_path: Path) -> None:
    with pytest.raises(CommandLineError, match="is a classifier, which knows no statistics"):
        load_generator(str(files.classifier), None, {})
    with pytest.raises(CommandLineError, match="holds its own statistics"):
        load_generator(str(files.generator), str(files.statistics), {})
    torch.save({"state_dict": {}, "hyper_parameters": {"_class_path": "lightning_modules.KSVQE"}}, tmp_path / "a.ckpt")
    with pytest.raises(CheckpointError, match=r"a\.ckpt"):
        load_generator(str(tmp_path / "a.ckpt"), None, {})
    with pytest.raises(CheckpointError, match="statistics"):  # of another network
        load_generator(files.judges[0], str(files.statistics), {})


def test_too_few_faces_to_compare_with_or_to_ask_for() -> None:
    few = FaceAttributeDataModule(image_size=32, demo=FaceDemoSettings(seed=100, train=96, val=2, test=4))
    with pytest.raises(ConfigurationError, match="training faces to compare with"):
        real_faces(few, 40, seed=0)
    with pytest.raises(ConfigurationError, match="make 1 full requests, but two are needed"):
        draw_requests(few, "val", "full", 1, 3, 0, seed=0)
