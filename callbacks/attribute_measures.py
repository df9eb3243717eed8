"""What the reports on attributes take from a model: its schema, and the columns of its test step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import lightning as L
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.face_attributes.schema import AttributeSchema

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
