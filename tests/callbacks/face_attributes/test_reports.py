"""Reports of a test on faces: attributes, heads, distribution, features, groups and the card."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
from lightning.pytorch.callbacks import Callback
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.image import imread
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from callbacks.face_attributes.distribution import AttributeDistribution, distribution_figure
from callbacks.face_attributes.feature_embedding import FeatureEmbedding, clustering, draw_embedding, map_features
from callbacks.face_attributes.group_errors import GroupErrors, group_rows
from callbacks.face_attributes.measures import schema_of
from callbacks.face_attributes.model_card import ModelCard
from callbacks.face_attributes.report import AttributeReport
from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import AttributeSchema
from tests.forks import run_two_ranks
from tests.running import quiet_trainer
from tests.tables import csv_rows

SCHEMA = AttributeSchema.from_file()
FACES = 160
PADDING = 3


def make_faces(schema: AttributeSchema, seed: int = 0) -> dict[str, Tensor]:
    """Labels, answers that are right in nine of ten cases, and features that know hats."""
    generator = torch.Generator().manual_seed(seed)
    shape = (FACES, len(schema.attributes))
    labels = (torch.rand(shape, generator=generator) < 0.4).to(torch.int8)
    labels[torch.rand(shape, generator=generator) < 0.1] = -1
    wrong = torch.rand(shape, generator=generator) < 0.1
    truth = labels.clamp_min(0)
    decision = torch.where(wrong, 1 - truth, truth)
    probability = 0.2 + 0.6 * decision.float() + 0.1 * torch.rand(shape, generator=generator)
    features = torch.randn((FACES, 12), generator=generator)
    features[:, :6] += 8 * labels[:, [-1]].float()
    return {
        "attributes": labels,
        "decision": decision,
        "probability": probability,
        "features": features,
        "index": torch.arange(FACES),
    }


class Faces(Dataset[dict[str, Tensor]]):
    """Faces in a shuffled order, then padding that must not count."""

    def __init__(self, table: dict[str, Tensor]) -> None:
        self.table = table

    def __len__(self) -> int:
        return FACES + PADDING

    def __getitem__(self, row: int) -> dict[str, Tensor]:
        place = (row * 7) % FACES if row < FACES else 0
        return {name: column[place] for name, column in self.table.items()} | {"valid": torch.tensor(row < FACES)}


class Data(L.LightningDataModule):
    def __init__(self, table: dict[str, Tensor]) -> None:
        super().__init__()
        self.table = table

    def test_dataloader(self) -> DataLoader[dict[str, Tensor]]:
        return DataLoader(Faces(self.table), batch_size=32)

    def label_table(self, split: str) -> tuple[Tensor, list[str], list[str]]:
        labels = {"train": self.table["attributes"], "val": self.table["attributes"][:40]}
        return labels.get(split, self.table["attributes"][:0]), [], []


class Toy(L.LightningModule):
    def __init__(self, schema: AttributeSchema = SCHEMA) -> None:
        super().__init__()
        self.save_hyperparameters({"attribute_schema": schema.plain(), "image_size": 64, "preset": "default"})

    def test_step(self, batch: dict[str, Tensor], batch_idx: int) -> dict[str, Tensor]:
        return batch


def run_test(
    folder: Path, callback: Callback, table: dict[str, Tensor] | None = None, schema: AttributeSchema = SCHEMA
) -> None:
    trainer = quiet_trainer(folder, callback)
    trainer.test(Toy(schema), Data(make_faces(schema) if table is None else table), verbose=False)


def test_report_of_attributes_and_heads(tmp_path: Path) -> None:
    table = make_faces(SCHEMA)
    table["attributes"][:, SCHEMA.index("Indian")] = 0  # nobody shows it
    run_test(tmp_path, AttributeReport(), table)
    rows = {row["name"]: row for row in csv_rows(tmp_path / "attribute_report.csv")}
    assert list(rows) == list(SCHEMA.attributes)
    column = SCHEMA.index("Smiling")
    labels, decision = table["attributes"][:, column], table["decision"][:, column]
    present, absent = labels == 1, labels == 0
    smiling = rows["Smiling"]
    counts = [int(smiling[name]) for name in ("present", "absent", "missing")]
    assert counts == [int(present.sum()), int(absent.sum()), int((labels == -1).sum())]
    assert sum(counts) == FACES  # the padding has no part
    recall, specificity = decision[present].float().mean(), (decision[absent] == 0).float().mean()
    assert float(smiling["balanced_accuracy"]) == pytest.approx(float(recall + specificity) / 2, rel=1e-5)
    right = (decision == labels).sum() / (present | absent).sum()
    assert float(smiling["accuracy"]) == pytest.approx(float(right), rel=1e-5)
    assert float(smiling["majority"]) == pytest.approx(int(absent.sum()) / int((present | absent).sum()), rel=1e-5)
    precision = labels[(decision == 1) & (labels >= 0)].float().mean()
    f1 = 2 * precision * recall / (precision + recall)
    assert float(smiling["f1"]) == pytest.approx(float(f1), rel=1e-5)
    assert float(smiling["average_precision"]) > 0.7
    assert smiling["head"] == "expression"
    assert rows["Indian"]["balanced_accuracy"] == rows["Indian"]["average_precision"] == ""
    heads = {row["name"]: row for row in csv_rows(tmp_path / "head_report.csv")}
    assert len(heads) == 42
    columns = SCHEMA.indices(next(head for head in SCHEMA.heads if head.name == "expression"))
    known = table["attributes"][:, columns] >= 0
    counts = known.any(1)  # as the model's own head_accuracy counts them
    exact = ((table["attributes"] == table["decision"])[:, columns] | ~known).all(1)[counts]
    assert float(heads["expression"]["accuracy"]) == pytest.approx(float(exact.float().mean()), rel=1e-5)
    assert int(heads["expression"]["faces"]) == int(counts.sum())
    found = json.loads((tmp_path / "attribute_report.json").read_text(encoding="utf-8"))
    assert found["not_measured"] == ["Indian"]
    assert found["attributes_measured"] == 72
    assert found["attributes"][SCHEMA.index("Indian")]["f1"] is not None
    assert imread(tmp_path / "attribute_report.png").shape[1] > 1000


def test_a_small_schema_and_no_labels(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    schema = AttributeSchema.from_plain({"heads": [{"name": "hat", "kind": "binary", "attributes": ["Hat"]}]})
    run_test(tmp_path / "small", AttributeReport(), schema=schema)
    assert (tmp_path / "small" / "attribute_report.png").is_file()
    run_test(tmp_path / "small", ModelCard(), schema=schema)
    assert "on purpose" not in (tmp_path / "small" / "model_card.md").read_text(encoding="utf-8")
    table = make_faces(schema)
    table["attributes"].fill_(-1)
    run_test(tmp_path / "none", AttributeReport(), table, schema)
    assert "there is nothing to report" in caplog.text
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("number", [1, 73])
def test_titles_fit_their_figures(number: int) -> None:
    names = [f"attribute {place}" for place in range(number)]
    counts = {split: ([5] * number, [5] * number, [0] * number) for split in ("train", "val", "test")}
    figures = [
        distribution_figure(names, counts),
        draw_embedding(np.random.default_rng(0).random((20, 2)), np.arange(20)[:, None] % 2 + np.zeros(number), names),
    ]
    for figure in figures:
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        (title,) = [text for text in figure.texts if text.get_text() == figure.get_suptitle()]
        box = title.get_window_extent(canvas.get_renderer())
        assert 0 <= box.x0 < box.x1 <= figure.bbox.width


def test_a_model_without_attributes(tmp_path: Path) -> None:
    table = {name: column for name, column in make_faces(SCHEMA).items() if name != "decision"}
    with pytest.raises(ConfigurationError, match="returns decision, but this one returns attributes"):
        run_test(tmp_path, AttributeReport(), table)


def test_distribution_of_all_splits(tmp_path: Path) -> None:
    table = make_faces(SCHEMA)
    run_test(tmp_path, AttributeDistribution(), table)
    rows = {row["attribute"]: row for row in csv_rows(tmp_path / "attribute_distribution.csv")}
    assert list(rows["Bald"]) == ["attribute", *(f"{s}_{k}" for s in ("train", "val") for k in _KINDS)]
    labels = table["attributes"][:, SCHEMA.index("Bald")]
    assert [int(rows["Bald"][f"train_{kind}"]) for kind in _KINDS] == [int((labels == v).sum()) for v in (1, 0, -1)]
    assert sum(int(rows["Bald"][f"val_{kind}"]) for kind in _KINDS) == 40
    assert imread(tmp_path / "attribute_distribution.png").shape[1] > 1000


_KINDS = ("present", "absent", "missing")


def test_map_of_features(tmp_path: Path) -> None:
    schema = SCHEMA.without(SCHEMA.attributes[:60])
    table = make_faces(schema)
    run_test(tmp_path, FeatureEmbedding(faces=120), table, schema)
    rows = csv_rows(tmp_path / "feature_embedding.csv")
    assert len(rows) == 120
    assert {int(row["index"]) for row in rows} < set(range(FACES))
    places = np.array([[float(row["x"]), float(row["y"])] for row in rows])
    name = schema.attributes[-1]  # the one that the features know
    assert clustering(places, np.array([int(row[name]) for row in rows])) > 0.9
    other = clustering(places, np.array([int(row[schema.attributes[0]]) for row in rows]))
    assert 0.3 < other < 0.7
    assert math.isnan(clustering(places, np.ones(120)))
    features = table["features"][:20].float()
    assert np.array_equal(map_features(features, seed=1), map_features(features, seed=1))


def test_groups_that_are_served_worse(tmp_path: Path) -> None:
    table = make_faces(SCHEMA)
    hats = table["attributes"][:, SCHEMA.index("Wearing Hat")] == 1
    bangs = SCHEMA.index("Bangs")
    table["decision"][hats, bangs] = 1  # whoever wears a hat has bangs
    (row,) = [
        row
        for row in group_rows(SCHEMA, "Wearing Hat", table["decision"], table["attributes"], fewest=5)
        if row.attribute == "Bangs"
    ]
    assert row.inside == 0.5
    assert row.gap == pytest.approx(row.outside - 0.5)
    assert row.faces_inside + row.faces_outside < FACES
    run_test(tmp_path, GroupErrors(groups=["wearing_hat", "Male"], fewest=5), table)
    found = json.loads((tmp_path / "group_errors.json").read_text(encoding="utf-8"))
    assert [entry["group"] for entry in found] == ["Wearing Hat", "Male"]
    assert "Bangs" in found[0]["largest_gaps"]
    assert csv_rows(tmp_path / "group_errors.csv")[0]["group"] == "Wearing Hat"
    assert imread(tmp_path / "group_errors.png").shape[1] > 1000


def test_groups_that_cannot_be(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ConfigurationError, match=r'GroupErrors\.groups: There is no attribute "Hats".*Wearing Hat'):
        run_test(tmp_path, GroupErrors(groups=["Hats"]))
    run_test(tmp_path, GroupErrors(fewest=1000))
    assert "no group has 1000 faces" in caplog.text


def test_card(tmp_path: Path) -> None:
    schema = SCHEMA.without(["Attractive Man", "Attractive Woman"])
    table = make_faces(schema)
    table["attributes"][:, schema.index("Bald")] = -1
    run_test(tmp_path, ModelCard(contact="faces@example.org", notes="Trained for a demonstration."), table, schema)
    card = (tmp_path / "model_card.md").read_text(encoding="utf-8")
    for expected in (
        "# Toy\n",
        "| contact | faces@example.org |",
        "## Intended use",
        "## Not intended",
        "Trained for a demonstration.",
        "over the 70 attributes",
        "on purpose: Attractive Man, Attractive Woman.",
        "do not show both classes: Bald.",
        "| image_size | 64 |",
    ):
        assert expected in card
    assert "nan" not in card


def test_card_names_groups_and_their_opposites(tmp_path: Path) -> None:
    table = make_faces(SCHEMA)
    grey = table["attributes"][:, SCHEMA.index("Color Photo")] == 0
    table["decision"][grey] = 1 - table["attributes"][grey].clamp_min(0)  # always wrong where there is no colour
    run_test(tmp_path, ModelCard(), table)
    card = (tmp_path / "model_card.md").read_text(encoding="utf-8")
    (row,) = [line for line in card.splitlines() if line.startswith("| not Color Photo |")]
    own, others = (float(field) for field in row.split("|")[2:4])
    assert own < 0.1 < 0.8 < others


def test_the_list_of_celeba_spells_its_groups_otherwise(tmp_path: Path) -> None:
    schema = AttributeSchema.from_file("celeba").without(["Bald"])
    run_test(tmp_path / "groups", GroupErrors(fewest=5), make_faces(schema), schema)
    groups = {row["group"] for row in csv_rows(tmp_path / "groups" / "group_errors.csv")}
    assert groups == {"Male", "Young", "Pale_Skin", "Eyeglasses", "Wearing_Hat", "Heavy_Makeup", "Blurry"}
    run_test(tmp_path / "card", ModelCard(), make_faces(schema), schema)
    card = (tmp_path / "card" / "model_card.md").read_text(encoding="utf-8")
    for sentence in (
        "on purpose: Bald.",
        "Opinions of a viewer: Attractive, Chubby.",
        "About who somebody is: Male, Young.",
    ):
        assert sentence in card


def test_card_names_what_was_never_labelled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labelled = frozenset(SCHEMA.attributes) - {"Male", "Indian"}
    monkeypatch.setattr(Toy, "labelled", labelled, raising=False)
    run_test(tmp_path, ModelCard())
    assert "predictions leave them open: Male, Indian." in (tmp_path / "model_card.md").read_text(encoding="utf-8")


def test_two_processes_report_what_one_does(tmp_path: Path) -> None:
    table = make_faces(SCHEMA)
    run_test(tmp_path / "one", AttributeReport(figures=False), table)
    run_two_ranks(_run_rank, tmp_path, table)
    for name in ("attribute_report.csv", "head_report.csv", "attribute_report.json"):
        assert (tmp_path / "two" / name).read_bytes() == (tmp_path / "one" / name).read_bytes()


def _run_rank(rank: int, folder: Path, table: dict[str, Tensor]) -> None:
    report = AttributeReport(figures=False)
    module: Any = Toy()
    module.all_gather = lambda column: torch.stack(_gathered(column))

    class Trainer:
        world_size, log_dir, default_root_dir, is_global_zero = 2, None, f"{folder}/two", rank == 0
        fast_dev_run, loggers = False, ()

    trainer: Any = Trainer()
    report.on_test_epoch_start(trainer, module)
    rows = torch.arange(rank, FACES + PADDING + 1, 2)  # padded to one length, as the sampler does
    batch = {name: column[rows % FACES] for name, column in table.items()} | {"valid": rows < FACES}
    report.on_test_batch_end(trainer, module, batch, batch, 0)
    report.on_test_epoch_end(trainer, module)


def _gathered(column: Tensor) -> list[Tensor]:
    parts = [torch.empty_like(column) for _ in range(2)]
    torch.distributed.all_gather(parts, column.contiguous())
    return parts


def test_a_model_without_a_schema_is_told_to_leave_it_out() -> None:
    with pytest.raises(ConfigurationError, match="attribute_schema, but LightningModule has none: leave it out"):
        schema_of(L.LightningModule())
