"""Judges of made faces that are none: the same weights, descendants, the same architecture, the same people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datamodules.common.errors import CheckpointError
from datamodules.face_attributes.datamodule import FaceAttributeDataModule
from datamodules.faces.lists.people import sketch_of
from datamodules.faces.lists.records import SplitName
from datamodules.faces.renderer.settings import FaceDemoSettings
from lightning_modules.commands.faces.independence import check_people, learnt_from
from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier
from lightning_modules.face_attributes.classifier.vgg import VGG, VGGSettings
from lightning_modules.face_attributes.judging.common_origin import correlation, have_one_architecture, share_descent
from tests.lightning_modules.commands.faces.small_faces import DEMO, OPTIONS, Files, collect, save_classifier
from tests.running import Command, save_checkpoint

OWN = [*OPTIONS, "--requests=4", "--modes=[mean_face]", "--candidates=[mean_face]"]


@pytest.fixture
def evaluate(appraise: Command, files: Files) -> Command:
    """Let judges look at the faces of the generator."""

    def run(judges: Sequence[str | Path], *more: str) -> Any:
        return appraise(
            "evaluate-faces", "--ckpt_path", str(files.generator), "--judges", *map(str, judges), *OWN, *more
        )

    return run


@pytest.fixture
def judge(files: Files) -> Path:
    """A judge of another shape than the generator."""
    return Path(files.judges[0])


def changed(path: Path, name: str, change: Callable[[str, Tensor], Tensor]) -> Path:
    """A copy of a checkpoint with other weights."""
    content = torch.load(path, weights_only=True)
    torch.manual_seed(7)
    state = content["state_dict"]
    content["state_dict"] = {
        key: change(key, part) if part.is_floating_point() else part for key, part in state.items()
    }
    torch.save(content, path.with_name(name))
    return path.with_name(name)


def with_people(path: Path, name: str, people: list[str]) -> Path:
    """A copy of a checkpoint that says on whom it was trained."""
    content = torch.load(path, weights_only=True)
    content["FaceAttributeDataModule"] = {"people": sketch_of(people)}
    torch.save(content, path.with_name(name))
    return path.with_name(name)


def network(seed: int, widths: tuple[int, ...] = (8, 16, 24), side: int = 32) -> VGG:
    torch.manual_seed(seed)
    return VGG(VGGSettings(widths, (1,) * len(widths), (32,), norm=True), image_size=side)


def trained(seed: int, start: int | None = None, steps: int = 150) -> VGG:
    """A network that learnt to tell bright from dark halves."""
    model = network(seed if start is None else start)
    head = nn.Linear(32, 1)
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=3e-3)
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        images = torch.rand(16, 3, 32, 32, generator=generator)
        wanted = torch.randint(2, (16, 1), generator=generator).float()
        images[:, :, :16] += wanted[:, :, None, None] - 0.5
        loss = nn.functional.binary_cross_entropy_with_logits(head(model(images)), wanted)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model


def test_what_two_weights_have_in_common() -> None:
    first, second = (torch.randn(16, 8, 3, 3, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    assert correlation(first, first) == pytest.approx(1)
    assert abs(correlation(first, second)) < 0.15
    shape = 5 * torch.rand(1, 8, 3, 3)  # what all filters of a layer share says nothing
    assert abs(correlation(first + shape, second + shape)) < 0.15
    assert correlation(first, torch.ones_like(first)) == 0


def test_descent_shows_after_training_and_other_trainings_have_none() -> None:
    start = trained(0)
    assert share_descent(start, trained(1, start=0))  # the same start, other data
    assert not share_descent(start, trained(1))
    assert not share_descent(network(0), network(1))
    partly = network(1)
    for layer in ("conv1_1", "conv2_1"):
        partly.get_submodule(layer).load_state_dict(start.get_submodule(layer).state_dict())
    assert share_descent(start, partly)  # two of four layers copied
    assert not share_descent(start, network(1, widths=(6, 10)))


def test_one_architecture() -> None:
    assert have_one_architecture(network(0), network(1, side=64))
    assert not have_one_architecture(network(0), network(0, widths=(8, 16)))
    assert not have_one_architecture(network(0), network(0, widths=(8, 16, 28)))


def test_descendants_of_the_inverted_network_are_refused(evaluate: Command, files: Files) -> None:
    def epoch(key: str, part: Tensor) -> Tensor:
        return part + 0.4 * part.std(correction=0) * torch.randn_like(part)

    def other_heads(key: str, part: Tensor) -> Tensor:
        return torch.randn_like(part) if "heads" in key or "fc6" in key else part

    for name, change in (("epoch.ckpt", epoch), ("tuned.ckpt", other_heads)):
        judge = changed(files.classifier, name, change)
        result = evaluate([judge], "--same_architecture=true")
        assert result.code == 1
        assert f"The judge {judge} descends from the same weights as the network" in result.sentence


def test_the_architecture_of_the_inverted_network(evaluate: Command, files: Files, workdir: Path) -> None:
    refused = evaluate([files.twin])
    assert refused.code == 1
    assert "has the architecture of the network that the faces are made with" in refused.sentence
    assert "--same_architecture true" in refused.sentence
    taken = evaluate([files.twin], "--same_architecture", "true")
    assert taken.code == 0, taken.err
    assert "judge A has the architecture of the network" in (workdir / "out" / "evaluation.md").read_text()


def test_one_judge_is_not_two(evaluate: Command, files: Files, judge: Path) -> None:
    copy = files.folder / "copy.ckpt"
    copy.write_bytes(judge.read_bytes())
    epoch = changed(judge, "later.ckpt", lambda _, part: part + 0.1 * torch.randn_like(part) * part.abs())
    for other in (judge, copy, epoch):
        result = evaluate([judge, other])
        assert result.code == 1
        assert f"The judges {judge} and {other} descend from the same weights" in result.sentence


def test_two_judges_of_one_architecture_are_named(evaluate: Command, files: Files, judge: Path, workdir: Path) -> None:
    result = evaluate([judge, save_classifier(files.folder, 3, (6,))])
    assert result.code == 0, result.err
    assert f"warning: judge B has the architecture of {judge}; does not say" in result.err
    assert "- judge B has the architecture of" in (workdir / "out" / "evaluation.md").read_text()


def test_people_of_the_requests_and_of_the_training(files: Files, judge: Path) -> None:
    data = FaceAttributeDataModule(image_size=32, demo=DEMO)
    own = FaceAttributeDataModule(image_size=32, demo=DEMO, fit_on="judge").people("train")
    tested, trained_on = data.people("test"), data.people("train")
    apart = with_people(judge, "apart.ckpt", own)
    assert learnt_from(str(judge)).people.tolist() == []
    generator = str(files.generator)

    def check(path: Path, splits: tuple[SplitName, ...] = ("test",), allowed: bool = False) -> str:
        return check_people({"judge A": str(path)}, generator, data, splits, allowed)["judge A"]

    assert check(apart, ("val", "test")) == "learnt from nobody of the requests or of the made faces"
    cheating = with_people(judge, "cheating.ckpt", [*own, *tested[:8]])
    ways: list[tuple[SplitName, ...]] = [("test",), ("val", "test")]
    for splits in ways:
        with pytest.raises(CheckpointError, match=r"learnt from 2 of 24 people of the split test, who make the requ"):
            check(cheating, splits)
    same = with_people(judge, "same.ckpt", trained_on)
    with pytest.raises(CheckpointError, match=r"24 of 24 people of the split train, from whom .* --same_people true"):
        check(same)
    assert check(same, allowed=True) == "learnt from 24 of 24 people of the split train"
    leaking = with_people(files.generator, "leaking.ckpt", tested)
    with pytest.raises(CheckpointError, match=r"^the generator .* learnt from 24 of 24 people of the split test"):
        check_people({"judge A": str(apart)}, str(leaking), data, ("test",), False)


def with_trainings(path: Path, name: str, before: list[Tensor | None], people: list[str]) -> Path:
    """A copy of a checkpoint that began from another's weights."""
    whole = with_people(path, name, people)
    torch.save({**torch.load(whole, weights_only=True), "learnt_before": before}, whole)
    return whole


def test_people_of_earlier_trainings_count(files: Files, judge: Path) -> None:
    data = FaceAttributeDataModule(image_size=32, demo=DEMO)
    own = FaceAttributeDataModule(image_size=32, demo=DEMO, fit_on="judge").people("train")

    def check(path: Path) -> str:
        return check_people({"judge A": str(path)}, str(files.generator), data, ("test",), False)["judge A"]

    tuned = with_trainings(judge, "began.ckpt", [sketch_of(data.people("test"))], own)
    with pytest.raises(CheckpointError, match=r"learnt from 24 of 24 people of the split test, who make the requests"):
        check(tuned)
    unsaid = with_trainings(judge, "unsaid.ckpt", [None], own)
    assert check(unsaid).startswith("does not say on whom its first weights were trained")


def test_people_of_the_generator_count_whatever_the_data(files: Files, judge: Path) -> None:
    trained_on = FaceAttributeDataModule(image_size=32, demo=DEMO).people("train")
    other = FaceAttributeDataModule(image_size=32, demo=FaceDemoSettings(seed=500, train=96, val=40, test=96))
    judges = {"judge A": str(with_people(judge, "same_as_generator.ckpt", trained_on))}
    with pytest.raises(CheckpointError, match=r"24 of 24 people that the generator learnt from, from whom the faces"):
        check_people(judges, str(files.generator), other, ("test",), False)
    notes = check_people(judges, str(files.generator), other, ("test",), True)
    assert notes["judge A"] == "learnt from 24 of 24 people that the generator learnt from"


def test_a_checkpoint_names_the_people_of_all_its_trainings(tmp_path: Path) -> None:
    first = with_people(save_classifier(tmp_path), "first.ckpt", ["Ann", "Bob"])
    tuned = FaceAttributeClassifier(
        image_size=32, backbone="small_vgg", vgg=VGGSettings((4, 8), (1, 1), (16,), norm=True), weights=str(first)
    )
    second = with_people(save_checkpoint(tuned, tmp_path / "second.ckpt", weights_only=True), "third.ckpt", ["Eve"])
    assert torch.equal(learnt_from(str(second)).people, sketch_of(["Ann", "Bob", "Eve"]))
    _, generator = collect(tmp_path, second)
    counted = FaceAttributeDataModule(image_size=32, demo=DEMO).people("train")
    found = learnt_from(str(generator))
    assert found.whole
    assert torch.equal(found.people, sketch_of(["Ann", "Bob", "Eve", *counted]))


def test_a_file_that_says_nothing_of_its_training(tmp_path: Path) -> None:
    (tmp_path / "torn.ckpt").write_bytes(b"PK torn")
    for name in ("torn.ckpt", "missing.ckpt"):
        with pytest.raises(CheckpointError, match=f"{name} cannot be read as a checkpoint"):
            learnt_from(str(tmp_path / name))
