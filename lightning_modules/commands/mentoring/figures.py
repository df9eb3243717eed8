"""The pictures at the end of `appraise mentor-loop`: features of several rows, and false positives that went away."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from callbacks.figures.pictures import write_figure
from callbacks.inspection.defect_features import domain_classifier_accuracy, embed
from callbacks.inspection.feature_figure import class_colours, legends, scatter_areas
from datamodules.common.atomic_write import atomic_path

FEATURES = "defect_features.npz"  # what the callback DefectFeatures writes
SHEET = "false_positives_gone.png"  # what the callback FalsePositiveSheet writes


class Panel(NamedTuple):
    """A row of the table in the picture of features.

    Attributes:
        title: Of the row.
        file: Its features.
    """

    title: str
    file: Path


def draw_feature_panels(panels: Sequence[Panel], picture: Path, seed: int = 0) -> Path:
    """Draw the t-SNE of features at defective areas as a PNG, a panel a row (figure 3 of the paper).

    The seed is that of t-SNE and of the domain classifier's folds.
    """
    figure = Figure(figsize=(4.6 * len(panels) + 2.2, 4.9), layout="constrained")
    axes = figure.subplots(1, len(panels), squeeze=False)[0]
    names: list[str] = []
    present: set[int] = set()
    for panel, place in zip(panels, axes, strict=True):
        with np.load(panel.file) as content:
            areas = {name: content[name] for name in ("features", "class_index", "domain", "index")}
            names = [str(name) for name in content["class_names"]]
        present |= {int(index) for index in areas["class_index"]}
        accuracy = domain_classifier_accuracy(areas, seed)
        scatter_areas(
            place, embed(areas["features"], seed), areas["class_index"], areas["domain"], class_colours(len(names))
        )
        said = "" if accuracy is None else f"\ndomain classifier {accuracy:.2f} (0.50 is chance)"
        place.set_title(f"{panel.title}{said}", fontsize=11)
    legends(axes[-1], sorted(present), names)
    write_figure(figure, picture)
    return picture


def draw(folder: Path, features: Mapping[str, Path], false_positives: Path | None) -> list[Path]:
    """Draw what the rows' runs left, and name the pictures.

    Args:
        folder: Where they go.
        features: Run folders of the rows whose features are drawn, by title.
        false_positives: Run folder of the row whose vanished false positives are shown.
    """
    pictures = []
    panels = [Panel(title, run / FEATURES) for title, run in features.items() if (run / FEATURES).is_file()]
    if panels:
        pictures.append(draw_feature_panels(panels, folder / "features.png"))
    if false_positives is not None and (false_positives / SHEET).is_file():
        with atomic_path(folder / SHEET) as temporary:
            shutil.copyfile(false_positives / SHEET, temporary)
        pictures.append(folder / SHEET)
    return pictures
