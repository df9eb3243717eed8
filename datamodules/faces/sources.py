"""Labelled faces of each split, from lists, from bare pictures, or drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import texts
from datamodules.faces.dataset import FaceSource, ListedFaces
from datamodules.faces.demo import DemoFaces
from datamodules.faces.lists.records import FaceList, SplitName
from datamodules.faces.lists.settings import FaceListSettings
from datamodules.faces.lists.sources import detect_format, pictures, read_faces, resolved
from datamodules.faces.lists.splits import split_faces
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.faces.schema import AttributeSchema, normalised
from datamodules.summary.findings import OnError

_OWN_SCHEMAS = ("celeba", "fairface", "utkface", "ffhq")  # formats of lists with attributes of their own


class FaceSources:
    """Where the faces that settings name come from; lists are read when they are asked for, once.

    Args:
        settings: Lists, pictures and splits; without any of them the faces are drawn.
        demo: What is drawn; None takes the defaults.

    Attributes:
        kind: Format of the lists, "demo" or "images".
        schema: The attributes, without those that are left out.
        paths: Pictures and folders to predict.
        on_error: "raise" stops at a picture that cannot be read, "skip" gives a row that is not valid.

    Raises:
        ConfigurationError: If arguments cannot work, alone or together.
    """

    def __init__(self, settings: FaceListSettings, demo: FaceDemoSettings | None) -> None:
        given, excluded = settings.attribute_schema, settings.exclude_attributes or []
        self.kind, sources = resolved(settings)
        self.schema = read_schema(given, excluded, self.kind if self.kind in _OWN_SCHEMAS else None)
        self.paths = texts(settings.path)
        self.on_error: OnError = "raise"
        self._settings = settings
        self._demo = demo or FaceDemoSettings()
        self._sources = replace(sources, exclude_attributes=_left_out(excluded, given, self.schema))
        self._lists: dict[SplitName, FaceList] | None = None

    def faces(self, split: SplitName) -> FaceSource:
        """The faces of a split.

        Raises:
            ConfigurationError: If it is empty.
        """
        if self.kind == "demo":
            return DemoFaces(self._demo, split, self.schema, self._settings.image_size, self._settings.fit_on)
        faces = self.lists()[split]
        if not len(faces):
            raise ConfigurationError(
                f"the split {split} has no face; give more people, or other shares with split "
                f"(now {list(self._settings.split)})"
            )
        return self._cut(faces)

    def lists(self) -> dict[SplitName, FaceList]:
        """Faces of lists or folders by split; not of the demo."""
        if self._lists is None:
            self._lists = split_faces(read_faces(self._sources, self.schema), self._settings)
        return self._lists

    def to_predict(self) -> FaceSource:
        """The pictures of ``path``; else the test split; of bare pictures all."""
        if self.paths:
            boxes = next((file for file in texts(self._sources.boxes) if detect_format(file) == "csv"), None)
            return self._cut(pictures(self.paths, self.schema, boxes))
        if self.kind == "images":
            return self._cut(read_faces(self._sources, self.schema))
        return self.faces("test")

    def _cut(self, faces: FaceList) -> ListedFaces:
        return ListedFaces(faces, self._settings.image_size, self._settings.crop_margin, self.on_error)


def read_schema(
    given: Mapping[str, Any] | str | None, excluded: Sequence[str] = (), default: str | None = None
) -> AttributeSchema:
    """The schema that arguments name.

    Args:
        given: Plain values, or a file, or None.
        excluded: Attributes to leave out; plain values come from a checkpoint, and may lack them already.
        default: What None means.

    Raises:
        ConfigurationError: If it cannot be read, or an excluded attribute does not exist.
    """
    if isinstance(given, Mapping):
        schema = AttributeSchema.from_plain(given)
        gone = {normalised(name) for name in _shipped_names()} - {normalised(name) for name in schema.attributes}
        return schema.without([name for name in excluded if normalised(name) not in gone])
    return AttributeSchema.from_file(given if given is not None else default).without(excluded)


def _left_out(excluded: list[str], given: Mapping[str, Any] | str | None, schema: AttributeSchema) -> list[str]:
    """Attributes whose columns are passed over; the schema of a checkpoint lacks some that its training left out."""
    if not isinstance(given, Mapping):
        return excluded
    return [*excluded, *(name for name in _shipped_names() if name not in schema.attributes)]


def _shipped_names() -> list[str]:
    """Attributes of the schemas that come with the package."""
    return [name for file in (None, *_OWN_SCHEMAS) for name in AttributeSchema.from_file(file).attributes]
