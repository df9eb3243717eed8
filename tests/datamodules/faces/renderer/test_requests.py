"""Faces drawn for requests show what was asked for."""

from __future__ import annotations

import torch

from datamodules.faces.renderer.drawing import draw_parameters
from datamodules.faces.renderer.labels import labels
from datamodules.faces.renderer.requests import parameters_for, render_request
from datamodules.faces.schema import AttributeSchema

SCHEMA = AttributeSchema.from_file()


def test_full_requests_are_met_whatever_the_seed() -> None:
    wanted = labels(draw_parameters(100, "test", torch.arange(400)), SCHEMA)
    found = labels(parameters_for(wanted, torch.arange(400) + 5, SCHEMA), SCHEMA)
    said = wanted >= 0
    assert torch.equal(found[said], wanted[said])


def test_requests_of_five_attributes_are_met() -> None:
    real = labels(draw_parameters(100, "test", torch.arange(400)), SCHEMA)
    chance = torch.rand(real.shape, generator=torch.Generator().manual_seed(1)) * (real == 1)
    kept = chance >= chance.topk(5, dim=1).values[:, -1:]
    wanted = torch.where(kept, real, torch.full_like(real, -1))
    found = labels(parameters_for(wanted, torch.arange(400), SCHEMA), SCHEMA)
    assert torch.equal(found[wanted == 1], wanted[wanted == 1])


def test_a_request_that_no_face_meets_is_drawn_as_far_as_it_goes() -> None:
    wanted = torch.full((4, len(SCHEMA.attributes)), -1, dtype=torch.int8)
    for name in ("Bald", "Blond Hair", "Male", "Smiling"):
        wanted[:, SCHEMA.index(name)] = 1
    found = labels(parameters_for(wanted, torch.arange(4), SCHEMA), SCHEMA)
    assert (found[:, SCHEMA.index("Smiling")] == 1).all()


def test_a_face_depends_on_its_own_request_and_seed_alone() -> None:
    wanted = labels(draw_parameters(100, "test", torch.arange(40)), SCHEMA)
    seeds = torch.arange(40)
    together = render_request(wanted, seeds, SCHEMA, 48)
    assert torch.equal(render_request(wanted[7:8], seeds[7:8], SCHEMA, 48)[0], together[7])
    assert not torch.equal(render_request(wanted[7:8], seeds[8:9], SCHEMA, 48)[0], together[7])
