"""What pictures show: as a list of labels says, else as a judge does."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.face_diffusion.classes import UNKNOWN, class_names, classes_of
from datamodules.faces.lists.records import FaceList
from datamodules.faces.lists.settings import FaceListSettings
from datamodules.faces.lists.sources import detect_format, read_faces
from datamodules.faces.schema import MISSING, AttributeSchema
from datamodules.faces.sources import read_schema
from lightning_modules.commands.measures.sets import PictureSet
from lightning_modules.commands.measures.settings import MeasureSettings
from lightning_modules.face_diffusion.rewards.bias import ShareReward, checked_confusion
from lightning_modules.face_diffusion.rewards.judges import wanted_shares


class Answers:
    """Labels and judge of one measurement.

    Args:
        settings: Names them.
        device: Where the judge runs.

    Attributes:
        names: Names of the K classes; empty where none are asked for.
        target: Wanted shares, ``(K,)``.
        judges: Whether there is a judge.
        by: Who answers where no label is known.

    Raises:
        CheckpointError: If the judge cannot be read, or knows no class of a name.
        LabelError: If the list is wrong, or knows no attribute of a name.
        ConfigurationError: If target or confusion do not fit the classes.
    """

    def __init__(self, settings: MeasureSettings, device: str) -> None:
        self._settings = settings
        self._classes = settings.classes or []
        self._crossed = settings.intersections or []
        self.names = class_names(self._classes) if self._classes else []
        self.target = wanted_shares(self._classes, settings.target) if self._classes else torch.zeros(0)
        self.confusion = None if settings.confusion is None else checked_confusion(settings.confusion, len(self.names))
        self.judges = settings.judge is not None
        self.by = type(settings.judge).__name__ if settings.judge is not None else "labels"
        if settings.judge is not None:
            self._share = ShareReward(settings.judge, self._classes or self._crossed)
            self._share.load()
            self._share.to(device)
            self._columns = settings.judge.columns(self._crossed)
        self._labels = _Labels(settings) if settings.attributes is not None else None

    def probabilities(self, pictures: Tensor) -> Tensor:
        """What the judge says, ``(B, K + A)``: of the classes, then of each crossed attribute alone."""
        assert self._settings.judge is not None
        parts = [self._share.score(pictures).notes["probability"]] if self._classes else []
        if self._crossed:
            parts.append(self._settings.judge(pictures).float()[:, self._columns].cpu())
        return torch.cat(parts, dim=1)

    def of(
        self, pictures: PictureSet, rows: list[int], said: Tensor | None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """Weights of the classes ``(N, K)``, the same by the judge, and the crossed attributes ``(N, A)``."""
        judged = crossed = None
        if said is not None:
            judged = self._share.attributes.shown(said[:, : len(self.names)], soft=False) if self._classes else None
            crossed = (said[:, len(self.names) :] > 0.5).float() if self._crossed else None
        attributes = None if self._labels is None else self._labels.of(pictures, rows)
        if attributes is None or self._labels is None:
            none = torch.full((len(rows), len(self.names)), torch.nan)
            return (judged if judged is not None else none) if self._classes else None, judged, crossed
        shown = self._labels.shown(attributes, self._classes) if self._classes else None
        if self._crossed:
            crossed = self._labels.crossed(attributes, self._crossed)
        return shown, judged, crossed

    def labelled(self, pictures: PictureSet) -> bool:
        """Whether the list names pictures of a set."""
        return self._labels is not None and self._labels.of(pictures, list(range(len(pictures)))) is not None


class _Labels:
    """A list of attributes; its files are those of the training folder, or lie where the list says."""

    def __init__(self, settings: MeasureSettings) -> None:
        assert settings.attributes is not None
        file = Path(settings.attributes).expanduser()
        if not file.is_file():
            raise ConfigurationError(f"attributes is {file}, and there is no such file: name a list of attributes")
        kind = detect_format(file)
        self._schema: AttributeSchema = read_schema(
            settings.attribute_schema, default="celeba" if kind == "celeba" else None
        )
        faces = _read(file, Path(settings.training).expanduser(), self._schema)
        self._rows = {str(Path(path).resolve()): row for row, path in enumerate(faces.paths)}
        self._places: dict[str, list[int]] = {}  # of the pictures of each set in the list
        self._attributes = torch.from_numpy(faces.attributes)
        for name in (settings.classes, settings.intersections):
            if name:
                classes_of(self._attributes[:1], self._schema, name)  # refuses what is unknown
                self._check_labelled(name, file)

    def of(self, pictures: PictureSet, rows: list[int]) -> Tensor | None:
        """Attributes of pictures, int8 ``(N, K)``; None where the list names none of them."""
        if pictures.name not in self._places:
            files = [str(Path(path).resolve()) for path in pictures.paths]
            self._places[pictures.name] = [self._rows.get(file, -1) for file in files]
        places = [self._places[pictures.name][row] for row in rows]
        if max(places, default=-1) < 0:
            return None
        index = torch.tensor(places)
        return torch.where(index[:, None] < 0, MISSING, self._attributes[index.clamp(min=0)])

    def shown(self, attributes: Tensor, classes: list[str]) -> Tensor:
        """Weight 1 of the class of each picture; NaN where it has none, or several."""
        labels = classes_of(attributes, self._schema, classes)
        weights = torch.nn.functional.one_hot(labels.clamp(min=0), len(class_names(classes))).float()
        return torch.where(labels[:, None] == UNKNOWN, torch.nan, weights)

    def crossed(self, attributes: Tensor, names: list[str]) -> Tensor:
        """1 where an attribute is shown, 0 where not, NaN where that is not known, ``(N, A)``."""
        columns = [classes_of(attributes, self._schema, [name]) for name in names]
        return torch.stack([torch.where(one == UNKNOWN, torch.nan, 1.0 - one.float()) for one in columns], dim=1)

    def _check_labelled(self, names: list[str], file: Path) -> None:
        unsaid = [name for name in names if bool((classes_of(self._attributes, self._schema, [name]) == UNKNOWN).all())]
        if unsaid:
            raise ConfigurationError(
                f"{file} says of no picture whether it shows {', '.join(unsaid)}: name attributes that it has"
            )


def _read(file: Path, training: Path, schema: AttributeSchema) -> FaceList:
    """The list, its files seen from the training folder, else from its own."""
    try:
        return read_faces(FaceListSettings(root=str(training), labels=str(file)), schema)
    except ConfigurationError:
        return read_faces(FaceListSettings(root=str(file.absolute().parent), labels=str(file)), schema)
