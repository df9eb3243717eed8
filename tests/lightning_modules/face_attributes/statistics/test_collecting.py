"""Sums over faces: against direct computation, over any split, and over two processes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from datamodules.common.errors import CheckpointError, ConfigurationError
from lightning_modules.face_attributes.statistics.collecting import AttributeStatistics, FaceStatistics
from lightning_modules.face_attributes.statistics.kept_faces import FaceSampler
from lightning_modules.face_attributes.statistics.label_columns import draw_equal_sets, index_hash
from lightning_modules.face_attributes.targets.linear_fits import fit_regression, fit_weights
from tests.forks import run_two_ranks
from tests.lightning_modules.face_attributes.collected import collected

FACES, ATTRIBUTES, SIDE = 90, 6, 8
LAYERS = {"conv4_2": (3, 4), "fc6": (20,)}
Faces = tuple[dict[str, Tensor], Tensor, Tensor, Tensor]


def make_faces() -> Faces:
    """Activations, attributes, rows and images; attribute 4 never occurs, attribute 5 is often missing."""
    generator = torch.Generator().manual_seed(0)
    attributes = (torch.rand(FACES, ATTRIBUTES, generator=generator) < 0.4).to(torch.int8)
    attributes[:, 4] = 0
    attributes[torch.rand(FACES, generator=generator) < 0.3, 5] = -1
    layers = {}
    for name, shape in LAYERS.items():
        offsets = torch.randn(ATTRIBUTES, *shape, generator=generator)
        noise = torch.randn(FACES, *shape, generator=generator)
        layers[name] = 3.0 + torch.tensordot((attributes == 1).float(), offsets, 1) + noise
    images = torch.randint(0, 256, (FACES, 3, SIDE, SIDE), generator=generator, dtype=torch.uint8)
    return layers, attributes, torch.arange(FACES), images


def collect(order: Tensor, batch: int, sets: Tensor | None = None) -> FaceStatistics:
    return running(order, batch, sets).finish()


def running(order: Tensor, batch: int, sets: Tensor | None = None) -> AttributeStatistics:
    layers, attributes, index, images = make_faces()
    sums = AttributeStatistics(ATTRIBUTES, folds=3, kept=25, thumbnail=4, equal_sets=sets)
    for rows in order.split(batch):
        activations = {name: part[rows] for name, part in layers.items()}
        sums.update(activations, attributes[rows], torch.ones(len(rows)) > 0, index[rows], images[rows])
    return sums


def assert_equal_statistics(found: FaceStatistics, expected: FaceStatistics, tolerance: float) -> None:
    mine, theirs = found.state(), expected.state()
    assert set(mine) == set(theirs)
    for name in mine:
        torch.testing.assert_close(mine[name], theirs[name], rtol=tolerance, atol=tolerance, msg=name)
    for layer in LAYERS:
        for kind in ("paper", "centred"):
            weights = [fit_weights(each, layer, kind, 0.01).weights for each in (found, expected)]
            torch.testing.assert_close(*weights, rtol=tolerance, atol=tolerance)
        chosen = [fit_regression(each, layer, "cv") for each in (found, expected)]
        assert chosen[0].ridge == chosen[1].ridge
        torch.testing.assert_close(chosen[0].coefficients, chosen[1].coefficients, rtol=tolerance, atol=tolerance)


def test_means_and_variances_are_those_of_the_faces() -> None:
    layers, attributes, _, images = make_faces()
    statistics = collect(torch.arange(FACES), 32)
    for name, part in layers.items():
        values = part.flatten(1).double()
        torch.testing.assert_close(statistics.global_mean(name), values.mean(0))
        torch.testing.assert_close(statistics.global_variance(name), values.var(0, correction=0))
        for number in (0, 5):
            own = values[attributes[:, number] == 1]
            torch.testing.assert_close(statistics.means(name)[:, number], own.mean(0))
            torch.testing.assert_close(statistics.variances(name)[:, number], own.var(0, correction=0))
        assert statistics.variances(name).min() >= 0
        assert not statistics.means(name)[:, 4].any()
    torch.testing.assert_close(statistics.mean_image, images.float().mean(0) / 255)
    known = attributes[:, 5] >= 0
    assert statistics.present_share[5] == pytest.approx(float((attributes[known, 5] == 1).double().mean()))
    assert statistics.faces == FACES


def test_any_order_and_any_batches_give_the_same() -> None:
    whole = collect(torch.arange(FACES), FACES)
    shuffled = torch.randperm(FACES, generator=torch.Generator().manual_seed(1))
    for batch in (1, 7, 64):
        assert_equal_statistics(collect(shuffled, batch), whole, 1e-10)


def test_padding_is_left_out() -> None:
    layers, attributes, index, images = make_faces()
    sums = running(torch.arange(FACES), 30)
    rows = torch.arange(10)
    activations = {name: part[rows] for name, part in layers.items()}
    sums.update(activations, attributes[rows], torch.zeros(10) > 0, index[rows], images[rows])
    assert_equal_statistics(sums.finish(), collect(torch.arange(FACES), 30), 0.0)


def test_a_variance_survives_a_mean_that_is_far_larger() -> None:
    generator = torch.Generator().manual_seed(0)
    values = 3e4 + torch.randn(200, 5, generator=generator, dtype=torch.float64)
    found = collected({"fc6": values}, torch.ones(200, 1, dtype=torch.int8)).variances("fc6")[:, 0]
    torch.testing.assert_close(found, values.var(0, correction=0), rtol=1e-6, atol=0)


def test_kept_faces_are_some_of_the_faces() -> None:
    layers, attributes, _, images = make_faces()
    kept = collect(torch.arange(FACES), 16).kept
    assert len(kept) == 25
    assert kept.index.tolist() == sorted(set(kept.index.tolist()))
    assert torch.equal(kept.attributes, attributes[kept.index])
    torch.testing.assert_close(kept.layer("fc6"), layers["fc6"][kept.index], rtol=1e-3, atol=1e-4)
    pooled = torch.nn.functional.avg_pool2d(images[kept.index].float(), 2)
    torch.testing.assert_close(kept.thumbnails.float(), pooled, rtol=0, atol=0.51)


def test_folds_and_kept_faces_are_a_fair_draw() -> None:
    rows = torch.arange(20_000)
    for folds in (2, 5):
        counts = torch.bincount(index_hash(rows, 0) % folds)
        assert float((counts / counts.double().mean() - 1).abs().max()) < 0.05
    sampler = FaceSampler(2000)
    for part in rows.split(777):
        sampler.update(part, {})
    kept = sampler.finish()["index"]
    assert abs(float(kept.double().mean()) / 10_000 - 1) < 0.05
    assert torch.bincount(index_hash(kept, 0) % 5).min() > 350  # the two draws have nothing to do with each other


def test_activations_of_a_hundred_thousand_are_kept() -> None:
    values = torch.tensor([[1e5, 0.01]])
    found = collected({"conv5_3": values}, torch.ones(1, 1, dtype=torch.int8), folds=1).kept.layer("conv5_3")
    torch.testing.assert_close(found, values, rtol=1e-3, atol=0)


def test_equal_sets_give_means_of_as_many_faces() -> None:
    layers, attributes, _, _ = make_faces()
    sets = draw_equal_sets(attributes, seed=3)
    size = int((attributes == 1).sum(0)[[0, 1, 2, 3, 5]].min())
    assert sets.sum(0).tolist() == [size] * 4 + [0, size]
    assert not (sets & (attributes != 1)).any()
    assert not torch.equal(sets, draw_equal_sets(attributes, seed=4))
    statistics = collect(torch.arange(FACES), 32, sets)
    values = layers["fc6"].double()
    for number in (0, 5):
        own = values[sets[:, number]]
        torch.testing.assert_close(statistics.means("fc6")[:, number], own.mean(0))
        torch.testing.assert_close(statistics.variances("fc6")[:, number], own.var(0, correction=0))


def test_equal_sets_of_one_face_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="rarest one has 1 faces"):
        draw_equal_sets(torch.tensor([[1, 0], [0, 1]], dtype=torch.int8), seed=0)


@pytest.mark.parametrize("setting", [{"folds": 0}, {"kept": 0}, {"thumbnail": 0}])
def test_a_setting_out_of_range_is_named(setting: dict[str, int]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(setting))):
        AttributeStatistics(2, **setting)


def test_what_does_not_fit_is_named() -> None:
    sums = running(torch.arange(FACES), 90)
    rest = (torch.ones(1) > 0, torch.zeros(1).long(), torch.zeros(1, 3, SIDE, SIDE, dtype=torch.uint8))
    with pytest.raises(ConfigurationError, match="9 attributes but the statistics 6"):
        sums.update({"fc6": torch.zeros(1, 20)}, torch.zeros(1, 9, dtype=torch.int8), *rest)
    with pytest.raises(ConfigurationError, match="fc7 differ from those of the batches before, conv4_2, fc6"):
        sums.update({"fc7": torch.zeros(1, 20)}, torch.zeros(1, 6, dtype=torch.int8), *rest)
    with pytest.raises(ConfigurationError, match="without faces"):
        AttributeStatistics(2).finish()
    with pytest.raises(ConfigurationError, match='layer "fc8": they hold conv4_2, fc6'):
        sums.finish().layer("fc8")


def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    run_two_ranks(_process, tmp_path)
    expected = collect(torch.arange(FACES), 16)
    for rank in range(2):
        state = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert_equal_statistics(FaceStatistics.from_state(state), expected, 1e-10)


def _process(rank: int, folder: Path) -> None:
    """Rank 0 sees all faces but seven, rank 1 those and one that pads."""
    order = torch.arange(FACES - 7) if rank == 0 else torch.arange(FACES - 7, FACES)
    sums = running(order, 16)
    if rank == 1:
        layers, attributes, index, images = make_faces()
        activations = {name: part[:1] for name, part in layers.items()}
        sums.update(activations, attributes[:1], torch.zeros(1) > 0, index[:1], images[:1])
    sums.all_reduce()
    torch.save(sums.finish().state(), folder / f"{rank}.pt")


@pytest.mark.parametrize("missing", ["shape", "labels", "kept/index", "layer/fc6/cross", "layer/pixels/"])
def test_a_state_that_lacks_something_is_named(missing: str) -> None:
    state = collect(torch.arange(FACES), 90).state()
    whole = {name: tensor for name, tensor in state.items() if not name.startswith(missing)}
    assert len(whole) < len(state)
    with pytest.raises(CheckpointError, match=r"The statistics lack .*collect them again"):
        FaceStatistics.from_state(whole)
