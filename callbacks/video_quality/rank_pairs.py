"""Rank-pair accuracy and the score of the KVQ challenge, from a list of compared pairs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import lightning as L
import torch
from torch import Tensor

from callbacks.figures.collect import CollectTestResults
from lightning_modules.video_quality.metrics import kvq_challenge_score, plcc, rank_pair_accuracy, srcc


class RankPairs(CollectTestResults):
    """Log the accuracy on the data module's ``rank_pairs``, one value a group, and the challenge score.

    The groups ``nonsource`` and ``source`` are those of the KVQ challenge (metric_score: 0.45 SRCC + 0.45 PLCC +
    0.05 accuracy on each); the challenge score is logged when both are there. Pairs whose videos are not both in
    the test split are left out and counted.
    """

    def columns(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Predicted and true score."""
        return {"score_raw": outputs["score_raw"], "mos": batch["mos"]}

    def finish(self, trainer: L.Trainer, module: L.LightningModule, table: dict[str, Tensor]) -> None:
        """Compare every pair whose two videos were scored."""
        data = getattr(trainer, "datamodule", None)
        pairs = getattr(data, "rank_pairs", None)
        if data is None or not pairs:
            return
        names = [video.name for video in data.videos("test")]
        score_of = {names[row]: score for row, score in zip(table["index"].tolist(), table["score_raw"], strict=True)}
        accuracy: dict[str, float] = {}
        scored = [pair for pair in pairs if pair.video1 in score_of and pair.video2 in score_of]
        for group in sorted({pair.group for pair in scored}):
            own = [pair for pair in scored if pair.group == group]
            first = torch.stack([score_of[pair.video1] for pair in own])
            second = torch.stack([score_of[pair.video2] for pair in own])
            rank = torch.tensor([pair.rank for pair in own])
            accuracy[group] = float(rank_pair_accuracy(first, second, rank))
        values = {f"test/rank_accuracy_{group}": value for group, value in accuracy.items()}
        values["test/rank_pairs_left_out"] = float(len(pairs) - len(scored))
        known = torch.isfinite(table["mos"])
        if {"nonsource", "source"} <= set(accuracy) and int(known.sum()) > 2:
            scores, mos = table["score_raw"][known], table["mos"][known]
            values["test/kvq_challenge"] = float(
                kvq_challenge_score(
                    float(srcc(scores, mos)), float(plcc(scores, mos)), accuracy["nonsource"], accuracy["source"]
                )
            )
        module.log_dict(values)
