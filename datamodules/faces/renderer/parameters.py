"""What decides how a drawn face looks: its parameters, one value a face."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError

# The categories of the parameters that have several, in the order of their numbers.
CATEGORIES: dict[str, tuple[str, ...]] = {
    "hair_colour": ("blond", "red", "brown", "black", "gray"),
    "hair_texture": ("straight", "wavy", "curly"),
    "hair_loss": ("none", "receding", "bald"),
    "face_shape": ("oval", "heart", "square", "round"),
    "eye_colour": ("blue", "green", "gray", "brown"),
    "fringe": ("none", "side", "short", "long"),
    "hat": ("none", "high", "low"),
    "eyewear": ("none", "sunglasses", "eyeglasses"),
    "beard": ("none", "goatee", "full"),
    "expression": ("frown", "neutral", "smile"),
    "mouth": ("closed", "slight", "wide"),
    "light": ("soft", "plain", "harsh"),
}

# What varies without being an attribute; each is uniform in [0, 1). The first belong to the person.
PERSON_VARIATION = ("tone", "skin_hue", "eye_height", "eye_gap", "nose_length", "mouth_height", "hair_shade", "width")
PHOTO_VARIATION = (
    "shift_x", "shift_y", "distance", "roll", "yaw", "brightness", "contrast", "warmth", "side", "gradient",
    "wall_red", "wall_green", "wall_blue", "wall_edge", "wall_step", "horizon", "clothes_hue", "clothes_light",
    "wear_hue", "wear_light", "tie_hue", "frame_hue", "lens", "lip_hue", "shadow_hue", "parting", "jewel",
)  # fmt: skip
VARIATION = PERSON_VARIATION + PHOTO_VARIATION


@dataclass(frozen=True)
class FaceParameters:
    """Parameters of B faces.

    Those not listed below are each ``(B,)``: bool, or int64 numbers of the categories in `CATEGORIES`. The first block
    belongs to a person, the second to a photo of the person. Values that cannot be together (a fringe on a bald head)
    are settled by `settled`.

    Attributes:
        variation: What is not an attribute, in the order of `VARIATION`, float32 ``(B, V)`` in [0, 1).
        strength: Lighting, pose, background and noise of the settings, float32 ``(B, 4)``.
        key: Key of the noise, int64 ``(B,)``.
    """

    hair_colour: Tensor
    hair_texture: Tensor
    hair_loss: Tensor
    long_hair: Tensor
    face_shape: Tensor
    eye_colour: Tensor
    pale: Tensor
    chubby: Tensor
    round_jaw: Tensor
    double_chin: Tensor
    high_cheekbones: Tensor
    bushy_brows: Tensor
    arched_brows: Tensor
    narrow_eyes: Tensor
    big_nose: Tensor
    pointy_nose: Tensor
    big_lips: Tensor
    nose_mouth_lines: Tensor

    fringe: Tensor
    hat: Tensor
    eyewear: Tensor
    mustache: Tensor
    beard: Tensor
    shadow: Tensor
    sideburns: Tensor
    expression: Tensor
    mouth: Tensor
    teeth: Tensor
    eyes_open: Tensor
    bags: Tensor
    makeup: Tensor
    lipstick: Tensor
    rosy: Tensor
    flushed: Tensor
    shiny: Tensor
    earrings: Tensor
    necklace: Tensor
    necktie: Tensor
    colour: Tensor
    blurry: Tensor
    light: Tensor
    flash: Tensor
    outdoor: Tensor

    variation: Tensor
    strength: Tensor
    key: Tensor

    def __len__(self) -> int:
        return len(self.key)

    def varied(self, name: str) -> Tensor:
        """A column of ``variation``, float32 ``(B,)`` in [0, 1)."""
        return self.variation[:, VARIATION.index(name)]

    def spread(self, name: str) -> Tensor:
        """A column of ``variation`` stretched to -1..1."""
        return self.varied(name) * 2 - 1

    def is_(self, name: str, category: str) -> Tensor:
        """Where a parameter has a category, bool ``(B,)``."""
        value: Tensor = getattr(self, name)
        return value == CATEGORIES[name].index(category)

    def rows(self, rows: Tensor | slice) -> FaceParameters:
        """The parameters of some of the faces, chosen by a slice, a bool mask or int64 rows."""
        return FaceParameters(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})

    @property
    def hair_hidden(self) -> Tensor:
        """Where too little hair is seen to tell its colour and texture, bool ``(B,)``."""
        return self.is_("hair_loss", "bald") | (~self.is_("hat", "none") & ~self.long_hair)

    @property
    def crown_hidden(self) -> Tensor:
        """Where a hat hides whether there is hair, bool ``(B,)``; long hair below it tells."""
        return ~self.is_("hat", "none") & ~self.long_hair

    @property
    def forehead(self) -> Tensor:
        """How much of the forehead is seen: 0 all, 1 part, 2 nothing; int64 ``(B,)``."""
        free, fringe = self.is_("hat", "none"), self.is_("fringe", "none")
        covered = self.is_("hat", "low") | (free & self.is_("fringe", "long"))
        return torch.where(free & fringe, 0, 1) + covered.long()

    def settled(self) -> FaceParameters:
        """The same faces with what cannot be together set to what would be seen."""
        bald = self.is_("hair_loss", "bald")
        thin = ~self.is_("hair_loss", "none")
        return replace(
            self,
            long_hair=self.long_hair & ~bald,
            fringe=torch.where(thin, torch.zeros_like(self.fringe), self.fringe),
            teeth=self.teeth & ~self.is_("mouth", "closed"),
        )


def changed(parameters: FaceParameters, **changes: str | bool) -> FaceParameters:
    """The same faces with some parameters set for all to a bool or the name of a category, and everything else equal.

    Raises:
        ConfigurationError: If a parameter or a category does not exist.
    """
    known = {field.name for field in fields(FaceParameters)} - {"variation", "strength", "key"}
    new: dict[str, Tensor] = {}
    for name, value in changes.items():
        if name not in known:
            raise ConfigurationError(f'A face has no parameter "{name}": it has {", ".join(sorted(known))}.')
        old: Tensor = getattr(parameters, name)
        if isinstance(value, bool) != (name not in CATEGORIES) or (
            isinstance(value, str) and value not in CATEGORIES[name]
        ):
            allowed = ", ".join(CATEGORIES.get(name, ("True", "False")))
            raise ConfigurationError(f"The parameter {name} of a face cannot be {value!r}: it is one of {allowed}.")
        new[name] = torch.full_like(old, value if isinstance(value, bool) else CATEGORIES[name].index(value))
    return replace(parameters, **new).settled()
