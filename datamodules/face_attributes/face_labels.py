"""What is true of a drawn face, and what its picture hides."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from datamodules.face_attributes.face_parameters import FaceParameters
from datamodules.face_attributes.schema import MISSING, AttributeSchema, normalised

Rule = Callable[[FaceParameters], Tensor]


def _bool(name: str) -> Rule:
    def rule(p: FaceParameters) -> Tensor:
        value: Tensor = getattr(p, name)
        return value

    return rule


def _is(name: str, category: str) -> Rule:
    return lambda p: p.is_(name, category)


def _not(rule: Rule) -> Rule:
    return lambda p: ~rule(p)


def _any(*rules: Rule) -> Rule:
    return lambda p: torch.stack([rule(p) for rule in rules]).any(0)


def _obstructed(p: FaceParameters) -> Tensor:
    return p.is_("hat", "low") | (p.is_("hat", "none") & p.is_("fringe", "long"))


def _open(p: FaceParameters) -> Tensor:
    return p.is_("hat", "none") & p.is_("fringe", "none")


_GREY: Rule = _not(_bool("colour"))
_HAT: Rule = _not(_is("hat", "none"))
_NO_HAIR: Rule = lambda p: ~p.hair_visible  # noqa: E731  (a rule among rules)
_SHADES: Rule = _is("eyewear", "sunglasses")
_SHUT: Rule = _any(_SHADES, _not(_bool("eyes_open")))
_FULL_BEARD: Rule = _is("beard", "full")
_CHIN_HIDDEN: Rule = _not(_is("beard", "none"))
_HAT_ONLY: Rule = lambda p: _HAT(p) & ~p.long_hair  # noqa: E731  (a rule among rules)

# Attribute: when it is there, and what hides it (None: nothing does).
RULES: dict[str, tuple[Rule, Rule | None]] = {
    "Black Hair": (_is("hair_colour", "black"), _any(_GREY, _NO_HAIR)),
    "Blond Hair": (_is("hair_colour", "blond"), _any(_GREY, _NO_HAIR)),
    "Brown Hair": (_is("hair_colour", "brown"), _any(_GREY, _NO_HAIR)),
    "Gray Hair": (_is("hair_colour", "gray"), _any(_GREY, _NO_HAIR)),
    "Bald": (_is("hair_loss", "bald"), _HAT_ONLY),
    "Receding Hairline": (_is("hair_loss", "receding"), _HAT),
    "No Eyewear": (_is("eyewear", "none"), None),
    "Eyeglasses": (_is("eyewear", "eyeglasses"), None),
    "Sunglasses": (_is("eyewear", "sunglasses"), None),
    "Mustache": (_bool("mustache"), _FULL_BEARD),
    "Smiling": (_is("expression", "smile"), None),
    "Frowning": (_is("expression", "frown"), None),
    "Chubby": (_bool("chubby"), None),
    "Blurry": (_bool("blurry"), None),
    "Harsh Lighting": (_is("light", "harsh"), None),
    "Flash": (_bool("flash"), None),
    "Soft Lighting": (_is("light", "soft"), None),
    "Outdoor": (_bool("outdoor"), None),
    "Curly Hair": (_is("hair_texture", "curly"), _NO_HAIR),
    "Wavy Hair": (_is("hair_texture", "wavy"), _NO_HAIR),
    "Straight Hair": (_is("hair_texture", "straight"), _NO_HAIR),
    "Bangs": (_any(_is("fringe", "short"), _is("fringe", "long")), _HAT),
    "Sideburns": (_bool("sideburns"), _bool("long_hair")),
    "Fully Visible Forehead": (_open, None),
    "Partially Visible Forehead": (lambda p: ~_open(p) & ~_obstructed(p), None),
    "Obstructed Forehead": (_obstructed, None),
    "Bushy Eyebrows": (_bool("bushy_brows"), None),
    "Arched Eyebrows": (_bool("arched_brows"), None),
    "Narrow Eyes": (_bool("narrow_eyes"), _SHUT),
    "Eyes Open": (_bool("eyes_open"), _SHADES),
    "Big Nose": (_bool("big_nose"), None),
    "Pointy Nose": (_bool("pointy_nose"), None),
    "Big Lips": (_bool("big_lips"), None),
    "Mouth Closed": (_is("mouth", "closed"), None),
    "Mouth Slightly Open": (_is("mouth", "slight"), None),
    "Mouth Wide Open": (_is("mouth", "wide"), None),
    "Teeth Not Visible": (_not(_bool("teeth")), None),
    "No Beard": (_is("beard", "none"), None),
    "Goatee": (_is("beard", "goatee"), None),
    "Round Jaw": (_bool("round_jaw"), _CHIN_HIDDEN),
    "Double Chin": (_bool("double_chin"), _FULL_BEARD),
    "Wearing Hat": (_HAT, None),
    "Oval Face": (_is("face_shape", "oval"), None),
    "Square Face": (_is("face_shape", "square"), None),
    "Round Face": (_is("face_shape", "round"), None),
    "Color Photo": (_bool("colour"), None),
    "Bags Under Eyes": (_bool("bags"), _SHADES),
    "Heavy Makeup": (_bool("makeup"), _SHADES),
    "Rosy Cheeks": (_bool("rosy"), _GREY),
    "Shiny Skin": (_bool("shiny"), None),
    "Pale Skin": (_bool("pale"), _GREY),
    "5 o'Clock Shadow": (_bool("shadow"), _FULL_BEARD),
    "Strong Nose-Mouth Lines": (_bool("nose_mouth_lines"), _FULL_BEARD),
    "Wearing Lipstick": (_bool("lipstick"), _GREY),
    "Flushed Face": (_bool("flushed"), _GREY),
    "High Cheekbones": (_bool("high_cheekbones"), None),
    "Brown Eyes": (_is("eye_colour", "brown"), _any(_SHUT, _GREY)),
    "Wearing Earrings": (_bool("earrings"), _bool("long_hair")),
    "Wearing Necktie": (_bool("necktie"), None),
    "Wearing Necklace": (_bool("necklace"), None),
}


def renderable_attributes() -> tuple[str, ...]:
    """The attributes that the renderer draws, by their names in the lists of Kumar et al., ICCV 2009.

    Not drawn, since a drawing cannot tell them truthfully: Male, the four ethnicities, the five ages, Posed Photo,
    Attractive Man and Attractive Woman.

    Example:
        >>> len(renderable_attributes())
        60
    """
    return tuple(RULES)


def labels(parameters: FaceParameters, schema: AttributeSchema) -> Tensor:
    """What each face shows.

    Args:
        parameters: B faces.
        schema: K attributes; spelling is as free as in label lists.

    Returns:
        int8 ``(B, K)``: 1 present, 0 absent, -1 where the picture hides it or the renderer does not draw it.
    """
    known = {normalised(name): rule for name, rule in RULES.items()}
    table = torch.full((len(parameters), len(schema.attributes)), MISSING, dtype=torch.int8)
    for column, name in enumerate(schema.attributes):
        if normalised(name) not in known:
            continue
        present, hidden = known[normalised(name)]
        table[:, column] = present(parameters).to(torch.int8)
        if hidden is not None:
            table[hidden(parameters), column] = MISSING
    return table
