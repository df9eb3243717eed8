from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from lightning_modules.video_quality.gated_bias import (
    GatedPositionBias,
    Triple,
    WindowGeometry,
    relative_position_index,
    window_geometry,
)

CPU = torch.device("cpu")
SIZES: list[tuple[Triple, Triple, Triple]] = [
    ((4, 14, 14), (2, 7, 7), (0, 0, 0)),
    ((4, 14, 14), (2, 7, 7), (1, 3, 3)),
    ((4, 28, 14), (4, 7, 7), (2, 3, 3)),
    ((4, 7, 7), (2, 7, 7), (1, 3, 3)),
]


def swin_windows(values: Tensor, window: Triple, shift: Triple) -> Tensor:
    """Shifted windows of a map ``(D, H, W)``, written out position by position: ``(nS, nD, N)``."""
    size = values.shape
    shift = tuple(m if s > w else 0 for s, w, m in zip(size, window, shift, strict=True))  # type: ignore[assignment]
    rows = []
    for y, x in itertools.product(range(size[1] // window[1]), range(size[2] // window[2])):
        for t in range(size[0] // window[0]):
            places = itertools.product(*(range(n) for n in window))
            corner = (t * window[0], y * window[1], x * window[2])
            at = [tuple((c + p + s) % n for c, p, s, n in zip(corner, q, shift, size, strict=True)) for q in places]
            rows.append(torch.stack([values[a] for a in at]))
    return torch.stack(rows).view(-1, size[0] // window[0], rows[0].numel())


def over_frames(values: Tensor, window: Triple) -> Tensor:
    """Pairs of places ``(nS, P, P)`` for all pairs of tokens of a window: ``(nS, 1, N, N)``."""
    frames, places = window[0], window[1] * window[2]
    spread = values[:, None, :, None, :].expand(-1, frames, places, frames, places)
    return spread.reshape(-1, 1, frames * places, frames * places)


@pytest.mark.parametrize(("size", "window", "shift"), SIZES)
def test_order_is_that_of_shifted_windows(size: Triple, window: Triple, shift: Triple) -> None:
    geometry = window_geometry(size, window, shift, 7, "distance", CPU)
    flat = torch.arange(size[0] * size[1] * size[2])
    expected = swin_windows(flat.view(size), window, shift)
    assert torch.equal(geometry.order.view_as(expected), expected)
    assert torch.equal(geometry.order[geometry.inverse], flat)
    assert expected.shape[:2] == (geometry.spatial_windows, geometry.temporal_windows)


@pytest.mark.parametrize("gate", ["distance", "binary"])
@pytest.mark.parametrize(("size", "window", "shift"), SIZES)
def test_gate_is_the_distance_between_fragments(size: Triple, window: Triple, shift: Triple, gate: str) -> None:
    geometry = window_geometry(size, window, shift, 7, gate, CPU)  # type: ignore[arg-type]
    row = (torch.arange(size[1]) * 7 // size[1]).view(1, -1, 1).expand(size)
    column = (torch.arange(size[2]) * 7 // size[2]).view(1, 1, -1).expand(size)
    distance = torch.zeros(())
    for axis in (row, column):
        windows = swin_windows(axis, window, shift)
        distance = distance + (windows[..., :, None] - windows[..., None, :]).abs()
    expected = distance if gate == "distance" else (distance > 0).float()
    for time in range(expected.shape[1]):
        assert torch.equal(over_frames(geometry.gate, window)[:, 0], expected[:, time])


@pytest.mark.parametrize(("size", "window", "shift"), SIZES)
def test_mask_and_cut_separate_what_the_shift_joined(size: Triple, window: Triple, shift: Triple) -> None:
    """Two tokens may attend to each other when no seam of the shift lies between them on any axis."""
    geometry = window_geometry(size, window, shift, 7, "distance", CPU)
    shift = tuple(m if s > w else 0 for s, w, m in zip(size, window, shift, strict=True))  # type: ignore[assignment]
    wrapped = torch.zeros(size)
    for axis, moved in enumerate(shift):
        # After the roll, what came around the end has a smaller coordinate than the shift.
        over = (torch.arange(size[axis]) < moved).view([-1 if a == axis else 1 for a in range(3)])
        wrapped = wrapped + over.float() * 2**axis
    side = swin_windows(wrapped, window, shift)
    # Only windows that hold the seam mix two sides; within them the sides differ.
    apart = side[..., :, None] != side[..., None, :]
    allowed = torch.ones_like(apart)
    if geometry.mask is not None:
        allowed &= (over_frames(geometry.mask, window) == 0).expand_as(allowed)
    if geometry.cut:
        first = torch.arange(geometry.tokens) < geometry.cut
        allowed[:, -1] &= first[:, None] == first[None, :]
    assert torch.equal(~allowed, apart)


def test_index_of_a_cut_window_reads_the_same_rows() -> None:
    full = relative_position_index((4, 3, 3), (4, 3, 3))
    assert torch.equal(relative_position_index((2, 3, 3), (4, 3, 3)), full[:18, :18])
    assert full.min() == 0
    assert full.max() == 7 * 5 * 5 - 1


def test_a_map_that_windows_do_not_divide_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="cannot be cut into windows"):
        window_geometry((3, 14, 14), (2, 7, 7), (0, 0, 0), 7, "distance", CPU)


def small_geometry(shift: Triple = (1, 3, 3)) -> WindowGeometry:
    return window_geometry((4, 14, 14), (2, 7, 7), shift, 7, "distance", CPU)


def test_bias_mixes_the_tables_by_the_gate() -> None:
    geometry = small_geometry((0, 0, 0))
    bias = GatedPositionBias((2, 7, 7), heads=2).eval()
    dense = bias(bias.gather(geometry, torch.float32), geometry, 0, geometry.spatial_windows)
    gate = over_frames(geometry.gate, (2, 7, 7))
    assert bias.fragment_position_bias_table is not None
    between, inside = (
        table[geometry.relative].permute(2, 0, 1)
        for table in (bias.relative_position_bias_table, bias.fragment_position_bias_table)
    )
    torch.testing.assert_close(dense, between * gate + inside * (1 - gate))


def test_evaluation_keeps_the_tables_until_they_could_be_wrong() -> None:
    geometry = small_geometry()
    bias = GatedPositionBias((2, 7, 7), heads=2).eval()

    def kept() -> Tensor:
        with torch.no_grad():
            return bias.gather(geometry, torch.float32).base

    first = kept()
    assert kept() is first
    bias.train()
    assert bias.derived_count == 0
    bias.eval()
    assert torch.equal(kept(), first)

    bias.load_state_dict({key: value + 1 for key, value in bias.state_dict().items()})
    assert bias.derived_count == 0
    torch.testing.assert_close(kept(), first + 1)

    with torch.no_grad():
        bias.relative_position_bias_table.add_(1)  # as averaging of weights does
        assert bias.fragment_position_bias_table is not None
        bias.fragment_position_bias_table.add_(1)
    torch.testing.assert_close(kept(), first + 2)

    bias.double()
    assert bias.derived_count == 0


def test_with_gradient_nothing_is_kept_even_in_evaluation() -> None:
    bias = GatedPositionBias((2, 7, 7), heads=1).eval()
    assert bias.gather(small_geometry(), torch.float32).base.requires_grad
    assert bias.derived_count == 0
