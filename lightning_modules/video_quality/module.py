"""KSVQE as a LightningModule: wiring, steps and logging; the mathematics is in the neighbouring files."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor

from datamodules.common.settings import takes
from datamodules.video_quality.batch import VideoQualityBatch
from lightning_modules.base import Method
from lightning_modules.nn.processes import number_of_processes, rows_of_all_processes
from lightning_modules.video_quality.key_maps import WeightSource, load_weights
from lightning_modules.video_quality.losses import (
    pairwise_rank_loss,
    plcc_loss,
    supervised_contrastive_loss,
    token_labels,
)
from lightning_modules.video_quality.metrics import QualityMetrics
from lightning_modules.video_quality.network import KSVQENetwork, KSVQEOutput, key_frame_groups
from lightning_modules.video_quality.preprocess import VideoQualityPreprocess
from lightning_modules.video_quality.score_map import fit_four_parameter_logistic, four_parameter_logistic
from lightning_modules.video_quality.settings import KSVQESettings, resolve_settings

log = logging.getLogger(__name__)

FEW = 3  # videos of which one order in six is perfect by chance


class KSVQE(Method):
    """Quality of short-form video from the regions that matter, their content and their distortions.

    ``preset`` fills every argument that is left at None; an explicit argument wins. The resolved values are the
    module's hyper-parameters, so a checkpoint rebuilds its own network without any other file.

    References:
        Lu et al., "KVQ: Kwai Video Quality Assessment for Short-form Videos", CVPR 2024, and its supplement.
    """

    score_map: Tensor

    @takes(KSVQESettings, resolve_settings)
    def __init__(self, settings: KSVQESettings) -> None:
        super().__init__(*settings.optimisation)
        self.config = settings
        self.keep(settings, network=settings.network_values())
        self.preprocess = VideoQualityPreprocess()
        self.network = KSVQENetwork(self.config)
        self.val_metrics = QualityMetrics()
        self.test_metrics = QualityMetrics()
        self.register_buffer("score_map", torch.full((4,), torch.nan))
        self._told: set[str] = set()
        self._random_parts = self._load(settings)

    def _load(self, settings: KSVQESettings) -> tuple[str, ...]:
        """Load what is named; returns the frozen parts that stay random."""
        filled: set[str] = set()
        named: tuple[tuple[str | None, WeightSource], ...] = (
            (settings.content_weights, "auto"),
            (settings.distortion_weights, "contrique"),
            (settings.weights, settings.weights_source),
        )
        for file, kind in named:
            if file is not None:
                filled.update(load_weights(self.network, file, kind).loaded)
        if filled:
            random = (name for name, _ in self.network.named_parameters() if name not in filled)
            self.left_random(list(dict.fromkeys(name.partition(".")[0] for name in random)))
        frozen = {"content": self.config.freeze_content, "distortion": self.config.freeze_distortion}
        return tuple(
            part
            for part, is_frozen in frozen.items()
            if is_frozen and getattr(self.network, part) is not None and not any(f"{part}." in key for key in filled)
        )

    def on_fit_start(self) -> None:
        """Warn of frozen parts that nothing was loaded into."""
        if self.trainer.ckpt_path is None:
            self.warn_of_random()

    def random_and_frozen(self) -> str | None:
        """Extractors that are frozen, without weights."""
        if not self._random_parts:
            return None
        return (
            f"the {' and the '.join(self._random_parts)} extractor is frozen with random weights, so that it tells "
            "nothing: name a file of weights, with --model.init_args.content_weights, distortion_weights or weights, "
            "or begin from a checkpoint"
        )

    def default_optimizer(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """AdamW as in section 4.2 of the supplement."""
        return torch.optim.AdamW(parameters, lr=self.config.learning_rate, weight_decay=self.config.weight_decay)

    def forward(self, fragments: Tensor, key_frames: Tensor) -> KSVQEOutput:
        """Score clips.

        Args:
            fragments: uint8 ``(N, 3, T, S, S)`` in 0..255, S = grid_size * fragment_size.
            key_frames: uint8 ``(N, N_t, 3, R, R)`` in 0..255.
        """
        output: KSVQEOutput = self.network(*self.preprocess(fragments, key_frames))
        return output

    def training_step(self, batch: VideoQualityBatch, batch_idx: int) -> Tensor:
        """Weighted sum of the losses: two over the rows that have a score, the contrastive one over all valid rows."""
        clips = batch["fragments"].shape[1]
        generator = self.step_generator()
        self.network.selection.topk.generator = generator
        output = self(batch["fragments"].flatten(0, 1), batch["key_frames"].flatten(0, 1))
        self.network.selection.topk.generator = None  # generators cannot be copied, and averaging copies the module
        # The losses compare videos with one another, so they look at those of all processes.
        score, mos, valid = (
            rows_of_all_processes(rows)
            for rows in (output.score.view(-1, clips).mean(dim=1), batch["mos"], batch["valid"])
        )
        scored = valid & mos.isfinite()
        plcc, rank = plcc_loss(score[scored], mos[scored]), pairwise_rank_loss(score[scored], mos[scored])
        # All processes draw the same of what all of them hold; one alone goes on with its own draws.
        generator = generator if number_of_processes() == 1 else self.step_generator(shared=True)
        contrastive = self._contrastive_loss(output.distortion_tokens, batch, generator)
        weights = self.config
        loss = weights.plcc_weight * plcc + weights.rank_weight * rank + weights.contrastive_weight * contrastive
        self.log_stage("train", {"plcc_loss": plcc, "rank_loss": rank}, batch_size=int(scored.sum()))
        self.log_stage("train", {"loss": loss, "contrastive_loss": contrastive}, batch_size=int(batch["valid"].sum()))
        return loss

    def _contrastive_loss(self, tokens: Tensor, batch: VideoQualityBatch, generator: torch.Generator) -> Tensor:
        if tokens.numel() == 0 or self.config.contrastive_weight == 0:
            return tokens.new_zeros(())
        clips = batch["fragments"].shape[1]
        pattern, index, valid = (
            rows_of_all_processes(batch[name].repeat_interleave(clips)) for name in ("pattern", "index", "valid")
        )
        tokens = rows_of_all_processes(tokens)
        labels = token_labels(pattern[valid], tokens.shape[1], index[valid])
        return supervised_contrastive_loss(
            tokens[valid].flatten(0, 1),
            labels,
            temperature=self.config.contrastive_temperature,
            max_tokens=self.config.contrastive_tokens,
            generator=generator,
        )

    def validation_step(self, batch: VideoQualityBatch, batch_idx: int) -> None:
        """Collect scores."""
        score = self._evaluate(batch)["score_raw"]
        self.val_metrics.update(score, batch["mos"], batch["valid"])

    def test_step(self, batch: VideoQualityBatch, batch_idx: int) -> dict[str, Any]:
        """Collect scores, and hand them to the callbacks."""
        outputs = self._evaluate(batch)
        self.test_metrics.update(outputs["score_raw"], batch["mos"], batch["valid"])
        return outputs

    def predict_step(self, batch: VideoQualityBatch, batch_idx: int) -> dict[str, Any]:
        """Scores of a batch of videos.

        Returns:
            ``score_raw`` ``(B,)``, mean over clips; ``score_1_5`` ``(B,)``, NaN before any validation;
            ``score_std`` ``(B,)`` over clips; ``clips``; ``region_index`` int64 ``(B, K, N_t)``; ``importance``
            ``(B, K, N_t, h, w)``; ``frame_group`` int64 ``(T,)``; ``candidates``; ``grid_size``.
        """
        return self._evaluate(batch)

    def _evaluate(self, batch: VideoQualityBatch) -> dict[str, Any]:
        # One clip of every video at a time: memory is that of a training batch, however many clips there are.
        clips = [
            self(fragments, key_frames)
            for fragments, key_frames in zip(batch["fragments"].unbind(1), batch["key_frames"].unbind(1), strict=True)
        ]
        scores = torch.stack([clip.score.float() for clip in clips], dim=1)
        raw = scores.mean(dim=1)
        return {
            "score_raw": raw,
            "score_1_5": self._to_1_5(raw),
            "score_std": scores.std(dim=1, correction=0),
            "clips": scores.shape[1],
            "region_index": torch.stack([clip.selection.index for clip in clips], dim=1),
            "importance": torch.stack([clip.importance for clip in clips], dim=1),
            "frame_group": key_frame_groups(
                self.config.key_frame_layout, batch["fragments"].shape[3], batch["key_frames"].shape[2]
            ),
            "candidates": clips[0].selection.candidate_scores.shape[-1],
            "grid_size": self.config.grid_size,
        }

    def _to_1_5(self, raw: Tensor) -> Tensor:
        worst, best = self.config.label_range
        mos = four_parameter_logistic(raw, self.score_map.to(raw.dtype))
        scaled: Tensor = (mos - worst) / (best - worst)
        return 1 + 4 * scaled.clamp(0, 1)

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics and fit the map from raw score to MOS on the same scores."""
        if not self.trainer.sanity_checking:
            with self.val_metrics.sync_context():
                pred, target = self.val_metrics.pairs()
            self.score_map.copy_(torch.tensor(fit_four_parameter_logistic(pred, target)))
            self._tell_if_few("validation", len(pred))
        self.log_metrics("val", self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Log the test metrics."""
        with self.test_metrics.sync_context():
            self._tell_if_few("test", len(self.test_metrics.pairs()[0]))
        self.log_metrics("test", self.test_metrics)

    def _tell_if_few(self, split: str, videos: int) -> None:
        if videos > FEW or split in self._told:
            return
        self._told.add(split)
        if self.global_rank == 0:
            log.warning(
                "warning: the %s split has %d video%s with a score; few lie in order by chance, and correlations say "
                "nothing: give it more",
                split,
                videos,
                "" if videos == 1 else "s",
            )

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the score map of the newest validation; weight averaging would save the one before it."""
        checkpoint["state_dict"]["score_map"] = self.score_map.detach().clone()
