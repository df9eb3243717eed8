"""Arguments of KSVQE: the network's, the losses', and where weights come from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from datamodules.common.settings import argument, facts_of, fill, plain, settings
from datamodules.video_quality.batch import check_label_range
from lightning_modules.base import MethodSettings
from lightning_modules.video_quality.key_maps import WeightSource, content_settings
from lightning_modules.video_quality.presets import PRESETS, KSVQEConfig, PresetName, config_values


@settings
class KSVQESettings(KSVQEConfig, MethodSettings):
    """Arguments of `KSVQE`; those of the network are the fields of `KSVQEConfig`."""

    preset: PresetName = argument(
        default="paper",
        help=(
            "``paper`` (the supplement), ``official`` (the released code and its weights) or ``tiny`` (trains from "
            "random weights on two CPU cores)."
        ),
        kw_only=False,
    )
    network: dict[str, bool | int | float | str | list[bool] | list[int]] | None = argument(
        default=None,
        help=(
            "Any other value of :class:`~lightning_modules.video_quality.presets.KSVQEConfig`, by name, for example "
            "``{content_patch: 32}``."
        ),
        saved=False,
    )
    plcc_weight: float = argument(default=1.0, help="Weight of the PLCC loss.", low=0)
    rank_weight: float = argument(default=0.0, help="Weight of the pairwise rank loss.", low=0)
    contrastive_weight: float = argument(
        default=0.3, help="Weight of the supervised contrastive loss over processing patterns.", low=0
    )
    contrastive_temperature: float = argument(default=0.1, help="Its temperature.")
    contrastive_tokens: int | None = argument(
        default=4096, help="Tokens that enter it, drawn anew each batch; None takes all."
    )
    learning_rate: float = argument(default=3e-05, help="Of the default optimiser, AdamW.")
    weight_decay: float = argument(default=0.05, help="Of the default optimiser.")
    label_range: tuple[float, float] = argument(
        default=(1.0, 5.0), help="Ends of the MOS scale, worst and best; ``score_1_5`` is this scale moved to 1-5."
    )
    weights: str | None = argument(
        default=None, help="File to start from: FAST-VQA, DOVER, official KSVQE or Swin3D on Kinetics-400.", saved=False
    )
    weights_source: WeightSource = argument(
        default="auto", help="Format of ``weights``; ``auto`` reads it off the keys.", saved=False
    )
    content_weights: str | None = argument(
        default=None, help="OpenAI CLIP file, or a CLIP folder or name for `transformers`.", saved=False
    )
    distortion_weights: str | None = argument(default=None, help="CONTRIQUE file.", saved=False)
    warmup_epochs: float = argument(default=2.5, help="Linear warm-up of the default schedule, in epochs.")

    def check(self) -> None:
        """Refuse a scale without width, beside what the network refuses."""
        check_label_range(self.label_range)

    def network_values(self) -> dict[str, object]:
        """Fields of the network that are no arguments of their own, as a checkpoint keeps them."""
        return {one.name: plain(getattr(self, one.name)) for one in fields(KSVQEConfig) if not facts_of(one).flat}


def resolve_settings(given: Mapping[str, Any]) -> KSVQESettings:
    """Settings from what is given: explicit arguments, then ``network``, then a CLIP folder's sizes, then the preset.

    Raises:
        ConfigurationError: If a name is unknown, or the values do not fit together.
    """
    content = given.get("content_weights")
    tower = content_settings(content) if content and not Path(content).is_file() else {}
    inner = {one.name for one in fields(KSVQEConfig)}
    stated = {name: value for name, value in given.items() if name in inner and value is not None}
    others = {name: value for name, value in given.items() if name not in {*inner, "network"}}
    return fill(KSVQESettings, PRESETS, others | config_values({**tower, **(given.get("network") or {}), **stated}))
