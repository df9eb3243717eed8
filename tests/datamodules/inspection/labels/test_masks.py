"""What masks mean, told from all masks of a list: every way in which people save them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.inspection.datamodule import InspectionDataModule
from datamodules.inspection.labels.masks import class_mask
from datamodules.inspection.labels.sources import ImageSources
from datamodules.inspection.settings import InspectionDataSettings

SIDE, MARKED = 32, 80
SPOT = np.zeros((SIDE, SIDE), dtype=bool)
SPOT[4:12, 10:20] = True
RED = np.array([255, 0, 0], dtype=np.uint8)
Saved = Callable[[Path], object]


def grey(healthy: int, defect: int, kind: str = "uint8") -> NDArray[np.generic]:
    return np.where(SPOT, defect, healthy).astype(kind)


def colours(healthy: Sequence[int], defect: Sequence[int]) -> Image.Image:
    return Image.fromarray(np.where(SPOT[..., None], defect, healthy).astype(np.uint8))


def palette(*shown: Sequence[int], defect: int = 1) -> Image.Image:
    image = Image.fromarray(grey(0, defect).astype(np.uint8)).convert("L")
    image.putpalette([channel for colour in shown for channel in colour])
    return image


def write(
    root: Path, masks: Sequence[Any], names: str = "{}", layout: str = "", suffix: str = "png", **save: Any
) -> Path:
    """Black images and their masks; ``layout`` is a folder inside ``images`` and ``masks``."""
    for number, mask in enumerate(masks):
        for folder in ("images", "masks"):
            (root / folder / layout).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (SIDE, SIDE)).save(root / "images" / layout / f"{number}.png")
        mask = mask if isinstance(mask, Image.Image) else Image.fromarray(mask)
        mask.save(root / "masks" / layout / f"{names.format(number)}.{suffix}", **save)
    return root


def read(root: Path, label_format: str = "folder", **options: Any) -> tuple[list[NDArray[np.uint8]], ImageSources]:
    settings = InspectionDataSettings(
        root=str(root),
        label_format=label_format,
        val_fraction=0,
        test_fraction=0,
        **options,  # type: ignore[arg-type]
    )
    sources = ImageSources(settings)
    images = sources.load(sources.class_names() or ())
    sources.findings.stop()
    return [class_mask(image, len(sources.class_names() or ())) for image in images], sources


ONE_CLASS: dict[str, list[Any]] = {
    "0/255": [grey(0, 255)],
    "0/1": [grey(0, 1)],
    "0/100": [grey(0, 100)],
    "mode 1": [Image.fromarray(SPOT)],
    "16 bits": [grey(0, 65535, "uint16")],
    "int32": [grey(0, 1, "int32")],
    "0/1 as rgb": [colours((0, 0, 0), (1, 1, 1))],
    "red": [colours((0, 0, 0), (255, 0, 0))],
    "blue": [colours((0, 0, 0), (0, 0, 128))],
    "red on white": [colours((255, 255, 255), (255, 0, 0))],
    "opaque alpha": [colours((0, 0, 0, 255), (255, 255, 255, 255))],
    "voc palette": [palette((0, 0, 0), (128, 0, 0))],
    "palette without black": [palette((68, 1, 84), (253, 231, 37))],
    "dark palette": [palette((0, 0, 0), (1, 1, 1))],
    "soft edges": [np.asarray(Image.fromarray(grey(0, 255)).resize((SIDE, SIDE), Image.Resampling.BICUBIC))],
}


@pytest.mark.parametrize("layout", ["folder", "class_folders"])
def test_two_values_are_healthy_and_defect(tmp_path: Path, layout: str) -> None:
    for name, masks in ONE_CLASS.items():
        suffix = "tif" if name == "int32" else "png"
        root = write(tmp_path / name, masks, layout="" if layout == "folder" else "dent", suffix=suffix)
        (drawn,), _ = read(root, layout, classes=["dent"])
        assert np.array_equal(drawn == 1, SPOT), name
        assert not drawn[~SPOT].any(), name


def test_one_rule_holds_for_all_masks_of_a_list(tmp_path: Path) -> None:
    values = grey(0, 1)
    values[0, 0] = 255
    (first, second), sources = read(write(tmp_path / "a", [values, grey(0, 255)]), classes=["dent"])
    assert (first[0, 0], first[5, 12], second[5, 12]) == (255, 1, 255)  # three values: class numbers, 255 is unknown
    assert sources.findings.found == []
    (first,), sources = read(write(tmp_path / "b", [grey(0, 255)]), classes=["dent"])
    assert "0 is healthy, every other value is dent" in sources.findings.found[0].text
    _, sources = read(write(tmp_path / "c", [grey(0, 255)]), classes=["dent", "crack"])
    assert "255 means unknown where there are 2 classes" in sources.findings.found[0].text


def test_masks_of_jpeg_are_divided_at_the_middle_and_it_is_said(tmp_path: Path) -> None:
    for number, mask in enumerate((grey(0, 255), colours((0, 0, 0), (255, 0, 0)))):
        root = write(tmp_path / str(number), [mask], suffix="jpg", quality=60)
        (drawn,), sources = read(root, classes=["dent"])
        assert abs(int(drawn.sum()) - MARKED) <= 12
        assert "artefacts of JPEG" in sources.findings.found[0].text
    with pytest.raises(LabelError, match="they keep no numbers of classes; save them as PNG"):
        read(write(tmp_path / "classes", [grey(0, 2)], suffix="jpg"), classes=["dent", "crack"])
    lossless = write(tmp_path / "lossless", [grey(0, 2)], suffix="webp", lossless=True)
    assert np.array_equal(read(lossless, classes=["dent", "crack"])[0][0], grey(0, 2))
    with pytest.raises(LabelError, match="which nothing divides into healthy and defect"):
        read(write(tmp_path / "numbers", [grey(0, 9)], suffix="jpg", quality=30), classes=["dent"])


def test_inverted_masks_are_told_of_and_can_be_named(tmp_path: Path) -> None:
    root = write(tmp_path, [grey(255, 0)])
    (drawn,), sources = read(root, classes=["dent"])
    assert drawn[~SPOT].all()
    assert "92% of all pixels in the masks are defect; if they are inverted" in sources.findings.found[1].text
    (drawn,), sources = read(root, classes=["dent"], mask_healthy=255)
    assert np.array_equal(drawn == 1, SPOT)
    with pytest.raises(LabelError, match="mask_healthy is 7, but the masks hold 0, 255"):
        read(root, classes=["dent"], mask_healthy=7)


def test_colours_of_a_palette_are_classes(tmp_path: Path) -> None:
    both = np.zeros((SIDE, SIDE, 3), dtype=np.uint8)
    both[SPOT], both[20:, 20:], both[0] = (255, 0, 0), (0, 255, 0), (128, 128, 128)
    root = write(tmp_path / "rgb", [both])
    names = ["dent", "crack"]
    with pytest.raises(LabelError, match=r"holds the value 128, #00ff00, #ff0000, .*give the colour of each class"):
        read(root, classes=names)
    named = {"dent": "#ff0000", "crack": "#00ff00", "unknown": "#808080"}
    (drawn,), _ = read(root, classes=names, mask_palette=named)
    assert np.array_equal(drawn == 1, SPOT)
    assert (drawn[25, 25], drawn[0, 0], drawn[15, 5]) == (2, 255, 0)
    with pytest.raises(LabelError, match="#00ff00, which mask_palette does not name"):
        read(root, classes=names, mask_palette={"dent": "#ff0000", "unknown": "#808080"})
    with pytest.raises(ConfigurationError, match="mask_palette names 'rust', which is no class"):
        read(root, classes=names, mask_palette={"rust": "#ff0000"})
    voc = write(tmp_path / "voc", [colours((0, 0, 0), (0, 128, 0)), colours((0, 0, 0), (224, 224, 192))])
    (second, border), _ = read(voc, classes=names, mask_palette="voc")
    assert (second[5, 12], border[5, 12]) == (2, 255)


WRONG: dict[str, tuple[Any, str]] = {
    "alpha": (colours((255, 255, 255, 0), (255, 255, 255, 255)), "transparent in places, and transparency is no mask"),
    "empty": (grey(0, 0), "is of the class 'dent', but its mask .* marks no pixel"),
    "float": (grey(0, 1).astype(np.float32) / 2, "holds the value 0.5; a mask has whole numbers"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_a_mask_cannot_be(tmp_path: Path, kind: str) -> None:
    mask, message = WRONG[kind]
    root = write(tmp_path, [mask, mask], layout="dent", suffix="tif" if kind == "float" else "png")
    with pytest.raises(LabelError, match=message):
        read(root, "class_folders")


def test_names_of_masks_and_masks_of_healthy_images(tmp_path: Path) -> None:
    for number, name in enumerate(("{}_mask", "{}_GT", "{}-label", "{}.png")):
        root = write(tmp_path / str(number), [grey(0, 255)] * 2, names=name, layout="dent")
        write(root, [grey(0, 0)], names=name, layout="Good")
        drawn, _ = read(root, "class_folders")
        assert sorted(int(mask.sum()) for mask in drawn) == [0, MARKED, MARKED], name
    write(root, [grey(0, 255)], names="{}_mask", layout="good")
    with pytest.raises(LabelError, match=r"'good/0.png' is flagged healthy but its labels hold a defect"):
        read(root, "class_folders")


def test_folders_that_do_not_match_are_named_and_counted(tmp_path: Path) -> None:
    root = write(tmp_path, [grey(0, 255)] * 3)
    (root / "masks").rename(root / "Masks")
    assert len(read(root, classes=["dent"])[0]) == 3
    (root / "Masks").rename(root / "maskes")
    with pytest.raises(LabelError, match=r"there is no folder masks, .* none of its 3 images .* images, maskes"):
        read(root, classes=["dent"])
    (root / "maskes").rename(root / "masks")
    for number in range(2):
        (root / "masks" / f"{number}.png").rename(root / "masks" / f"part{number}.png")
    with pytest.raises(LabelError, match=r"the mask has no image .*2 of 3 masks have none: part0, part1"):
        read(root, classes=["dent"])


def test_facts_of_many_masks_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APPRAISE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datamodules.inspection.labels.mask_survey._WORTH_KEEPING", 2)
    root = write(tmp_path / "data", [grey(0, 255)] * 2)
    first = read(root, classes=["dent"])[1].load(["dent"])
    assert len(list((tmp_path / "cache/masks").iterdir())) == 1
    assert read(root, classes=["dent"])[1].load(["dent"]) == first


def test_a_mask_of_the_unturned_image_is_refused(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    Image.new("RGB", (20, 10)).save(tmp_path / "images/a.jpg", exif=exif)
    Image.new("L", (20, 10), 255).save(tmp_path / "masks/a.png")
    with pytest.raises(LabelError, match="drawn before the orientation of the image turned it"):
        read(tmp_path, classes=["dent"])


def test_a_training_without_a_defect_does_not_begin(tmp_path: Path) -> None:
    root = write(tmp_path, [grey(0, 0)] * 12)
    data = InspectionDataModule(root=str(root), label_format="folder", classes=["dent"])
    with pytest.raises(LabelError, match="no example of dent is in the train split"):
        data.setup("fit")
    data.setup("test")
