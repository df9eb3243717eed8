"""Targets of every mode on activations that are known to be linear in the attributes."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_attributes.statistics.collecting import FaceStatistics
from lightning_modules.face_attributes.targets.completion import Completion, agreement, complete
from lightning_modules.face_attributes.targets.maker import (
    TargetMaker,
    TargetMode,
    TargetOptions,
    make_targets,
    pixel_regression,
)
from tests.lightning_modules.face_attributes.collected import collected

FACES, ATTRIBUTES, UNITS, SIDE = 600, 5, 24, 4
MODES = get_args(TargetMode)


def truth() -> tuple[Tensor, Tensor]:
    """Attribute 3 is attribute 2 in nine faces of ten; attribute 4 is missing wherever 0 is present."""
    generator = torch.Generator().manual_seed(2)
    labels = (torch.rand(FACES, ATTRIBUTES, generator=generator) < 0.4).to(torch.int8)
    same = torch.rand(FACES, generator=generator) < 0.9
    labels[same, 3] = labels[same, 2]
    labels[labels[:, 0] == 1, 4] = -1
    offsets = 2.0 * torch.randn(ATTRIBUTES, UNITS, generator=generator)
    return labels, offsets


def activations(labels: Tensor, offsets: Tensor, noise: float = 0.3) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    common = torch.randn(len(labels), 2, generator=generator) @ torch.randn(2, UNITS, generator=generator)
    apart = torch.randn(len(labels), UNITS, generator=generator)
    return 1.0 + (labels == 1).float() @ offsets + noise * (common + apart)


def images(labels: Tensor) -> Tensor:
    """Attribute 1 makes the upper half red, over grey noise."""
    generator = torch.Generator().manual_seed(4)
    pictures = torch.randint(100, 120, (len(labels), 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    pictures[labels[:, 1] == 1, 0, : SIDE // 2] += 100
    return pictures


@pytest.fixture(scope="module")
def statistics() -> FaceStatistics:
    labels, offsets = truth()
    values = activations(labels, offsets)
    layers = {"conv4_2": values.clamp_min(0).view(FACES, 6, 2, 2), "fc6": values}
    return collected(layers, labels, images(labels), kept=200, thumbnail=SIDE)


REQUESTS = torch.tensor([[0, 1, 1, 1, 0], [0, 0, 0, 0, 1], [1, 0, 1, 1, -1]], dtype=torch.int8)


def wanted() -> Tensor:
    """What faces of these requests have without noise."""
    return 1.0 + (REQUESTS == 1).float() @ truth()[1]


def error(found: Tensor) -> float:
    """Squared error of targets relative to that of the mean of all faces."""
    labels, offsets = truth()
    centre = activations(labels, offsets).mean(0)
    return float((found - wanted()).square().sum() / (centre - wanted()).square().sum())


def test_regression_finds_what_is_linear(statistics: FaceStatistics) -> None:
    assert error(make_targets(statistics, REQUESTS, "regression")["fc6"]) < 0.01


def test_modes_order_as_they_should(statistics: FaceStatistics) -> None:
    errors = {mode: error(make_targets(statistics, REQUESTS, mode)["fc6"]) for mode in MODES}
    assert errors["mean"] == pytest.approx(1.0, abs=1e-5)
    assert errors["regression"] < errors["centred"] < errors["paper"] < 1.0
    assert errors["sample"] < 0.2
    assert errors["nearest"] < 0.2
    assert errors["paper_equal"] > errors["centred"]


def test_paper_adds_the_weighted_means_of_the_attributes(statistics: FaceStatistics) -> None:
    maker = TargetMaker(statistics, "paper", layers=["fc6"])
    weights, means = maker.weight_fits["fc6"].weights, statistics.means("fc6")
    expected = (weights[1] * means[:, 1] + weights[2] * means[:, 2] + weights[3] * means[:, 3]) / 3
    torch.testing.assert_close(maker(REQUESTS)["fc6"][0], expected.float())
    equal = make_targets(statistics, REQUESTS, "paper_equal", layers=["fc6"])["fc6"][1]
    torch.testing.assert_close(equal, means[:, 4].float())


def test_samples_of_the_paper_spread_by_the_deviation(statistics: FaceStatistics) -> None:
    one = torch.tensor([[0, 1, 0, 0, 0]], dtype=torch.int8).expand(2000, -1)
    options = TargetOptions(paper_draw="samples")
    drawn = make_targets(statistics, one, "paper_equal", options, torch.arange(2000), ["fc6"])["fc6"].double()
    deviation = statistics.variances("fc6")[:, 1].sqrt()
    torch.testing.assert_close(drawn.std(0), deviation, rtol=0.08, atol=0)
    assert float(((drawn.mean(0) - statistics.means("fc6")[:, 1]) / deviation).abs().max()) < 0.1


def test_a_target_depends_on_its_own_request_and_seed_alone(statistics: FaceStatistics) -> None:
    seeds = torch.tensor([5, 6, 7])
    for mode in MODES:
        maker = TargetMaker(statistics, mode, TargetOptions(paper_draw="samples"))
        together = maker(REQUESTS, seeds)
        for row in range(3):
            alone = maker(REQUESTS[row : row + 1], seeds[row : row + 1])
            for name, target in together.items():
                assert torch.equal(target[row], alone[name][0]), (mode, name)
    assert not torch.equal(together["fc6"][0], together["fc6"][1])


def test_shapes_and_types(statistics: FaceStatistics) -> None:
    for mode in MODES:
        for count in (0, 2):
            targets = make_targets(statistics, REQUESTS[:count], mode)
            assert {name: tuple(part.shape) for name, part in targets.items()} == {
                "conv4_2": (count, UNITS),
                "fc6": (count, UNITS),
            }
            assert all(part.dtype == torch.float32 and part.isfinite().all() for part in targets.values())


def test_no_attribute_at_all_gives_the_mean(statistics: FaceStatistics) -> None:
    nothing = torch.full((1, ATTRIBUTES), -1, dtype=torch.int8)
    centre = statistics.global_mean("fc6").float()
    for mode in ("paper", "paper_equal", "product"):
        torch.testing.assert_close(make_targets(statistics, nothing, mode)["fc6"][0], centre)
    for mode in ("regression", "centred"):
        options = TargetOptions(completion="expected")
        difference = make_targets(statistics, nothing, mode, options)["fc6"][0] - centre
        assert float(difference.abs().max()) < 0.05


def test_contrast_stretches_the_distance_from_the_mean(statistics: FaceStatistics) -> None:
    centre = statistics.global_mean("fc6").float()
    for mode in ("centred", "regression", "product"):
        plain = make_targets(statistics, REQUESTS, mode)["fc6"]
        strong = make_targets(statistics, REQUESTS, mode, TargetOptions(contrast=1.5))["fc6"]
        torch.testing.assert_close(strong - centre, 1.5 * (plain - centre), rtol=1e-4, atol=1e-5)


def test_targets_after_a_relu_are_not_negative(statistics: FaceStatistics) -> None:
    for mode in ("centred", "regression", "product", "sample"):
        targets = make_targets(statistics, REQUESTS, mode, TargetOptions(contrast=3.0))
        assert targets["conv4_2"].min() >= 0
        assert targets["fc6"].min() < 0


def test_noise_has_the_covariance_of_the_residuals(statistics: FaceStatistics) -> None:
    count = 1500
    request = REQUESTS[:1].expand(count, -1)
    options = TargetOptions(psi=1.0, diagonal=1.0, rank=2)
    drawn = make_targets(statistics, request, "sample", options, torch.arange(count), ["fc6"])["fc6"]
    kept = statistics.kept
    residual = kept.layer("fc6") - make_targets(statistics, kept.attributes, "regression", layers=["fc6"])["fc6"]
    found, expected = torch.cov(drawn.T), torch.cov(residual.T)
    # Draws end at two deviations, which leaves 0.92 of the variance.
    assert float((found / 0.92 - expected).norm() / expected.norm()) < 0.2


def test_noise_moves_all_layers_together() -> None:
    labels, offsets = truth()
    values = activations(labels, offsets)
    statistics, seeds = collected({"conv4_2": -2 * values, "fc6": values}, labels, kept=100), torch.arange(3)
    moved = {}
    for name in ("conv4_2", "fc6"):
        plain = make_targets(statistics, REQUESTS, "regression")[name]
        moved[name] = make_targets(statistics, REQUESTS, "sample", TargetOptions(diagonal=0.0), seeds)[name] - plain
    torch.testing.assert_close(moved["conv4_2"], -2 * moved["fc6"], rtol=0.02, atol=0.005)
    assert float(moved["fc6"].std()) > 0.1


def test_completion_follows_the_correlations(statistics: FaceStatistics) -> None:
    request = torch.tensor([1, -1, 1, -1, -1], dtype=torch.int8)
    expected = complete(statistics, request, "expected")
    labels, _ = truth()
    assert float(expected[1 + 1]) == pytest.approx(float((labels[:, 1] == 1).double().mean()), abs=0.06)
    assert float(expected[1 + 3]) == pytest.approx(0.94, abs=0.04)  # as attribute 2, nearly always
    assert float(expected[1 + 5 + 4]) > 0.98  # hidden wherever attribute 0 is present
    assert expected[[1, 3]].tolist() == [1.0, 1.0]
    likely = complete(statistics, request, "likely")
    assert likely.tolist() == [1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 1]  # 1 is rare, 3 follows 2, 4 is hidden
    alike = complete(statistics, request, "alike")
    assert set(alike.tolist()) <= {0.0, 1.0}
    assert float(alike[1 + 5 + 4]) == 1.0
    for completion in get_args(Completion):
        assert complete(statistics, REQUESTS[0], completion).tolist() == [1, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]


def test_what_is_likely_is_one_of_attributes_that_exclude_each_other() -> None:
    """One of three always holds: where two are asked to be absent, the third is taken, and never two at once."""
    generator = torch.Generator().manual_seed(0)
    labels = torch.nn.functional.one_hot(torch.randint(0, 3, (300,), generator=generator), 3).to(torch.int8)
    labels = torch.cat([labels, (torch.rand(300, 1, generator=generator) < 0.8).to(torch.int8)], 1)
    statistics = collected({"fc6": torch.zeros(300, 2)}, labels)
    nothing = complete(statistics, torch.full((4,), -1, dtype=torch.int8), "likely")
    assert float(nothing[1:4].sum()) == 1.0
    assert float(nothing[4]) == 1.0
    third = complete(statistics, torch.tensor([0, 0, -1, 0], dtype=torch.int8), "likely")
    assert third[1:5].tolist() == [0, 0, 1, 0]


def test_expectation_is_that_of_a_ridge_regression(statistics: FaceStatistics) -> None:
    labels, _ = truth()
    present, missing = (labels == 1).double(), (labels == -1).double()
    known, wanted = torch.cat([present[:, :2], missing[:, :2]], 1), torch.cat([present[:, 2:], missing[:, 2:]], 1)
    inputs, outputs = known - known.mean(0), wanted - wanted.mean(0)
    slopes = torch.linalg.solve(inputs.T @ inputs + torch.eye(4, dtype=torch.float64), inputs.T @ outputs)
    at = torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
    expected = (wanted.mean(0) + (at - known.mean(0)) @ slopes).clamp(0, 1)
    found = complete(statistics, torch.tensor([1, 0, -1, -1, -1], dtype=torch.int8), "expected")
    torch.testing.assert_close(found[[3, 4, 5, 8, 9, 10]], expected, rtol=1e-9, atol=1e-12)


def test_agreement_is_full_where_all_labels_are_the_same(statistics: FaceStatistics) -> None:
    known = (statistics.kept.attributes >= 0).all(1).nonzero()[0, 0]
    scores = agreement(statistics, statistics.kept.attributes[known])
    assert float(scores[known]) == pytest.approx(1.0)
    assert float(scores.max()) == pytest.approx(1.0)
    assert float(scores.min()) < 0.5


def test_one_neighbour_is_a_real_face(statistics: FaceStatistics) -> None:
    number = 17
    request = statistics.kept.attributes[number : number + 1]
    targets = make_targets(statistics, request, "nearest", TargetOptions(neighbours=1))
    same = (statistics.kept.attributes == request).all(1).nonzero()[:, 0].tolist()
    assert any(torch.equal(targets["fc6"][0], statistics.kept.layer("fc6", slice(row, row + 1))[0]) for row in same)


def test_a_ghost_of_pixels_has_what_is_asked_for(statistics: FaceStatistics) -> None:
    ghost = pixel_regression(statistics, torch.tensor([[0, 1, 0, 0, 0], [0, 0, 0, 0, 0]], dtype=torch.int8))
    assert ghost.shape == (2, 3, SIDE, SIDE)
    reddened = (ghost[0] - ghost[1])[0, : SIDE // 2].mean()
    assert float(reddened) == pytest.approx(100 / 255, abs=0.02)
    assert float((ghost[0] - ghost[1])[1:].abs().max()) < 0.02


def test_equal_sets_serve_every_mode() -> None:
    labels, offsets = truth()
    statistics = collected({"fc6": activations(labels, offsets)}, labels, kept=50, equal_sets=labels == 1)
    assert error(make_targets(statistics, REQUESTS, "regression")["fc6"]) < 0.01
    assert make_targets(statistics, REQUESTS, "paper")["fc6"].isfinite().all()


def test_what_cannot_be_made_is_named(statistics: FaceStatistics) -> None:
    with pytest.raises(ConfigurationError, match='no mode "average": write one of mean, paper'):
        TargetMaker(statistics, "average")  # type: ignore[arg-type]  # the point of the test
    with pytest.raises(ConfigurationError, match='layer "fc9"'):
        make_targets(statistics, REQUESTS, "regression", layers=["fc9"])
    with pytest.raises(ConfigurationError, match=r"\(3, 2\) but the statistics know 5"):
        make_targets(statistics, REQUESTS[:, :2], "regression")
    for options in ({"neighbours": 0}, {"rank": 0}, {"ridge": -1.0}, {"psi": -0.1}, {"contrast": -1.0}):
        with pytest.raises(ConfigurationError, match=next(iter(options))):
            TargetOptions(**options)  # type: ignore[arg-type]  # numbers of the right kind, out of range
