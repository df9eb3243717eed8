"""What the reports on attributes take from a model: its schema, the columns of its test step, and their measures."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, cast

import lightning as L
from torch import Tensor

from callbacks.figures.collect import CollectTestResults
from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import AttributeSchema
from lightning_modules.face_attributes.classifier.metrics import (
    AttributeScores,
    HeadScores,
    attribute_scores,
    head_scores,
)

FACTS = ("probability", "decision", "attributes")  # what a test step returns of each face


def schema_of(module: L.LightningModule) -> AttributeSchema:
    """The attributes of a model.

    Raises:
        ConfigurationError: If it has none.
    """
    plain = getattr(module, "hparams", {}).get("attribute_schema")
    if not isinstance(plain, Mapping):
        raise ConfigurationError(
            f"This callback needs a model with an attribute_schema, but {type(module).__name__} has none: leave it out."
        )
    return AttributeSchema.from_plain(cast(Mapping[str, Any], plain))


def pick_facts(outputs: Mapping[str, Any], callback: str, names: Sequence[str] = FACTS) -> dict[str, Tensor]:
    """Columns of a test step's answer, on the CPU's terms of memory: int8 and float32.

    Raises:
        ConfigurationError: If the model's test step does not give them.
    """
    lacking = [name for name in names if name not in outputs]
    if lacking:
        raise ConfigurationError(
            f"{callback} needs a model whose test step returns {', '.join(lacking)}, but this one returns "
            f"{', '.join(outputs) or 'nothing'}: leave the callback out."
        )
    return {name: outputs[name].float() if outputs[name].is_floating_point() else outputs[name] for name in names}


class AttributeResults(NamedTuple):
    """Answers for the faces of a test, and how right they are.

    Attributes:
        schema: K attributes.
        decision: int8 ``(N, K)``.
        labels: int8 ``(N, K)``: 1 present, 0 absent, -1 missing.
        attributes: A row an attribute.
        heads: A row a head.
    """

    schema: AttributeSchema
    decision: Tensor
    labels: Tensor
    attributes: list[AttributeScores]
    heads: list[HeadScores]


class AttributeTest(CollectTestResults):
    """Base of the reports on all attributes and heads of a test.

    The step returns ``probability`` ``(B, K)``, ``decision`` and ``attributes`` int8 ``(B, K)``.
    """

    @abstractmethod
    def report(self, trainer: L.Trainer, module: L.LightningModule, tested: AttributeResults, folder: Path) -> None:
        """Write into the run's folder; called on rank zero alone, and not in a fast development run."""

    def columns(self, outputs: Mapping[str, Any], batch: Mapping[str, Any]) -> dict[str, Tensor]:
        """Probabilities, decisions and labels."""
        return pick_facts(outputs, type(self).__name__)

    def finish(self, trainer: L.Trainer, module: L.LightningModule, table: dict[str, Tensor]) -> None:
        """Measure and report on rank zero."""
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # a collective call: all processes make it
        if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        schema, decision, labels = schema_of(module), table["decision"], table["attributes"]
        attributes = attribute_scores(schema, table["probability"], decision, labels)
        heads = head_scores(schema, decision, labels, attributes)
        self.report(trainer, module, AttributeResults(schema, decision, labels, attributes, heads), folder)
