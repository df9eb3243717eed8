"""Write what a model finds into a feedback store, from which an operator is asked."""

from __future__ import annotations

import logging
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor

from callbacks.figures.prediction_writer import PredictionWriter, of_all_processes
from callbacks.figures.run_key import weights_digest
from datamodules.common.errors import StoreError, number_of
from datamodules.common.fingerprint import config_digest, file_sha256
from datamodules.inspection.batch import NEW, ORIGINAL, InspectionBatch
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.score_maps import write_map

log = logging.getLogger(__name__)

DomainName = Literal["original", "new", "batch"]


class FeedbackStoreWriter(PredictionWriter[InspectionBatch]):
    """While predicting, add images, detections and score maps to a feedback store, a batch at a time.

    The mining run is named by the checkpoint, the data and the thresholds, so that mining again adds nothing that is
    there and touches no answer. Of several processes each writes a file of its own, ``<store>.rank<N>``, which the
    first takes over at the end, image by image as one process would; what a stopped run left is taken over first.
    Images that cannot be read are in ``unreadable.csv`` beside the store; that not one can be read is an error. Each
    score map goes to ``<store>.maps/<run>/<image>.npz``: ``score``, float16 ``(h, w)``.

    Args:
        store: The file, made when it is missing; None takes ``feedback.sqlite`` in the run's folder.
        domain: Domain that the images are of: ``new`` or ``original``; ``batch`` takes what the data say of each.
        maps: Whether to write the score maps; only the OMNIA-like training needs them.
    """

    def __init__(self, store: str | None = None, domain: DomainName = "new", maps: bool = True) -> None:
        super().__init__()
        self.store = store
        self.domain = domain
        self.maps = maps
        self._open: FeedbackStore | None = None
        self._run_id: int | None = None
        self._key = ("", "")
        self._classes: list[str] = []
        self._read = 0

    def on_predict_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Open this process's file; the first process takes over what a stopped run left."""
        if self.store is None:
            self.store = str(self.folder(trainer) / "feedback.sqlite")
        self._classes = class_names(trainer, pl_module)
        self._key = (weights_digest(trainer, pl_module), data_sha256(trainer))
        self._run_id = None
        self._read, self.unreadable = 0, {}
        if trainer.is_global_zero:
            self._open = FeedbackStore(self.store, create=True)
            self._take_over(self._open)
        trainer.strategy.barrier()
        if trainer.world_size > 1:
            self.close()
            self._open = FeedbackStore(f"{self.store}.rank{trainer.global_rank}", create=True)

    def write(
        self, trainer: L.Trainer, module: L.LightningModule, outputs: Mapping[str, Any], batch: InspectionBatch
    ) -> None:
        """Add the batch's images, all of them or, on an error, none."""
        store, maps = self._store(), {}
        self.take_unreadable(outputs["path"], batch)
        self._read += sum(map(bool, outputs["valid"]))
        with store.transaction():
            run_id = self._run(store, outputs["thresholds"])
            for place, path in enumerate(outputs["path"]):
                if bool(outputs["valid"][place]):
                    height, width = (int(side) for side in outputs["source_size"][place])
                    domain = int(batch["domain"][place]) if self.domain == "batch" else _DOMAINS[self.domain]
                    image_id = store.add_image(path, file_sha256(path), width, height, domain)
                    store.add_detections(run_id, image_id, outputs["detections"][place], self._classes)
                    maps[store.map_path(run_id, image_id)] = outputs["score_map"][place]
        # After the commit: a row that is given up leaves no map that another image could take for its own.
        for file, score in maps.items() if self.maps else ():
            write_map(file, score.half().cpu().numpy())

    def on_predict_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Join the files of all processes and say what was found."""
        if trainer.world_size > 1:
            self.close()
            trainer.strategy.barrier()
        read = sum(of_all_processes(trainer, self._read)) if torch.distributed.is_initialized() else self._read
        failed = self.report_unreadable(trainer, Path(str(self.store)).parent, self._read, "images")
        if not trainer.is_global_zero:
            return
        store = self._store() if trainer.world_size == 1 else FeedbackStore(str(self.store))
        self._open = store
        self._take_over(store)
        if self._run_id is not None:
            found = store.detections(self._run_id)
            where = f"{len({one.image_id for one in found})} of {number_of(read, 'image')}"
            text = f"{number_of(len(found), 'detection')} in {where}{failed}"
            log.info("%s, run %d of %s", text, self._run_id, store.path)
            if found:
                log.info("next: appraise mentor --store %s", shlex.quote(str(store.path)))
        self.close()

    def _store(self) -> FeedbackStore:
        if self._open is None:
            raise StoreError(f"{self.store} is not open: use this callback with `appraise predict`")
        return self._open

    def _run(self, store: FeedbackStore, thresholds: Tensor) -> int:
        """Row of the run; thresholds are known once the first batch is through."""
        if self._run_id is None:
            values = dict(zip(self._classes, thresholds.float().tolist(), strict=True))
            self._run_id = store.start_run(*self._key, values)
        return self._run_id

    def _take_over(self, store: FeedbackStore) -> None:
        beginning = f"{store.path.name}.rank"
        found = {file.name.removeprefix(beginning): file for file in store.path.parent.glob(f"{beginning}*")}
        shards = [found[rank] for rank in sorted(filter(str.isdecimal, found), key=int)]
        store.merge(*shards)
        for shard in shards:
            remove_store(shard)

    def close(self) -> None:
        """Close what is open."""
        if self._open is not None:
            self._open.close()
            self._open = None


_DOMAINS = {"original": ORIGINAL, "new": NEW}


def class_names(trainer: L.Trainer, module: L.LightningModule) -> list[str]:
    """Names of the classes: the model's, which are in its checkpoint, or the data's.

    Raises:
        StoreError: If neither has any.
    """
    data: Any = getattr(trainer, "datamodule", None)
    names = module.hparams.get("class_names") or getattr(data, "class_names", None)
    if not names:
        raise StoreError(
            f"{type(module).__name__} has no class_names, and neither have the data: a store names its classes"
        )
    return [str(name) for name in names]


def data_sha256(trainer: L.Trainer) -> str:
    """The data module's own fingerprint, or a digest of its options."""
    data: Any = getattr(trainer, "datamodule", None)
    fingerprint = getattr(data, "data_fingerprint", None)
    if fingerprint is not None:
        return str(fingerprint())
    options = {name: repr(value) for name, value in dict(getattr(data, "hparams", {})).items()}
    return config_digest({"data": type(data).__name__, "options": options})


def remove_store(path: Path) -> None:
    """Remove a store that was taken over, with its log and its maps."""
    for name in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
        name.unlink(missing_ok=True)
    folder = Path(f"{path}.maps")
    for file in folder.glob("*/*.npz"):
        file.unlink()
    for run in folder.glob("*"):
        run.rmdir()  # what somebody else put there stops it
    if folder.is_dir():
        folder.rmdir()
