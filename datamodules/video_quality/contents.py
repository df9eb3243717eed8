"""What lists of scored videos hold."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from datamodules.common.splits import SplitName
from datamodules.summary.findings import Finding
from datamodules.summary.training_data import DataSummary, SplitSummary
from datamodules.video_quality.labels import LabelledVideo


def score_summary(videos: Mapping[SplitName, Sequence[LabelledVideo]]) -> DataSummary:
    """Count videos, scores and sources of each split."""
    splits = [_summary(split, own) for split, own in videos.items()]
    findings = []
    scores = {video.mos for video in videos.get("train", ()) if not math.isnan(video.mos)}
    if len(videos.get("train", ())) > 1 and len(scores) == 1:
        text = (
            f"all {len(videos['train'])} training videos have the score {scores.pop():g}, so there is nothing to learn"
        )
        findings.append(Finding("fault", "scores", text, "give the list with the scores of each"))
    return DataSummary("videos", splits, findings)


def _summary(split: SplitName, videos: Sequence[LabelledVideo]) -> SplitSummary:
    scores = [video.mos for video in videos if not math.isnan(video.mos)]
    facts = [f"scores {min(scores):g} to {max(scores):g}, mean {sum(scores) / len(scores):.3g}"] if scores else []
    sources = {video.reference for video in videos if video.reference is not None}
    if sources:
        facts.append(f"{len(sources)} sources")
    return SplitSummary(split, len(videos), len(scores), facts=facts)
