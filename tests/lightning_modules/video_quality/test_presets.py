from __future__ import annotations

from dataclasses import asdict

import pytest

from datamodules.common.errors import ConfigurationError
from lightning_modules.video_quality.presets import resolve_preset


def test_paper_and_official_differ_where_they_should() -> None:
    paper, official = resolve_preset("paper"), resolve_preset("official")
    differences = {key for key, value in asdict(paper).items() if value != asdict(official)[key]}
    assert differences == {
        "key_frame_layout",
        "gate",
        "tuning_stage",
        "attention_heads",
        "attention_scale",
        "num_samples",
        "antithetic",
        "baseline",
        "distortion_input",
    }
    assert paper.heads_by_stage == (8, 8)
    assert [paper.stage_channels(stage) for stage in paper.modulated_stages] == [768, 768]
    assert official.heads_by_stage == (6, 12, 12)
    assert [official.stage_channels(stage) for stage in official.modulated_stages] == [384, 768, 768]
    assert resolve_preset("official", tuning_stage=2).heads_by_stage == (12, 12)


def test_none_is_not_given_and_lists_become_tuples() -> None:
    config = resolve_preset("paper", grid_size=None, depths=[1, 1, 1, 1], attention_heads=4, gate="distance")
    assert config.grid_size == 9
    assert config.depths == (1, 1, 1, 1)
    assert config.attention_heads == (4,)
    assert config.gate == "distance"


def test_values_survive_as_plain_dictionary() -> None:
    config = resolve_preset("tiny")
    plain = {key: list(v) if isinstance(v, tuple) else v for key, v in asdict(config).items()}
    assert resolve_preset("paper", **plain) == config


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"grid_size": 6}, "grid_size 6"),
        ({"clip_length": 31}, "patch_size"),
        ({"depths": (2, 2)}, "differ in length"),
        ({"tuning_stage": 4}, "tuning_stage 4"),
        ({"attention_heads": (1, 2, 3, 4, 5)}, "names 5 stages"),
        ({"key_frame_layout": "official", "num_key_frames": 3}, "official layout"),
        ({"num_key_frames": 0}, "num_key_frames 0"),
        ({"content_size": 8}, "content_size 8"),
        ({"gridsize": 8}, "nearest: grid_size"),
    ],
)
def test_values_that_cannot_work(overrides: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        resolve_preset("paper", **overrides)


def test_unknown_preset() -> None:
    with pytest.raises(ConfigurationError, match="choose one of paper, official, tiny"):
        resolve_preset("small")  # type: ignore[arg-type]
