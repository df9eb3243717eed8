"""Stitched tiles against the network on the whole image."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from datamodules.common.errors import ConfigurationError
from lightning_modules.inspection.tiling import tiled


def _network(stride: int) -> nn.Module:
    """Receptive field of 4 pixels to each side beyond its cell at most."""
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.Tanh(), nn.Conv2d(4, 2, stride, stride)).double().eval()


@pytest.mark.parametrize(
    ("height", "width", "tile", "overlap", "stride"),
    [
        (64, 64, 32, 16, 8),
        (64, 96, 48, 24, 8),
        (61, 83, 32, 8, 4),
        (40, 100, 64, 32, 4),
        (33, 129, 32, 2, 1),
        (8, 8, 32, 4, 8),
    ],
)
@pytest.mark.parametrize("together", [1, 3])
def test_stitching_equals_the_whole_image(
    height: int, width: int, tile: int, overlap: int, stride: int, together: int
) -> None:
    network = _network(stride)
    image = torch.rand(2, 3, height, width, dtype=torch.float64)
    padded = nn.functional.pad(image, (0, -width % stride, 0, -height % stride))
    with torch.no_grad():
        whole = network(padded)
        found, copy = tiled(
            lambda part: (network(part), part[:, :1, ::stride, ::stride]),
            image,
            tile,
            overlap,
            stride,
            tiles_at_a_time=together,
        )
    assert found.shape == whole.shape
    torch.testing.assert_close(copy, padded[:, :1, ::stride, ::stride])
    # the outermost ring of cells may see another padding: zeros beyond the image as pixels or as the layer's own
    torch.testing.assert_close(found[..., 1:-2, 1:-2], whole[..., 1:-2, 1:-2])


def test_each_cell_comes_from_the_nearest_tile() -> None:
    starts: list[Tensor] = []

    def tile_number(part: Tensor) -> tuple[Tensor, ...]:
        starts.append(part[0, 0, 0, 0])
        return (torch.full((1, 1, 1, part.shape[-1]), float(len(starts) - 1)),)

    image = torch.arange(10.0).expand(1, 3, 1, 10)
    (number,) = tiled(tile_number, image, tile=4, overlap=1, stride=1)
    assert [int(start) for start in starts] == [0, 3, 6]
    assert number.flatten().tolist() == [0, 0, 0, 0, 1, 1, 1, 2, 2, 2]  # centres 2, 5 and 8; ties go to the left


def test_tiles_keep_to_the_grid_of_the_deepest_layer() -> None:
    seen: list[tuple[int, ...]] = []

    def forward(part: Tensor) -> tuple[Tensor, ...]:
        seen.append((int(part[0, 0, 0, 0]), part.shape[-1]))
        return (part[..., ::8, ::8],)

    image = torch.arange(200.0).expand(1, 3, 64, 200)
    (cells,) = tiled(forward, image, tile=96, overlap=20, stride=8)
    assert cells.shape == (1, 3, 8, 25)
    assert all(start % 32 == 0 for start, _ in seen)
    torch.testing.assert_close(cells[0, 0, 0], torch.arange(0, 200, 8.0))


@pytest.mark.parametrize(("tile", "overlap"), [(30, 0), (32, 32), (4, 0), (32, -1)])
def test_bad_sizes_are_named(tile: int, overlap: int) -> None:
    with pytest.raises(ConfigurationError, match="tile_size"):
        tiled(lambda part: (part,), torch.zeros(1, 3, 64, 64), tile, overlap, 8)
