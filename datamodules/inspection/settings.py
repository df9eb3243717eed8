"""Arguments of the data module of inspection, and what happens to training images at random."""

from __future__ import annotations

from typing import Literal, get_args

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings
from datamodules.inspection.demo.settings import InspectionDemoSettings
from datamodules.summary.findings import OnError

LabelFormat = Literal[
    "manifest", "folder", "class_folders", "mvtec", "mvtec_supervised", "coco", "yolo", "magnetic_tile", "deeppcb"
]
NewTraining = Literal["none", "mentored", "full"]
_NEED_LIST: tuple[LabelFormat, ...] = ("manifest", "coco")
_KNOW_DOMAINS: tuple[LabelFormat, ...] = ("magnetic_tile", "deeppcb")


@settings
class AugmentationSettings:
    """What happens to training images at random."""

    flip_horizontal: float = argument(default=0.5, help="Probability of a flip left to right.", low=0, high=1)
    flip_vertical: float = argument(default=0.5, help="Probability of a flip top to bottom.", low=0, high=1)
    rotate90: bool = argument(
        default=False,
        help="Turn by a random number of quarter turns; batches that are not square are padded to a square.",
    )
    brightness: float = argument(
        default=0.0, help="Largest shift of the brightness, as a share of full scale.", low=0, high=1
    )
    contrast: float = argument(default=0.0, help="Largest change of the contrast, as a share.", low=0, high=1)
    degrees: float = argument(default=0.0, help="Largest rotation to either side.", low=0, high=180)
    translate: float = argument(default=0.0, help="Largest shift, as a share of the side.", low=0, high=1)
    scale: float = argument(default=0.0, help="Largest enlargement or reduction, as a share.", low=0, high=0.9)

    @property
    def is_warping(self) -> bool:
        """Whether pixels fall between pixels."""
        return max(self.degrees, self.translate, self.scale) > 0

    @property
    def changes_light(self) -> bool:
        """Whether the values of pixels change."""
        return max(self.brightness, self.contrast) > 0


@settings(kw_only=False)
class InspectionDataSettings:
    """Arguments of `InspectionDataModule`."""

    root: str | None = argument(
        default=None,
        help=(
            "Folder of the images of the original domain (or of both, where the list tells the domain); by default "
            "the folder of the list."
        ),
    )
    label_format: LabelFormat | None = argument(
        default=None,
        help=(
            'What root or labels are; never guessed. "mvtec" trains on what is healthy, as that layout says, and '
            'validates with a part of its test; "mvtec_supervised" shares its test out, so that defects are trained on.'
        ),
    )
    labels: str | None = argument(
        default=None,
        help="List of the images: a manifest, or a COCO file (or a folder of train.json, val.json, test.json).",
    )
    new_root: str | None = argument(default=None, help="Folder of the new domain's images, where it is apart.")
    new_labels: str | None = argument(default=None, help="List of the new domain's images, where it is apart.")
    classes: list[str] | None = argument(
        default=None,
        help="Names of the classes in their order; None takes classes.txt, else the names that the labels write.",
    )
    path: str | None = argument(
        default=None,
        help=(
            "Images to predict: a folder, searched with its sub-folders, or one file; None predicts the training "
            "images of the new domain (the pool to mine), or the test images where there are none."
        ),
    )
    store: str | None = argument(default=None, help="Feedback store with the operator's answers.")
    deployed: str | None = argument(
        default=None, help="Checkpoint with which the store must have been mined; None takes the answers to any model."
    )
    store_runs: list[int] | None = argument(default=None, help="Runs of the store whose answers count; None takes all.")
    new_training: NewTraining = argument(
        default="none", help="What is trained on from the new domain: nothing, the answers, or the complete labels."
    )
    new_limit: int | None = argument(
        default=None, help="Only so many new training images, chosen by the seed; None takes all.", low=1
    )
    balanced: bool = argument(
        default=True, help="Half of each batch from each domain; False draws from both as they come."
    )
    val_fraction: float = argument(
        default=0.15, help="Part of the groups that validates where the list does not say.", low=0
    )
    test_fraction: float = argument(
        default=0.15, help="Part of the groups that tests where the list does not say.", low=0
    )
    split_seed: int = argument(default=0, help="Seed of that split.")
    image_size: int | None = argument(
        default=None,
        help="Pixels of the longer side of every image, the aspect kept; None keeps the size of the files.",
        low=8,
    )
    crop_size: int | None = argument(
        default=None,
        help=(
            "Side in pixels of the training crops, half of them placed on a defect or answer; None trains on whole "
            "images."
        ),
        low=8,
    )
    box_fill: float = argument(
        default=1.0,
        help="Share of a labelled box's sides that becomes class in the mask; the frame around it is unknown.",
    )
    augmentation: AugmentationSettings | None = argument(
        default=None, help="What happens to training images at random; None takes flips alone."
    )
    baseline_maps: str | None = argument(
        default=None, help="Folder of the maps that OMNIA needs; None takes those of the store's runs."
    )
    batch_size: int = argument(
        default=32, help="Images of a batch, of both domains together; even where batches are balanced.", low=1
    )
    num_workers: int = argument(default=0, help="Worker processes of a loader; 0 decodes in the main process.", low=0)
    seed: int = argument(default=0, help="Seed of order, crops and augmentation.")
    cache_megabytes: float = argument(
        default=512.0, help="Memory for decoded images, over all worker processes of a loader.", low=0
    )
    demo: InspectionDemoSettings | None = argument(
        default=None, help="What the generated demo holds; None takes its defaults."
    )
    on_error: OnError = argument(
        default="raise",
        help=(
            'What to do with an empty box, a polygon of two points or a broken training image: "raise" names all and '
            'stops, "skip" leaves out.'
        ),
    )
    mask_healthy: int | str | None = argument(
        default=None,
        help=(
            'Value of healthy pixels in masks of one class, such as 255 or "#ffffff" in inverted ones; None finds it: '
            "black, else white beside colours."
        ),
    )
    mask_palette: str | dict[str, str] | None = argument(
        default=None,
        help=(
            'Colours of masks whose colours tell the class: "voc", those of PASCAL VOC, or one for each class, such as '
            '{scratch: "#ff0000", unknown: "#808080"}; None: masks hold numbers.'
        ),
    )
    white_level: float | None = argument(
        default=None,
        help=(
            "Value of white in images of more than 8 bits, such as 4095 for 12 bits in 16; None reads it from the "
            "files, else takes the next full range above the brightest training image. A checkpoint keeps it."
        ),
        low=0,
    )

    @property
    def has_lists(self) -> bool:
        """True when labelled images are given, by lists or folders."""
        return any((self.root, self.labels, self.new_root, self.new_labels))

    @property
    def is_demo(self) -> bool:
        """True when nothing is given: the generated demo is the data."""
        return not self.has_lists and self.path is None

    @property
    def two_domains(self) -> bool:
        """True when batches hold half of each domain."""
        return self.balanced and self.new_training != "none"

    def check(self) -> None:
        """Refuse arguments that contradict each other."""
        self._check_sources()
        if self.new_training == "mentored" and self.store is None:
            raise ConfigurationError("new_training is mentored but no store is given; name the feedback store")
        if self.val_fraction + self.test_fraction >= 1:
            raise ConfigurationError(
                f"val_fraction {self.val_fraction} and test_fraction {self.test_fraction} leave nothing to train on; "
                "their sum must be below 1"
            )
        if not 0 < self.box_fill <= 1:
            raise ConfigurationError(f"box_fill is {self.box_fill}; it must lie in 0 < f <= 1")
        if self.two_domains and self.batch_size % 2:
            raise ConfigurationError(
                f"batch_size {self.batch_size} must be even: balanced batches hold half of each domain"
            )

    def _check_sources(self) -> None:
        if self.has_lists and self.label_format is None:
            raise ConfigurationError(
                "root or labels are given without label_format, which is never guessed: name it with "
                f"--data.init_args.label_format ({', '.join(get_args(LabelFormat))})"
            )
        if (self.new_root or self.new_labels) and not (self.root or self.labels):
            raise ConfigurationError("new_root or new_labels are given without the original domain's root or labels")
        if self.label_format in _NEED_LIST and self.has_lists and self.labels is None:
            raise ConfigurationError(f"label_format {self.label_format} needs labels, the file of the list")
        if self.label_format not in _NEED_LIST and self.has_lists and self.root is None:
            raise ConfigurationError(f"label_format {self.label_format} needs root, the folder of the images")
        if self.label_format in _KNOW_DOMAINS and (self.new_root or self.new_labels):
            raise ConfigurationError(
                f"label_format {self.label_format} holds both domains in one folder; leave new_root and new_labels out"
            )
        if self.classes is not None and (not self.classes or len(set(self.classes)) != len(self.classes)):
            raise ConfigurationError(f"classes {list(self.classes)} must be different names, at least one")
