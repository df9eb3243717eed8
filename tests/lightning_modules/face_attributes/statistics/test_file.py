"""The file of statistics, and that it fits only the model that it was collected with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from datamodules.common.errors import CheckpointError, ConfigurationError
from lightning_modules.face_attributes.classifier.preprocess import FacePreprocess
from lightning_modules.face_attributes.classifier.vgg import VGG, VGGSettings
from lightning_modules.face_attributes.statistics.collecting import FaceStatistics
from lightning_modules.face_attributes.statistics.file import (
    Provenance,
    layer_fingerprints,
    load_statistics,
    preprocessing_facts,
    save_statistics,
)
from lightning_modules.face_attributes.targets.maker import make_targets
from tests.lightning_modules.face_attributes.collected import collected

SCHEMA = {"attributes": ["Hat", "Smiling"], "heads": [], "contradictions": []}


def make_network(seed: int = 0, norm: bool = True) -> VGG:
    torch.manual_seed(seed)
    return VGG(VGGSettings((4, 6), (1, 2), (8, 8), norm=norm), image_size=8)


def make_provenance(network: nn.Module | None = None) -> Provenance:
    fingerprints = layer_fingerprints(network or make_network(), ["conv2_1", "fc6"], 8)
    return Provenance(fingerprints, preprocessing_facts(FacePreprocess(8)), SCHEMA)


@pytest.fixture(scope="module")
def statistics() -> FaceStatistics:
    generator = torch.Generator().manual_seed(0)
    labels = torch.randint(-1, 2, (40, 2), generator=generator, dtype=torch.int8)
    images = torch.randint(0, 256, (40, 3, 8, 8), generator=generator, dtype=torch.uint8)
    values = {name: torch.randn(40, 12, generator=generator) for name in ("conv2_1", "fc6")}
    return collected(values, labels, images, folds=2, thumbnail=4)


@pytest.fixture
def path(tmp_path: Path, statistics: FaceStatistics) -> Path:
    file = tmp_path / "statistics.safetensors"
    save_statistics(file, statistics, make_provenance())
    return file


def test_what_is_read_is_what_was_written(path: Path, statistics: FaceStatistics) -> None:
    found = load_statistics(path, make_provenance())
    for name, tensor in statistics.state().items():
        assert torch.equal(found.state()[name], tensor), name
    request = torch.tensor([[1, 0]], dtype=torch.int8)
    assert torch.equal(
        make_targets(found, request, "sample")["fc6"], make_targets(statistics, request, "sample")["fc6"]
    )


def test_fewer_layers_than_collected_are_enough(path: Path) -> None:
    whole = make_provenance()
    assert load_statistics(path, replace(whole, layers={"fc6": whole.layers["fc6"]})).faces == 40


def test_another_network_is_named(path: Path) -> None:
    with pytest.raises(CheckpointError, match="another network: its weights up to conv2_1"):
        load_statistics(path, make_provenance(make_network(seed=1)))


def test_weights_above_a_layer_do_not_count(path: Path) -> None:
    network = make_network()
    nn.init.ones_(network.get_submodule("fc7").weight)
    load_statistics(path, make_provenance(network))
    nn.init.ones_(network.get_submodule("fc6").weight)
    with pytest.raises(CheckpointError, match="weights up to fc6"):
        load_statistics(path, make_provenance(network))


def test_batch_statistics_below_a_layer_count(path: Path) -> None:
    network = make_network()
    network(torch.rand(4, 3, 8, 8))  # in training mode: the running means move
    with pytest.raises(CheckpointError, match="weights up to conv2_1"):
        load_statistics(path, make_provenance(network))


def test_weights_that_another_module_uses_directly_count() -> None:
    attention = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True)
    network = nn.Sequential(nn.Flatten(2), nn.Linear(4, 4), attention, nn.Flatten(), nn.Linear(12, 2))
    network.image_size = 2  # type: ignore[assignment]  # where the layers look for it
    before = layer_fingerprints(network, ["2"], 2)
    nn.init.zeros_(network[4].weight)  # type: ignore[arg-type]  # a linear layer's
    assert layer_fingerprints(network, ["2"], 2) == before
    nn.init.zeros_(attention.self_attn.out_proj.weight)
    assert layer_fingerprints(network, ["2"], 2) != before


def test_other_preprocessing_is_named(path: Path) -> None:
    other = replace(make_provenance(), preprocessing=preprocessing_facts(FacePreprocess(8, channel_order="bgr")))
    with pytest.raises(CheckpointError, match=r"other preprocessing.*rgb.*bgr"):
        load_statistics(path, other)


def test_a_mean_image_is_part_of_the_preprocessing() -> None:
    first = FacePreprocess(8, mean_image=torch.zeros(3, 8, 8))
    second = FacePreprocess(8, mean_image=torch.ones(3, 8, 8))
    assert preprocessing_facts(first) != preprocessing_facts(second)
    assert preprocessing_facts(first) == preprocessing_facts(FacePreprocess(8, mean_image=torch.zeros(3, 8, 8)))


def test_other_attributes_are_named(path: Path) -> None:
    other = replace(make_provenance(), attribute_schema={**SCHEMA, "attributes": ["Smiling", "Bangs"]})
    with pytest.raises(CheckpointError, match="Hat stand only there, Bangs only in the model"):
        load_statistics(path, other)
    turned = replace(make_provenance(), attribute_schema={**SCHEMA, "attributes": ["Smiling", "Hat"]})
    with pytest.raises(CheckpointError, match="the order, the heads or the contradictions differ"):
        load_statistics(path, turned)


def test_a_layer_that_was_not_collected_is_named(path: Path) -> None:
    other = replace(make_provenance(), layers={"fc7": "0"})
    with pytest.raises(CheckpointError, match="hold the layers conv2_1, fc6 but not fc7: collect them again"):
        load_statistics(path, other)
    own = make_provenance().layers
    for known, sentence in (
        (own, "choose as layers among conv2_1, fc6, or collect"),
        ({**own, "fc6": "0"}, "choose as layers among conv2_1, or collect"),
        ({}, "belong to another network: they hold the layers conv2_1, fc6 but not fc7, and none of theirs"),
    ):
        with pytest.raises(CheckpointError, match=sentence):
            load_statistics(path, other, lambda layers, known=known: dict(known))


def test_a_layer_without_fingerprint_is_not_written(tmp_path: Path, statistics: FaceStatistics) -> None:
    with pytest.raises(CheckpointError, match="statistics of fc6 have no fingerprint"):
        save_statistics(tmp_path / "x.safetensors", statistics, replace(make_provenance(), layers={"conv2_1": "0"}))


def test_files_of_another_kind_are_named(tmp_path: Path, path: Path) -> None:
    with pytest.raises(CheckpointError, match="There are no statistics at"):
        load_statistics(tmp_path / "nothing.safetensors")
    torn = tmp_path / "torn.safetensors"
    torn.write_bytes(path.read_bytes()[:200])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_statistics(torn)
    save_file({"weight": torch.zeros(1)}, tmp_path / "weights.safetensors")
    with pytest.raises(CheckpointError, match="holds no statistics of the format"):
        load_statistics(tmp_path / "weights.safetensors")


def test_an_unknown_layer_has_no_fingerprint() -> None:
    with pytest.raises(ConfigurationError, match="fc9"):
        layer_fingerprints(make_network(), ["fc9"], 8)
