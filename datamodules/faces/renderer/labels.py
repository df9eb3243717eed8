"""What is true of a drawn face, and what its picture hides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.faces.renderer.parameters import CATEGORIES, FaceParameters
from datamodules.faces.schema import MISSING, AttributeSchema, normalised


@dataclass(frozen=True)
class Shown:
    """When an attribute is there, and what hides it.

    Attributes:
        parameter: The parameter of the face that decides.
        values: Its values for which the attribute is there: numbers of categories, or 1 for true.
        hidden: Names of `COVERS` that hide it in the picture.
    """

    parameter: str
    values: tuple[int, ...] = (1,)
    hidden: tuple[str, ...] = ()

    def present(self, parameters: FaceParameters) -> Tensor:
        """Where it is there, seen or not, bool ``(B,)``."""
        value: Tensor = getattr(parameters, self.parameter)
        return torch.isin(value.long(), torch.tensor(self.values))

    def unseen(self, parameters: FaceParameters) -> Tensor:
        """Where it cannot be seen, bool ``(B,)``."""
        covers = [COVERS[name](parameters) for name in self.hidden]
        return torch.stack(covers).any(0) if covers else torch.zeros(len(parameters), dtype=torch.bool)


# What can hide something.
COVERS: dict[str, Callable[[FaceParameters], Tensor]] = {
    "grey photo": lambda p: ~p.colour,
    "little hair": lambda p: p.hair_hidden,
    "hat over short hair": lambda p: p.crown_hidden,
    "hat": lambda p: ~p.is_("hat", "none"),
    "long hair": lambda p: p.long_hair,
    "sunglasses": lambda p: p.is_("eyewear", "sunglasses"),
    "closed eyes": lambda p: ~p.eyes_open,
    "full beard": lambda p: p.is_("beard", "full"),
    "beard on the chin": lambda p: ~p.is_("beard", "none"),
}


def _one(parameter: str, *categories: str, hidden: tuple[str, ...] = ()) -> Shown:
    return Shown(parameter, tuple(CATEGORIES[parameter].index(category) for category in categories), hidden)


def _hair(colour: str) -> Shown:
    return _one("hair_colour", colour, hidden=("grey photo", "little hair"))


RULES: dict[str, Shown] = {
    "Black Hair": _hair("black"),
    "Blond Hair": _hair("blond"),
    "Brown Hair": _hair("brown"),
    "Gray Hair": _hair("gray"),
    "Bald": _one("hair_loss", "bald", hidden=("hat over short hair",)),
    "Receding Hairline": _one("hair_loss", "receding", hidden=("hat",)),
    "No Eyewear": _one("eyewear", "none"),
    "Eyeglasses": _one("eyewear", "eyeglasses"),
    "Sunglasses": _one("eyewear", "sunglasses"),
    "Mustache": Shown("mustache", hidden=("full beard",)),
    "Smiling": _one("expression", "smile"),
    "Frowning": _one("expression", "frown"),
    "Chubby": Shown("chubby"),
    "Blurry": Shown("blurry"),
    "Harsh Lighting": _one("light", "harsh"),
    "Flash": Shown("flash"),
    "Soft Lighting": _one("light", "soft"),
    "Outdoor": Shown("outdoor"),
    "Curly Hair": _one("hair_texture", "curly", hidden=("little hair",)),
    "Wavy Hair": _one("hair_texture", "wavy", hidden=("little hair",)),
    "Straight Hair": _one("hair_texture", "straight", hidden=("little hair",)),
    "Bangs": _one("fringe", "short", "long", hidden=("hat",)),
    "Sideburns": Shown("sideburns", hidden=("long hair",)),
    "Fully Visible Forehead": Shown("forehead", (0,)),
    "Partially Visible Forehead": Shown("forehead", (1,)),
    "Obstructed Forehead": Shown("forehead", (2,)),
    "Bushy Eyebrows": Shown("bushy_brows"),
    "Arched Eyebrows": Shown("arched_brows"),
    "Narrow Eyes": Shown("narrow_eyes", hidden=("sunglasses", "closed eyes")),
    "Eyes Open": Shown("eyes_open", hidden=("sunglasses",)),
    "Big Nose": Shown("big_nose"),
    "Pointy Nose": Shown("pointy_nose"),
    "Big Lips": Shown("big_lips"),
    "Mouth Closed": _one("mouth", "closed"),
    "Mouth Slightly Open": _one("mouth", "slight"),
    "Mouth Wide Open": _one("mouth", "wide"),
    "Teeth Not Visible": Shown("teeth", (0,)),
    "No Beard": _one("beard", "none"),
    "Goatee": _one("beard", "goatee"),
    "Round Jaw": Shown("round_jaw", hidden=("beard on the chin",)),
    "Double Chin": Shown("double_chin", hidden=("full beard",)),
    "Wearing Hat": _one("hat", "high", "low"),
    "Oval Face": _one("face_shape", "oval"),
    "Square Face": _one("face_shape", "square"),
    "Round Face": _one("face_shape", "round"),
    "Color Photo": Shown("colour"),
    "Bags Under Eyes": Shown("bags", hidden=("sunglasses",)),
    "Heavy Makeup": Shown("makeup", hidden=("sunglasses",)),
    "Rosy Cheeks": Shown("rosy", hidden=("grey photo",)),
    "Shiny Skin": Shown("shiny"),
    "Pale Skin": Shown("pale", hidden=("grey photo",)),
    "5 o'Clock Shadow": Shown("shadow", hidden=("full beard",)),
    "Strong Nose-Mouth Lines": Shown("nose_mouth_lines", hidden=("full beard",)),
    "Wearing Lipstick": Shown("lipstick", hidden=("grey photo",)),
    "Flushed Face": Shown("flushed", hidden=("grey photo",)),
    "High Cheekbones": Shown("high_cheekbones"),
    "Brown Eyes": _one("eye_colour", "brown", hidden=("grey photo", "sunglasses", "closed eyes")),
    "Wearing Earrings": Shown("earrings", hidden=("long hair",)),
    "Wearing Necktie": Shown("necktie"),
    "Wearing Necklace": Shown("necklace"),
}
_BY_SPELLING = {normalised(name): rule for name, rule in RULES.items()}


def rule_of(name: str) -> Shown | None:
    """When an attribute is there, however its name is spelt; None for one that is not drawn."""
    return _BY_SPELLING.get(normalised(name))


def labels(parameters: FaceParameters, schema: AttributeSchema) -> Tensor:
    """What each of B faces shows of K attributes; spelling is as free as in label lists.

    Returns:
        int8 ``(B, K)``: 1 present, 0 absent, -1 where the picture hides it or the renderer does not draw it.
    """
    table = torch.full((len(parameters), len(schema.attributes)), MISSING, dtype=torch.int8)
    for column, name in enumerate(schema.attributes):
        rule = rule_of(name)
        if rule is not None:
            table[:, column] = rule.present(parameters).to(torch.int8)
            table[rule.unseen(parameters), column] = MISSING
    return table
