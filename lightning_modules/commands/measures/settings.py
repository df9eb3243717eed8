"""What `appraise measure-generated` is told."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from datamodules.common.errors import ConfigurationError, one_line
from datamodules.common.settings import argument, settings
from datamodules.summary.findings import OnError
from lightning_modules.face_diffusion.rewards.embedders import Embedder
from lightning_modules.face_diffusion.rewards.judges import Judge

_OTHERS = ("training", "held out")  # names of the other sets


@settings
class MeasureSettings:
    """Which pictures are measured, and by whom."""

    generated: tuple[str, ...] | str = argument(
        default=(),
        help="Folders of made pictures (or of made videos), each DIR or NAME=DIR; several are compared side by side.",
    )
    training: str = argument(
        default="",
        help=(
            "Folder of the pictures (or videos) that the model learnt from, or a csv that lists them: ``learnt.csv`` "
            "of a training's run."
        ),
    )
    held_out: str | None = argument(
        default=None,
        help=(
            "Folder of real pictures of the same kind that it did not learn from: they say how alike strangers are, "
            "and realism is measured against them. ``held_out.csv`` of a training's run lists some. Without it the "
            "training pictures serve for both."
        ),
    )
    embedder: list[Embedder] | None = argument(
        default=None,
        help="Networks by whose descriptors pictures are compared, each with a table of its own; None takes pixels.",
    )
    judge: Judge | None = argument(default=None, help="Network that says what a picture shows.")
    classes: list[str] | None = argument(
        default=None,
        help="Attributes whose shares are measured: one name for with and without, or several of which a picture shows "
        "one.",
    )
    target: list[float] | None = argument(
        default=None, help="Wanted share of each class (of one attribute one number will do); None wants equal ones."
    )
    attributes: str | None = argument(
        default=None,
        help=(
            "List of what the training pictures show, in any format that face data take; what is shown by pictures "
            "that it names is not asked of the judge."
        ),
    )
    attribute_schema: str | None = argument(
        default=None, help='Attributes of that list: a YAML file, "pubfig" or "celeba"; None takes PubFig\'s.'
    )
    confusion: list[list[float]] | None = argument(
        default=None,
        help=(
            "What the judge says of pictures of known classes, row k the shares of its answers for class k; None "
            "counts it on the pictures that ``attributes`` names, where there is a judge too."
        ),
    )
    intersections: list[str] | None = argument(
        default=None, help="Attributes, two or more, whose combinations are counted too."
    )
    neighbours: int = argument(
        default=3, help="Nearest pictures that precision and recall look at; 0 leaves the two out.", low=0
    )
    realism_pictures: int = argument(
        default=5000,
        help="Pictures of each set that realism is measured on, drawn by ``seed`` where there are more: its work grows "
        "with their square. Copies and shares always count all.",
        low=2,
    )
    flips: bool = argument(default=False, help="Look for mirrored copies too.")
    regions: int = argument(
        default=1, help="Compare so many by so many regions of a picture too, each at its place.", low=1, high=8
    )
    parts: int = argument(default=1, help="Compare so many chunks of each descriptor, to find copied parts.", low=1)
    frames: int = argument(default=8, help="Frames of each video, evenly over its length.", low=2)
    image_size: int | None = argument(
        default=None,
        help="Side in pixels of the square that pictures are cut and resized to; None takes that of the made ones, "
        "256 at most.",
        low=8,
        high=1024,
    )
    pairs: int = argument(default=20, help="Most similar pairs on a sheet.", low=1)
    on_error: OnError = argument(
        default="raise", help='A picture that cannot be read stops the command ("raise"), or is left out ("skip").'
    )
    seed: int = argument(default=0, help="Of the intervals.", low=0)
    device: Literal["auto", "cpu", "cuda"] = argument(
        default="auto", help='Where networks run; "auto" takes a GPU where there is one.'
    )
    output: str = argument(default="runs/measures", help="Folder of page, tables, figures and sheets.")

    def check(self) -> None:
        """Refuse what is missing or cannot go together."""
        if not self.generated:
            raise ConfigurationError("there is nothing to measure: name a folder of made pictures as --generated DIR")
        if not self.training:
            raise ConfigurationError("name the folder of the pictures that the model learnt from as --training DIR")
        if self.classes and self.judge is None and self.attributes is None:
            raise ConfigurationError(
                f"nobody says which pictures show {', '.join(self.classes)}: give a --judge, or --attributes FILE for "
                "pictures whose labels are known"
            )
        if self.intersections is not None and not 2 <= len(self.intersections) <= 4:
            raise ConfigurationError(
                f"intersections names {len(self.intersections)} attributes; two to four can be crossed"
            )
        if self.intersections and self.judge is None and self.attributes is None:
            raise ConfigurationError("intersections need a --judge, or --attributes FILE")
        if not self.classes:
            for name in ("target", "confusion"):
                if getattr(self, name) is not None:
                    raise ConfigurationError(f"{name} is given, but no classes: name them as --classes")

    def named(self) -> dict[str, Path]:
        """Folder of each set of made pictures by its name.

        Raises:
            ConfigurationError: If two have one name.
        """
        found: dict[str, Path] = {}
        for text in [self.generated] if isinstance(self.generated, str) else self.generated:
            before, equals, after = text.partition("=")
            plain = not equals or Path(text).expanduser().exists()
            folder = Path(text if plain else after).expanduser()
            name = (folder.absolute().name or "made") if plain else before
            if plain and name in _OTHERS:
                name = f"made, {name}"
            if not name or name in found or name in _OTHERS:
                raise ConfigurationError(
                    f"--generated {one_line(text)}: there is another set named {one_line(name) or '(nothing)'}; give "
                    "each a name of its own as NAME=DIR"
                )
            found[name] = folder
        return found
