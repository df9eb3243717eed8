"""Do the domains look alike to the network? Its features at defective areas, as a picture and as a number (fig. 3)."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import torch
from lightning.pytorch.utilities.types import STEP_OUTPUT
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.manifold import TSNE
from sklearn.model_selection import StratifiedGroupKFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from callbacks.figures.collect import TakesTestBatches
from callbacks.figures.pictures import save_figure
from callbacks.inspection.deployed_model import mentoring_method
from callbacks.inspection.feature_figure import draw_features
from datamodules.common.atomic_write import atomic_path
from datamodules.inspection.batch import NEW, ORIGINAL, InspectionBatch

log = logging.getLogger(__name__)

DOMAINS = (ORIGINAL, NEW)
FOLDS = 5
_FEWEST = 10  # areas under which a picture shows nothing


class DefectFeatures(TakesTestBatches):
    """Collect the network's features at defective areas of both domains while testing.

    Writes ``defect_features.npz`` (features, class_index, domain, index, class_names) and the t-SNE picture
    ``defect_features.png`` into the run's folder, and logs ``test/domain_classifier_accuracy``: the cross-validated
    balanced accuracy of a logistic regression that tells the domains apart by these features. 0.5: it cannot; 1: it
    always can. Folds never share an image. A t-SNE picture alone proves nothing, hence the number.

    Args:
        max_per_class: At most this many areas of each class and domain, drawn at random over all images; the same ones
            for any batch size and number of processes.
        seed: Of the draw, the folds and the picture.
        picture: Also compute the t-SNE picture, seconds to a minute of one core.

    References:
        Cordier, Das, Gutierrez, "Active learning using weakly supervised signals for quality inspection", QCAV 2021,
        figure 3.
    """

    def __init__(self, max_per_class: int = 60, seed: int = 0, picture: bool = True) -> None:
        self.max_per_class = max_per_class
        self.seed = seed
        self.picture = picture
        self._drawn: FeatureDraw | None = None

    def on_test_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Forget an earlier run."""
        mentoring_method(pl_module, type(self).__name__)
        self._drawn = None

    def take(self, module: L.LightningModule, outputs: STEP_OUTPUT, batch: InspectionBatch) -> None:
        """Draw from this batch's defective areas."""
        method = mentoring_method(module, type(self).__name__)
        features = method.whole_output(batch["image"]).features.float()
        if self._drawn is None:
            self._drawn = FeatureDraw(len(method.class_names), self.max_per_class, features.shape[1], self.seed)
        targets = method.area_targets(batch)
        defective = ((targets.target > 0.5) & targets.known).any(dim=2)
        self._drawn.add(features, defective & batch["valid"][:, None, None, None], batch)

    def on_test_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Join the processes, log the number and write the files."""
        folder = Path(trainer.log_dir or trainer.default_root_dir)  # a collective call: all processes make it
        if self._drawn is None:
            return
        drawn = self._drawn
        self._drawn = None
        if trainer.world_size > 1:
            gathered = [torch.as_tensor(pl_module.all_gather(part)).cpu() for part in drawn.state()]
            drawn.merge(*gathered)
        areas = drawn.areas()
        accuracy = domain_classifier_accuracy(areas, self.seed)
        if accuracy is not None:
            pl_module.log("test/domain_classifier_accuracy", accuracy)
        if not trainer.is_global_zero or len(areas["features"]) < _FEWEST:
            return
        names = mentoring_method(pl_module, type(self).__name__).class_names
        with atomic_path(folder / "defect_features.npz") as temporary:
            np.savez_compressed(temporary, **areas, class_names=np.array(names))  # type: ignore[arg-type]  # numpy types the names of arrays loosely
        if self.picture:
            self._draw(trainer, folder / "defect_features.png", areas, names, accuracy)

    def _draw(
        self,
        trainer: L.Trainer,
        path: Path,
        areas: Mapping[str, NDArray[Any]],
        class_names: Sequence[str],
        accuracy: float | None,
    ) -> None:
        places = embed(areas["features"], self.seed)
        figure = draw_features(places, areas["class_index"], areas["domain"], class_names, accuracy)
        save_figure(trainer, figure, path, "test/defect_features")
        log.info("features of defective areas: %s", path)


class FeatureDraw:
    """A random draw of areas, equally large for each class and domain, whatever the order in which they come.

    Each area has a key that depends on the seed, its image and its place alone; the smallest keys stay.

    Args:
        num_classes: Number of classes C.
        limit: Areas K of each class and domain.
        width: Channels F of a feature.
        seed: Of the keys.
    """

    def __init__(self, num_classes: int, limit: int, width: int, seed: int) -> None:
        self.seed = seed
        self.keys = torch.full((num_classes, len(DOMAINS), limit), torch.inf, dtype=torch.float64)
        self.index = torch.full((num_classes, len(DOMAINS), limit), -1)
        self.features = torch.zeros(num_classes, len(DOMAINS), limit, width)

    def add(self, features: Tensor, defective: Tensor, batch: InspectionBatch) -> None:
        """Add features ``(B, F, h, w)`` where they are ``defective``, bool ``(B, C, h, w)``, by domain and index."""
        rows, cells = features.shape[0], features.shape[2] * features.shape[3]
        found = defective.flatten(2).cpu()
        if not bool(found.any()):
            return
        vectors = features.flatten(2).permute(0, 2, 1)
        for row in range(rows):
            index, domain = int(batch["index"][row]), int(batch["domain"][row])
            keys = torch.from_numpy(np.random.default_rng((self.seed, index)).random(cells))
            for number in found[row].any(dim=1).nonzero().flatten().tolist():
                places = found[row, number].nonzero().flatten()
                places = places[keys[places] < self.keys[number, domain].max()]  # most drop out here
                picked = vectors[row, places.to(vectors.device)].cpu()
                self._keep(number, domain, keys[places], torch.full((len(places),), index), picked)

    def state(self) -> tuple[Tensor, Tensor, Tensor]:
        """Keys, indices and features, for other processes."""
        return self.keys, self.index, self.features

    def merge(self, keys: Tensor, index: Tensor, features: Tensor) -> None:
        """Take over the draws of all processes, each stacked on a first dimension."""
        keys, index, features = (part.transpose(0, 1).transpose(1, 2).flatten(2, 3) for part in (keys, index, features))
        order = keys.argsort(dim=-1, stable=True)[..., : self.keys.shape[-1]]
        self.keys, self.index = keys.gather(-1, order), index.gather(-1, order)
        self.features = features.gather(2, order[..., None].expand(-1, -1, -1, features.shape[-1]))

    def areas(self) -> dict[str, NDArray[Any]]:
        """Columns ``features`` (N, F), ``class_index``, ``domain`` and ``index`` (N,), ordered by class and domain."""
        number, domain, place = torch.isfinite(self.keys).nonzero(as_tuple=True)
        return {
            "features": self.features[number, domain, place].numpy(),
            "class_index": number.numpy(),
            "domain": domain.numpy(),
            "index": self.index[number, domain, place].numpy(),
        }

    def _keep(self, number: int, domain: int, keys: Tensor, index: Tensor, features: Tensor) -> None:
        joined = torch.cat([self.keys[number, domain], keys])
        order = joined.argsort(stable=True)[: self.keys.shape[-1]]
        self.keys[number, domain] = joined[order]
        self.index[number, domain] = torch.cat([self.index[number, domain], index])[order]
        self.features[number, domain] = torch.cat([self.features[number, domain], features])[order]


def domain_classifier_accuracy(areas: Mapping[str, NDArray[Any]], seed: int = 0) -> float | None:
    """Balanced accuracy with which a linear classifier tells the domains apart by features of images it has not seen.

    From the columns of `FeatureDraw.areas`: about 0.5 (no better than chance) to 1; None where a domain has fewer than
    two images per fold.
    """
    domain, groups = areas["domain"], areas["index"]
    fewest = min((len(np.unique(groups[domain == number])) for number in DOMAINS), default=0)
    if fewest < 2 * FOLDS:
        return None
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, class_weight="balanced", max_iter=1000))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=seed)
    scores = cross_val_score(
        classifier, areas["features"].astype(np.float64), domain, groups=groups, cv=folds, scoring="balanced_accuracy"
    )
    return float(scores.mean())


def embed(features: NDArray[Any], seed: int = 0) -> NDArray[np.float32]:
    """Places of features on a plane by t-SNE: float32 ``(N, 2)`` from ``(N, F)``."""
    scaled = StandardScaler().fit_transform(features)
    tsne = TSNE(perplexity=min(30.0, (len(features) - 1) / 3), init="pca", random_state=seed)
    return np.asarray(tsne.fit_transform(scaled), np.float32)
