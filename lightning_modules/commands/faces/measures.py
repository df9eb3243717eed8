"""All measures of one set of made faces: agreement in the judges' eyes, and realism."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from lightning_modules.commands.faces.judges import Judge, Verdict
from lightning_modules.commands.faces.requests import RealFaces, RequestSet
from lightning_modules.face_attributes.classifier.metrics import known_mean
from lightning_modules.face_attributes.judging.agreement import (
    Knowledge,
    full_agreement,
    judge_knowledge,
    short_agreement,
)
from lightning_modules.nn.realism.distance import kernel_distance
from lightning_modules.nn.realism.nearest import copies, nearest_ratio
from lightning_modules.nn.realism.spread import diversity, similarity_percentile
from lightning_modules.nn.realism.variation import blurred_pixels, spectrum_slope, variation_ratio

VARIATION = (0.2, 1.5)  # bounds of the total variation over that of real faces
NEAREST = 1.2  # bound of the distance to the nearest real face over that between real faces

Values = dict[str, Any]  # plain values of JSON, nested by judge


@dataclass(frozen=True)
class Bench:
    """A judge with what it says of the real faces.

    Attributes:
        judge: The judge.
        knowledge: What it may be asked about.
        tested: Its view of the unseen real faces.
        reference: Its view of the training faces.
    """

    judge: Judge
    knowledge: Knowledge
    tested: Verdict
    reference: Verdict


def seat(judge: Judge, real: RealFaces, names: Sequence[str], threshold: float) -> Bench:
    """Let a judge look at the real faces.

    Raises:
        ConfigurationError: If it knows no attribute.
    """
    tested = judge.look(real.tested)
    knowledge = judge_knowledge(tested.decision, real.labels, names, threshold)
    return Bench(judge, knowledge, tested, judge.look(real.reference))


def measure(images: Tensor, requests: RequestSet, real: RealFaces, benches: Sequence[Bench], own: Tensor) -> Values:
    """Measure made faces, uint8 ``(N, 3, S, S)``, in the order of the requests.

    ``own`` is what the inverted network says of them, int8 ``(N, K)``.
    """
    judged = {bench.judge.name: _judged(images, requests, bench) for bench in benches}
    known = torch.stack([bench.knowledge.known for bench in benches]).any(dim=0)
    return {
        "faces": len(images),
        "agreement": known_mean([values["agreement"] for values in judged.values()]),
        "own_opinion": _agreement(own, requests, known)["agreement"],
        **_realism(images, requests, real),
        "judges": judged,
    }


def agreement_alone(decision: Tensor, requests: RequestSet, benches: Sequence[Bench]) -> Values:
    """The same for answers without pictures, such as those of chance: agreement alone."""
    judged = {bench.judge.name: _agreement(decision, requests, bench.knowledge.known) for bench in benches}
    return {
        "faces": len(decision),
        "agreement": known_mean([values["agreement"] for values in judged.values()]),
        "judges": judged,
    }


def is_realistic(values: Values) -> bool:
    """Whether faces keep within the bounds of total variation and distance to real faces."""
    low, high = VARIATION
    return bool(low <= values["variation_ratio"] <= high and values["nearest_ratio"] <= NEAREST)


def _judged(images: Tensor, requests: RequestSet, bench: Bench) -> Values:
    verdict, sources = bench.judge.look(images), bench.judge.look(requests.sources)
    tested, reference = bench.tested.features, bench.reference.features
    kernel = kernel_distance(verdict.features, tested)
    percentile = similarity_percentile(verdict.features, sources.features, tested)
    return {
        **_agreement(verdict.decision, requests, bench.knowledge.known),
        "nearest_ratio": nearest_ratio(verdict.features, sources.features, reference),
        "kid": kernel.value,
        "kid_low": kernel.low,
        "kid_high": kernel.high,
        "diversity_ratio": diversity(verdict.features) / diversity(sources.features),
        "similarity_percentile": percentile.mean().item(),
    }


def _agreement(decision: Tensor, requests: RequestSet, known: Tensor) -> Values:
    if requests.kind == "full":
        found = full_agreement(decision, requests.asked, known)
        counted = int((~found.per_attribute.isnan()).sum())
        return {"agreement": found.value, "standard_error": found.standard_error, "attributes": counted}
    short = short_agreement(decision, requests.asked, requests.absent, known)
    return {"agreement": short.value, "recall": short.recall, "specificity": short.specificity}


def _realism(images: Tensor, requests: RequestSet, real: RealFaces) -> Values:
    made, sources = images.float() / 255, requests.sources.float() / 255
    blurred, held_out = blurred_pixels(made), blurred_pixels(sources)
    reference, kept = (blurred_pixels(part.float() / 255) for part in (real.reference, real.kept))
    return {
        "variation_ratio": variation_ratio(made, sources),
        "nearest_ratio": nearest_ratio(blurred, held_out, reference),
        "copies": max(copies(blurred, part) for part in (reference, kept) if len(part) > 1),
        "spectrum_slope": spectrum_slope(made).mean().item(),
        "diversity_ratio": diversity(blurred) / diversity(held_out),
    }
