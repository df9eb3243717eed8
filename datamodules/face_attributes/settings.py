"""Arguments of the data modules of faces: those that show attributes, and those that shall be made."""

from __future__ import annotations

from typing import Any

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings
from datamodules.face_attributes.augmentation import FaceAugmentation
from datamodules.face_attributes.request_lists import ListFormat
from datamodules.faces.demo import SMALLEST
from datamodules.faces.lists.records import SplitName
from datamodules.faces.lists.settings import FaceListSettings
from datamodules.faces.renderer.settings import LARGEST_SIDE, FaceDemoSettings
from datamodules.summary.findings import OnError


@settings(kw_only=False)
class FaceDataSettings(FaceListSettings):
    """Arguments of `FaceAttributeDataModule`."""

    augmentation: FaceAugmentation | None = argument(
        default=None, help="What happens to training faces at random; None leaves them as they are."
    )
    batch_size: int = argument(default=32, help="Faces of a batch.", low=1)
    num_workers: int = argument(default=0, help="Worker processes of a loader; 0 works in the main process.", low=0)
    seed: int = argument(default=0, help="Seed of order and augmentation.")
    on_error: OnError = argument(
        default="raise",
        help=(
            'A picture that cannot be read ends a training before its first step ("raise"), or is left out ("skip"); '
            "predict, test and validate always name it and go on."
        ),
    )
    demo: FaceDemoSettings | None = argument(
        default=None, help="What the generated demo holds; None takes its defaults."
    )

    def check(self) -> None:
        """Refuse a size that the generated faces do not have."""
        if not self.has_lists and not self.path and not SMALLEST <= self.image_size <= LARGEST_SIDE:
            allowed = f"{SMALLEST}..{LARGEST_SIDE}"
            raise ConfigurationError(f"image_size is {self.image_size}; it must be {allowed} for the generated faces")


@settings(kw_only=False)
class AttributeRequestSettings:
    """Arguments of `AttributeRequestDataModule`."""

    attributes: str | list[str] | None = argument(
        default=None,
        help=(
            'What is asked for: "Smiling, Eyeglasses, no Bangs", or one an entry. An attribute of a group of '
            "which a face has only one denies the others."
        ),
    )
    count: int = argument(default=1, help="Faces of each request, with the seeds ``seed``, ``seed + 1``, ...", low=1)
    seed: int = argument(default=0, help="Seed of the first.")
    from_image: str | None = argument(
        default=None, help="A picture whose attributes the classifier says; the result is laid beside it."
    )
    box: tuple[float, float, float, float] | None = argument(
        default=None,
        help="Left, top, right and bottom of the face in that picture; None takes the square in its middle.",
    )
    from_list: str | None = argument(
        default=None,
        help="A csv ``attributes[,name][,seed][,file]``, or one of faces with a column for each attribute.",
    )
    label_format: ListFormat = argument(default="auto", help='What such a list of faces is; "auto" looks.')
    requests: int | None = argument(
        default=None,
        help="Number of label sets drawn from faces of the demo; those faces are the source pictures.",
        low=1,
    )
    request_split: SplitName = argument(default="test", help="Split of the demo that they are drawn from.")
    ask_for: int | None = argument(
        default=None,
        help="Ask only for so many attributes that such a face shows; None asks for its full labels.",
        low=1,
    )
    force: bool = argument(default=False, help="Try requests that contradict themselves, with a warning.")
    attribute_schema: dict[str, Any] | str | None = argument(
        default=None,
        help=(
            'The attributes: a YAML file, "pubfig", "celeba", or the same as a mapping; the checkpoint\'s in '
            "``predict``."
        ),
    )
    exclude_attributes: list[str] | None = argument(default=None, help="Attributes to leave out.")
    image_size: int = argument(default=224, help="Side in pixels of the source pictures.", low=1)
    crop_margin: float = argument(
        default=0.25, help="What is added to each side of a box, as a share of its longer side."
    )
    batch_size: int = argument(default=16, help="Faces of a batch; they are made together.", low=1)
    demo: FaceDemoSettings | None = argument(
        default=None, help="What the generated demo holds; None takes its defaults."
    )

    def check(self) -> None:
        """Refuse requests that are named nowhere, or twice."""
        given = {"from_image": self.from_image, "from_list": self.from_list, "requests": self.requests}
        named = [name for name, value in given.items() if value is not None]
        named += ["attributes"] if self.attributes is not None and "from_image" not in named else []
        if len(named) != 1:
            raise ConfigurationError(
                f"what is asked for is named {'by ' + ' and '.join(named) if named else 'nowhere'}; give one of "
                'attributes ("Smiling, Eyeglasses"), from_image (which attributes may change), from_list and requests'
            )
