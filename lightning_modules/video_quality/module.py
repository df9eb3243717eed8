"""KSVQE as a LightningModule: wiring, steps and logging; the mathematics is in the neighbouring files."""

from __future__ import annotations

import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from torch import Tensor

from datamodules.video_quality.batch import VideoQualityBatch, check_label_range
from lightning_modules.base import Method
from lightning_modules.video_quality.key_maps import WeightSource, content_settings, load_weights
from lightning_modules.video_quality.losses import (
    pairwise_rank_loss,
    plcc_loss,
    supervised_contrastive_loss,
    token_labels,
)
from lightning_modules.video_quality.metrics import QualityMetrics
from lightning_modules.video_quality.network import KSVQENetwork, KSVQEOutput, key_frame_groups
from lightning_modules.video_quality.preprocess import VideoQualityPreprocess
from lightning_modules.video_quality.presets import PresetName, resolve_preset
from lightning_modules.video_quality.score_map import fit_four_parameter_logistic, four_parameter_logistic

log = logging.getLogger(__name__)

# Arguments that a preset fills when they are left at None.
CONFIG_ARGUMENTS = (
    "grid_size", "clip_length", "num_key_frames", "key_frame_layout", "content_size", "gate", "qrs", "cam", "dam",
    "content_adapter", "distortion_adapter", "dam_self_attention", "fusion", "tuning_stage", "attention_heads",
    "attention_scale", "num_samples", "sigma", "distortion_input", "freeze_distortion", "drop_path", "dropout",
)  # fmt: skip


class KSVQE(Method):
    """Quality of short-form video from the regions that matter, their content and their distortions.

    ``preset`` fills every argument that is left at None; an explicit argument wins. The resolved values are the
    module's hyper-parameters, so a checkpoint rebuilds its own network without any other file.

    Args:
        preset: ``paper`` (the supplement), ``official`` (the released code and its weights) or ``tiny`` (trains from
            random weights on two CPU cores).
        grid_size: Fragments a side that the data module samples; a 7 x 7 window of them is selected.
        clip_length: Frames in a clip.
        num_key_frames: Frames of a clip that the content tower sees.
        key_frame_layout: Where these frames lie: ``segment_centers`` (paper) or ``official`` (0, T/4-1, T/2-1, 3T/4-1).
        content_size: Side of the content tower's input in pixels.
        gate: Gated relative position bias: ``binary`` (paper) or ``distance`` (all released weights).
        qrs: Select regions; off takes the central window.
        cam: Content-adaptive modulation.
        dam: Distortion-aware modulation.
        content_adapter: Adapt the content tower's class token (Table 4).
        distortion_adapter: Adapt the distortion tokens (Table 6).
        dam_self_attention: Self attention over time after the cross attention (Table 5).
        fusion: ``modulation``, or ``concat`` of content and distortion tokens (Table 7).
        tuning_stage: First Swin stage, counted from 0, whose output is modulated.
        attention_heads: Heads of the modulations' attention; one number, or one per modulated stage.
        attention_scale: Divide the logits of the cross attention by the root of the ``head`` or ``channel`` width.
        num_samples: Noise samples of the perturbed top-1.
        sigma: Noise of the perturbed top-1, relative to scores in [0, 1].
        distortion_input: Pixels that the distortion extractor sees: ``unit`` [0, 1], or ``imagenet``-normalised.
        freeze_distortion: Keep the distortion extractor's weights and statistics as they were loaded.
        drop_path: Largest stochastic depth of the backbone.
        dropout: Dropout of the score head.
        network: Any other value of :class:`~lightning_modules.video_quality.presets.KSVQEConfig`, by name, for example
            ``{content_patch: 32}``.
        plcc_weight: Weight of the PLCC loss.
        rank_weight: Weight of the pairwise rank loss.
        contrastive_weight: Weight of the supervised contrastive loss over processing patterns.
        contrastive_temperature: Its temperature.
        contrastive_tokens: Tokens that enter it, drawn anew each step; None takes all.
        learning_rate: Of the default optimiser, AdamW.
        weight_decay: Of the default optimiser.
        label_range: Ends of the MOS scale, worst and best; ``score_1_5`` is this scale moved to 1-5.
        weights: File to start from: FAST-VQA, DOVER, official KSVQE or Swin3D on Kinetics-400.
        weights_source: Format of ``weights``; ``auto`` reads it off the keys.
        content_weights: OpenAI CLIP file, or a CLIP folder or name for `transformers`.
        distortion_weights: CONTRIQUE file.
        optimizer: Builds another optimiser.
        scheduler: Builds another schedule.
        scheduler_interval: Whether ``scheduler`` advances every ``step`` or every ``epoch``.
        warmup_epochs: Linear warm-up of the default schedule, in epochs.

    References:
        Lu et al., "KVQ: Kwai Video Quality Assessment for Short-form Videos", CVPR 2024, and its supplement.
    """

    score_map: Tensor

    def __init__(
        self,
        preset: PresetName = "paper",
        *,
        grid_size: int | None = None,
        clip_length: int | None = None,
        num_key_frames: int | None = None,
        key_frame_layout: Literal["segment_centers", "official"] | None = None,
        content_size: int | None = None,
        gate: Literal["binary", "distance"] | None = None,
        qrs: bool | None = None,
        cam: bool | None = None,
        dam: bool | None = None,
        content_adapter: bool | None = None,
        distortion_adapter: bool | None = None,
        dam_self_attention: bool | None = None,
        fusion: Literal["modulation", "concat"] | None = None,
        tuning_stage: int | None = None,
        attention_heads: int | list[int] | None = None,
        attention_scale: Literal["head", "channel"] | None = None,
        num_samples: int | None = None,
        sigma: float | None = None,
        distortion_input: Literal["unit", "imagenet"] | None = None,
        freeze_distortion: bool | None = None,
        drop_path: float | None = None,
        dropout: float | None = None,
        network: dict[str, bool | int | float | str | list[bool] | list[int]] | None = None,
        plcc_weight: float = 1.0,
        rank_weight: float = 0.0,
        contrastive_weight: float = 0.3,
        contrastive_temperature: float = 0.1,
        contrastive_tokens: int | None = 4096,
        learning_rate: float = 3e-5,
        weight_decay: float = 0.05,
        label_range: tuple[float, float] = (1.0, 5.0),
        weights: str | None = None,
        weights_source: WeightSource = "auto",
        content_weights: str | None = None,
        distortion_weights: str | None = None,
        optimizer: OptimizerCallable | None = None,
        scheduler: LRSchedulerCallable | None = None,
        scheduler_interval: Literal["step", "epoch"] = "step",
        warmup_epochs: float = 2.5,
    ) -> None:
        super().__init__(optimizer, scheduler, scheduler_interval, warmup_epochs)
        given = {name: value for name, value in locals().items() if name in CONFIG_ARGUMENTS}
        tower = content_settings(content_weights) if content_weights and not Path(content_weights).is_file() else {}
        self.config = resolve_preset(preset, **{**tower, **(network or {}), **given})
        resolved = {
            name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self.config).items()
        }
        self.save_hyperparameters(
            {
                "_class_path": "lightning_modules.KSVQE",
                "preset": preset,
                **{name: resolved.pop(name) for name in CONFIG_ARGUMENTS},
                "network": resolved,
                "plcc_weight": plcc_weight,
                "rank_weight": rank_weight,
                "contrastive_weight": contrastive_weight,
                "contrastive_temperature": contrastive_temperature,
                "contrastive_tokens": contrastive_tokens,
                "learning_rate": learning_rate,
                "weight_decay": weight_decay,
                "label_range": list(check_label_range(label_range)),
                "warmup_epochs": warmup_epochs,
            }
        )
        self.preprocess = VideoQualityPreprocess()
        self.network = KSVQENetwork(self.config)
        self.val_metrics = QualityMetrics()
        self.test_metrics = QualityMetrics()
        self.register_buffer("score_map", torch.full((4,), torch.nan))
        self._random_parts = self._load(weights, weights_source, content_weights, distortion_weights)

    def _load(
        self, weights: str | None, source: WeightSource, content: str | None, distortion: str | None
    ) -> tuple[str, ...]:
        """Load what is named; returns the frozen parts that stay random."""
        filled: set[str] = set()
        named: tuple[tuple[str | None, WeightSource], ...] = (
            (content, "auto"),
            (distortion, "contrique"),
            (weights, source),
        )
        for file, kind in named:
            if file is not None:
                filled.update(load_weights(self.network, file, kind).loaded)
        frozen = {"content": self.config.freeze_content, "distortion": self.config.freeze_distortion}
        return tuple(
            part
            for part, is_frozen in frozen.items()
            if is_frozen and getattr(self.network, part) is not None and not any(f"{part}." in key for key in filled)
        )

    def on_fit_start(self) -> None:
        """Warn of frozen parts that nothing was loaded into."""
        if self._random_parts and self.trainer.ckpt_path is None:
            log.warning(
                "The %s extractor is frozen with random weights, so that it tells nothing: name a file of weights "
                "(content_weights, distortion_weights or weights) or begin from a checkpoint.",
                " and the ".join(self._random_parts),
            )

    def default_optimizer(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """AdamW as in section 4.2 of the supplement."""
        return torch.optim.AdamW(
            parameters, lr=self.hparams["learning_rate"], weight_decay=self.hparams["weight_decay"]
        )

    def forward(self, fragments: Tensor, key_frames: Tensor) -> KSVQEOutput:
        """Score clips.

        Args:
            fragments: uint8 ``(N, 3, T, S, S)`` in 0..255, S = grid_size * fragment_size.
            key_frames: uint8 ``(N, N_t, 3, R, R)`` in 0..255.
        """
        output: KSVQEOutput = self.network(*self.preprocess(fragments, key_frames))
        return output

    def training_step(self, batch: VideoQualityBatch, batch_idx: int) -> Tensor:
        """Weighted sum of the three losses over the rows that have a label."""
        known = batch["valid"] & batch["mos"].isfinite()
        clips = batch["fragments"].shape[1]
        generator = self.step_generator()
        self.network.selection.generator = generator
        output = self(batch["fragments"].flatten(0, 1), batch["key_frames"].flatten(0, 1))
        self.network.selection.generator = None  # generators cannot be copied, and averaging copies the module
        score = output.score.view(-1, clips).mean(dim=1)[known]
        mos = batch["mos"][known]
        losses = {"plcc_loss": plcc_loss(score, mos), "rank_loss": pairwise_rank_loss(score, mos)}
        losses["contrastive_loss"] = self._contrastive_loss(output.distortion_tokens, batch, generator)
        weighted = [self.hparams[name.replace("_loss", "_weight")] * value for name, value in losses.items()]
        loss = torch.stack(weighted).sum()
        self.log_stage("train", {"loss": loss, **losses}, batch_size=len(known))
        return loss

    def _contrastive_loss(self, tokens: Tensor, batch: VideoQualityBatch, generator: torch.Generator) -> Tensor:
        if tokens.numel() == 0 or self.hparams["contrastive_weight"] == 0:
            return tokens.new_zeros(())
        clips = batch["fragments"].shape[1]
        valid = batch["valid"].repeat_interleave(clips)
        labels = token_labels(
            batch["pattern"].repeat_interleave(clips)[valid],
            tokens.shape[1],
            batch["index"].repeat_interleave(clips)[valid],
        )
        return supervised_contrastive_loss(
            tokens[valid].flatten(0, 1),
            labels,
            temperature=self.hparams["contrastive_temperature"],
            max_tokens=self.hparams["contrastive_tokens"],
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
        worst, best = self.hparams["label_range"]
        mos = four_parameter_logistic(raw, self.score_map.to(raw.dtype))
        scaled: Tensor = (mos - worst) / (best - worst)
        return 1 + 4 * scaled.clamp(0, 1)

    def on_validation_epoch_end(self) -> None:
        """Log the validation metrics and fit the map from raw score to MOS on the same scores."""
        if not self.trainer.sanity_checking:
            with self.val_metrics.sync_context():
                pred, target = self.val_metrics.pairs()
            self.score_map.copy_(torch.tensor(fit_four_parameter_logistic(pred, target)))
        self.log_metrics("val", self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Log the test metrics."""
        self.log_metrics("test", self.test_metrics)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Save the score map of the newest validation; weight averaging would save the one before it."""
        checkpoint["state_dict"]["score_map"] = self.score_map.detach().clone()


def plain(value: object) -> object:
    """A tuple as the list that a checkpoint and a YAML file hold in its place."""
    return list(value) if isinstance(value, tuple) else value
