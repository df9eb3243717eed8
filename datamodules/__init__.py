"""Data modules of appraise, imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.common.lazy_names import PublicName, lazy_names

if TYPE_CHECKING:
    from datamodules.video_quality.datamodule import VideoQualityDataModule as VideoQualityDataModule

PUBLIC = {
    "VideoQualityDataModule": PublicName(
        "datamodules.video_quality.datamodule", "videos with opinion scores; without a list, generated demo clips"
    ),
}

__all__ = ["VideoQualityDataModule"]

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, PUBLIC)
