"""Faces from attributes as a LightningModule: it learns by counting in ``validate``, and makes faces in ``predict``."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torch.nn import functional as F

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import plain, takes
from datamodules.face_attributes.batch import AttributeRequestBatch, FaceBatch
from datamodules.faces.schema import MISSING
from lightning_modules.base import Method
from lightning_modules.face_attributes.classifier.layers import CutNetwork, check_layers, layer_names
from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier
from lightning_modules.face_attributes.classifier.transfer import BEFORE, learnt_in
from lightning_modules.face_attributes.generator.facts import (
    check_facts,
    check_precision,
    check_sources,
    fit_measures,
)
from lightning_modules.face_attributes.generator.pipeline import FaceGenerator, check_mode
from lightning_modules.face_attributes.generator.settings import GeneratorSettings, resolve_preset
from lightning_modules.face_attributes.inversion.reconstruction import psnr, ssim
from lightning_modules.face_attributes.statistics.collecting import AttributeStatistics, FaceStatistics
from lightning_modules.face_attributes.statistics.file import (
    Provenance,
    layer_fingerprints,
    load_statistics,
    preprocessing_facts,
    save_statistics,
)
from lightning_modules.face_attributes.statistics.label_columns import draw_equal_sets
from lightning_modules.face_attributes.targets.completion import filled
from lightning_modules.face_attributes.targets.maker import TargetOptions
from lightning_modules.nn.checkpoint_loading import load_strictly
from lightning_modules.nn.method_checkpoint import read_method_checkpoint

log = logging.getLogger(__name__)

STATISTICS_FILE = "statistics.safetensors"
CHECKPOINT_FILE = "generator.ckpt"
_STATISTICS = "face_statistics"  # key of a checkpoint


@dataclass(frozen=True, slots=True)
class _Pass:
    """One pass over the faces; no module, so that the cut network is not in the checkpoint a second time."""

    cut: CutNetwork
    sums: AttributeStatistics


class AttributeFaceGenerator(Method):
    """Faces with the attributes that are asked for, from a classifier alone.

    ``validate`` on training faces collects the statistics of their activations and writes ``statistics.safetensors``
    and ``generator.ckpt``, which holds network, preprocessing and statistics. ``predict`` turns requests into target
    activations and looks for pictures that have them.

    References:
        Cate, Dalvi, Hussain, "DeepFace: Face Generation using Deep Learning" (2016), sections 3.3 and 5.2; Mahendran
        and Vedaldi, CVPR 2015.
    """

    @takes(GeneratorSettings)
    def __init__(self, settings: GeneratorSettings) -> None:
        super().__init__()
        built = _classifier(settings.classifier_weights, settings.classifier)
        self.schema = built.schema
        self.network = built.network
        self.preprocess = built.preprocess
        self._learnt_before = built.learnt_before
        check_facts(self.schema, self.preprocess.side, settings.attribute_schema, settings.image_size)
        self.settings = settings
        self.config = config = resolve_preset(settings, layer_names(self.network))
        check_layers(self.network, config.layers)
        check_mode(config.mode)
        self.keep(
            settings,
            attribute_schema=self.schema.plain(),
            image_size=self.preprocess.side,
            classifier={name: plain(value) for name, value in built.hparams.items() if not name.startswith("_")},
            layers=list(config.layers),
            mode=config.mode,
            contrast=config.contrast,
            ridge=config.ridge,
            inversion=plain(config.inversion),
        )
        self.statistics: FaceStatistics | None = None
        self._pass: _Pass | None = None
        self._generator: FaceGenerator | None = None
        if settings.statistics_weights is not None:
            self.statistics = load_statistics(settings.statistics_weights, self._provenance(), self._fingerprints)

    @property
    def target_options(self) -> TargetOptions:
        """Options of the targets."""
        asked = self.settings
        return TargetOptions(
            ridge=self.config.ridge,
            contrast=self.config.contrast,
            completion=asked.completion,
            paper_draw=asked.paper_draw,
            neighbours=asked.neighbours,
            psi=asked.psi,
        )

    def _provenance(self) -> Provenance:
        """What statistics must belong to in order to fit this generator."""
        prints = self._fingerprints(self.config.layers)
        return Provenance(prints, preprocessing_facts(self.preprocess), self.schema.plain())

    def _fingerprints(self, layers: Iterable[str]) -> dict[str, str]:
        """Those of the layers that the network has."""
        known = layer_names(self.network)
        return layer_fingerprints(self.network, [name for name in layers if name in known], self.preprocess.side)

    # Counting: validate.

    def on_fit_start(self) -> None:
        """Say that there is nothing to fit."""
        raise ConfigurationError(
            "AttributeFaceGenerator learns by counting, not by gradients: run `validate` with "
            "configs/face_attributes/statistics.yaml in place of `fit`."
        )

    def training_step(self, batch: FaceBatch, batch_idx: int) -> None:
        """Never runs: `on_fit_start` stops before."""

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Nothing is optimised but pictures."""
        return None

    def on_validation_epoch_start(self) -> None:
        """Begin to count anew."""
        sets = None
        if self.settings.equal_sets:
            sets = draw_equal_sets(self._labels(), self.settings.equal_seed)
        sums = AttributeStatistics(
            len(self.schema.attributes),
            folds=self.settings.folds,
            kept=self.settings.kept,
            thumbnail=min(self.settings.thumbnail, self.preprocess.side),
            equal_sets=sets,
        )
        self._pass = _Pass(CutNetwork(self.network, self.config.layers), sums)

    def _labels(self) -> Tensor:
        data = getattr(self.trainer, "datamodule", None)
        table, split = getattr(data, "label_table", None), getattr(data, "validate_on", None)
        if table is None or split is None:
            raise ConfigurationError(
                "equal_sets needs the labels of all faces before the pass, but the data does not give them: give a "
                "data module with label_table and validate_on, or set equal_sets to false."
            )
        return cast(Tensor, table(split)[0])

    def validation_step(self, batch: FaceBatch, batch_idx: int) -> None:
        """Count the activations of a batch."""
        assert self._pass is not None  # begun with the epoch
        found = self._pass.cut(self.preprocess(batch["image"]))
        self._pass.sums.update(found, batch["attributes"], batch["valid"], batch["index"], batch["image"])

    def on_validation_epoch_end(self) -> None:
        """Add up over the processes, fit, log how much the fits explain, and write statistics and checkpoint."""
        assert self._pass is not None  # begun with the epoch
        self._pass.sums.all_reduce()
        self.statistics, self._pass, self._generator = self._pass.sums.finish(), None, None
        self.log_stage("val", fit_measures(self.statistics, self.config.layers, self.config.ridge))
        if self.trainer.sanity_checking or getattr(self.trainer, "fast_dev_run", False):
            return
        folder = Path(self.trainer.default_root_dir)
        if self.trainer.is_global_zero:
            save_statistics(folder / STATISTICS_FILE, self.statistics, self._provenance())
        self.trainer.save_checkpoint(folder / CHECKPOINT_FILE, weights_only=True)
        log.info("%d faces: %s and %s", self.statistics.faces, folder / STATISTICS_FILE, folder / CHECKPOINT_FILE)

    # The checkpoint holds the statistics too.

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the statistics, and whom the classifier learnt from."""
        if self._learnt_before:
            checkpoint[BEFORE] = self._learnt_before
        if self.statistics is not None:
            checkpoint[_STATISTICS] = self.statistics.state()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Take the statistics, and whom the classifier learnt from."""
        self._learnt_before = list(checkpoint.get(BEFORE, []))
        if _STATISTICS in checkpoint:
            self.statistics, self._generator = FaceStatistics.from_state(checkpoint[_STATISTICS]), None

    # Making faces: predict.

    @property
    def generator(self) -> FaceGenerator:
        """What makes the faces.

        Raises:
            ConfigurationError: If there are no statistics.
        """
        if self.statistics is None:
            raise ConfigurationError(
                "There are no statistics of activations to make faces from: collect them with `validate --config "
                "configs/face_attributes/statistics.yaml`, then name generator.ckpt as --ckpt_path, or "
                "statistics.safetensors as --statistics."
            )
        if self._generator is None:
            self._generator = FaceGenerator(
                self.network, self.preprocess, self.statistics, self.config.layers, self.config.inversion
            )
        return self._generator

    def forward(self, faces: Tensor) -> Tensor:
        """Logits ``(B, L)`` of uint8 faces ``(B, 3, H, W)``, as of the classifier."""
        return cast(Tensor, self.network(self.preprocess(faces)))

    def on_predict_start(self) -> None:
        """Refuse a precision that cannot be."""
        check_precision(self.network, self.trainer.precision)

    def predict_step(
        self, batch: AttributeRequestBatch | FaceBatch, batch_idx: int, dataloader_idx: int = 0
    ) -> dict[str, Any]:
        """Make a batch of faces.

        Returns:
            What `GeneratedFaces` holds; ``attributes`` int8 ``(B, K)``, those of the request, and what it leaves open
            of a source face that has no labels as the classifier says; ``mode``; ``index`` and ``valid`` of the batch.
            With source faces ``psnr``, ``ssim`` and ``similarity``, the cosine between the activations of result and
            source at the deepest counted layer, the mean face taken off. In the mode ``reconstruct`` also ``layers``:
            what comes of each layer alone, the entries of a `LayerReconstruction` by layer.
        """
        with torch.inference_mode(False):
            optional = cast(Mapping[str, Tensor], batch)  # faces have no seeds, requests need no pictures
            check_sources(self.config.mode, cast(Mapping[str, list[str]], batch).get("source"))
            sources = optional.get("image")
            attributes = self._attributes(batch["attributes"].clone(), sources, optional.get("labelled"))
            seeds = optional.get("seed", batch["index"]).clone()
            made = self.generator(attributes, seeds, self.config.mode, self.target_options, sources)
            facts: dict[str, Any] = {part.name: getattr(made, part.name) for part in fields(made)} | {
                "attributes": attributes,
                "mode": self.config.mode,
                "index": batch["index"],
                "valid": batch["valid"],
            }
            if sources is not None:
                facts |= self._beside_sources(made.image, sources)
            if sources is not None and self.config.mode == "reconstruct":
                found = self.generator.reconstructions(sources, seeds)
                facts["layers"] = {layer: asdict(made) for layer, made in found.items()}
            return facts

    def _attributes(self, attributes: Tensor, sources: Tensor | None, labelled: Tensor | None) -> Tensor:
        """Those of the request; of a source face without labels, the rest as the classifier says, where it was told."""
        if sources is None or labelled is None or bool(labelled.all()):
            return attributes
        said = self.generator.decisions(sources).to(attributes)
        if self.statistics is not None:
            said[:, self.statistics.labelled.to(said.device) == 0] = MISSING
        rows = zip(attributes, said, labelled.tolist(), strict=True)
        return torch.stack([asked if known else filled(asked, face, self.schema) for asked, face, known in rows])

    @torch.no_grad()
    def _beside_sources(self, image: Tensor, sources: Tensor) -> dict[str, Tensor]:
        """How like its source each face is."""
        assert self.statistics is not None  # faces were made from them
        layer = next(name for name in reversed(layer_names(self.network)) if name in self.statistics.layers)
        mean = self.statistics.global_mean(layer).to(self.device, torch.float32)
        cut = CutNetwork(self.network, [layer])
        made, true = (
            cut(self.preprocess(pictures.to(self.device)))[layer].flatten(1) - mean for pictures in (image, sources)
        )
        similarity = F.cosine_similarity(made, true).cpu()
        return {"similarity": similarity, "psnr": psnr(image, sources.cpu()), "ssim": ssim(image, sources.cpu())}


def _classifier(weights: str | None, arguments: dict[str, Any] | None) -> FaceAttributeClassifier:
    """The classifier of a checkpoint, or one of the same build whose weights are yet to come."""
    if weights is None:
        if arguments is None:
            raise ConfigurationError(
                "AttributeFaceGenerator has no network: name the checkpoint of a FaceAttributeClassifier with "
                "--model.init_args.classifier_weights, or a generator's own with --ckpt_path."
            )
        return FaceAttributeClassifier(**arguments)
    saved, state, content = read_method_checkpoint(weights, FaceAttributeClassifier.class_path())
    built = FaceAttributeClassifier(**{name: value for name, value in saved.items() if not name.startswith("_")})
    load_strictly(built, state, built.state_dict(), weights)
    built.learnt_before = learnt_in(content)
    return built
