"""Requests for faces: reading "Smiling, Eyeglasses, no Bangs", completing what follows, refusing what cannot be."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import ABSENT, MISSING, PRESENT, AttributeSchema, normalised

_log = logging.getLogger(__name__)

_DENIALS = ("no", "not", "without")
_SINGLE = ("exclusive", "complete", "ordinal")  # kinds of heads of which at most one attribute is true


@dataclass(frozen=True)
class FaceRequest:
    """One face to make, or to make several times with other seeds.

    Attributes:
        attributes: int8 ``(K,)``: 1 asked for, 0 asked to be absent, -1 not said.
        name: File name without ending, without the seed.
        seed: Seed of the face's noise; None where the run decides.
        source: Path of the picture that the request comes from; empty where there is none.
        box: Left, top, right, bottom of the face in that picture; None takes the whole.
        labelled: Whether the attributes of that picture are known; False asks the classifier for those not said.
    """

    attributes: Tensor
    name: str
    seed: int | None = None
    source: str = ""
    box: tuple[float, float, float, float] | None = None
    labelled: bool = True


def parse_attributes(text: str | Sequence[str], schema: AttributeSchema, force: bool = False) -> Tensor:
    """Read a request and complete it: an attribute of a head that knows only one denies the others of the head.

    Args:
        text: Attributes parted by commas or semicolons, or one an entry; "-Bangs", "no Bangs" and "without Bangs" ask
            for absence.
        schema: The attributes.
        force: Take contradictions as they are, with a warning.

    Returns:
        int8 ``(K,)``: 1 asked for, 0 asked to be absent, -1 not said.

    Raises:
        ConfigurationError: If an attribute is unknown (the message gives the nearest names), asked for and denied, or
            excludes another that is asked for.

    Example:
        >>> schema = AttributeSchema.from_file()
        >>> wanted = parse_attributes("Smiling, gray hair, no Bangs", schema)
        >>> [wanted[schema.index(name)].item() for name in ("Smiling", "Black Hair", "Bangs", "Male")]
        [1, 0, 0, -1]
    """
    entries = re.split("[,;]", text) if isinstance(text, str) else list(text)
    wanted = torch.full((len(schema.attributes),), MISSING, dtype=torch.int8)
    for entry in (entry.strip() for entry in entries):
        if not entry:
            continue
        name, value = _read(entry, schema)
        column = schema.attributes.index(name)
        if wanted[column] not in (MISSING, value):
            raise ConfigurationError(f'"{name}" is asked for and denied in one request; keep one of the two')
        wanted[column] = value
    if not (wanted != MISSING).any():
        raise ConfigurationError('The request names no attribute; write for example "Smiling, Eyeglasses, Gray Hair".')
    check_request(wanted, schema, force)
    return complete(wanted, schema)


def complete(attributes: Tensor, schema: AttributeSchema) -> Tensor:
    """Deny the others of a head that knows only one where one of it is asked for, int8 ``(K,)``; what is said stays."""
    completed = attributes.clone()
    for head in schema.heads:
        columns = torch.tensor(schema.indices(head))
        if head.kind in _SINGLE and (attributes[columns] == PRESENT).any():
            said = attributes[columns]
            completed[columns] = torch.where(said == MISSING, torch.full_like(said, ABSENT), said)
    return completed


def check_request(attributes: Tensor, schema: AttributeSchema, force: bool = False, source: str = "") -> None:
    """Refuse attributes, int8 ``(K,)``, that no face can show at once; ``source`` is list and line for the message.

    Raises:
        ConfigurationError: Naming the first pair, unless ``force``.
    """
    asked = [name for name, value in zip(schema.attributes, attributes.tolist(), strict=True) if value == PRESENT]
    problems = [f'"{first}" and "{second}" exclude each other' for first, second in schema.contradictions_in(asked)]
    for head in schema.heads:
        if head.kind == "complete" and (attributes[schema.indices(head)] == ABSENT).all():
            problems.append(f"all of {', '.join(head.attributes)} are denied, and every face shows one of them")
    if not problems:
        return
    where = f"{source}: " if source else ""
    if not force:
        raise ConfigurationError(f"{where}{problems[0]}; ask for one of them, or add --force to try what comes out")
    _log.warning("warning: %s%s; the face is tried all the same", where, "; ".join(problems))


def request_name(attributes: Tensor, schema: AttributeSchema, longest: int = 60) -> str:
    """A file name out of the attributes asked for.

    Example:
        >>> schema = AttributeSchema.from_file()
        >>> request_name(parse_attributes("5 o'Clock Shadow, no Bangs", schema), schema)
        '5_o_clock_shadow_no_bangs'
    """
    values = dict(zip(schema.attributes, attributes.tolist(), strict=True))
    words = [name for name, value in values.items() if value == PRESENT]
    words += [
        f"no {name}" for name, value in values.items() if value == ABSENT and not _implied(name, attributes, schema)
    ]
    slug = re.sub(r"[^a-z0-9]+", "_", " ".join(words).casefold()).strip("_")
    return slug[:longest].rstrip("_") or "face"


def thinned(attributes: Tensor, count: int, schema: AttributeSchema, seed: int) -> Tensor:
    """Keep ``count`` of the attributes that a face shows, int8 ``(K,)``, as somebody would who asks for a few things.

    Returns:
        int8 ``(K,)``: the chosen ones 1, what follows from them 0, all others -1.
    """
    shown = torch.nonzero(attributes == PRESENT).flatten()
    order = torch.randperm(len(shown), generator=torch.Generator().manual_seed(seed))
    wanted = torch.full_like(attributes, MISSING)
    wanted[shown[order[:count]]] = PRESENT
    return complete(wanted, schema)


def _read(entry: str, schema: AttributeSchema) -> tuple[str, int]:
    """Name and value of one entry; an attribute called "No Beard" is itself, not the denial of one."""
    names = {normalised(name): name for name in schema.attributes}
    if normalised(entry) in names and not entry.startswith("-"):
        return names[normalised(entry)], PRESENT
    if entry.startswith("-"):
        return schema.find(entry[1:]), ABSENT
    first, _, rest = entry.partition(" ")
    if first.casefold() in _DENIALS and rest.strip():
        return schema.find(rest), ABSENT
    return schema.find(entry), PRESENT


def _implied(name: str, attributes: Tensor, schema: AttributeSchema) -> bool:
    """Whether the absence of an attribute follows from another of its head."""
    head = next(head for head in schema.heads if name in head.attributes)
    return head.kind in _SINGLE and bool((attributes[schema.indices(head)] == PRESENT).any())
