"""A picture sheet of the deployed model's false positives that the tested model no longer makes."""

from __future__ import annotations

import logging
import math
from pathlib import Path
from typing import NamedTuple

import lightning as L
import torch
from lightning.pytorch.utilities.types import STEP_OUTPUT
from torch import Tensor

from callbacks.figures.collect import TakesTestBatches
from callbacks.figures.pictures import save_figure
from callbacks.inspection.crop_pairs import SheetEntry, draw_sheet
from callbacks.inspection.deployed_model import load_deployed_model, mentoring_method
from callbacks.inspection.false_detections import (
    FalseDetectionRule,
    apart_from,
    covered_pixels,
    false_detections,
    in_batch_pixels,
)
from datamodules.common.errors import ConfigurationError
from datamodules.inspection.batch import NEW, Detection, InspectionBatch
from lightning_modules.inspection.mentoring import MentoringMethod

log = logging.getLogger(__name__)

SIDE = 160  # pixels of a crop on the sheet
_CONTEXT = 2.4  # side of the crop over the longer side of the detection
_SMALLEST = 48  # pixels of the image that a crop shows at least


class FalsePositiveSheet(TakesTestBatches):
    """Show places of the new domain where the deployed model raised a false alarm and the tested model raises none.

    Writes ``false_positives_gone.png`` into the run's folder: pairs of crops, before and after, at most one pair an
    image. Places where the tested model is silent come first, then those where it names the right class in place of a
    wrong one; among them those of which the deployed model was surest. The heading counts all of them. Nothing is
    written where no false positive went away.

    Args:
        baseline: Checkpoint of the deployed model.
        limit: Pairs on the sheet.
        threshold: Score from which both models detect.
        share: Part of a region that must lie on or near its class to be true.
        iou: Overlap of a detected box with a labelled one of its class to be true.
        filename: Name of the picture inside the run's folder.
    """

    def __init__(
        self,
        baseline: str,
        limit: int = 24,
        threshold: float = 0.5,
        share: float = 0.3,
        iou: float = 0.5,
        filename: str = "false_positives_gone.png",
    ) -> None:
        self.baseline = baseline
        self.limit = limit
        self.rule = FalseDetectionRule(threshold, share, iou)
        self.filename = filename
        self._deployed: MentoringMethod | None = None
        self._best = _Entries.none(0)
        self._counts = torch.zeros(2)

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Load the deployed model and forget an earlier run.

        Raises:
            ConfigurationError: If the two models know other classes.
        """
        module = mentoring_method(pl_module, type(self).__name__)
        self._deployed = load_deployed_model(self.baseline).to(pl_module.device)
        if self._deployed.class_names != module.class_names:
            raise ConfigurationError(
                f"The baseline {self.baseline} knows the classes {self._deployed.class_names}, but the tested model "
                f"knows {module.class_names}: compare models of the same classes."
            )
        self._best = _Entries.none(self.limit)
        self._counts = torch.zeros(2)

    def take(self, module: L.LightningModule, outputs: STEP_OUTPUT, batch: InspectionBatch) -> None:
        """Keep the surest false positives that went away."""
        assert self._deployed is not None
        batch = in_batch_pixels(batch)
        wanted = ((batch["domain"] == NEW) & batch["labelled"] & batch["valid"]).nonzero().flatten().tolist()
        if not wanted:
            return
        method = mentoring_method(module, type(self).__name__)
        before = self._deployed.detect(batch, self.rule.threshold)
        after = method.detect(batch, self.rule.threshold)
        scores = method.cell_probabilities(batch).amax(dim=2).cpu()
        for row in wanted:
            false = false_detections(before[row], batch, row, self.rule)
            still = false_detections(after[row], batch, row, self.rule)
            gone = apart_from(false, still, batch["size"][row].tolist(), self.rule)
            self._counts += torch.tensor([len(false), len(gone)])
            if gone:  # best first
                self._best = self._best.with_one(_entry(gone[0], after[row], scores[row], batch, row, self.rule))

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Join the processes and draw."""
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # a collective call: all processes make it
        best, counts = self._best, self._counts
        if trainer.world_size > 1:
            best = _Entries(*(torch.as_tensor(pl_module.all_gather(part)).cpu().flatten(0, 1) for part in best))
            counts = torch.as_tensor(pl_module.all_gather(counts)).cpu().sum(0)
        if not trainer.is_global_zero or int(counts[1]) == 0:
            return
        names = mentoring_method(pl_module, type(self).__name__).class_names
        raised, gone = (int(count) for count in counts)
        entries = best.best(self.limit).listed(names)
        heading = f"False positives of the deployed model that went away: {gone} of {raised}"
        if len(entries) < gone:
            heading += f", the {len(entries)} surest images shown"
        figure = draw_sheet(entries, heading)
        save_figure(trainer, figure, folder / self.filename, "test/false_positives_gone", dpi=110)
        log.info("false positives that went away: %s", folder / self.filename)

    def on_test_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let the deployed model go."""
        self._deployed = None


class _Entries(NamedTuple):
    """Columns of N pairs as tensors, so that processes can join them; unused places score minus infinity."""

    score: Tensor  # (N, 2) of the detection before; of what is detected there now, or of the old class
    label: Tensor  # (N, 3) class before; class now, -1 where nothing is detected; index of the image
    crop: Tensor  # (N, 3, SIDE, SIDE) uint8
    region: Tensor  # (N, 2, SIDE, SIDE) uint8, detections before and after

    @classmethod
    def none(cls, number: int) -> _Entries:
        return cls(
            torch.full((number, 2), -torch.inf),
            torch.zeros(number, 3, dtype=torch.int64),
            torch.zeros(number, 3, SIDE, SIDE, dtype=torch.uint8),
            torch.zeros(number, 2, SIDE, SIDE, dtype=torch.uint8),
        )

    def with_one(self, other: _Entries) -> _Entries:
        """The same number of entries after one more competed for a place."""
        joined = _Entries(*(torch.cat(pair) for pair in zip(self, other, strict=True)))
        return joined.best(len(self.score))

    def best(self, number: int) -> _Entries:
        """Silent places first, then by the old score, then by the image's index: the order of batches is no matter."""
        order = self.label[:, 2].argsort(stable=True)
        order = order[self.score[order, 0].argsort(descending=True, stable=True)]
        silent = (self.label[order, 1] < 0) & torch.isfinite(self.score[order, 0])
        rank = torch.where(torch.isfinite(self.score[order, 0]), silent.long(), -1)
        order = order[rank.argsort(descending=True, stable=True)][:number]
        return _Entries(*(part[order] for part in self))

    def listed(self, class_names: list[str]) -> list[SheetEntry]:
        """Used entries for the picture."""
        entries = []
        for row in range(len(self.score)):
            (before, after), (old, now, index) = self.score[row].tolist(), self.label[row].tolist()
            if before > 0:
                there = f"{class_names[now]} {after:.2f}" if now >= 0 else f"nothing ({class_names[old]} {after:.2f})"
                crop, region = self.crop[row].permute(1, 2, 0), self.region[row].bool()
                titles = (f"{class_names[old]} {before:.2f}", there)
                entries.append(SheetEntry(titles, f"image {index}", crop.numpy(), region.numpy()))
        return entries


def _entry(
    one: Detection, after: list[Detection], scores: Tensor, batch: InspectionBatch, row: int, rule: FalseDetectionRule
) -> _Entries:
    """One pair: the crop around a detection, its region, and what the tested model says there now."""
    height, width = batch["size"][row].tolist()
    regions = torch.stack([covered_pixels([one], height, width), covered_pixels(after, height, width)])
    apart = {id(other) for other in apart_from(after, [one], (height, width), rule)}
    there = [other for other in after if id(other) not in apart]
    score = there[0].score if there else _score_at(one, scores, batch["image"].shape[-1] / scores.shape[-1])
    picture = batch["image"][row, :, :height, :width].float().cpu()
    crop, region = (_crop(part, one, nearest=nearest) for part, nearest in ((picture, False), (regions, True)))
    return _Entries(
        torch.tensor([[one.score, score]]),
        torch.tensor([[one.class_index, there[0].class_index if there else -1, int(batch["index"][row])]]),
        crop.round().to(torch.uint8)[None],
        region.to(torch.uint8)[None],
    )


def _score_at(one: Detection, scores: Tensor, stride: float) -> float:
    """Highest score ``(C, h, w)`` of a detection's class among the cells that its box touches."""
    x1, y1, x2, y2 = (side / stride for side in one.box)
    rows = slice(int(y1), max(int(y1) + 1, math.ceil(y2)))
    columns = slice(int(x1), max(int(x1) + 1, math.ceil(x2)))
    return float(scores[one.class_index, rows, columns].max())


def _crop(image: Tensor, one: Detection, *, nearest: bool) -> Tensor:
    """Square window around a detection, ``(channels, SIDE, SIDE)``; the edge repeats beyond the image."""
    x1, y1, x2, y2 = one.box
    longest = max(image.shape[-2:])
    half = int(min(max(_CONTEXT * max(x2 - x1, y2 - y1), _SMALLEST), longest)) // 2
    centre_y, centre_x = _inside((y1 + y2) / 2, half, image.shape[-2]), _inside((x1 + x2) / 2, half, image.shape[-1])
    rows = torch.arange(centre_y - half, centre_y + half).clamp(0, image.shape[-2] - 1)
    columns = torch.arange(centre_x - half, centre_x + half).clamp(0, image.shape[-1] - 1)
    window = image[:, rows][:, :, columns][None]
    mode = "nearest" if nearest else "bilinear"
    return torch.nn.functional.interpolate(window, size=(SIDE, SIDE), mode=mode)[0]


def _inside(centre: float, half: int, length: int) -> int:
    """Move a window's centre so that the window lies in the image where it fits."""
    return round(centre) if 2 * half > length else min(max(round(centre), half), length - half)
