"""Pictures are found by class, read upright and dealt to the splits."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datamodules.common.errors import ConfigurationError
from lightning_modules.commands.new.data import OwnData


def test_pictures_come_with_their_classes(tmp_path: Path) -> None:
    for name, value in (("dark", 10), ("light", 240)):
        (tmp_path / name).mkdir()
        for number in range(20):
            Image.fromarray(np.full((9, 12, 3), value, np.uint8)).save(tmp_path / name / f"{number}.png")
    data = OwnData(root=str(tmp_path), image_size=8, batch_size=4)
    data.setup("fit")
    assert data.class_names == ["dark", "light"]
    seen = [len(data.files(split)) for split in ("train", "val", "test")]
    assert sum(seen) == 40
    assert min(seen) > 0
    for batch in data.train_dataloader():
        assert batch["image"].shape[1:] == (3, 8, 8)
        assert [int(image[0, 0, 0]) for image in batch["image"]] == [10 + 230 * int(one) for one in batch["label"]]


def test_a_folder_without_classes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="holds 0 folders"):
        OwnData(root=str(tmp_path))
