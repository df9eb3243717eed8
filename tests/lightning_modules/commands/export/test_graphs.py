"""Graphs compute what the networks do, whatever the batch."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from datamodules.common.errors import ExportError
from lightning_modules.commands.export.checkpoint import load_method
from lightning_modules.commands.export.graph import OPSET, trace, write_onnx
from lightning_modules.commands.export.measures import speed_ratio
from lightning_modules.commands.export.methods import plan_of
from lightning_modules.commands.export.parity import compare
from lightning_modules.commands.export.plan import Plan
from lightning_modules.commands.exported.manifest import TensorFacts, read_manifest
from lightning_modules.commands.exported.session import Array, Arrays, Graph
from tests.lightning_modules.commands.export.conftest import NETWORKS, Exported

Export = Callable[[str], Exported]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_graph_is_the_network_in_batches_of_one_three_and_eight(exported: Export, name: str) -> None:
    manifest = read_manifest(exported(name).folder)
    assert max(manifest.parity["differences"].values()) < 1e-4
    assert manifest.parity["equal_choices"] > 0.99
    assert manifest.parity["inputs"] >= 3


@pytest.mark.parametrize("name", ["segmenter", "detector"])
def test_pictures_may_have_any_size(exported: Export, name: str) -> None:
    made = exported(name)
    plan = plan_of(load_method(str(made.checkpoint)), {})
    graph = Graph(read_manifest(made.folder).graph_path(made.folder), threads=1)
    draws = np.random.default_rng(0)
    rows: list[Arrays] = [{"image": draws.integers(0, 256, (1, 3, 32, side), dtype=np.uint8)} for side in (32, 224)]
    assert max(compare(plan, graph, rows).differences.values()) < 1e-4
    assert [one.name for one in plan.outputs] == graph.names


@pytest.mark.parametrize("name", ["faces"])
def test_the_opset_is_the_one_that_is_named(exported: Export, name: str) -> None:
    folder = exported(name).folder
    own = {one.domain: one.version for one in onnx.load(folder / "model.onnx").opset_import}
    assert own[""] == OPSET == read_manifest(folder).opset


def plan_around(module: nn.Module) -> Plan:
    return Plan(
        method="Toy",
        module=module.eval(),
        inputs=(TensorFacts("x", "uint8", ("batch", 4)),),
        outputs=(TensorFacts("y", "float32", ("batch", 4)),),
        facts={},
        continuous=("y",),
        select=lambda outputs: outputs["y"].argmax(axis=1),
    )


class Doubling(nn.Module):
    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor]:
        return (2 * inputs[0].float(),)


class Sorting(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.ranks = Ranks()

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.ranks(inputs[0].float()),)


class Ranks(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.sort(dim=1, stable=True).values


class Branching(nn.Module):
    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor]:
        return (inputs[0].float() if bool(inputs[0].sum() > 3) else -inputs[0].float(),)


def ones(rows: int) -> list[Arrays]:
    return [{"x": np.full((1, 4), row + 1, dtype=np.uint8)} for row in range(rows)]


def test_a_graph_that_computes_something_else_is_refused_by_name() -> None:
    def wrong(inputs: Arrays) -> dict[str, Array]:
        return {"y": 2.01 * inputs["x"].astype(np.float32)}

    with pytest.raises(ExportError, match=r"y differs from torch by 5\.0e-03 of its scale"):
        compare(plan_around(Doubling()), wrong, ones(2)).check()


def test_not_a_number_is_a_difference() -> None:
    def broken(inputs: Arrays) -> dict[str, Array]:
        return {"y": np.full(inputs["x"].shape, np.nan, dtype=np.float32)}

    with pytest.raises(ExportError, match="y differs from torch by inf"):
        compare(plan_around(Doubling()), broken, ones(1)).check()


def test_a_part_without_a_counterpart_in_onnx_is_named(tmp_path: Path) -> None:
    plan = plan_around(Sorting())
    with pytest.raises(ExportError, match=r"aten\.sort in .*ranks has no counterpart in ONNX \(opset 20\)"):
        write_onnx(plan, trace(plan), tmp_path / "model.onnx")
    assert list(tmp_path.iterdir()) == []


def test_a_network_that_branches_on_values_cannot_be_traced() -> None:
    with pytest.raises(ExportError, match="Toy cannot be traced into one graph"):
        trace(plan_around(Branching()))


def test_a_ratio_of_speeds_is_that_of_the_second() -> None:
    def quick(inputs: Arrays) -> dict[str, Array]:
        return {}

    def slow(inputs: Arrays) -> dict[str, Array]:
        return {str(number): np.linalg.inv(np.eye(60)) for number in range(60)}

    assert speed_ratio(quick, slow, {}) > 3
