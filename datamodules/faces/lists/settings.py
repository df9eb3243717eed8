"""Arguments that say where faces are, what is known of them, and how they are split."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings
from datamodules.common.splits import check_shares
from datamodules.faces.lists.values import RealValues

LabelFormat = Literal["auto", "demo", "list", "pubfig", "lfw", "celeba", "fairface", "utkface", "ffhq", "csv", "images"]
Trained = Literal["train", "judge"]


@settings(kw_only=False)
class FaceListSettings:
    """Where pictures and labels are, and how one list becomes several."""

    root: str | None = argument(default=None, help="Folder of the pictures; by default the folder of the list.")
    labels: str | None = argument(
        default=None,
        help=(
            "``pubfig_attributes.txt``, ``lfw_attributes.txt``, ``list_attr_celeba.txt``, ``fairface_label_train.csv`` "
            "(that of val is found beside it), the folder or file of the JSON of FFHQ's features, or a csv "
            "``file[,identity][,split][,left,top,right,bottom]`` with a column for each attribute (1, 0, -1 or "
            "empty for missing; where 1 and -1 are all, -1 is absent; real values where ``threshold`` or "
            "``missing_margin`` says so); by default the list of that name in ``root``."
        ),
    )
    label_format: LabelFormat = argument(
        default="auto",
        help=(
            'What they are; "auto" looks, and so does "list", which never takes the demo in place of a list. '
            '"utkface" reads the names of the pictures of ``root``, "images" takes bare pictures, of which nothing is '
            "said."
        ),
    )
    boxes: str | list[str] | None = argument(
        default=None,
        help=(
            "Lists of face boxes: PubFig's ``dev_urls.txt`` and ``eval_urls.txt``, CelebA's "
            "``list_bbox_celeba.txt``, or a csv ``file,left,top,right,bottom``, also for the pictures of ``path``. "
            "PubFig's are found beside its list ([] leaves them out). Without one the square in the middle of a "
            "picture is the face; LFW's own box is known."
        ),
    )
    identities: str | None = argument(
        default=None, help="A text of picture and person; CelebA's is found beside its list."
    )
    partition: str | None = argument(
        default=None, help="A text of picture (or person) and split; CelebA's is found beside its list."
    )
    attribute_schema: dict[str, Any] | str | None = argument(
        default=None,
        help=(
            'The attributes and their heads: a YAML file, "pubfig", "celeba", "fairface", "utkface", "ffhq", or the '
            "same as a mapping. By "
            "default that of the list, else that of PubFig. In ``predict`` it is the checkpoint's."
        ),
    )
    exclude_attributes: list[str] | None = argument(default=None, help="Attributes to leave out.")
    path: str | list[str] | None = argument(
        default=None, help="Pictures or folders to predict; by default the test split, or the pictures of ``root``."
    )
    image_size: int = argument(default=224, help="Side in pixels of the square that faces are resized to.", low=8)
    crop_margin: float = argument(
        default=0.25,
        help="What is added to each side of a box, as a share of its longer side; 0 cuts the box alone.",
        low=0,
        high=2,
    )
    split: tuple[float, float, float] = argument(
        default=(0.7, 0.15, 0.15), help="Shares of train, val and test, where a list names no splits."
    )
    split_seed: int = argument(default=0, help="Seed of that split.")
    identity_disjoint: bool = argument(default=True, help="Keep all pictures of a person in one split.")
    fit_on: Trained = argument(
        default="train",
        help='"judge" trains on the people that are kept apart for judges, of the demo on other people.',
    )
    validate_on: Literal["val", "train"] = argument(
        default="val", help='"train" validates on the training faces, as the collection of statistics does.'
    )
    judge_share: float = argument(default=0.0, help="Share of the training people that is kept apart for judges.")
    threshold: float | None = argument(
        default=None,
        help=(
            "Value above which an attribute is present, in a list of real values: 0.5 for probabilities, 0 for signed "
            "scores. A csv holds real values only where this, or ``missing_margin``, is given; those of PubFig and LFW "
            "are present above 0."
        ),
    )
    missing_margin: float = argument(
        default=0.0,
        help="Distance from ``threshold`` below which an attribute of a list of real values counts as missing.",
        low=0,
    )

    @property
    def has_lists(self) -> bool:
        """True when labelled faces, or a folder of pictures, are given."""
        return self.root is not None or self.labels is not None

    @property
    def real_values(self) -> RealValues | None:
        """How real values become labels; None where nothing says that there are any."""
        if self.threshold is None and not self.missing_margin:
            return None
        return RealValues(self.threshold or 0.0, self.missing_margin)

    def check(self) -> None:
        """Refuse arguments that contradict each other, and shares that leave nothing to train on."""
        if self.has_lists or not self.path:  # bare pictures need no list, even where a configuration learns from one
            self._check_lists()
        check_shares(self.split)
        if not 0 <= self.judge_share < 1:
            raise ConfigurationError(f"judge_share is {self.judge_share}; it must lie in 0 <= s < 1")

    def _check_lists(self) -> None:
        if self.label_format == "demo" and self.has_lists:
            raise ConfigurationError("label_format is demo but root or labels is given; leave them out, or the format")
        if self.label_format not in ("auto", "demo", "images", "utkface") and not self.has_lists:
            raise ConfigurationError(
                f"label_format is {self.label_format} but there is no list; name it as labels, or as root the folder "
                "that holds it and the pictures"
            )
        if self.label_format in ("images", "utkface") and (self.labels is not None or self.root is None):
            what = "takes bare pictures" if self.label_format == "images" else "reads the names of pictures"
            raise ConfigurationError(f"label_format {self.label_format} {what}: give root, and leave labels out")
        if self.root is not None and not Path(self.root).exists():
            raise ConfigurationError(f"root {self.root} is no folder; name the folder of the pictures")
        folder = self.label_format == "ffhq" and self.labels is not None and Path(self.labels).is_dir()
        if self.labels is not None and not folder and not Path(self.labels).is_file():
            raise ConfigurationError(f"labels is {self.labels}, and there is no such file; name the list of attributes")
