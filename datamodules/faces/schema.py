"""Which attributes there are, how they group into heads, and which of them exclude each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, get_args

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.tables.yaml import read_yaml

HeadKind = Literal["binary", "exclusive", "complete", "ordinal", "overlapping"]
PRESENT, ABSENT, MISSING = 1, 0, -1
DEFAULT_SCHEMA = Path(__file__).parent / "schemas" / "pubfig.yaml"


@dataclass(frozen=True, slots=True)
class Head:
    """One group of related attributes.

    Attributes:
        name: Name of the group, unique in its schema.
        kind: ``binary`` (one attribute), ``exclusive`` (at most one of them), ``complete`` (exactly one; none marked
            means unknown), ``ordinal`` (at most one, in this order), or ``overlapping`` (any of them).
        attributes: Its attributes.
    """

    name: str
    kind: HeadKind
    attributes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AttributeSchema:
    """Attributes in the order of their numbers, their heads, and the pairs that no face can show at once.

    Attributes:
        attributes: K names in the order of the columns of every label tensor.
        heads: The groups; each attribute stands in exactly one of them.
        contradictions: Pairs of attributes that exclude each other, besides those that the kind of a head excludes.

    Raises:
        ConfigurationError: If an attribute is missing from the heads, repeated or unknown, or a head cannot be.
    """

    attributes: tuple[str, ...]
    heads: tuple[Head, ...]
    contradictions: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        _check(self)

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> AttributeSchema:
        """Build a schema from plain values: ``heads``, and if wanted ``attributes`` (the order) and ``contradictions``.

        Example:
            >>> hat = {"name": "hat", "kind": "binary", "attributes": ["Hat"]}
            >>> AttributeSchema.from_plain({"heads": [hat]}).attributes
            ('Hat',)
        """
        unknown = sorted(set(plain) - {"attributes", "heads", "contradictions"})
        if unknown or not plain.get("heads"):
            raise ConfigurationError(
                f"An attribute schema has the keys heads, attributes and contradictions, but this one has "
                f"{', '.join(map(str, plain)) or 'none'}: write at least heads, a list of name, kind and attributes."
            )
        heads = tuple(_head(entry) for entry in plain["heads"])
        names = plain.get("attributes") or dict.fromkeys(name for head in heads for name in head.attributes)
        return cls(tuple(map(str, names)), heads, tuple(map(_pair, plain.get("contradictions") or ())))

    @classmethod
    def from_file(cls, path: str | Path | None = None) -> AttributeSchema:
        """Read a schema from a YAML file; None takes the 73 attributes of PubFig and LFW in 42 heads.

        Args:
            path: The file, or "pubfig", "celeba", "fairface", "utkface" or "ffhq" for one that comes with the package,
                whatever the working folder holds under that name.
        """
        file = Path(path) if path is not None else DEFAULT_SCHEMA
        shipped = DEFAULT_SCHEMA.parent / f"{file.name}.yaml"
        file = shipped if len(file.parts) == 1 and shipped.is_file() else file
        try:
            plain = read_yaml(file, words=True)
        except LabelError as error:
            raise ConfigurationError(f"The attribute schema cannot be used: {error}") from error
        if not isinstance(plain, dict):
            raise ConfigurationError(f"The attribute schema {file} holds no mapping: write the key heads with a list.")
        try:
            return cls.from_plain(plain)
        except ConfigurationError as error:
            raise ConfigurationError(f"{file}: {error}") from error

    def plain(self) -> dict[str, Any]:
        """The schema as lists, dicts and strings, as a checkpoint keeps it; `from_plain` reads it back."""
        return {
            "attributes": list(self.attributes),
            "heads": [{"name": h.name, "kind": h.kind, "attributes": list(h.attributes)} for h in self.heads],
            "contradictions": [list(pair) for pair in self.contradictions],
        }

    def without(self, excluded: Iterable[str]) -> AttributeSchema:
        """The schema without some attributes; a head that loses all of its own goes too.

        A complete head that loses an attribute becomes an exclusive one: none of the rest may then be true.
        """
        gone = {self.find(name) for name in excluded}
        heads = []
        for head in self.heads:
            kept = tuple(name for name in head.attributes if name not in gone)
            kind: HeadKind = "exclusive" if head.kind == "complete" and kept != head.attributes else head.kind
            if kept:
                heads.append(Head(head.name, "binary" if len(kept) == 1 and kind != "complete" else kind, kept))
        if not heads:
            raise ConfigurationError(f"All attributes are left out, {', '.join(self.attributes)}: keep at least one.")
        pairs = tuple(pair for pair in self.contradictions if not gone & set(pair))
        return AttributeSchema(tuple(name for name in self.attributes if name not in gone), tuple(heads), pairs)

    def find(self, text: str) -> str:
        """The attribute that ``text`` names, whatever its case, spaces, underscores, hyphens and apostrophes.

        Raises:
            ConfigurationError: If there is none; the message gives the nearest names.

        Example:
            >>> AttributeSchema.from_file().find("5_o_clock_shadow")
            "5 o'Clock Shadow"
        """
        names = {normalised(name): name for name in self.attributes}
        key = normalised(text)
        if key in names:
            return names[key]
        near = [names[match] for match in get_close_matches(key, names, n=3, cutoff=0.5)]
        hint = f"did you mean {' or '.join(near)}?" if near else f"the attributes are {', '.join(self.attributes)}."
        raise ConfigurationError(f'There is no attribute "{text.strip()}": {hint}')

    def index(self, name: str) -> int:
        """Column of an attribute, found as by `find`."""
        return self.attributes.index(self.find(name))

    def indices(self, head: Head) -> list[int]:
        """Columns of the attributes of a head."""
        return [self.attributes.index(name) for name in head.attributes]

    def excluded_pairs(self) -> set[frozenset[str]]:
        """All pairs that no face can show at once: those listed, and those of exclusive, complete and ordinal heads."""
        single = ("exclusive", "complete", "ordinal")
        pairs = {
            frozenset(pair) for head in self.heads if head.kind in single for pair in combinations(head.attributes, 2)
        }
        return pairs | {frozenset(pair) for pair in self.contradictions}

    def contradictions_in(self, names: Sequence[str]) -> list[tuple[str, str]]:
        """Pairs of ``names`` that exclude each other, in the order given."""
        excluded = self.excluded_pairs()
        return [pair for pair in combinations(names, 2) if frozenset(pair) in excluded]


def normalised(name: str) -> str:
    """A name without case and anything but letters and digits, so that spellings of different lists agree.

    Example:
        >>> normalised("5 o' Clock Shadow") == normalised("5_o_Clock_Shadow")
        True
    """
    return "".join(letter for letter in name.casefold() if letter.isalnum())


def _head(entry: Mapping[str, Any]) -> Head:
    kinds = get_args(HeadKind)
    if not isinstance(entry, Mapping) or set(entry) != {"name", "kind", "attributes"} or not entry["attributes"]:
        raise ConfigurationError(f"A head of an attribute schema has name, kind and attributes, but this is {entry!r}.")
    if entry["kind"] not in kinds:
        raise ConfigurationError(
            f'The head {entry["name"]} has the kind "{entry["kind"]}": write one of {", ".join(kinds)}.'
        )
    if not isinstance(entry["attributes"], list | tuple):
        raise ConfigurationError(
            f"The head {entry['name']} has the attributes {entry['attributes']!r}: write a list of names."
        )
    return Head(str(entry["name"]), entry["kind"], tuple(map(str, entry["attributes"])))


def _pair(entry: object) -> tuple[str, str]:
    if not isinstance(entry, list | tuple) or len(entry) != 2:
        raise ConfigurationError(f"A contradiction of an attribute schema is a list of two attributes, not {entry!r}.")
    return str(entry[0]), str(entry[1])


def _check(schema: AttributeSchema) -> None:
    """Raise unless every attribute stands in exactly one head and every name is known."""
    grouped = Counter(name for head in schema.heads for name in head.attributes)
    spelt = {name: normalised(name) for name in schema.attributes}
    alike = Counter(spelt.values())
    problems = {
        "is in no head": [name for name in schema.attributes if name not in grouped],
        "is in several heads or twice in one": [name for name, count in grouped.items() if count > 1],
        "is listed twice": [name for name, count in Counter(schema.attributes).items() if count > 1],
        "is in a head but not listed": [name for name in grouped if name not in schema.attributes],
        "is contradicted but not listed": [n for pair in schema.contradictions for n in pair if n not in grouped],
        "is the name of two heads": [
            n for n, count in Counter(head.name for head in schema.heads).items() if count > 1
        ],
        "is binary but has not exactly one attribute": [
            head.name for head in schema.heads if head.kind == "binary" and len(head.attributes) != 1
        ],
        "is spelt like another": [name for name, plain in spelt.items() if alike[plain] > 1],
    }
    found = [f"{', '.join(names)} {what}" for what, names in problems.items() if names]
    if found:
        raise ConfigurationError(f"The attribute schema cannot be used: {'; '.join(found)}.")
