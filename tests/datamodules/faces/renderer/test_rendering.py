"""Drawn faces: the same bytes in any batch, every attribute seen where it should be, labels that say so."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace

import pytest
import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.faces.renderer import canvas as face_canvas
from datamodules.faces.renderer.drawing import PERSON_FACTORS, PHOTO_FACTORS, draw_parameters, person_names
from datamodules.faces.renderer.labels import RULES, labels, rule_of
from datamodules.faces.renderer.parameters import CATEGORIES, FaceParameters, changed
from datamodules.faces.renderer.rendering import render
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.faces.schema import AttributeSchema

SIZE = 64
PLAIN: dict[str, str | bool] = {
    "hair_colour": "brown",
    "hair_texture": "straight",
    "hair_loss": "none",
    "long_hair": False,
    "fringe": "none",
    "hat": "none",
    "eyewear": "none",
    "mustache": False,
    "beard": "none",
    "eyes_open": True,
    "mouth": "slight",
    "light": "plain",
    "colour": True,
    "blurry": False,
    "flash": False,
}
# Where a change is seen, as left, top, right, bottom of a picture of side 1, and the change.
PLACES: dict[str, tuple[tuple[float, float, float, float], dict[str, str | bool]]] = {
    "Black Hair": ((0.1, 0.0, 0.9, 0.6), {"hair_colour": "black"}),
    "Bald": ((0.1, 0.0, 0.9, 0.6), {"hair_loss": "bald"}),
    "Receding Hairline": ((0.1, 0.0, 0.9, 0.6), {"hair_loss": "receding"}),
    "Eyeglasses": ((0.15, 0.3, 0.85, 0.65), {"eyewear": "eyeglasses"}),
    "Sunglasses": ((0.15, 0.3, 0.85, 0.65), {"eyewear": "sunglasses"}),
    "Mustache": ((0.3, 0.5, 0.7, 0.75), {"mustache": True}),
    "Goatee": ((0.3, 0.6, 0.7, 0.95), {"beard": "goatee"}),
    "Bangs": ((0.2, 0.1, 0.8, 0.5), {"fringe": "long"}),
    "Wearing Hat": ((0.0, 0.0, 1.0, 0.5), {"hat": "low"}),
    "Bushy Eyebrows": ((0.2, 0.25, 0.8, 0.5), {"bushy_brows": True}),
    "Arched Eyebrows": ((0.2, 0.25, 0.8, 0.5), {"arched_brows": True}),
    "Narrow Eyes": ((0.2, 0.35, 0.8, 0.6), {"narrow_eyes": True}),
    "Brown Eyes": ((0.2, 0.35, 0.8, 0.6), {"eye_colour": "brown"}),
    "Bags Under Eyes": ((0.2, 0.35, 0.8, 0.65), {"bags": True}),
    "Heavy Makeup": ((0.2, 0.3, 0.8, 0.6), {"makeup": True}),
    "Big Nose": ((0.3, 0.4, 0.7, 0.7), {"big_nose": True}),
    "Pointy Nose": ((0.3, 0.4, 0.7, 0.7), {"pointy_nose": True}),
    "Big Lips": ((0.25, 0.5, 0.75, 0.9), {"big_lips": True}),
    "Mouth Wide Open": ((0.25, 0.5, 0.75, 0.9), {"mouth": "wide"}),
    "Smiling": ((0.2, 0.2, 0.8, 0.9), {"expression": "smile"}),
    "Wearing Lipstick": ((0.25, 0.5, 0.75, 0.9), {"lipstick": True}),
    "Rosy Cheeks": ((0.15, 0.4, 0.85, 0.75), {"rosy": True}),
    "High Cheekbones": ((0.15, 0.4, 0.85, 0.75), {"high_cheekbones": True}),
    "Strong Nose-Mouth Lines": ((0.2, 0.4, 0.8, 0.8), {"nose_mouth_lines": True}),
    "Round Jaw": ((0.25, 0.6, 0.75, 0.95), {"round_jaw": True}),
    "Double Chin": ((0.2, 0.6, 0.8, 1.0), {"double_chin": True}),
    "Wearing Earrings": ((0.0, 0.4, 1.0, 0.8), {"earrings": True}),
    "Wearing Necklace": ((0.2, 0.65, 0.8, 1.0), {"necklace": True}),
    "Wearing Necktie": ((0.2, 0.7, 0.8, 1.0), {"necktie": True}),
    "Sideburns": ((0.1, 0.3, 0.9, 0.7), {"sideburns": True}),
    "5 o'Clock Shadow": ((0.1, 0.45, 0.9, 0.95), {"shadow": True}),
    "Shiny Skin": ((0.15, 0.15, 0.85, 0.75), {"shiny": True}),
}


@pytest.fixture(scope="module")
def schema() -> AttributeSchema:
    return AttributeSchema.from_file()


def _faces(count: int = 64, seed: int = 100, **changes: str | bool) -> FaceParameters:
    faces = draw_parameters(seed, "test", torch.arange(count))
    return changed(faces, **changes) if changes else faces


def test_a_face_has_the_same_bytes_in_any_batch() -> None:
    faces = _faces(150)
    together = render(faces, SIZE)
    order = torch.randperm(150, generator=torch.Generator().manual_seed(0))
    assert torch.equal(render(faces.rows(order), SIZE), together[order])
    for row in (0, 47, 48, 149):
        alone = draw_parameters(100, "test", torch.tensor([row]))
        assert torch.equal(render(alone, SIZE)[0], together[row])


def test_parameters_do_not_depend_on_their_batch() -> None:
    many = draw_parameters(3, "train", torch.arange(200), 2)
    one = draw_parameters(3, "train", torch.tensor([123]), 2)
    for field in fields(FaceParameters):
        assert torch.equal(getattr(many, field.name)[123:124], getattr(one, field.name)), field.name


def test_the_bytes_are_those_of_every_machine() -> None:
    digest = hashlib.sha256(render(_faces(16), SIZE).numpy().tobytes()).hexdigest()
    assert digest[:16] == "9f149b55d9ddeac7"


def test_no_part_reaches_out_of_its_window(monkeypatch: pytest.MonkeyPatch) -> None:
    faces = _faces(200)
    expected = render(faces, SIZE)
    monkeypatch.setattr(face_canvas, "window_of", lambda box, side: (slice(0, side), slice(0, side)))
    assert torch.equal(render(faces, SIZE), expected)


@pytest.mark.parametrize("size", [32, 50, 96, 224, 256])
def test_any_side(size: int) -> None:
    picture = render(_faces(3), size)
    assert picture.shape == (3, 3, size, size)
    assert picture.dtype == torch.uint8
    assert picture.float().std() > 20


def test_a_larger_picture_shows_the_same_face() -> None:
    faces = _faces(16, blurry=False)
    faces = replace(faces, strength=faces.strength * torch.tensor([1.0, 1.0, 1.0, 0.0]))
    small = render(faces, SIZE).float()
    large = torch.nn.functional.avg_pool2d(render(faces, 3 * SIZE).float(), 3)
    assert (small - large).abs().mean() < 5


@pytest.mark.parametrize("size", [31, 257])
def test_a_side_out_of_range_is_said(size: int) -> None:
    with pytest.raises(ConfigurationError, match=f"{size} pixels wide"):
        render(_faces(1), size)


def test_sixty_attributes_are_drawn_and_all_are_in_the_lists(schema: AttributeSchema) -> None:
    assert len(RULES) == 60
    assert set(RULES) <= set(schema.attributes)
    table = labels(_faces(), schema)
    missing = {name for k, name in enumerate(schema.attributes) if bool((table[:, k] == -1).all())}
    assert missing == set(schema.attributes) - set(RULES)


@pytest.mark.parametrize("correlation", [0.0, 0.5, 1.0])
def test_every_attribute_is_neither_rare_nor_everywhere(schema: AttributeSchema, correlation: float) -> None:
    settings = FaceDemoSettings(correlation=correlation)
    table = labels(draw_parameters(100, "train", torch.arange(8000), 0, settings), schema)
    for name in RULES:
        column = table[:, schema.index(name)]
        known = column >= 0
        assert known.float().mean() > 0.3, name
        assert 0.08 < (column[known] == 1).float().mean() < 0.92, name


@pytest.mark.parametrize("name", PLACES)
def test_switching_an_attribute_changes_the_picture_where_it_is(name: str, schema: AttributeSchema) -> None:
    (left, top, right, bottom), change = PLACES[name]
    absent = {"bool": False, "expression": "neutral", "eye_colour": "blue"}
    start = {key: absent.get(key, PLAIN.get(key, False)) for key in change}
    faces = _faces(24, **{**PLAIN, **start})
    switched = changed(faces, **change)
    before, after = (labels(each, schema)[:, schema.index(name)] for each in (faces, switched))
    assert (before == 0).all()
    assert (after == 1).all()
    difference = (render(faces, SIZE).int() - render(switched, SIZE).int()).abs().sum(1)
    seen = difference > 40
    assert (seen.flatten(1).sum(1) >= 6).all(), "six pixels at least"
    inside = torch.zeros(SIZE, SIZE, dtype=torch.bool)
    inside[round(top * SIZE) : round(bottom * SIZE), round(left * SIZE) : round(right * SIZE)] = True
    assert (seen & ~inside).sum() <= 0.02 * seen.sum()


def test_every_attribute_but_those_of_the_forehead_switches_by_its_parameter(schema: AttributeSchema) -> None:
    for name, rule in RULES.items():
        if rule.parameter == "forehead":
            continue
        categories: tuple[str | bool, ...] = CATEGORIES.get(rule.parameter, (False, True))
        faces = _faces(4, **PLAIN)
        for number, value in enumerate(categories):
            found = labels(changed(faces, **{rule.parameter: value}), schema)[:, schema.index(name)]
            assert (found == int(number in rule.values)).all(), (name, value)


@pytest.mark.parametrize(
    ("change", "hidden", "still"),
    [
        ({"hat": "low"}, ["Brown Hair", "Straight Hair", "Bald", "Receding Hairline", "Bangs"], ["Sideburns"]),
        ({"hat": "low", "long_hair": True}, ["Receding Hairline", "Bangs"], ["Brown Hair", "Straight Hair", "Bald"]),
        ({"hair_loss": "bald"}, ["Brown Hair", "Curly Hair"], ["Bald", "Receding Hairline", "Bangs"]),
        ({"eyewear": "sunglasses"}, ["Narrow Eyes", "Eyes Open", "Brown Eyes", "Bags Under Eyes"], ["Eyeglasses"]),
        ({"eyes_open": False}, ["Narrow Eyes", "Brown Eyes"], ["Eyes Open", "Heavy Makeup"]),
        ({"colour": False}, ["Brown Hair", "Brown Eyes", "Rosy Cheeks", "Wearing Lipstick"], ["Straight Hair"]),
        ({"beard": "full"}, ["Mustache", "Round Jaw", "Double Chin", "5 o'Clock Shadow"], ["No Beard", "Goatee"]),
        ({"beard": "goatee"}, ["Round Jaw"], ["Mustache", "Double Chin", "Goatee"]),
        ({"long_hair": True}, ["Wearing Earrings", "Sideburns"], ["Brown Hair", "Wearing Necklace"]),
    ],
)
def test_what_the_picture_hides_is_missing(
    change: dict[str, str | bool], hidden: list[str], still: list[str], schema: AttributeSchema
) -> None:
    table = labels(_faces(8, **{**PLAIN, **change}), schema)
    assert all(bool((table[:, schema.index(name)] == -1).all()) for name in hidden)
    assert all(bool((table[:, schema.index(name)] >= 0).all()) for name in still)


@pytest.mark.parametrize(
    ("state", "parameter"),
    [
        ({"eyewear": "sunglasses"}, "narrow_eyes"),
        ({"eyewear": "sunglasses"}, "bags"),
        ({"eyes_open": False}, "narrow_eyes"),
        ({"beard": "full"}, "round_jaw"),
        ({"beard": "full"}, "shadow"),
        ({"beard": "full"}, "mustache"),
        ({"beard": "goatee"}, "round_jaw"),
        ({"long_hair": True}, "earrings"),
        ({"long_hair": True}, "sideburns"),
    ],
)
def test_what_is_called_hidden_cannot_be_seen(state: dict[str, str | bool], parameter: str) -> None:
    faces = _faces(24, **{**PLAIN, **state})
    pictures = [render(changed(faces, **{parameter: value}), SIZE).int() for value in (True, False)]
    assert ((pictures[0] - pictures[1]).abs().amax((1, 2, 3)) <= 24).all()


def test_labels_are_consistent_with_the_schema(schema: AttributeSchema) -> None:
    table = labels(_faces(2000), schema)
    for pair in schema.excluded_pairs():
        first, second = (table[:, schema.index(name)] for name in pair)
        assert not ((first == 1) & (second == 1)).any(), pair


def test_people_keep_their_face_between_photos_and_splits_differ() -> None:
    settings = FaceDemoSettings(photos_per_person=4)
    faces = draw_parameters(0, "train", torch.arange(8), 0, settings)
    for name in ("hair_colour", "face_shape", "big_nose", "pale"):
        value: Tensor = getattr(faces, name).view(2, 4)
        assert (value == value[:, :1]).all(), name
    assert len(set(person_names("train", torch.arange(8), settings))) == 2
    other = draw_parameters(0, "val", torch.arange(8), 0, settings)
    assert not torch.equal(faces.variation, other.variation)


def test_fresh_faces_every_epoch_in_training_alone() -> None:
    rows = torch.arange(8)
    assert not torch.equal(draw_parameters(0, "train", rows, 0).key, draw_parameters(0, "train", rows, 1).key)
    assert torch.equal(draw_parameters(0, "val", rows, 0).key, draw_parameters(0, "val", rows, 1).key)
    stale = FaceDemoSettings(fresh=False)
    keys = [draw_parameters(0, "train", rows, epoch, stale).key for epoch in (0, 1)]
    assert torch.equal(keys[0], keys[1])


def test_correlation_is_adjustable_and_leaves_the_shares() -> None:
    def relation(correlation: float) -> tuple[float, float]:
        faces = draw_parameters(7, "train", torch.arange(20000), 0, FaceDemoSettings(correlation=correlation))
        pair = torch.stack([faces.lipstick.float(), faces.earrings.float()])
        return torch.corrcoef(pair)[0, 1].item(), faces.lipstick.float().mean().item()

    (none, share), (full, other) = relation(0.0), relation(1.0)
    assert abs(none) < 0.03
    assert full > 0.25
    assert abs(share - other) < 0.02


def test_shares_fit_the_categories() -> None:
    for name, factor in {**PERSON_FACTORS, **PHOTO_FACTORS}.items():
        if isinstance(factor.shares, tuple):
            assert len(factor.shares) == len(CATEGORIES[name]), name
            assert sum(factor.shares) == pytest.approx(1), name
        assert sum(abs(amount) for amount in factor.follows.values()) <= 1, name


def test_errors_name_the_parameter_and_what_it_can_be() -> None:
    with pytest.raises(ConfigurationError, match='no parameter "beards"'):
        changed(_faces(1), beards=True)
    with pytest.raises(ConfigurationError, match="one of none, goatee, full"):
        changed(_faces(1), beard="long")
    with pytest.raises(ConfigurationError, match=r"correlation is 1\.5"):
        FaceDemoSettings(correlation=1.5)
    with pytest.raises(ConfigurationError, match="train is 0"):
        FaceDemoSettings(train=0)
    with pytest.raises(ConfigurationError, match="noise is 99"):
        FaceDemoSettings(noise=99)
    assert rule_of("Male") is None
