"""What is taken from the training faces: means over processes, and data that does not say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from datamodules.common.errors import ConfigurationError
from datamodules.faces.schema import AttributeSchema, Head
from lightning_modules.face_attributes.classifier.heads import AttributeHeads
from lightning_modules.face_attributes.classifier.losses import balanced_weights
from lightning_modules.face_attributes.classifier.preprocess import FacePreprocess
from lightning_modules.face_attributes.classifier.training_facts import (
    training_labelled,
    training_mean,
    training_weights,
)

SCHEMA = AttributeSchema(("red", "bald"), (Head("red", "binary", ("red",)), Head("bald", "binary", ("bald",))))
LABELS = torch.tensor([[1, -1], [0, -1], [0, -1]], dtype=torch.int8)


class Data:
    """Two batches of faces, one of them of padding alone in its last row."""

    def train_dataloader(self) -> list[dict[str, Any]]:
        bright = torch.full((3, 3, 4, 4), 255, dtype=torch.uint8)
        return [
            {"image": bright, "valid": torch.tensor([True, True, False])},
            {"image": torch.zeros_like(bright), "valid": torch.tensor([True, True, True])},
        ]

    def label_table(self, split: str) -> tuple[Tensor, list[str], list[str]]:
        assert split == "train"
        return LABELS, [], []


def test_the_mean_adds_sums_and_numbers_over_the_processes() -> None:
    preprocess = FacePreprocess(4, mean_image=True)
    assert torch.allclose(training_mean(Data(), preprocess, 1, lambda part: part), torch.tensor(0.4).double())
    # A second process that saw no bright face: its sum is 0, its number 5.
    dark = training_mean(Data(), preprocess, 2, lambda part: part + (0 if part.dim() else 5))
    assert dark.shape == (3, 4, 4)
    assert torch.allclose(dark, torch.tensor(0.2).double())
    with pytest.raises(ConfigurationError, match="no data module to take the mean of"):
        training_mean(None, preprocess, 1, lambda part: part)


def test_weights_and_names_come_from_the_table_of_labels() -> None:
    heads = AttributeHeads(3, SCHEMA)
    found, expected = training_weights(Data(), heads), balanced_weights(heads, LABELS)
    assert torch.equal(found.present, expected.present)
    assert torch.equal(found.absent, expected.absent)
    assert training_labelled(Data(), SCHEMA) == frozenset({"red"})


@pytest.mark.parametrize("data", [None, object()])
def test_data_without_a_table(data: object) -> None:
    assert training_labelled(data, SCHEMA) is None
    with pytest.raises(ConfigurationError, match="give a data module with label_table"):
        training_weights(data, AttributeHeads(3, SCHEMA))
