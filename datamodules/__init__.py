"""Data modules of appraise, imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.common.lazy_names import PublicName, lazy_names

if TYPE_CHECKING:
    from datamodules.action.datamodule import ActionDataModule as ActionDataModule
    from datamodules.face_attributes.datamodule import FaceAttributeDataModule as FaceAttributeDataModule
    from datamodules.face_attributes.request_datamodule import AttributeRequestDataModule as AttributeRequestDataModule
    from datamodules.face_benchmark.datamodule import FaceXBenchDataModule as FaceXBenchDataModule
    from datamodules.face_diffusion.datamodule import FaceDiffusionDataModule as FaceDiffusionDataModule
    from datamodules.inspection.datamodule import InspectionDataModule as InspectionDataModule
    from datamodules.video_quality.datamodule import VideoQualityDataModule as VideoQualityDataModule

PUBLIC = {
    "ActionDataModule": PublicName(
        "datamodules.action.datamodule",
        "videos of actions as sparse frames or streams; without a list, generated clips",
    ),
    "VideoQualityDataModule": PublicName(
        "datamodules.video_quality.datamodule", "videos with opinion scores; without a list, generated demo clips"
    ),
    "InspectionDataModule": PublicName(
        "datamodules.inspection.datamodule",
        "parts of two domains with labels or answers; without a list, generated surfaces",
    ),
    "FaceAttributeDataModule": PublicName(
        "datamodules.face_attributes.datamodule",
        "faces with attributes from lists or folders; without a list, drawn faces",
    ),
    "AttributeRequestDataModule": PublicName(
        "datamodules.face_attributes.request_datamodule", "attributes of faces that shall be made"
    ),
    "FaceXBenchDataModule": PublicName(
        "datamodules.face_benchmark.datamodule",
        "questions about faces with options: FaceXBench's, or made from labelled faces",
    ),
    "FaceDiffusionDataModule": PublicName(
        "datamodules.face_diffusion.datamodule",
        "pictures that a diffusion model learns from; without a folder, drawn faces",
    ),
}

__all__ = [
    "ActionDataModule",
    "AttributeRequestDataModule",
    "FaceAttributeDataModule",
    "FaceDiffusionDataModule",
    "FaceXBenchDataModule",
    "InspectionDataModule",
    "VideoQualityDataModule",
]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, PUBLIC)
