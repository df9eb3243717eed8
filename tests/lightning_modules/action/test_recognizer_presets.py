"""Presets of the recogniser, and values that cannot work."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import fill
from lightning_modules.action.settings import PRESETS, RecognizerSettings, training_defects


def legacy(**given: object) -> RecognizerSettings:
    return fill(RecognizerSettings, PRESETS, {"preset": "legacy", "class_names": ["a"], **given})


def test_the_original_is_kept_in_legacy() -> None:
    config = PRESETS["legacy"]
    assert (config.learning_rate, config.momentum, config.dropout, config.hidden_features) == (1e-4, 0.9, 0.5, 512)
    assert (config.l1_weight, config.l1_method, config.time_decay) == (0.01, "penalty", 1e-4)
    assert (config.plateau_factor, config.plateau_patience, config.min_learning_rate) == (0.2, 5, 0.001)
    assert (config.preprocessing, config.train_backbone) == ("legacy", "none")


def test_an_explicit_value_wins_and_repairs_its_defect() -> None:
    assert legacy(l1_weight=0.5, dropout=None).l1_weight == 0.5
    repaired = {"preprocessing": "normalised", "min_learning_rate": 1e-6, "l1_method": "proximal"}
    assert training_defects(legacy(**repaired)) == []
    assert len(training_defects(PRESETS["legacy"])) == 4


def test_there_is_no_such_preset() -> None:
    with pytest.raises(ConfigurationError, match="choose one of default, legacy"):
        fill(RecognizerSettings, PRESETS, {"preset": "fast", "class_names": ["a"]})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": []}, "class_names"),
        ({"class_names": None}, "class_names"),
        ({"class_names": ["a", "a"]}, "class_names"),
        ({"dropout": 1.0}, "dropout"),
        ({"hidden_features": 0}, "hidden_features"),
        ({"l1_weight": -1.0}, "l1_weight"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"momentum": 1.0}, "momentum"),
        ({"time_decay": -1.0}, "time_decay"),
        ({"time_decay": 0.1, "schedule": "cosine"}, "time_decay"),
        ({"plateau_factor": 1.0}, "plateau_factor"),
        ({"plateau_patience": 0}, "plateau_patience"),
        ({"min_learning_rate": 1e-4}, "min_learning_rate"),
        ({"predict_batch": 0}, "predict_batch"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"train_backbone": "last", "unfrozen_stages": 9}, "unfrozen_stages"),
    ],
)
def test_values_that_cannot_work(build: Callable[..., Any], options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build(**options)
