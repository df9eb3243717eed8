"""Three networks of other people, reproduced through the public loader to the tolerances of `oracles/README.md`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from lightning_modules.video_quality.key_maps import LoadReport, load_weights
from lightning_modules.video_quality.network import KSVQENetwork, key_frame_groups
from lightning_modules.video_quality.presets import resolve_preset
from tests.lightning_modules.training import same

Arrays = dict[str, NDArray[np.float32]]


def assert_close(actual: Tensor, expected: NDArray[np.float32]) -> None:
    """Largest difference within 1e-4 of the array's standard deviation."""
    difference = np.abs(actual.numpy() - expected).max()
    assert difference <= 1e-4 * expected.std(), f"{difference / expected.std():.2e} standard deviations"


def assert_written_back(report: LoadReport, network: KSVQENetwork, weights: dict[str, Tensor]) -> None:
    """What was loaded comes back bit for bit; the indices are computed anew."""
    written = report.write_back(network)
    lost = {key for key in weights if key.endswith("relative_position_index")} | set(report.dropped)
    assert same(written, {key: value for key, value in weights.items() if key not in lost})


def test_fast_vqa_backbone(
    oracle_arrays: Callable[[str], Arrays], oracle_weights: Callable[[str], dict[str, Tensor]]
) -> None:
    expected = oracle_arrays("fastvqa_swin3d")
    # Only the backbone is asked: the other parts are as small as they can be.
    config = resolve_preset(
        "official", dam=False, content_width=16, content_layers=1, content_heads=1, content_adapter_layers=1
    )
    network = KSVQENetwork(config).eval()
    weights = oracle_weights("fastvqa_swin3d")
    report = load_weights(network, weights, source="auto")
    assert report.source == "fast_vqa"
    assert all(key.startswith("backbone.") for key in report.loaded)
    assert not any(key.startswith("backbone.") for key in report.kept)

    rng = np.random.default_rng(int(expected["input_seed"]))
    video = torch.from_numpy(rng.standard_normal((1, 3, 32, 224, 224)).astype(np.float32))
    with torch.no_grad():
        features = network.backbone(video)[0].permute(3, 0, 1, 2)
    assert_close(features[::8], expected["features"])
    assert_close(features.mean((1, 2, 3)), expected["channel_mean"])

    assert_written_back(report, network, weights)


class Watch:
    """Statistics and outputs of the parts of a network during one forward pass."""

    def __init__(self, network: KSVQENetwork) -> None:
        self.statistics: dict[str, tuple[float, float]] = {}
        self.outputs: dict[str, Tensor] = {}
        assert network.distortion is not None
        for number, stage in enumerate(network.backbone.stages):
            self._statistics(stage, f"layer{number}_mean_std")
        for number, modulation in enumerate(network.modulation):
            self._statistics(modulation.get_submodule("content"), f"cam{number}_mean_std")
            self._statistics(modulation.get_submodule("distortion"), f"dam{number}_mean_std")
        self._output(network.backbone.norm, "features")
        self._output(network.distortion.extractor, "contrique")

    def _statistics(self, module: nn.Module, name: str) -> None:
        def keep(_: nn.Module, __: object, output: Tensor) -> None:
            values = output.double()
            self.statistics[name] = (float(values.mean()), float(values.std()))

        module.register_forward_hook(keep)

    def _output(self, module: nn.Module, name: str) -> None:
        def keep(_: nn.Module, __: object, output: Tensor) -> None:
            self.outputs[name] = output

        module.register_forward_hook(keep)


@pytest.mark.parametrize("stage", [1, 2])
def test_official_ksvqe(
    stage: int, oracle_arrays: Callable[[str], Arrays], oracle_weights: Callable[[str], dict[str, Tensor]]
) -> None:
    name = f"ksvqe_official_stage{stage}"
    expected = oracle_arrays(name)
    weights = oracle_weights(name)
    network = KSVQENetwork(resolve_preset("official", tuning_stage=int(expected["tuning_stage"]))).eval()
    report = load_weights(network, weights)
    assert report.source == "ksvqe_official"
    assert report.kept == ()
    assert {key.split(".visual.")[1] for key in report.dropped} == {"proj", "ln_post.weight", "ln_post.bias"}

    rng = np.random.default_rng(int(expected["input_seed"]))
    fragments = torch.from_numpy(rng.standard_normal((1, 3, 32, 288, 288)).astype(np.float32))
    video = torch.from_numpy(rng.standard_normal((1, 3, 32, 112, 112)).astype(np.float32))
    watch = Watch(network)
    with torch.no_grad():
        output = network(fragments, video[:, :, [0, 7, 15, 23]].transpose(1, 2))

    assert_close(output.importance[0].flatten(1), expected["importance"])
    selected = output.selection.index[0][key_frame_groups("official", 32, 4)]
    assert selected.tolist() == expected["selected_region"].tolist()
    assert_close(watch.outputs["contrique"].view(16, 49, 128)[::4, ::7], expected["contrique"])
    assert_close(watch.outputs["features"][0].permute(3, 0, 1, 2)[::16], expected["features"])
    for part, statistics in watch.statistics.items():
        assert statistics == pytest.approx(tuple(expected[part]), rel=1e-4), part
    assert len(watch.statistics) == 4 + 2 * (4 - stage)
    assert output.score.tolist() == pytest.approx(expected["score"][0].tolist(), rel=1e-4)

    assert_written_back(report, network, weights)
