"""White of images of more than 8 bits: found when a training begins, kept, and never guessed anew."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datamodules.common.errors import ConfigurationError
from datamodules.inspection.datamodule import InspectionDataModule


def parts(folder: Path, white: float, kind: str = "uint16") -> Path:
    """Ten images up to ``white``, every second with a defect of one class."""
    generator = np.random.default_rng(0)
    for number in range(10):
        place = folder / "images" / ("dent" if number % 2 else "good")
        place.mkdir(parents=True, exist_ok=True)
        values = generator.uniform(0, white, (32, 32))
        values[0, 0] = white
        Image.fromarray(values.astype(kind)).save(place / f"{number}.tif")
        if number % 2:
            (folder / "masks/dent").mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.eye(32, dtype=np.uint8) * 255).save(folder / f"masks/dent/{number}.png")
    return folder


def module(root: Path, **options: Any) -> InspectionDataModule:
    return InspectionDataModule(root=str(root), label_format="class_folders", batch_size=2, **options)


def levels(data: InspectionDataModule) -> int:
    batch = next(iter(data.val_dataloader()))
    return len(np.unique(batch["image"].numpy()))


@pytest.mark.parametrize(
    ("white", "kind", "found"), [(4000, "uint16", 4095), (0.9, "float32", 1), (255, "uint8", None)]
)
def test_a_training_finds_white_and_says_it(
    tmp_path: Path, white: float, kind: str, found: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    data = module(parts(tmp_path, white, kind))
    data.setup("fit")
    assert data.white_level == found
    assert data.state_dict() == ({} if found is None else {"white_level": found})
    assert levels(data) > 200
    assert (f"white is {found}, guessed" in caplog.text) == (found is not None)


def test_what_was_trained_with_is_never_guessed_anew(tmp_path: Path) -> None:
    bright, dark = parts(tmp_path / "bright", 4000), parts(tmp_path / "dark", 900)
    trained = module(bright)
    trained.setup("fit")
    later = module(bright, path=str(dark / "images"))
    later.setup("predict")
    later.load_state_dict(trained.state_dict())
    (batch, *_) = later.predict_dataloader()
    assert int(batch["image"].max()) == 900 // 16
    assert later.data_fingerprint() != module(bright, path=str(dark / "images")).data_fingerprint()
    with pytest.raises(ConfigurationError, match="white_level is 1023, but the checkpoint was trained with 4095"):
        module(bright, white_level=1023).load_state_dict(trained.state_dict())


def test_a_level_that_leaves_little_is_warned_of(tmp_path: Path) -> None:
    root = parts(tmp_path, 900)
    texts = [finding.text for finding in module(root, white_level=65535).data_summary().findings]
    assert "with white at 65535 the training images reach 3 of 256 grey levels" in texts
    texts = [finding.text for finding in module(root, white_level=500).data_summary().findings]
    assert "white_level is 500, but the training images reach 900; what is above is cut" in texts
