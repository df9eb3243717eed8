"""Answers of a store, image by image, as the exchange formats write them."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from datamodules.inspection.store.exchange.parts import ExchangedDetection, ExchangedImage, named_in_order
from datamodules.inspection.store.exchange.regions import counts_of
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.rows import StoredDetection, StoredImage

_log = logging.getLogger(__name__)

Votes = Mapping[str, str | None]


def answered_images(store: FeedbackStore, run_ids: Sequence[int] | None) -> tuple[list[ExchangedImage], list[str]]:
    """Images with a detection or an answer, by path, and the names of all classes in the models' order."""
    runs = [store.run(one) for one in run_ids] if run_ids is not None else store.runs()
    numbers = [run.id for run in runs]
    votes = store.votes(numbers)
    unknown = {one.detection_id for one in store.flags("skip", numbers)}
    healthy: dict[int, list[str]] = defaultdict(list)
    for flag in store.flags("healthy", numbers):
        if flag.annotator not in healthy[flag.image_id]:
            healthy[flag.image_id].append(flag.annotator)
    found: dict[int, list[ExchangedDetection]] = defaultdict(list)
    shown: dict[int, StoredImage] = {}
    for run in runs:
        for image in store.images(run.id):
            shown[image.id] = image
            for one in store.detections(run.id, image.id):
                is_unknown = one.origin == "operator" and one.id in unknown
                if one.origin == "model" or one.id in votes or is_unknown:  # not a drawing that was taken back
                    said = dict(votes.get(one.id, {}))
                    if one.origin == "model":  # healthy is said of the whole image, whichever run showed it
                        said = dict.fromkeys(healthy[image.id]) | said
                    found[image.id].append(_exchanged(one, image, said, is_unknown))
    images = (
        named_in_order(
            ExchangedImage(
                Path(image.path),
                image.width,
                image.height,
                image.domain,
                tuple(sorted(healthy[image.id])),
                found[image.id],
            )
        )
        for image in sorted(shown.values(), key=lambda one: (one.path, one.id))
    )
    kept = [image for image in images if image.detections or image.healthy_by]
    return kept, list(dict.fromkeys(name for run in runs for name in run.class_names))


def _exchanged(one: StoredDetection, image: StoredImage, votes: Votes, is_unknown: bool) -> ExchangedDetection:
    rle = one.rle
    try:
        if rle is not None and sum(counts_of(rle)) != image.width * image.height:
            raise ValueError("it is of another size")
    except ValueError as error:
        _log.warning("detection %d on %s has no region that can be read (%s): its box alone", one.id, image.path, error)
        rle = None
    return ExchangedDetection(f"d{one.id}", one.shown_class, one.box, one.score, votes, rle, is_unknown and not votes)
