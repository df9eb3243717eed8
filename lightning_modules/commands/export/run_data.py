"""The data that a checkpoint's run learnt from, built again from its ``config.yaml``."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import lightning as L
from jsonargparse import ArgumentParser
from torch import Tensor

from datamodules.common.errors import AppraiseError
from lightning_modules.commands.export.checkpoint import data_state, run_config
from lightning_modules.commands.exported.session import Array

log = logging.getLogger("appraise")


def run_data(checkpoint: Path) -> L.LightningDataModule | None:
    """The data module of a run, ready for its test split; None where it cannot be built, with a line that says why."""
    config = run_config(checkpoint).get("data")
    if not isinstance(config, Mapping):
        return None
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(L.LightningDataModule, "data")
    try:
        made = parser.instantiate(parser.parse_object({"data": dict(config)}))
        data = cast(L.LightningDataModule, made.data)
        data.load_state_dict(data_state(checkpoint, type(data).__name__))
        data.prepare_data()
        data.setup("test")
    except (AppraiseError, OSError, ValueError, TypeError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        log.warning("warning: the data of the checkpoint's run cannot be built again (%s)", reason)
        return None
    return data


def labelled_batches(data: L.LightningDataModule) -> Iterator[Mapping[str, Any]]:
    """Labelled batches of the test split."""
    yield from data.test_dataloader()


def inputs_of(method: str, batch: Mapping[str, Any]) -> dict[str, Array]:
    """What a graph takes of a batch; of videos all clips, one after the other."""
    if method == "KSVQE":
        return {name: batch[name].flatten(0, 1).numpy() for name in ("fragments", "key_frames")}
    name = "frames" if method == "FrameAveragingActionRecognizer" else "image"
    tensor: Tensor = batch[name]
    return {name: tensor.numpy()}
