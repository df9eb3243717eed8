"""Draw the parameters of faces by chance: how frequent each value is, and which go together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.common.seeded_draws import key_of, uniforms
from datamodules.faces.renderer.parameters import CATEGORIES, PERSON_VARIATION, PHOTO_VARIATION, FaceParameters
from datamodules.faces.renderer.settings import DemoSplit, FaceDemoSettings


@dataclass(frozen=True)
class Factor:
    """How often a parameter has each value.

    Attributes:
        shares: Probability that a bool is true, or of each category in the order of its numbers.
        follows: How far the parameter follows a tendency of the person (``rugged``, ``age``, ``tone``) or of the photo
            (``mood``) at full correlation: the probability that it is drawn from the tendency and not for itself.
            Negative turns it around: what is rare then comes at the other end.
    """

    shares: float | tuple[float, ...]
    follows: Mapping[str, float] = field(default_factory=dict)


PERSON_FACTORS: dict[str, Factor] = {
    "hair_colour": Factor((0.2, 0.16, 0.21, 0.24, 0.19), {"age": 0.3, "tone": 0.3}),
    "hair_texture": Factor((0.34, 0.33, 0.33), {"tone": 0.3}),
    "hair_loss": Factor((0.64, 0.2, 0.16), {"rugged": 0.3, "age": 0.3}),
    "long_hair": Factor(0.4, {"rugged": -0.5}),
    "face_shape": Factor((0.25, 0.24, 0.26, 0.25), {"rugged": 0.3}),
    "eye_colour": Factor((0.2, 0.17, 0.13, 0.5), {"tone": 0.4}),
    "pale": Factor(0.22),
    "chubby": Factor(0.33),
    "round_jaw": Factor(0.5, {"rugged": -0.3}),
    "double_chin": Factor(0.28, {"age": 0.3}),
    "high_cheekbones": Factor(0.4, {"rugged": -0.3}),
    "bushy_brows": Factor(0.42, {"rugged": 0.4}),
    "arched_brows": Factor(0.42, {"rugged": -0.4}),
    "narrow_eyes": Factor(0.4),
    "big_nose": Factor(0.42, {"rugged": 0.3}),
    "pointy_nose": Factor(0.42),
    "big_lips": Factor(0.42, {"rugged": -0.3}),
    "nose_mouth_lines": Factor(0.38, {"age": 0.5}),
}
PHOTO_FACTORS: dict[str, Factor] = {
    "fringe": Factor((0.4, 0.18, 0.17, 0.25)),
    "hat": Factor((0.83, 0.08, 0.09)),
    "eyewear": Factor((0.54, 0.17, 0.29), {"age": 0.3}),
    "mustache": Factor(0.28, {"rugged": 0.5}),
    "beard": Factor((0.62, 0.2, 0.18), {"rugged": 0.5}),
    "shadow": Factor(0.28, {"rugged": 0.5}),
    "sideburns": Factor(0.36, {"rugged": 0.4}),
    "expression": Factor((0.28, 0.34, 0.38), {"mood": 0.6}),
    "mouth": Factor((0.42, 0.32, 0.26), {"mood": 0.3}),
    "teeth": Factor(0.55, {"mood": 0.3}),
    "eyes_open": Factor(0.78),
    "bags": Factor(0.36, {"age": 0.5}),
    "makeup": Factor(0.3, {"rugged": -0.6}),
    "lipstick": Factor(0.36, {"rugged": -0.6}),
    "rosy": Factor(0.32, {"mood": 0.3}),
    "flushed": Factor(0.24),
    "shiny": Factor(0.32),
    "earrings": Factor(0.36, {"rugged": -0.5}),
    "necklace": Factor(0.32, {"rugged": -0.5}),
    "necktie": Factor(0.28, {"rugged": 0.5}),
    "colour": Factor(0.87),
    "blurry": Factor(0.13),
    "light": Factor((0.26, 0.5, 0.24)),
    "flash": Factor(0.22),
    "outdoor": Factor(0.42),
}
_STRENGTHS = ("lighting", "pose", "background", "noise")


def draw_parameters(
    seed: int, split: DemoSplit, rows: Tensor, epoch: int = 0, settings: FaceDemoSettings | None = None
) -> FaceParameters:
    """Draw faces; a face depends on the seed, its split and row, the epoch where faces are fresh, and the settings.

    Args:
        seed: Seed of all that is drawn.
        split: ``train``, ``val`` or ``test``.
        rows: Rows of the faces in the split, int64 ``(B,)``.
        epoch: Epoch of the training; it matters for ``train`` alone, and only where the settings want fresh faces.
        settings: What the demo holds; by default the default ones.
    """
    wanted = settings or FaceDemoSettings()
    pass_ = epoch if split == "train" and wanted.fresh else 0
    rows = rows.to("cpu", torch.int64)
    person = key_of("person", seed, split, pass_, person_rows(rows, wanted))
    return drawn(person, key_of("photo", seed, split, pass_, rows), wanted)


def person_rows(rows: Tensor, settings: FaceDemoSettings) -> Tensor:
    """Number of the person on each face of a split, int64 ``(B,)``."""
    return torch.div(rows, settings.photos_per_person, rounding_mode="floor")


def person_names(split: DemoSplit, rows: Tensor, settings: FaceDemoSettings) -> list[str]:
    """Name of the person on each face of a split, such as ``train-00012``."""
    return [f"{split}-{number:05d}" for number in person_rows(rows, settings).tolist()]


def drawn(person: Tensor, photo: Tensor, settings: FaceDemoSettings) -> FaceParameters:
    """Draw faces from the keys of each one's person and photo, int64 ``(B,)``."""
    values = {**_factors(person, person, PERSON_FACTORS, settings), **_factors(person, photo, PHOTO_FACTORS, settings)}
    variation = torch.cat([uniforms(person, PERSON_VARIATION), uniforms(photo, PHOTO_VARIATION)], 1).float()
    tone = uniforms(person, ["tendency/tone"]).float()
    strength = torch.tensor([[float(getattr(settings, name)) for name in _STRENGTHS]]).expand(len(photo), -1)
    return FaceParameters(
        **values, variation=torch.cat([tone, variation[:, 1:]], 1), strength=strength, key=photo
    ).settled()


def _factors(
    person: Tensor, key: Tensor, factors: Mapping[str, Factor], settings: FaceDemoSettings
) -> dict[str, Tensor]:
    """Draw some parameters: each from a tendency or for itself, so that its own share is exact at any correlation."""
    tendency = {name: uniforms(person, [f"tendency/{name}"])[:, 0] for name in ("rugged", "age", "tone")}
    tendency["mood"] = uniforms(key, ["tendency/mood"])[:, 0]
    own = uniforms(key, [f"{name}/value" for name in factors])
    choice = uniforms(key, [f"{name}/choice" for name in factors])
    values: dict[str, Tensor] = {}
    wanted = wanted_shares(settings.shares or {})
    for column, (name, factor) in enumerate(factors.items()):
        level, left = own[:, column], choice[:, column]
        for source, amount in factor.follows.items():
            share = abs(amount) * settings.correlation
            followed = tendency[source] if amount > 0 else 1 - tendency[source]
            level = torch.where((left >= 0) & (left < share), followed, level)
            left = left - share
        values[name] = _value(level, wanted.get(name, factor.shares))
    return values


def wanted_shares(shares: Mapping[str, float | Mapping[str, float]]) -> dict[str, float | tuple[float, ...]]:
    """Shares of parameters in the form of `Factor`, from those that are named.

    Raises:
        ConfigurationError: If a parameter or category is unknown, or shares lie outside 0..1 or add up to more than 1.

    Example:
        >>> wanted_shares({"eyewear": {"eyeglasses": 0.7, "sunglasses": 0.0}, "pale": 0.5})
        {'eyewear': (0.3, 0.0, 0.7), 'pale': 0.5}
    """
    known = PERSON_FACTORS | PHOTO_FACTORS
    found: dict[str, float | tuple[float, ...]] = {}
    for name, share in shares.items():
        own = known[name].shares if name in known else None
        if own is None:
            raise ConfigurationError(f"demo.shares names {name!r}; the drawing knows {', '.join(known)}")
        if isinstance(own, float) == isinstance(share, Mapping):
            form = "one number" if isinstance(own, float) else f"a mapping of {', '.join(CATEGORIES[name])}"
            raise ConfigurationError(f"demo.shares.{name} is {share!r}; give {form}")
        if isinstance(share, Mapping):
            assert isinstance(own, tuple)  # as was just seen
            found[name] = _filled(name, share, own)
        else:
            found[name] = share
        parts = found[name]
        if not all(0 <= part <= 1 for part in (parts if isinstance(parts, tuple) else (parts,))):
            raise ConfigurationError(f"demo.shares.{name} is {share!r}; shares lie in 0..1 and add up to 1")
    return found


def _filled(name: str, share: Mapping[str, float], own: tuple[float, ...]) -> tuple[float, ...]:
    """Shares of all categories; those that are not named divide the rest as they do without."""
    if unknown := share.keys() - set(CATEGORIES[name]):
        raise ConfigurationError(
            f"demo.shares.{name} names {', '.join(sorted(unknown))}; its values are {', '.join(CATEGORIES[name])}"
        )
    left, others = 1 - sum(share.values()), sum(o for c, o in zip(CATEGORIES[name], own, strict=True) if c not in share)
    if (others == 0 and abs(left) > 1e-9) or left < -1e-9:
        raise ConfigurationError(f"demo.shares.{name} is {dict(share)}; shares lie in 0..1 and add up to 1")
    return tuple(
        round(share.get(category, left * part / others if others else 0.0), 12)
        for category, part in zip(CATEGORIES[name], own, strict=True)
    )


def _value(level: Tensor, shares: float | tuple[float, ...]) -> Tensor:
    """Bool or int64 values from uniform ones: a high level is true, or the last category."""
    if not isinstance(shares, tuple):
        return level >= 1 - shares
    bounds = torch.tensor(shares, dtype=torch.float64).cumsum(0)[:-1]
    return (level[:, None] >= bounds[None]).sum(1)
