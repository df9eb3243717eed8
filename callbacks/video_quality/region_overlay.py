"""Show what region selection saw: the selected window and the importance map, drawn on the source frames."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from callbacks.figures.pictures import costs_itself, title_of, write_figure
from callbacks.figures.prediction_writer import PredictionWriter
from datamodules.common.atomic_write import output_name
from datamodules.video.reading.reader import KeepFrames, read_video
from datamodules.video.writing.encode import encode_video
from datamodules.video_quality.batch import VideoQualityBatch, VideoRecord

HEAT_WEIGHT = 0.45  # of the importance colours over the frame
DIMMED = 0.35  # brightness outside the selected window
LINE = 3  # pixels


class RegionOverlay(PredictionWriter[VideoQualityBatch]):
    """Write one picture or one video per predicted file with the selected windows and the importance map.

    Files whose rows a resumed run reuses are not drawn again.

    Args:
        kind: ``sheet``: a PNG with one column per key frame; ``video``: the sampled frames as an MP4.
        output: Folder that gets ``regions/<name>-<hash of the path>.png|mp4``; None takes the run's folder.
        limit: At most this many files are drawn, so that a large folder does not fill the disk.
    """

    def __init__(self, kind: Literal["sheet", "video"] = "sheet", output: str | None = None, limit: int = 100) -> None:
        self.kind = kind
        super().__init__(output)
        self.limit = limit
        self._drawn = 0

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Keep the videos of an earlier run out of those to score: the results may lie in the folder of the sources."""
        data: Any = getattr(trainer, "datamodule", None)
        drawn = list((self.folder(trainer) / "regions").absolute().glob("*.mp4"))
        if stage == "predict" and data is not None and drawn:
            data.exclude(drawn)

    def write(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Mapping[str, Any], batch: VideoQualityBatch
    ) -> None:
        """Draw the batch's videos, first clip only."""
        folder = self.folder(trainer) / "regions"
        for position, record in enumerate(batch["record"]):
            if not bool(batch["valid"][position]) or self._drawn >= self.limit:
                continue
            self._drawn += 1
            target = folder / overlay_name(record["path"], ".png" if self.kind == "sheet" else ".mp4")
            with costs_itself(target):
                self._draw(target, record, outputs, batch, position)

    def _draw(
        self,
        target: Path,
        record: VideoRecord,
        outputs: Mapping[str, Any],
        batch: VideoQualityBatch,
        position: int,
    ) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        group = outputs["frame_group"].cpu()
        kept = KeepFrames(batch["frame_index"][position, 0].cpu().numpy())
        read_video(record["path"], kept, again=True)
        decoded = torch.from_numpy(kept.frames())
        windows = window_boxes(
            outputs["region_index"][position, 0].cpu(),
            int(outputs["candidates"]),
            int(outputs["grid_size"]),
            width=decoded.shape[2],
            height=decoded.shape[1],
        )
        heat = outputs["importance"][position, 0].float().cpu()
        title = f"{title_of(Path(record['path']).name)}   score {float(outputs['score_raw'][position]):.3f}"
        if self.kind == "sheet":
            write_sheet(target, decoded, group, windows, heat, title)
        else:
            step = int(batch["frame_index"][position, 0].diff().abs().median()) if len(decoded) > 1 else 1
            write_overlay_video(target, decoded, group, windows, heat, fps=max(1.0, record["fps"] / max(1, step)))


def overlay_name(path: str, suffix: str) -> str:
    """File name of an overlay: two files of one name in different folders do not meet."""
    digest = hashlib.sha256(path.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{output_name(Path(path).stem)}-{digest}{suffix}"


def window_boxes(index: Tensor, candidates: int, grid_size: int, *, width: int, height: int) -> Tensor:
    """Pixel boxes of selected windows.

    Args:
        index: (N_t,) candidate of each key frame, row * side + column.
        candidates: Number of candidate windows, a square.
        grid_size: Fragments a side.
        width: Width of the frame in pixels.
        height: Height of the frame in pixels.

    Returns:
        (N_t, 4) int64 x1, y1, x2, y2, exclusive ends.

    Example:
        >>> window_boxes(torch.tensor([0, 8]), 9, 9, width=90, height=180).tolist()
        [[0, 0, 70, 140], [20, 40, 90, 180]]
    """
    side = round(candidates**0.5)
    window = grid_size - side + 1
    row, column = index // side, index % side
    edges = torch.stack([column * width, row * height, (column + window) * width, (row + window) * height], dim=1)
    return edges // grid_size


def write_sheet(path: Path, frames: Tensor, group: Tensor, windows: Tensor, heat: Tensor, title: str) -> None:
    """Contact sheet as PNG: key frames with their window above, importance below.

    Sampled frames are (T, H, W, 3) uint8, their key frames (T,), windows (N_t, 4) in pixels, importance (N_t, h, w).
    """
    columns = len(windows)
    aspect = frames.shape[1] / frames.shape[2]
    figure = Figure(figsize=(2.6 * columns, 2 * 2.45 * aspect + 0.6), layout="constrained")
    axes = figure.subplots(2, columns, squeeze=False)
    low, high = float(heat.min()), float(heat.max())
    for column in range(columns):
        members = (group == column).nonzero().flatten()
        frame = frames[int(members[len(members) // 2])] if len(members) else frames[0]
        x1, y1, x2, y2 = windows[column].tolist()
        axes[0, column].imshow(dim_outside(frame, windows[column]).numpy())
        axes[0, column].add_patch(
            Rectangle((x1, y1), x2 - x1 - 1, y2 - y1 - 1, fill=False, edgecolor="#ffd92f", linewidth=2)
        )
        axes[0, column].set_title(f"key frame {column + 1}", fontsize=9)
        axes[1, column].imshow(frame.numpy())
        shown = axes[1, column].imshow(
            heat[column].numpy(),
            extent=(0, frame.shape[1], frame.shape[0], 0),
            cmap="inferno",
            alpha=0.6,
            vmin=low,
            vmax=high,
            interpolation="bilinear",
        )
        for row in (0, 1):
            axes[row, column].set_axis_off()
    figure.colorbar(shown, ax=axes[1, :].tolist(), shrink=0.8, label="importance (cosine)")
    figure.suptitle(title, fontsize=10)
    write_figure(figure, path, dpi=120)


def write_overlay_video(path: Path, frames: Tensor, group: Tensor, windows: Tensor, heat: Tensor, fps: float) -> None:
    """Write the sampled frames, the window of their key frame outlined and importance as colour."""
    height, width = frames.shape[1] // 2 * 2, frames.shape[2] // 2 * 2  # 4:2:0 wants even sizes
    colour = _heat_colours(heat, frames.shape[1], frames.shape[2])
    drawn = []
    for frame, key in zip(frames, group.tolist(), strict=True):
        blended = (1 - HEAT_WEIGHT) * frame.float() + HEAT_WEIGHT * colour[key]
        drawn.append(outline(blended.round().to(torch.uint8), windows[key])[:height, :width])
    encode_video(path, torch.stack(drawn).numpy(), fps)


def dim_outside(frame: Tensor, box: Tensor) -> Tensor:
    """Darken a (H, W, 3) uint8 frame outside ``box`` (x1, y1, x2, y2)."""
    x1, y1, x2, y2 = box.tolist()
    dimmed = (frame.float() * DIMMED).to(torch.uint8)
    dimmed[y1:y2, x1:x2] = frame[y1:y2, x1:x2]
    return dimmed


def outline(frame: Tensor, box: Tensor) -> Tensor:
    """Draw a yellow rectangle on a copy of a (H, W, 3) uint8 frame."""
    x1, y1, x2, y2 = box.tolist()
    inside = frame[y1 + LINE : y2 - LINE, x1 + LINE : x2 - LINE].clone()
    marked = frame.clone()
    marked[y1:y2, x1:x2] = torch.tensor([255, 217, 47], dtype=torch.uint8)
    marked[y1 + LINE : y2 - LINE, x1 + LINE : x2 - LINE] = inside
    return marked


def _heat_colours(heat: Tensor, height: int, width: int) -> Tensor:
    """(N_t, h, w) importance -> (N_t, height, width, 3) float colours in [0, 255]."""
    span = (heat.max() - heat.min()).clamp_min(1e-6)
    resized = torch.nn.functional.interpolate(
        ((heat - heat.min()) / span)[:, None], size=(height, width), mode="bilinear", align_corners=False
    )[:, 0]
    return torch.from_numpy(colormaps["inferno"](resized.clamp(0, 1).numpy())[..., :3] * 255).float()
