"""The two callbacks that look at selected regions, on cases worked out by hand and on a real encoded video."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from callbacks.video_quality.region_overlap import candidate_overlap
from callbacks.video_quality.region_overlay import outline, overlay_name, window_boxes, write_overlay_video, write_sheet
from datamodules.video.reading.reader import KeepFrames, read_video


def test_overlap_is_one_where_the_window_is_the_region() -> None:
    # 9 x 9 cells of 10 px: candidate 4 covers cells 1..7 in both directions.
    region = torch.tensor([[10.0, 10.0, 80.0, 80.0]])
    overlap = candidate_overlap(region, torch.tensor([90]), torch.tensor([90]), grid_size=9, window=7)
    assert overlap.shape == (1, 9)
    assert overlap.argmax().item() == 4
    assert overlap[0, 4].item() == pytest.approx(1.0)
    # Shifted by one cell: 60 x 70 shared of 2 * 4900 - 4200.
    assert overlap[0, 3].item() == pytest.approx(4200 / 5600)


def test_overlap_runs_over_rows_first() -> None:
    # A region in the lower left corner of a portrait frame.
    region = torch.tensor([[0.0, 40.0, 70.0, 180.0]])
    overlap = candidate_overlap(region, torch.tensor([90]), torch.tensor([180]), grid_size=9, window=7)
    assert overlap.argmax().item() == 6


def test_overlap_of_an_unknown_region_is_unknown() -> None:
    region = torch.full((1, 4), torch.nan)
    assert candidate_overlap(region, torch.tensor([90]), torch.tensor([90]), 9, 7).isnan().all()


def test_window_boxes_agree_with_the_overlap() -> None:
    boxes = window_boxes(torch.arange(9), 9, 9, width=90, height=180)
    for index, box in enumerate(boxes):
        overlap = candidate_overlap(box[None].float(), torch.tensor([90]), torch.tensor([180]), 9, 7)
        assert overlap[0, index].item() == pytest.approx(1.0)


def test_files_of_one_name_get_two_overlays() -> None:
    assert overlay_name("/a/clip.mp4", ".png") != overlay_name("/b/clip.mp4", ".png")


def test_outline_paints_the_edge_and_keeps_the_inside() -> None:
    frame = torch.zeros(40, 40, 3, dtype=torch.uint8)
    marked = outline(frame, torch.tensor([5, 5, 35, 35]))
    assert marked[5, 20].tolist() == [255, 217, 47]
    assert marked[20, 20].tolist() == [0, 0, 0]
    assert marked[0, 0].tolist() == [0, 0, 0]


def test_sheet_and_video_are_written(tmp_path: Path) -> None:
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (8, 63, 91, 3), dtype=np.uint8))
    group = torch.arange(8) // 2
    windows = window_boxes(torch.tensor([0, 4, 8, 2]), 9, 9, width=91, height=63)
    heat = torch.rand(4, 7, 7)
    write_sheet(tmp_path / "a.png", frames, group, windows, heat, "a clip")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
    write_overlay_video(tmp_path / "a.mp4", frames, group, windows, heat, fps=10)
    kept = KeepFrames()
    info = read_video(str(tmp_path / "a.mp4"), kept)
    assert (info.frames, info.width, info.height) == (8, 90, 62)
