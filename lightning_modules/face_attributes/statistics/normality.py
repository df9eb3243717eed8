"""Are the activations of faces that share an attribute normally distributed, as a mixture of Gaussians has them?

Cate, Dalvi, Hussain (2016), section 5, look at histograms of single units. Here every unit is tested.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import stats
from torch import Tensor

from datamodules.faces.schema import PRESENT
from lightning_modules.face_attributes.statistics.collecting import FaceStatistics
from lightning_modules.face_attributes.statistics.label_columns import index_hash

LEAST_FACES = 20  # below, D'Agostino's statistic is far from its limit distribution
_SALT = 2


@dataclass(frozen=True, slots=True)
class AttributeNormality:
    """The test of one attribute in one layer.

    Attributes:
        attribute: Name, or "all faces".
        faces: Number of kept faces that have it.
        units: Number of units tested.
        passed: Share of the units whose normality is not rejected; NaN with fewer than 20 faces.
        passed_rectified: The same after a ReLU.
        zeros: Share of the activations that are 0 or below: those that a ReLU sets to 0.
        skewness: Median over units of the skewness.
        kurtosis: Median over units of the excess kurtosis.
    """

    attribute: str
    faces: int
    units: int
    passed: float
    passed_rectified: float
    zeros: float
    skewness: float
    kurtosis: float


@dataclass(frozen=True, slots=True)
class UnitSample:
    """One unit, for a histogram and a quantile plot.

    Attributes:
        unit: Number of the unit in its layer.
        values: Its activations over the kept faces, sorted, float32 ``(n,)``.
        normal: The normal quantiles that they would have, float32 ``(n,)``.
        rejected: Whether its normality is rejected.
    """

    unit: int
    values: Tensor
    normal: Tensor
    rejected: bool


@dataclass(frozen=True, slots=True)
class LayerNormality:
    """The test of one layer.

    Attributes:
        layer: Its name.
        level: The false discovery rate that the units of an attribute are held to.
        rows: All faces first, then one row for each attribute.
        samples: A few units over all kept faces.
    """

    layer: str
    level: float
    rows: tuple[AttributeNormality, ...]
    samples: tuple[UnitSample, ...]


def layer_normality(
    statistics: FaceStatistics,
    layer: str,
    names: tuple[str, ...],
    *,
    level: float = 0.05,
    units: int = 512,
    samples: int = 8,
) -> LayerNormality:
    """Test units of a layer for normality, for all kept faces and for those of each attribute.

    The test is that of D'Agostino and Pearson on skewness and kurtosis; over the units of an attribute, the procedure
    of Benjamini and Hochberg holds the false discovery rate to ``level``.

    Args:
        statistics: From a pass over the training faces; its kept sample is tested.
        layer: Name of the layer.
        names: Names of the K attributes.
        level: False discovery rate.
        units: Number of units to test, drawn by a hash of their numbers; all if the layer has no more.
        samples: Number of those units to give as they are.
    """
    kept = statistics.kept
    width = kept.activations[layer].shape[1]
    chosen = index_hash(torch.arange(width), _SALT).argsort()[:units].sort().values
    values = kept.activations[layer][:, chosen].double().numpy()
    everybody = np.ones(len(kept), dtype=bool)
    groups = [("all faces", everybody)]
    groups += [(name, (kept.attributes[:, k] == PRESENT).numpy()) for k, name in enumerate(names)]
    rows = tuple(_row(name, values[group], level) for name, group in groups)
    rejected = rejections(p_values(values), level)
    normal = torch.from_numpy(stats.norm.ppf((np.arange(len(kept)) + 0.5) / max(len(kept), 1))).float()
    drawn = [
        UnitSample(int(unit), kept.layer(layer)[:, unit].sort().values, normal, bool(rejected[place]))
        for place, unit in enumerate(chosen[:samples])
    ]
    return LayerNormality(layer, level, rows, tuple(drawn))


def p_values(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """P-value of the normality of each column of ``(n, units)``; 0 for one that never changes."""
    with warnings.catch_warnings():
        # scipy warns of columns that never change; they get 0 below
        warnings.simplefilter("ignore", RuntimeWarning)
        found = stats.normaltest(values, axis=0).pvalue
    varies = np.ptp(values, axis=0) > 0
    return np.where(varies, np.nan_to_num(found, nan=0.0), 0.0)


def rejections(values: NDArray[np.float64], level: float) -> NDArray[np.bool_]:
    """Which hypotheses the procedure of Benjamini and Hochberg rejects at a false discovery rate.

    Args:
        values: P-values ``(m,)``.
        level: The rate.

    Example:
        >>> rejections(np.array([0.01, 0.9, 0.04, 0.03]), 0.05).tolist()
        [True, False, False, False]
    """
    order = np.argsort(values, kind="stable")
    below = values[order] <= level * np.arange(1, len(values) + 1) / len(values)
    count = int(np.flatnonzero(below)[-1]) + 1 if below.any() else 0
    rejected = np.zeros(len(values), dtype=bool)
    rejected[order[:count]] = True
    return rejected


def _row(name: str, values: NDArray[np.float64], level: float) -> AttributeNormality:
    faces, units = values.shape
    if faces < LEAST_FACES:
        zeros = float((values <= 0).mean()) if faces else float("nan")
        nothing = float("nan")
        return AttributeNormality(name, faces, units, nothing, nothing, zeros, nothing, nothing)
    varies = values[:, np.ptp(values, axis=0) > 0]
    return AttributeNormality(
        attribute=name,
        faces=faces,
        units=units,
        passed=float(1.0 - rejections(p_values(values), level).mean()),
        passed_rectified=float(1.0 - rejections(p_values(np.maximum(values, 0.0)), level).mean()),
        zeros=float((values <= 0).mean()),
        skewness=float(np.median(stats.skew(varies))) if varies.size else float("nan"),
        kurtosis=float(np.median(stats.kurtosis(varies))) if varies.size else float("nan"),
    )
