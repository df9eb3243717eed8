"""Arguments of the data that cannot work, alone or together, are named before any work."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from datamodules import ActionDataModule, FaceAttributeDataModule, InspectionDataModule, VideoQualityDataModule
from datamodules.action.frames.augmentation import ActionAugmentation
from datamodules.action.stream import ActionStream
from datamodules.common.errors import ConfigurationError
from datamodules.face_attributes.augmentation import FaceAugmentation
from datamodules.inspection.settings import AugmentationSettings

Case = tuple[dict[str, Any], str]  # arguments, and what is said of them
CASES: dict[Callable[..., object], list[Case]] = {
    ActionDataModule: [
        ({"frame_size": 4}, "frame_size"),
        ({"batch_size": 0}, "batch_size"),
        ({"num_workers": -1}, "num_workers"),
        ({"decode_timeout": 0.0}, "decode_timeout"),
        ({"split": (0.7, 0.2, 0.2)}, "split is"),
        ({"split": (0.0, 0.5, 0.5)}, "split is"),
        ({"split": (1.2, -0.1, -0.1)}, "split is"),
        ({"frames_per_video": 0}, "frames_per_video"),
        ({"sampling_rate": 0.0}, "sampling_rate"),
        ({"sampling_rate": 1.0, "frames_per_video": 2}, "sampling_rate"),
        ({"label_format": "csv"}, "no list is given"),
        ({"label_format": "videos"}, "give root"),
        ({"classes": []}, "at least one class"),
        ({"class_names": ["a", "a"]}, "each once"),
        ({"fold": 0}, "fold is 0"),
        ({"labels": ["a", "b"], "label_format": "ucf"}, "folder of the lists"),
    ],
    ActionAugmentation: [({"zoom": 1.0}, "zoom is 1")],
    partial(ActionStream, [], 32): [
        ({"clip_length": 0}, "clip_length is 0"),
        ({"chunk_frames": 4, "clip_length": 8}, "chunk_frames is 4; a chunk must hold a clip of 8"),
        ({"rate": 0.0}, "rate is 0 frames a second"),
        ({"compare_rate": True}, "but rate is null"),
        ({"timeout": math.inf}, "decode_timeout is inf s"),
        ({"queue_chunks": 0}, "queue_chunks is 0"),
        ({"max_lag": -1.0}, "max_lag is -1 s"),
    ],
    FaceAttributeDataModule: [
        ({"batch_size": 0}, "batch_size is 0, but must be at least 1"),
        ({"image_size": 512}, r"image_size is 512; it must be 8\.\.256 for the generated faces"),
        ({"crop_margin": -0.1}, r"crop_margin is -0\.1"),
        ({"exclude_attributes": ["Mail"]}, 'no attribute "Mail": did you mean Male'),
        ({"attribute_schema": "nowhere.yaml"}, r"nowhere\.yaml: cannot be read"),
        ({"split": (0.5, 0.5, 0.5)}, "split is"),
        ({"judge_share": 1.0}, "judge_share is 1"),
        ({"missing_margin": -1}, "missing_margin is -1"),
        ({"labels": "x.txt"}, "there is no such file"),
        ({"label_format": "pubfig"}, "label_format is pubfig but there is no list; name it as labels"),
        ({"label_format": "list"}, "label_format is list but there is no list; name it as labels"),
        ({"root": ".", "label_format": "demo"}, "label_format is demo but root"),
        ({"root": "nowhere"}, "root nowhere is no folder"),
        ({"root": ".", "label_format": "lfw"}, "holds no list of lfw"),
        (
            {"root": ".", "label_format": "list"},
            "holds no list of PubFig, LFW, CelebA or FairFace; name it with --data",
        ),
    ],
    FaceAugmentation: [({"flip": 1.5}, r"flip is 1\.5, but must be in 0\.\.1")],
    InspectionDataModule: [
        ({"new_training": "full", "batch_size": 5}, "batch_size 5 must be even"),
        ({"batch_size": 0}, "batch_size is 0, but must be at least 1"),
        ({"box_fill": 0}, "box_fill is 0"),
        ({"new_limit": 0}, "new_limit is 0"),
        ({"crop_size": 4}, "crop_size is 4"),
        ({"val_fraction": 1.0}, "fraction"),
        ({"test_fraction": -0.1}, "fraction"),
        ({"val_fraction": 0.6, "test_fraction": 0.4}, "fraction"),
        ({"new_training": "mentored"}, "no store is given"),
        ({"root": "x"}, r"name it with --data.init_args.label_format \(manifest, folder"),
        ({"new_root": "x", "label_format": "folder"}, "without the original domain's"),
        ({"root": "x", "label_format": "manifest"}, "label_format manifest needs labels"),
        ({"labels": "x", "label_format": "folder"}, "label_format folder needs root"),
        ({"root": "x", "new_root": "y", "label_format": "deeppcb"}, "holds both domains in one folder"),
        ({"root": "x", "label_format": "csv"}, "label_format is 'csv'; allowed are manifest"),
        ({"classes": ["a", "a"]}, "must be different names"),
    ],
    AugmentationSettings: [
        ({"flip_horizontal": 1.5}, "flip_horizontal is"),
        ({"brightness": -0.1}, "brightness is"),
        ({"degrees": 181}, "degrees is"),
        ({"scale": 0.95}, "scale is"),
    ],
    VideoQualityDataModule: [
        ({"labels": "a", "train_labels": "b", "label_format": "kvq"}, "either labels or train"),
        ({"labels": "a"}, "without label_format"),
        ({"root": "a"}, "no label list is given"),
        ({"batch_size": 0}, "batch_size"),
        ({"clip_length": 0}, "clip_length"),
        ({"grid_size": 0}, "grid_size"),
        ({"fragment_size": 0}, "fragment_size"),
        ({"aligned": 0}, "aligned"),
        ({"key_frame_layout": "official", "num_key_frames": 3}, "official"),
        ({"num_key_frames": 9, "clip_length": 4}, "num_key_frames"),
        ({"val_fraction": -0.1}, "val_fraction"),
        ({"test_fraction": 1.0}, "test_fraction"),
        ({"val_fraction": 0.5, "test_fraction": 0.5}, "nothing to train on"),
        ({"folds": 1}, "fold 0 of 1"),
        ({"folds": 3, "fold": 3}, "fold 3 of 3"),
        ({"decode_timeout": 0.0}, "decode_timeout"),
        ({"label_range": (3.0, 3.0)}, "label_range is 3 to 3"),
        ({"label_range": (0.0, math.inf)}, "label_range is 0 to inf"),
    ],
}


@pytest.mark.parametrize(("taker", "case"), [(taker, case) for taker, cases in CASES.items() for case in cases])
def test_arguments_that_cannot_work_are_named(taker: Callable[..., object], case: Case) -> None:
    arguments, message = case
    with pytest.raises(ConfigurationError, match=message):
        taker(**arguments)
