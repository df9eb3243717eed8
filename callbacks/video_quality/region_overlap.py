"""Does region selection look where it counts? Overlap of the chosen windows with the labelled region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor

from callbacks.figures.collect import CollectTestResults

RESAMPLES = 2000


def candidate_overlap(region: Tensor, width: Tensor, height: Tensor, grid_size: int, window: int) -> Tensor:
    """Intersection over union of every candidate window with the region that counts.

    Args:
        region: (B, 4) x1, y1, x2, y2 in pixels of the source; x2 and y2 exclusive.
        width: (B,) width of the source in pixels.
        height: (B,) height of the source in pixels.
        grid_size: Fragments a side.
        window: Fragments a side of a candidate window.

    Returns:
        (B, C) in [0, 1], C = (grid_size - window + 1)^2, row-major.

    Example:
        >>> whole = torch.tensor([[0.0, 0.0, 70.0, 70.0]])
        >>> candidate_overlap(whole, torch.tensor([80.0]), torch.tensor([80.0]), 8, 7)
        tensor([[1.0000, 0.7500, 0.7500, 0.5806]])
    """
    side = grid_size - window + 1
    start = torch.arange(side, dtype=torch.float64, device=region.device) / grid_size
    size = torch.stack([width, height], dim=1).double()[:, :, None]  # (B, 2, 1)
    low = start * size
    high = (start + window / grid_size) * size  # (B, 2, side)
    box = region.double()
    overlap = (torch.minimum(high, box[:, 2:, None]) - torch.maximum(low, box[:, :2, None])).clamp_min(0)
    shared = overlap[:, 1, :, None] * overlap[:, 0, None, :]  # rows are y, columns are x
    window_area = (window / grid_size) ** 2 * size.prod(1)[:, :, None]
    box_area = ((box[:, 2] - box[:, 0]) * (box[:, 3] - box[:, 1]))[:, None, None]
    return (shared / (window_area + box_area - shared)).flatten(1).float()


class RegionOverlap(CollectTestResults):
    """Log how well the selected windows cover the region that counts, beside two baselines.

    ``test/region_overlap`` is the mean intersection over union of the chosen windows, ``..._low`` and ``..._high`` the
    95 % bootstrap interval over videos; ``test/region_overlap_all`` is the mean over all candidates (chance) and
    ``test/region_overlap_constant`` the best single window, chosen with hindsight on the same videos.

    Args:
        seed: Seed of the bootstrap.
    """

    def __init__(self, seed: int = 0) -> None:
        super().__init__()
        self.seed = seed

    def columns(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Overlap of each candidate, and which ones were chosen."""
        size = torch.tensor(
            [[record["width"], record["height"]] for record in batch["record"]], device=batch["region"].device
        )
        side = round(outputs["candidates"] ** 0.5)
        grid = int(outputs["grid_size"])
        overlap = candidate_overlap(batch["region"], size[:, 0], size[:, 1], grid, grid - side + 1)
        chosen = outputs["region_index"].flatten(1)
        return {"overlap": overlap, "chosen": chosen}

    def finish(self, trainer: L.Trainer, module: L.LightningModule, table: dict[str, Tensor]) -> None:
        """Average and bootstrap over the videos that name a region."""
        known = torch.isfinite(table["overlap"]).all(dim=1)
        if not bool(known.any()):
            return
        overlap = table["overlap"][known]
        per_video = overlap.gather(1, table["chosen"][known]).mean(dim=1)
        generator = torch.Generator().manual_seed(self.seed)
        draws = torch.randint(len(per_video), (RESAMPLES, len(per_video)), generator=generator)
        low, high = per_video[draws].mean(dim=1).quantile(torch.tensor([0.025, 0.975])).tolist()
        module.log_dict(
            {
                "test/region_overlap": float(per_video.mean()),
                "test/region_overlap_low": low,
                "test/region_overlap_high": high,
                "test/region_overlap_all": float(overlap.mean()),
                "test/region_overlap_constant": float(overlap.mean(dim=0).max()),
            }
        )
