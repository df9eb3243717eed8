"""Batches of images of parts, made of simple shapes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from datamodules.inspection.batch import InspectionBatch
from tests.inspection_batches import blank_batch, random_batch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session", name="blank_batch")
def blank_batch_fixture() -> Callable[..., InspectionBatch]:
    return blank_batch


@pytest.fixture(scope="session", name="random_batch")
def random_batch_fixture() -> Callable[..., InspectionBatch]:
    return random_batch
