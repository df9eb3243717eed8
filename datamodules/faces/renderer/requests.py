"""Draw faces that have given attributes: what a perfect generator would make of a request."""

from __future__ import annotations

from dataclasses import fields, replace

import torch
from torch import Tensor

from datamodules.common.counted_draws import key_of, uniforms
from datamodules.faces.renderer.drawing import drawn
from datamodules.faces.renderer.labels import RULES, labels, rule_of
from datamodules.faces.renderer.parameters import CATEGORIES, FaceParameters
from datamodules.faces.renderer.rendering import render
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.faces.schema import ABSENT, MISSING, PRESENT, AttributeSchema

_ATTEMPTS = 48  # draws of what several parameters decide together, such as the forehead; one in five is right

# What must not be, so that something can be seen; "little hair" and "hat over short hair" are also left to attempts.
_UNCOVERED: dict[str, tuple[str, tuple[int, ...]]] = {
    "grey photo": ("colour", (1,)),
    "little hair": ("hair_loss", (0, 1)),
    "hat": ("hat", (0,)),
    "long hair": ("long_hair", (0,)),
    "sunglasses": ("eyewear", (0, 2)),
    "closed eyes": ("eyes_open", (1,)),
    "full beard": ("beard", (0, 1)),
    "beard on the chin": ("beard", (0,)),
}
# What else a present attribute asks for.
_NEEDED: dict[str, tuple[str, tuple[int, ...]]] = {
    "Bangs": ("hair_loss", (0,)),
    "Fully Visible Forehead": ("hat", (0,)),
}


def render_request(
    attributes: Tensor, seeds: Tensor, schema: AttributeSchema, size: int, settings: FaceDemoSettings | None = None
) -> Tensor:
    """Draw a face for each request.

    Args:
        attributes: int8 ``(B, K)``: 1 wanted, 0 not wanted, -1 not said.
        seeds: int64 ``(B,)``: decide what is not said.
        schema: Names of the K attributes.
        size: Height and width in pixels.
        settings: How faces are drawn.

    Returns:
        uint8 ``(B, 3, size, size)``.
    """
    return render(parameters_for(attributes, seeds, schema, settings), size)


def parameters_for(
    attributes: Tensor, seeds: Tensor, schema: AttributeSchema, settings: FaceDemoSettings | None = None
) -> FaceParameters:
    """Parameters of faces that have the wanted attributes, as far as one face can have them and show them.

    Args:
        attributes: int8 ``(B, K)``: 1 wanted, 0 not wanted, -1 not said.
        seeds: int64 ``(B,)``.
        schema: Names of the K attributes; those that are not drawn are left aside.
        settings: How faces are drawn.
    """
    wanted = settings or FaceDemoSettings()
    allowed = _allowed(attributes, schema)
    seeds = seeds.to("cpu", torch.int64)
    best = _attempt(seeds, 0, allowed, wanted)
    wrong = _wrong(best, attributes, schema)
    for attempt in range(1, _ATTEMPTS):
        rows = wrong.nonzero()[:, 0]
        if not len(rows):
            break
        new = _attempt(seeds[rows], attempt, {name: table[rows] for name, table in allowed.items()}, wanted)
        errors = _wrong(new, attributes[rows], schema)
        better = errors < wrong[rows]
        best = _with_rows(best, rows[better], new.rows(better))
        wrong[rows[better]] = errors[better]
    return best


def _allowed(attributes: Tensor, schema: AttributeSchema) -> dict[str, Tensor]:
    """For each parameter the values that the request leaves open, bool ``(B, C)``; what is wanted weighs most."""
    names = {rule.parameter for rule in RULES.values()} | {"hat", "fringe", "long_hair"}
    count = {name: len(CATEGORIES.get(name, ("no", "yes"))) for name in names - {"forehead"}}
    allowed = {name: torch.ones(len(attributes), size, dtype=torch.bool) for name, size in count.items()}
    rules = [(attributes[:, k], name, rule) for k, name in enumerate(schema.attributes) if (rule := rule_of(name))]
    for wanted, name, rule in rules:
        _narrow(allowed, wanted == PRESENT, rule.parameter, rule.values)
        if name in _NEEDED:
            _narrow(allowed, wanted == PRESENT, *_NEEDED[name])
    for wanted, _, rule in rules:
        others = tuple(v for v in range(count.get(rule.parameter, 3)) if v not in rule.values)
        _narrow(allowed, wanted == ABSENT, rule.parameter, others)
    for wanted, _, rule in rules:
        for cover in rule.hidden:
            if cover in _UNCOVERED:
                _narrow(allowed, wanted != MISSING, *_UNCOVERED[cover])
    return allowed


def _narrow(allowed: dict[str, Tensor], where: Tensor, parameter: str, values: tuple[int, ...]) -> None:
    """Leave only some values of a parameter, unless nothing would remain."""
    if parameter not in allowed:
        return
    table = allowed[parameter]
    kept = table & torch.isin(torch.arange(table.shape[1]), torch.tensor(values))
    allowed[parameter] = torch.where((where & kept.any(1))[:, None], kept, table)


def _attempt(seeds: Tensor, attempt: int, allowed: dict[str, Tensor], settings: FaceDemoSettings) -> FaceParameters:
    """Faces drawn from the seeds, with each value that is not allowed replaced by one that is."""
    photo = key_of("request photo", seeds, attempt)
    faces = drawn(key_of("request", seeds, attempt), photo, settings)
    chance = uniforms(key_of(photo, "allowed"), sorted(allowed))
    changes: dict[str, Tensor] = {}
    for number, name in enumerate(sorted(allowed)):
        table, old = allowed[name], getattr(faces, name)
        row = torch.arange(len(old))
        rank = (chance[:, number] * table.sum(1)).floor().long()
        other = (table.long().cumsum(1) <= rank[:, None]).sum(1).clamp(max=table.shape[1] - 1)
        changes[name] = torch.where(table[row, old.long()], old.long(), other).to(old.dtype)
    return replace(faces, **changes).settled()


def _wrong(faces: FaceParameters, attributes: Tensor, schema: AttributeSchema) -> Tensor:
    """Wanted values that a face does not show, int64 ``(B,)``."""
    drawable = torch.tensor([rule_of(name) is not None for name in schema.attributes])
    said = (attributes != MISSING) & drawable
    return ((labels(faces, schema) != attributes) & said).sum(1)


def _with_rows(faces: FaceParameters, rows: Tensor, new: FaceParameters) -> FaceParameters:
    """The faces with some rows replaced."""
    return replace(
        faces,
        **{
            field.name: getattr(faces, field.name).clone().index_copy_(0, rows, getattr(new, field.name))
            for field in fields(faces)
        },
    )
