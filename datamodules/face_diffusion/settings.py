"""Arguments of the data module of pictures that a diffusion model learns from."""

from __future__ import annotations

from typing import Literal

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings
from datamodules.faces.demo import SMALLEST
from datamodules.faces.lists.settings import FaceListSettings
from datamodules.faces.renderer.settings import LARGEST_SIDE, FaceDemoSettings
from datamodules.summary.findings import OnError


@settings(kw_only=False)
class DiffusionDataSettings(FaceListSettings):
    """Arguments of `FaceDiffusionDataModule`."""

    image_size: int = argument(default=16, help="Side in pixels of the square that pictures are resized to.", low=8)
    classes: list[str] | None = argument(
        default=None,
        help=(
            "Attributes by which pictures are told apart: one name for with and without, or several of which a picture "
            "shows one. Class-conditional models are told them, ``target`` weighs by them."
        ),
    )
    classes_only: bool = argument(
        default=False, help="Leave out pictures of none of the classes: [Black, White] of seven groups keeps these two."
    )
    conditional: bool = argument(default=False, help="Tell the model the class of each picture.")
    target: list[float] | None = argument(
        default=None,
        help=(
            "Wanted share of each class (of one attribute: with, without): a picture of class k counts pi_k / d_k, so "
            "that the training sees these shares. None counts all alike."
        ),
    )
    subset: int | None = argument(
        default=None, help="Train on so many pictures, drawn by ``subset_seed``; None takes all.", low=1
    )
    subset_seed: int = argument(default=0, help="Seed of the subset; larger ones hold the smaller ones of their seed.")
    learn_from: Literal["subset", "rest"] = argument(
        default="subset",
        help=(
            "Which real pictures the loss takes: those of the subset, or all others, which no earlier training on that "
            "subset saw: gamma on the subset brings copies of it back. Rewards against copies look at the subset."
        ),
    )
    flip: bool = argument(
        default=False, help="Mirror half of the training pictures; leave it off where copies are to be found."
    )
    batch_size: int = argument(default=64, help="Pictures of a batch.", low=1)
    num_workers: int = argument(default=0, help="Worker processes of a loader; 0 works in the main process.", low=0)
    seed: int = argument(default=0, help="Seed of order, flips and noise.")
    on_error: OnError = argument(
        default="raise",
        help='A picture that cannot be read ends a training before its first step ("raise"), or is left out ("skip").',
    )
    samples: int = argument(default=64, help="Pictures that ``predict`` makes.", low=1, free=True)
    sample_seed: int = argument(default=0, help="Seed of their noise.", free=True)
    sample_class: int | Literal["all"] = argument(
        default="all",
        help="Class that a class-conditional model is asked for, from 0; all takes them in turns.",
        free=True,
    )
    demo: FaceDemoSettings | None = argument(
        default=None, help="What the generated demo holds; None takes its defaults."
    )

    def check(self) -> None:
        """Refuse targets without classes, and sizes that the generated faces do not have."""
        if (self.conditional or self.classes_only or self.target is not None) and not self.classes:
            raise ConfigurationError(
                "conditional, classes_only and target need to know what tells pictures apart: name the attributes as "
                "classes, for example [Eyeglasses]"
            )
        if self.learn_from == "rest" and self.subset is None:
            raise ConfigurationError("learn_from is rest, and without a subset nothing is left: give subset a number")
        if self.target is not None and self.classes is not None:
            number = max(2, len(self.classes))
            if len(self.target) != number or min(self.target) < 0 or abs(sum(self.target) - 1) > 1e-3:
                raise ConfigurationError(
                    f"target is {self.target}; give {number} shares that add up to 1, one for each class (of one "
                    "attribute: with, without)"
                )
        if not self.has_lists and not self.path and not SMALLEST <= self.image_size <= LARGEST_SIDE:
            raise ConfigurationError(
                f"image_size is {self.image_size}; it must be {SMALLEST}..{LARGEST_SIDE} for the generated faces"
            )
