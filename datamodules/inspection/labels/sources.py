"""Where the images of each split come from: label lists or folders of two domains, a folder to mine, or the demo."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.images.finding import images_at
from datamodules.inspection.batch import NEW, ORIGINAL
from datamodules.inspection.demo.settings import DEFECT_CLASSES
from datamodules.inspection.labels import deeppcb, magnetic_tile
from datamodules.inspection.labels.checks import check_files
from datamodules.inspection.labels.coco import coco_classes, read_coco
from datamodules.inspection.labels.deeppcb import read_deeppcb
from datamodules.inspection.labels.folder_masks import read_class_folders, read_folder, read_mvtec
from datamodules.inspection.labels.magnetic_tile import read_magnetic_tile
from datamodules.inspection.labels.manifest import read_manifest
from datamodules.inspection.labels.mask_rules import colour_value, palette_labels
from datamodules.inspection.labels.mask_survey import MaskOptions, survey_masks
from datamodules.inspection.labels.records import LabelledImage, RawImage, resolve
from datamodules.inspection.labels.splits import assign_splits, check_groups, check_paths
from datamodules.inspection.labels.yolo import read_yolo, yolo_classes
from datamodules.inspection.settings import InspectionDataSettings, LabelFormat
from datamodules.summary.findings import Findings
from datamodules.tables.text import read_lines

Split = Literal["train", "val", "test", "predict"]

UNNAMED = "defect"  # the class of masks that nothing names


class ImageSources:
    """Reads the labelled images, and those to mine."""

    def __init__(self, settings: InspectionDataSettings) -> None:
        self.settings = settings
        self.findings = Findings(settings.on_error)
        self._read_sources: list[list[RawImage]] | None = None

    def class_names(self) -> list[str] | None:
        """Names of the classes; None where nothing but a folder to mine is given.

        The argument ``classes``, else what the format knows (categories, ``data.yaml``), else the lines of
        ``classes.txt`` beside the list or in the root, else the names that the labels write, sorted. Masks that nothing
        names are of one class.

        Raises:
            LabelError: If a list is wrong, or names no class.
        """
        if self.settings.classes is not None:
            return list(self.settings.classes)
        if self.settings.is_demo:
            return list(DEFECT_CLASSES)
        if not self.settings.has_lists:
            return None
        listed = self._format_classes()
        if listed is not None:
            return listed
        found = sorted(set().union(*(image.class_names for image in self._read())))
        if not found:
            self.findings.stop()
            if self.settings.label_format == "folder":
                self.findings.note(f'the one class is called "{UNNAMED}": name it with classes, or in classes.txt')
                return [UNNAMED]
            raise LabelError(
                f"{self.settings.labels or self.settings.root}: the labels write no name of a class; give classes, or "
                "a file classes.txt with one name a line beside the list"
            )
        return found

    def load(self, class_names: Sequence[str], demo: Path | None = None) -> list[LabelledImage]:
        """Read all labelled images of both domains and all splits.

        Args:
            class_names: Names of the classes.
            demo: Folder of the generated demo.

        Faults of single files and entries are collected in ``findings``, which are to be asked before any work.

        Raises:
            LabelError: If a list is wrong or an image lies in two splits.
        """
        sources = self._sources() if demo is None else [read_manifest(demo / "manifest.csv")]
        for source in sources:
            check_files(source, self.findings)
        options = self._mask_options(class_names)
        places = [self.settings.labels or self.settings.root, self.settings.new_labels or self.settings.new_root]
        sources = [
            survey_masks(source, class_names, options, str(place), self.findings)
            for source, place in zip(sources, places, strict=False)
        ]
        images = [
            resolve(raw, split, class_names)
            for source in _joined(sources)
            for raw, split in zip(source, assign_splits(source, self.settings), strict=True)
        ]
        check_paths(images)
        check_groups((image.group, image.split, image.source) for image in images if image.group != image.name)
        return images

    def mined(self) -> list[LabelledImage] | None:
        """Images of ``path`` without labels; None where it is not given."""
        if self.settings.path is None:
            return None
        files = images_at(self.settings.path)
        folder = Path(self.settings.path).absolute()
        return [
            LabelledImage(
                path=str(file),
                name=file.relative_to(folder).as_posix() if file != folder else file.name,
                domain=NEW,
                split="test",
                group=file.name,
                labelled=False,
                source=str(self.settings.path),
            )
            for file in files
        ]

    def _mask_options(self, class_names: Sequence[str]) -> MaskOptions:
        healthy, palette = self.settings.mask_healthy, self.settings.mask_palette
        return MaskOptions(
            None if healthy is None else colour_value(healthy),
            None if palette is None else palette_labels(palette, class_names),
        )

    def _sources(self) -> list[list[RawImage]]:
        """Records of each list, read once; one list may hold both domains, a second one is the new domain."""
        if not self.settings.has_lists:
            return []
        if self._read_sources is None:
            self._read_sources = self._read_lists()
        return self._read_sources

    def _read_lists(self) -> list[list[RawImage]]:
        two = self.settings.new_root is not None or self.settings.new_labels is not None
        first = self._read_one(self.settings.root, self.settings.labels, ORIGINAL if two else None)
        return [first, self._read_one(self.settings.new_root, self.settings.new_labels, NEW)] if two else [first]

    def _read(self) -> list[RawImage]:
        return [image for source in self._sources() for image in source]

    def _read_one(self, root: str | None, labels: str | None, domain: int | None) -> list[RawImage]:
        """Records of one domain, or of both where ``domain`` is None and the list tells it."""
        match self.settings.label_format:
            case "manifest":
                return read_manifest(_required(labels, "labels"), root, domain, self.findings)
            case "coco":
                return read_coco(_required(labels, "labels"), root, domain, self.findings)
            case "folder":
                return read_folder(_required(root, "root"), domain, self.findings)
            case "class_folders":
                return read_class_folders(_required(root, "root"), domain, self.findings)
            case "mvtec" | "mvtec_supervised":
                return read_mvtec(_required(root, "root"), domain, self.findings)
            case "yolo":
                classes = tuple(self.settings.classes or ()) or None
                return read_yolo(_required(root, "root"), domain, classes, self.findings)
            case "magnetic_tile":
                return read_magnetic_tile(_required(root, "root"))
            case "deeppcb":
                return read_deeppcb(_required(root, "root"), self.settings.val_fraction)
            case _:
                allowed = ", ".join(get_args(LabelFormat))
                raise ConfigurationError(f"label_format is {self.settings.label_format!r}; allowed are {allowed}")

    def _format_classes(self) -> list[str] | None:
        """Classes that the format itself knows, in its order."""
        match self.settings.label_format:
            case "magnetic_tile":
                return list(magnetic_tile.CLASSES)
            case "deeppcb":
                return list(deeppcb.CLASSES)
            case "coco":
                return coco_classes(_required(self.settings.labels, "labels"))
            case "yolo" if self.settings.root is not None and (Path(self.settings.root) / "data.yaml").is_file():
                return list(yolo_classes(Path(self.settings.root)))
            case _:
                return self._listed_classes()

    def _listed_classes(self) -> list[str] | None:
        """Lines of ``classes.txt`` beside the list or in the root."""
        folders = [Path(self.settings.labels).parent] if self.settings.labels is not None else []
        folders += [Path(self.settings.root)] if self.settings.root is not None else []
        for folder in folders:
            file = folder / "classes.txt"
            if file.is_file():
                return [line.strip() for line in read_lines(file) if line.strip()]
        return None


def _joined(sources: list[list[RawImage]]) -> list[list[RawImage]]:
    """One list of both where neither names a split, so that a part that both show falls on one side."""
    joined = [image for source in sources for image in source]
    return sources if any(image.split is not None for image in joined) else [joined]


def _required(value: str | None, name: str) -> str:
    if value is None:
        raise ConfigurationError(f"{name} is not given; name it")
    return value
