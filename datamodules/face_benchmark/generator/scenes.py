"""Pictures of questions, drawn from the names that tell how: a face, a small one, a tilted one, a part, a crowd."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Final

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from datamodules.face_benchmark.generator.pool import FacePool
from datamodules.faces.renderer.canvas import LARGEST_ROLL
from datamodules.faces.renderer.parameters import FaceParameters
from datamodules.faces.renderer.rendering import render

BLACK: Final = "black"
SMALL_SIDE: Final = 24  # pixels of a face of low resolution
# Parts that a drawn face can have: the parameter, and the value without the part.
PARTS: Final[dict[str, tuple[str, int]]] = {
    "hat": ("hat", 0),
    "glasses": ("eyewear", 0),
    "earrings": ("earrings", 0),
    "necklace": ("necklace", 0),
    "necktie": ("necktie", 0),
    "beard": ("beard", 0),
    "moustache": ("mustache", 0),
}
_SHOWS: Final = 12  # grey levels by which a pixel changes where a part is
_LEAST_OF_A_PART: Final = 0.002  # of the picture
_LOOKED_AT: Final = 48  # pixels of a side where it is only asked whether a part is seen
_CROWD: Final = 3  # faces a row of a crowd


def face(row: int) -> str:
    """Name of a face as it is."""
    return f"face/{row}"


def small(row: int) -> str:
    """Name of a face of few pixels, enlarged again."""
    return f"small/{row}"


def tilted(row: int, degrees: float) -> str:
    """Name of a face whose head is tilted by so many degrees clockwise."""
    return f"tilted/{row}/{degrees:.1f}"


def part(row: int, name: str) -> str:
    """Name of a face with a part painted white."""
    return f"part/{row}/{name}"


def crowd(rows: list[int], seed: int) -> str:
    """Name of a picture of several faces."""
    return f"crowd/{seed}/{'-'.join(map(str, rows))}"


def faces_of(name: str) -> list[int]:
    """Faces that a picture shows.

    Example:
        >>> faces_of(crowd([3, 1], 7)), faces_of(tilted(5, 1.5)), faces_of(BLACK)
        ([3, 1], [5], [])
    """
    kind, _, rest = name.partition("/")
    words = rest.split("/")
    if kind == BLACK:
        return []
    return [int(row) for row in words[1].split("-")] if kind == "crowd" else [int(words[0])]


def draw(name: str, pool: FacePool) -> Tensor:
    """The picture that a name tells of, uint8 ``(3, S, S)``.

    Raises:
        ImageError: If the file of a face cannot be read.
    """
    kind, _, rest = name.partition("/")
    words = rest.split("/")
    if kind == BLACK:
        return torch.zeros_like(pool.picture(0))
    rows = faces_of(name)
    if kind == "crowd":
        return _crowd([pool.picture(row) for row in rows], int(words[0]))
    picture = pool.picture(rows[0])
    if kind == "small":
        return _small(picture)
    if kind == "tilted":
        return _turned(picture, float(words[1]) - own_tilt(pool, rows[0]))
    if kind == "part":
        mask = part_mask(pool, rows[0], words[1], picture.shape[-1])
        return torch.where(mask, torch.tensor(255, dtype=torch.uint8), picture)
    return picture


def own_tilt(pool: FacePool, row: int) -> float:
    """Degrees clockwise by which the head of a drawn face is tilted."""
    parameters = _parameters(pool, row)
    return float(torch.rad2deg(LARGEST_ROLL * parameters.spread("roll") * parameters.strength[:, 1]))


def wearers(pool: FacePool, name: str) -> Tensor:
    """Drawn faces that have a part, int64 ``(n,)``; of some of them little is seen."""
    assert pool.parameters is not None  # callers ask drawn faces alone
    parameter, without = PARTS[name]
    own: Tensor = getattr(pool.parameters, parameter)
    return (own.long() != without).nonzero()[:, 0]


def shows_part(pool: FacePool, row: int, name: str) -> bool:
    """Whether enough of a part is seen in a drawn face."""
    return float(part_mask(pool, row, name, _LOOKED_AT).float().mean()) >= _LEAST_OF_A_PART


def part_mask(pool: FacePool, row: int, name: str, side: int) -> Tensor:
    """Where a drawn face of a side S would look different without a part, bool ``(S, S)``."""
    assert pool.parameters is not None  # callers ask drawn faces alone
    parameter, without = PARTS[name]
    twice = pool.parameters.rows(torch.tensor([row, row]))
    value: Tensor = getattr(twice, parameter).clone()
    value[1] = without
    pictures = render(replace(twice, **{parameter: value}), side).int()
    return (pictures[0] - pictures[1]).abs().amax(dim=0) > _SHOWS


def _parameters(pool: FacePool, row: int) -> FaceParameters:
    assert pool.parameters is not None  # callers ask drawn faces alone
    return pool.parameters.rows(slice(row, row + 1))


def _small(picture: Tensor) -> Tensor:
    return _resized(_resized(picture, SMALL_SIDE), picture.shape[-1])


def _turned(picture: Tensor, degrees: float) -> Tensor:
    """Turned clockwise about its middle, what is beyond its edges mirrored in."""
    side = picture.shape[-1]
    margin = side // 2
    wide = np.pad(picture.permute(1, 2, 0).numpy(), ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
    turned = Image.fromarray(wide).rotate(-degrees, Image.Resampling.BILINEAR)
    return _tensor(turned.crop((margin, margin, margin + side, margin + side)))


def _resized(picture: Tensor, side: int) -> Tensor:
    image = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
    return _tensor(image.resize((side, side), Image.Resampling.BILINEAR))


def _tensor(image: Image.Image) -> Tensor:
    return torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)


def _crowd(faces: list[Tensor], seed: int) -> Tensor:
    """Faces in some fields of a square grid, each shifted inside its field, on a plain ground."""
    drawn = random.Random(seed)  # a picture, no secret
    side = faces[0].shape[-1]
    field = side // _CROWD
    ground = torch.tensor([drawn.randrange(60, 200) for _ in range(3)], dtype=torch.uint8)
    picture = ground[:, None, None].expand(3, side, side).clone()
    places = drawn.sample(range(_CROWD * _CROWD), len(faces))
    for one, place in zip(faces, places, strict=True):
        size = round(field * drawn.uniform(0.75, 0.98))
        top = place // _CROWD * field + drawn.randint(0, field - size)
        left = place % _CROWD * field + drawn.randint(0, field - size)
        picture[:, top : top + size, left : left + size] = _resized(one, size)
    return picture


MOST_OF_A_CROWD: Final = _CROWD * _CROWD
