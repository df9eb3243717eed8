"""AttributeHeads, their losses, labelling and measures."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from sklearn.metrics import average_precision_score, balanced_accuracy_score, f1_score
from torch import Tensor
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import AttributeSchema, Head, HeadKind
from lightning_modules.face_attributes.classifier.heads import AttributeHeads, Layout, head_groups
from lightning_modules.face_attributes.classifier.legacy_labels import legacy_random_labels
from lightning_modules.face_attributes.classifier.losses import ClassWeights, attribute_losses, balanced_weights
from lightning_modules.face_attributes.classifier.metrics import AttributeMetrics
from tests.forks import run_two_ranks

# The columns are not in the order of the heads, as in the list of PubFig.
MIXED = AttributeSchema(
    ("hat", "blond", "young", "old", "glasses", "wide", "black", "sunglasses", "narrow", "none of them", "middle"),
    (
        Head("hat", "binary", ("hat",)),
        Head("hair", "exclusive", ("black", "blond")),
        Head("age", "ordinal", ("young", "middle", "old")),
        Head("eyewear", "complete", ("none of them", "glasses", "sunglasses")),
        Head("nose", "overlapping", ("wide", "narrow")),
    ),
)


def one_head(kind: HeadKind, names: tuple[str, ...] = ("a", "b", "c"), layout: Layout = "by_kind") -> AttributeHeads:
    return AttributeHeads(2, AttributeSchema(names, (Head("head", kind, names),)), layout)


def draw(number: int, seed: int = 0) -> tuple[AttributeHeads, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    heads = AttributeHeads(4, MIXED)
    logits = torch.randn(number, heads.num_logits, generator=generator) * 2
    labels = torch.randint(-1, 2, (number, len(MIXED.attributes)), generator=generator).to(torch.int8)
    return heads, logits, labels


def labelled(*values: int) -> Tensor:
    return torch.tensor([values], dtype=torch.int8)


# What the outputs say.


def test_the_paper_has_115_outputs_in_42_heads() -> None:
    schema = AttributeSchema.from_file()
    heads = AttributeHeads(8, schema, "softmax")
    assert heads.num_logits == 115
    assert sum(len(group.heads) for group in heads.groups) == 42
    assert all(group.softmax and group.none for group in heads.groups)
    assert len(set(heads.logit_names)) == 115


@pytest.mark.parametrize("layout", ["by_kind", "softmax"])
def test_probabilities_stand_at_their_attributes(layout: Layout) -> None:
    heads = AttributeHeads(4, MIXED, layout)
    names = heads.logit_names
    for column, name in enumerate(MIXED.attributes):
        logits = torch.zeros(1, heads.num_logits)
        logits[0, names.index(name)] = 5.0
        assert heads.probabilities(logits)[0].argmax() == column
        assert heads.attribute_logits(logits)[0].argmax() == column
        assert heads.decisions(logits)[0, column] == 1


def test_log_odds_and_probabilities_say_the_same() -> None:
    heads, logits, _ = draw(50)
    torch.testing.assert_close(heads.attribute_logits(logits).sigmoid(), heads.probabilities(logits))
    legacy = AttributeHeads(4, MIXED, "softmax")
    wide = torch.randn(20, legacy.num_logits)
    torch.testing.assert_close(legacy.attribute_logits(wide).sigmoid(), legacy.probabilities(wide))


def test_decisions_keep_the_rules_of_the_heads() -> None:
    heads, logits, _ = draw(500)
    decisions = heads.decisions(logits)
    for head in MIXED.heads:
        counts = decisions[:, MIXED.indices(head)].sum(dim=1)
        if head.kind == "complete":
            assert bool((counts == 1).all())
        elif head.kind in ("exclusive", "ordinal"):
            assert counts.max() == 1
            assert counts.min() == 0
    assert int(decisions[:, MIXED.indices(MIXED.heads[4])].sum(dim=1).max()) == 2


def test_an_unknown_layout_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="choose by_kind or softmax"):
        head_groups(MIXED, "hard")  # type: ignore[arg-type]  # what a file may say


# Losses.


def test_losses_are_those_of_pytorch_where_all_is_known() -> None:
    exclusive = one_head("exclusive")
    logits = torch.randn(4, 4)
    labels = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], dtype=torch.int8)
    expected = F.cross_entropy(logits, torch.arange(4), reduction="none")
    torch.testing.assert_close(attribute_losses(exclusive, logits, labels), expected)
    complete = one_head("complete")
    assert complete.num_logits == 3
    torch.testing.assert_close(
        attribute_losses(complete, logits[1:, :3], labels[1:]),
        F.cross_entropy(logits[1:, :3], torch.arange(3), reduction="none"),
    )
    overlapping = one_head("overlapping")
    both = torch.tensor([[1, 1, 0]], dtype=torch.int8)
    torch.testing.assert_close(
        attribute_losses(overlapping, logits[:1, :3], both),
        F.binary_cross_entropy_with_logits(logits[:1, :3], both.float(), reduction="none").sum(dim=1),
    )


@pytest.mark.parametrize("layout", ["by_kind", "softmax"])
@pytest.mark.parametrize("ordinal", ["softmax", "cumulative"])
def test_what_is_missing_gives_exactly_no_gradient(layout: Layout, ordinal: str) -> None:
    heads = AttributeHeads(4, MIXED, layout)
    logits = torch.randn(6, heads.num_logits, requires_grad=True)
    losses = attribute_losses(heads, logits, torch.full((6, 11), -1, dtype=torch.int8), ordinal=ordinal)  # type: ignore[arg-type]  # parametrised
    losses.sum().backward()
    assert torch.equal(losses, torch.zeros(6))
    assert logits.grad is not None
    assert not bool(logits.grad.any())


def test_only_the_heads_of_known_attributes_learn() -> None:
    heads = AttributeHeads(4, MIXED)
    logits = torch.randn(1, heads.num_logits, requires_grad=True)
    labels = torch.full((1, 11), -1, dtype=torch.int8)
    labels[0, MIXED.index("wide")] = 0
    labels[0, MIXED.index("old")] = 1
    attribute_losses(heads, logits, labels).sum().backward()
    assert logits.grad is not None
    moved = {heads.logit_names[place] for place in logits.grad[0].nonzero().flatten().tolist()}
    assert moved == {"wide", "age: none", "young", "middle", "old"}


def test_a_partly_missing_head_uses_what_is_known() -> None:
    heads = one_head("exclusive")
    logits = torch.randn(1, 4)
    p = logits.softmax(dim=1)[0]
    known_absent = attribute_losses(heads, logits, labelled(0, -1, -1))
    torch.testing.assert_close(known_absent, -(p[0] + p[2] + p[3]).log().view(1))
    present = attribute_losses(heads, logits, labelled(-1, 1, -1))
    torch.testing.assert_close(present, -p[2].log().view(1))
    complete = one_head("complete")
    q = logits[:, :3].softmax(dim=1)[0]
    torch.testing.assert_close(attribute_losses(complete, logits[:, :3], labelled(0, -1, 0)), -q[1].log().view(1))


def test_a_complete_head_with_none_marked_is_unknown() -> None:
    heads = one_head("complete")
    logits = torch.randn(1, 3, requires_grad=True)
    loss = attribute_losses(heads, logits, labelled(0, 0, 0))
    loss.sum().backward()
    assert float(loss.detach()) == 0
    assert logits.grad is not None
    assert not bool(logits.grad.any())
    assert bool(torch.isfinite(logits.grad).all())


def test_several_true_attributes_share_a_softmax() -> None:
    heads = one_head("overlapping", layout="softmax")
    logits = torch.randn(1, 4)
    p = logits.log_softmax(dim=1)[0]
    torch.testing.assert_close(attribute_losses(heads, logits, labelled(1, 0, 1)), -(p[1] + p[3]).view(1) / 2)
    torch.testing.assert_close(attribute_losses(heads, logits, labelled(0, 0, 0)), -p[0].view(1))


def test_near_places_of_an_order_cost_less() -> None:
    heads = one_head("ordinal")
    near, far = torch.tensor([[0.0, 0, 3, 0]]), torch.tensor([[0.0, 0, 0, 3]])
    truth = labelled(1, 0, 0)
    plain = [float(attribute_losses(heads, logits, truth)) for logits in (near, far)]
    ordered = [float(attribute_losses(heads, logits, truth, ordinal="cumulative")) for logits in (near, far)]
    assert plain[0] == pytest.approx(plain[1])
    assert ordered[0] < ordered[1] - 0.1
    exclusive = one_head("exclusive")
    assert float(attribute_losses(exclusive, far, truth, ordinal="cumulative")) == pytest.approx(plain[1])


def test_sum_and_mean_of_heads() -> None:
    heads, logits, labels = draw(5)
    torch.testing.assert_close(
        attribute_losses(heads, logits, labels), 5 * attribute_losses(heads, logits, labels, reduction="mean")
    )


def test_weights_balance_the_answers() -> None:
    heads = AttributeHeads(4, MIXED)
    labels = torch.zeros(100, 11, dtype=torch.int8)
    labels[:20, MIXED.index("hat")] = 1
    labels[:50, MIXED.index("black")] = 1
    labels[50:60, MIXED.index("blond")] = 1
    labels[:, MIXED.index("wide")] = -1
    weights = balanced_weights(heads, labels)
    names = heads.logit_names
    assert weights.present[names.index("hat")] == pytest.approx(2.5)
    assert weights.absent[names.index("hat")] == pytest.approx(0.625)
    hair = [float(weights.present[names.index(name)]) for name in ("hair: none", "black", "blond")]
    assert hair == pytest.approx([100 / 120, 100 / 150, 100 / 30])
    assert weights.present[names.index("wide")] == 1
    logits = torch.zeros(1, heads.num_logits)
    row = torch.full((1, 11), -1, dtype=torch.int8)
    row[0, MIXED.index("hat")] = 1
    doubled = ClassWeights(weights.present * 2, weights.absent)
    assert float(attribute_losses(heads, logits, row, doubled)) == pytest.approx(5 * math.log(2))


# The original's labelling.


def test_legacy_labels_choose_one_at_random_once_for_all() -> None:
    index = torch.arange(3000)
    both = torch.zeros(3000, 11, dtype=torch.int8)
    both[:, [MIXED.index("wide"), MIXED.index("narrow"), MIXED.index("hat")]] = 1
    both[:, MIXED.index("old")] = -1
    labels = legacy_random_labels(both, index, MIXED)
    wide, narrow = labels[:, MIXED.index("wide")], labels[:, MIXED.index("narrow")]
    assert bool((wide + narrow == 1).all())
    assert 0.45 < wide.float().mean() < 0.55
    assert bool((labels[:, MIXED.index("hat")] == 1).all())
    assert bool((labels[:, MIXED.index("old")] == -1).all())
    shuffled = torch.randperm(3000, generator=torch.Generator().manual_seed(0))
    assert torch.equal(legacy_random_labels(both, index[shuffled], MIXED), labels[shuffled])
    assert not torch.equal(legacy_random_labels(both, index, MIXED, seed=1), labels)


# Measures.


def answers(number: int = 300) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(-1, 2, (number, 11), generator=generator).to(torch.int8)
    noise = torch.rand(number, 11, generator=generator)
    probability = ((labels == 1) * 0.35 + noise * 0.65).mul(20).round().div(20)  # with ties
    labels[:, 0] = 1  # only one class: no balanced accuracy
    return {
        "probability": probability,
        "decision": (probability > 0.5).to(torch.int8),
        "attributes": labels,
        "loss": torch.rand(number, generator=generator),
        "valid": torch.arange(number) % 7 != 0,
    }


def test_measures_agree_with_sklearn() -> None:
    metrics, given = AttributeMetrics(MIXED), answers()
    for start in range(0, 300, 64):
        metrics.update(**{name: value[start : start + 64] for name, value in given.items()})
    values = metrics.compute()
    table = metrics.table()
    assert [row.name for row in table] == list(MIXED.attributes)
    for column, row in enumerate(table):
        known = given["valid"] & (given["attributes"][:, column] >= 0)
        truth = given["attributes"][known, column].numpy()
        said, scores = given["decision"][known, column].numpy(), given["probability"][known, column].numpy()
        assert row.accuracy == pytest.approx((truth == said).mean())
        assert row.f1 == pytest.approx(f1_score(truth, said))
        assert row.majority == pytest.approx(max(truth.mean(), 1 - truth.mean()))
        assert row.present + row.absent + row.missing == int(given["valid"].sum())
        if column:
            assert row.balanced_accuracy == pytest.approx(balanced_accuracy_score(truth, said))
            assert row.average_precision == pytest.approx(average_precision_score(truth, scores))
    assert math.isnan(table[0].balanced_accuracy)
    assert math.isnan(table[0].average_precision)
    balanced = [row.balanced_accuracy for row in table[1:]]
    assert float(values["balanced_accuracy"]) == pytest.approx(sum(balanced) / len(balanced))
    assert values["attributes_over_90"] == sum(value >= 0.9 for value in balanced)
    labelled_faces = given["valid"] & (given["attributes"] >= 0).any(dim=1)
    assert float(values["loss"]) == pytest.approx(float(given["loss"][labelled_faces].mean()))


def test_a_head_is_right_when_all_that_is_known_of_it_is() -> None:
    metrics = AttributeMetrics(AttributeSchema(("a", "b"), (Head("both", "overlapping", ("a", "b")),)))
    labels = torch.tensor([[1, 1], [1, 0], [0, -1], [-1, -1]], dtype=torch.int8)
    said = torch.tensor([[1, 1], [1, 1], [0, 1], [0, 0]], dtype=torch.int8)
    metrics.update(said.float(), said, labels, torch.zeros(4), torch.ones(4, dtype=torch.bool))
    metrics.compute()
    (row,) = metrics.head_table()
    # always (1, 1), (1, 0) or (0, 0) would be right for one of these faces
    assert (row.faces, row.accuracy, row.majority) == (3, pytest.approx(2 / 3), pytest.approx(1 / 3))


def test_faces_without_labels_have_no_measures() -> None:
    metrics, given = AttributeMetrics(MIXED), answers(20)
    metrics.update(**{**given, "attributes": torch.full((20, 11), -1, dtype=torch.int8)})
    assert all(math.isnan(float(value)) for value in metrics.compute().values())
    assert metrics.table() == []


def in_process(rank: int, folder: Path) -> None:
    metrics = AttributeMetrics(MIXED)
    metrics.update(**{name: value[rank::2] for name, value in answers().items()})
    values = metrics.compute()
    rows = [list(row[2:]) for row in metrics.table()]
    torch.save({**values, "table": torch.tensor(rows, dtype=torch.float64)}, folder / f"{rank}.pt")


@pytest.mark.slow
def test_two_processes_measure_what_one_does(tmp_path: Path) -> None:
    metrics = AttributeMetrics(MIXED)
    metrics.update(**answers())
    run_two_ranks(in_process, tmp_path)
    expected = metrics.compute()
    table = torch.tensor([list(row[2:]) for row in metrics.table()], dtype=torch.float64)
    for rank in range(2):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        torch.testing.assert_close(found.pop("table"), table, equal_nan=True)
        torch.testing.assert_close(found, expected)
