"""Groups of labels: added probabilities, files, and what cannot work."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from datamodules.common.errors import ConfigurationError
from lightning_modules.action.class_groups import ClassGroups, read_groups

LABELS = ["drinking beer", "drinking shots", "juggling balls", "cooking egg"]
GROUPS = {"drinking": ["drinking beer", "drinking shots"], "cooking": ["cooking egg"]}
SCORES = torch.tensor([[0.125, 0.25, 0.5, 0.125], [1.0, 0.0, 0.0, 0.0]])


def test_probabilities_are_added() -> None:
    with_rest = torch.tensor([[0.375, 0.125, 0.5], [1.0, 0.0, 0.0]])
    assert torch.equal(ClassGroups(LABELS, GROUPS).scores(SCORES), with_rest)
    assert torch.equal(ClassGroups(LABELS, GROUPS, None).scores(SCORES), with_rest[:, :2])
    assert ClassGroups(LABELS, GROUPS, "rest").names == ["drinking", "cooking", "rest"]


def test_a_row_without_scores_stays_without() -> None:
    assert ClassGroups(LABELS, GROUPS).scores(torch.full((1, 4), torch.nan)).isnan().all()
    assert ClassGroups(LABELS, GROUPS).scores(torch.zeros(0, 4)).shape == (0, 3)


def test_case_and_underscores_do_not_matter() -> None:
    groups = ClassGroups(LABELS, {"drinking": ["Drinking_Beer", "drinking  shots"]}, None)
    assert torch.equal(groups.scores(SCORES), torch.tensor([[0.375], [1.0]]))


def test_files(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(GROUPS))
    (tmp_path / "a.yaml").write_text("drinking: [drinking beer, drinking shots]\ncooking:\n- cooking egg\n")
    assert read_groups(str(tmp_path / "a.json")) == read_groups(str(tmp_path / "a.yaml")) == read_groups(GROUPS)


def test_the_shipped_groups_are_labels_of_kinetics(shared_dir: Path) -> None:
    labels = (shared_dir / "data/action/mmaction2/label_map_k400.txt").read_text().split("\n")
    groups = ClassGroups([label for label in labels if label], read_groups("action/kinetics_drinking_cooking"))
    assert groups.names == ["drinking", "cooking", "other"]
    assert read_groups("action/kinetics_drinking_cooking.yaml")


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ({"drinking": ["drinking bear"]}, "nearest: drinking beer"),
        ({"a": ["cooking egg"], "b": ["Cooking egg"]}, "in two class groups, 'a' and 'b'"),
        ({"a": []}, "has no labels"),
        ({"other": ["cooking egg"]}, "named like the rest"),
    ],
)
def test_groups_that_cannot_be(groups: dict[str, list[str]], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ClassGroups(LABELS, groups)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="There are no class groups nowhere"):
        read_groups("nowhere")
    for text, message in (("a: [b", "neither YAML nor JSON"), ("a: b", "no map"), ("- a", "no map"), ("", "no map")):
        (tmp_path / "a.yaml").write_text(text)
        with pytest.raises(ConfigurationError, match=message):
            read_groups(str(tmp_path / "a.yaml"))
