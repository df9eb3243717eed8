"""Agreement of made faces with their requests, against counts made by hand."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_attributes.judging.agreement import (
    balanced_accuracy,
    full_agreement,
    judge_knowledge,
    short_agreement,
)
from lightning_modules.face_attributes.judging.short_requests import (
    attribute_shares,
    chance_decisions,
    expected_absent,
    short_requests,
)


def columns(*rows: list[int]) -> Tensor:
    return torch.tensor(rows, dtype=torch.int8)


def test_missing_labels_and_answers_are_left_out() -> None:
    attributes = columns([1, 1, -1], [1, 1, -1], [0, 1, 1], [0, -1, 0], [-1, 1, 1])
    decisions = columns([1, 0, 0], [0, 1, 1], [0, 1, 1], [1, 0, 0], [0, -1, -1])
    found = balanced_accuracy(decisions, attributes)
    assert found[0] == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert math.isnan(found[1])  # nobody is labelled absent
    assert found[2] == 1


def test_a_constant_face_has_half_whatever_the_shares() -> None:
    generator = torch.Generator().manual_seed(0)
    requested = (torch.rand((300, 20), generator=generator) < torch.linspace(0.05, 0.95, 20)).to(torch.int8)
    constant = (torch.arange(20) % 2).to(torch.int8).expand(300, 20)
    known = torch.ones(20, dtype=torch.bool)
    assert full_agreement(constant, requested, known).value == pytest.approx(0.5)
    assert full_agreement(requested, requested, known).value == 1
    chance = full_agreement(chance_decisions(requested, 300, seed=1), requested, known)
    assert chance.value == pytest.approx(0.5, abs=0.03)
    assert 0 < chance.standard_error < 0.05


def test_only_what_the_judge_knows_counts() -> None:
    names = ["hat", "grin", "fog"]
    labels = columns(*([1, 1, 1] for _ in range(10)), *([0, 0, 1] for _ in range(10)))
    answers = labels.clone()
    answers[:3, 1] = 0
    knowledge = judge_knowledge(answers, labels, names)
    assert knowledge.known.tolist() == [True, False, False]
    assert knowledge.unknown_names() == ["grin", "fog"]
    found = full_agreement(answers, labels, knowledge.known)
    assert found.value == 1
    assert found.per_attribute.isnan().tolist() == [False, True, True]
    assert math.isnan(found.standard_error)
    with pytest.raises(ConfigurationError, match=r"knows no attribute: its best balanced accuracy is 0\.50"):
        judge_knowledge(torch.ones_like(labels), labels, names)


def test_short_requests_ask_for_what_is_rare_and_shown_together() -> None:
    generator = torch.Generator().manual_seed(3)
    attributes = (torch.rand((400, 12), generator=generator) < 0.45).to(torch.int8)
    attributes[:, 0] = 1  # all have it
    attributes[:, 1] = -1  # nobody knows
    usable = torch.ones(12, dtype=torch.bool)
    usable[2] = False
    requests, rows = short_requests(attributes, usable, seed=0, count=3)
    assert ((requests == 1).sum(1) == 3).all()
    assert set(requests.unique().tolist()) == {-1, 1}
    assert not (requests[:, :3] == 1).any()
    enough = attributes[((attributes == 1) & usable)[:, 2:].sum(1) >= 3]
    assert torch.equal(attributes[rows], enough)
    assert (enough[requests == 1] == 1).all()
    assert torch.equal(requests, short_requests(attributes, usable, seed=0, count=3).attributes)
    assert not torch.equal(requests, short_requests(attributes, usable, seed=1, count=3).attributes)
    assert ((requests == 1).double().mean(0)[3:] > 0.2).all()  # all are asked for in turn


def test_what_follows_from_a_request_is_no_fault() -> None:
    # bangs hide the forehead; a hat is rare; eyes are open in most faces
    attributes = columns(*([1, 1, 0, 1] for _ in range(3)), *([0, 0, 0, 1] for _ in range(8)), [0, 0, 1, 1])
    share, beside = attribute_shares(attributes)
    assert share.tolist() == pytest.approx([3 / 12, 3 / 12, 1 / 12, 1])
    assert beside[0].tolist() == pytest.approx([1, 1, 0, 1])
    bangs, hat = columns([1, -1, -1, -1]), columns([-1, -1, 1, -1])
    assert expected_absent(bangs, attributes).tolist() == [[False, False, True, False]]
    assert expected_absent(hat, attributes).tolist() == [[True, True, False, False]]


def test_recall_and_specificity_of_short_requests() -> None:
    requested = columns([1, 1, -1, -1, -1], [-1, 1, 1, -1, -1])
    absent = torch.tensor([[False, False, True, True, False], [True, False, False, True, False]])
    judged = columns([1, 0, 0, 1, 1], [1, 1, 1, 0, 1])
    known = torch.ones(5, dtype=torch.bool)
    found = short_agreement(judged, requested, absent, known)
    assert (found.recall, found.specificity, found.value) == pytest.approx((3 / 4, 2 / 4, 5 / 8))
    known[1] = False
    assert short_agreement(judged, requested, absent, known).recall == 1
    assert math.isnan(short_agreement(judged, requested, absent, torch.zeros(5, dtype=torch.bool)).value)
