"""Tests of normality on activations whose distribution is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from lightning_modules.face_attributes.statistics.normality import LayerNormality, layer_normality, p_values, rejections
from tests.lightning_modules.face_attributes.collected import collected

UNITS = 40


def check(values: torch.Tensor, labels: torch.Tensor, names: tuple[str, ...]) -> LayerNormality:
    return layer_normality(collected({"fc6": values}, labels, kept=len(values)), "fc6", names, samples=3)


@pytest.fixture(scope="module")
def found() -> LayerNormality:
    """Normal units; skewed for the faces of attribute 1; attribute 2 is rare."""
    generator = torch.Generator().manual_seed(0)
    values = torch.randn(900, UNITS, generator=generator)
    labels = torch.zeros(900, 3, dtype=torch.int8)
    labels[:400, 0] = 1
    labels[500:, 1] = 1
    labels[:7, 2] = 1
    values[500:] = values[500:].exp()
    return check(values, labels, ("normal", "skewed", "rare"))


def test_normal_units_pass_and_others_do_not(found: LayerNormality) -> None:
    rows = {row.attribute: row for row in found.rows}
    assert list(rows) == ["all faces", "normal", "skewed", "rare"]
    assert rows["normal"].passed > 0.95
    assert rows["skewed"].passed == 0.0
    assert rows["skewed"].skewness > 1
    assert rows["all faces"].passed < 0.05


def test_a_relu_leaves_no_normal_unit(found: LayerNormality) -> None:
    row = found.rows[1]
    assert row.passed_rectified < 0.05
    assert row.zeros == pytest.approx(0.5, abs=0.02)
    assert (row.faces, row.units) == (400, UNITS)


def test_too_few_faces_give_no_verdict(found: LayerNormality) -> None:
    row = found.rows[3]
    assert row.faces == 7
    assert math.isnan(row.passed)
    assert math.isnan(row.passed_rectified)


def test_samples_are_sorted_beside_normal_quantiles(found: LayerNormality) -> None:
    assert len(found.samples) == 3
    for sample in found.samples:
        assert torch.equal(sample.values, sample.values.sort().values)
        assert float(sample.normal[0]) == pytest.approx(-float(sample.normal[-1]), rel=1e-4)
        assert len(sample.values) == len(sample.normal) == 900
        assert sample.rejected


def test_rejections_hold_the_false_discovery_rate() -> None:
    generator = np.random.default_rng(0)
    wrong = []
    for _ in range(200):
        values = np.concatenate([generator.uniform(size=90), generator.uniform(size=10) * 1e-6])
        rejected = rejections(values, 0.1)
        assert rejected[90:].all()
        wrong.append(rejected[:90].sum() / rejected.sum())
        assert np.array_equal(rejected, stats.false_discovery_control(values) <= 0.1)
    assert np.mean(wrong) < 0.1


def test_a_unit_that_never_changes_is_not_normal() -> None:
    assert p_values(np.zeros((50, 2))).tolist() == [0.0, 0.0]
