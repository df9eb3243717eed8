"""An operator who knows the labels and answers through the same store as a person on the page.

For experiments: how much a session of some minutes is worth, and what wrong answers cost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.inspection.labels.masks import class_mask, labelled_boxes
from datamodules.inspection.labels.records import LabelledImage
from datamodules.inspection.matching import is_true_box, is_true_region
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.inspection.store.rows import StoredDetection, Verdict

_BOX_IOU = 0.5


@dataclass(frozen=True)
class SimulatedSession:
    """What an operator did in one run.

    Attributes:
        answers: Detections that were answered.
        accepted: Of these confirmed.
        rejected: Of these rejected.
        reclassed: Of these given another class.
        flagged: Images that were flagged healthy.
        images: Images with an answer.
        minutes: Time that the answers took; flags are set when an image is taken and cost none.
    """

    answers: int
    accepted: int
    rejected: int
    reclassed: int
    flagged: int
    images: int
    minutes: float


def simulate_answers(
    store: FeedbackStore,
    run_id: int,
    images: Sequence[LabelledImage],
    *,
    error_rate: float = 0.0,
    accept_share: float = 0.3,
    corrects_class: bool = False,
    seconds_per_answer: float = 1.2,
    healthy_share: float = 1.0,
    flags_unmined: bool = True,
    seed: int = 0,
    annotator: str = "simulated",
) -> SimulatedSession:
    """Answer every detection of a run; what this annotator answered before stands and is not asked again.

    A region is true when ``accept_share`` of it lies on or near its class in the labels, a box when a labelled box of
    its class overlaps it by half. Images that the list flags healthy are flagged in the store too, unless a wrong
    answer confirmed a defect on them.

    Args:
        store: Store with the run's detections.
        run_id: The run.
        images: The mined images with their complete labels.
        error_rate: Probability that an answer is turned round, 0..1.
        accept_share: Share of a region that must be true, above 0 up to 1.
        corrects_class: Give a region that lies on another class that class, instead of rejecting it as in the paper.
        seconds_per_answer: Time of one answer; the paper's 12,000 images in half a day are about 1.2 s each.
        healthy_share: Share of the images flagged healthy whose flag reaches the store, 0..1.
        flags_unmined: Flag also images of the store on which the run found nothing; they join healthy knowledge.
        seed: Seed of errors and of ``healthy_share``.
        annotator: Name that the answers carry.

    Returns:
        Counts over all answers of this annotator in the run.

    Raises:
        ConfigurationError: If a number is out of its range.
        LabelError: If the store holds an image without complete labels in ``images``.
        StoreError: If there is no such run, or the store cannot be written.
    """
    _check(error_rate, accept_share, seconds_per_answer, healthy_share)
    names = store.run(run_id).class_names
    labels = {image.path: image for image in images if image.labelled}
    by_image: dict[int, list[StoredDetection]] = {}
    for found in store.detections(run_id):
        if found.origin == "model":
            by_image.setdefault(found.image_id, []).append(found)
    said = {a.detection_id: a.verdict for a in store.recent_answers(run_id, annotator, limit=-1)}
    verdicts: list[str] = []
    flagged = 0

    def _flag(image: LabelledImage, image_id: int) -> bool:
        if not image.is_healthy or _draw(seed, run_id, -image_id) >= healthy_share:
            return False
        if store.confirmed_detections(image_id):  # a wrong answer of an earlier run: the two exclude each other
            return False
        name = f"{annotator}-{run_id}-image-{image_id}"
        store.answer(client_id=name, run_id=run_id, image_id=image_id, verdict="healthy", annotator=annotator)
        return True

    with store.transaction():  # one commit: nobody waits for a simulated answer
        for image_id, found_here in by_image.items():
            path = store.image(image_id).path
            if path not in labels:
                raise LabelError(
                    f"{path} was mined in run {run_id} but has no complete labels for the simulated operator to look "
                    "at; answer it on the page, or give its labels"
                )
            eye = _Eye(labels[path], names, accept_share, corrects_class)
            known_healthy = store.is_healthy(image_id)  # flagged in an earlier run: nobody confirms a defect on it
            here: list[str] = []
            for found in found_here:
                if found.id in said:
                    here.append(said[found.id])
                    continue
                verdict, truth = eye.judge(found)
                if not known_healthy and _draw(seed, run_id, found.id) < error_rate:
                    verdict, truth = ("confirm" if verdict == "reject" else "reject"), None
                store.answer(
                    client_id=f"{annotator}-{run_id}-{found.id}",
                    run_id=run_id,
                    image_id=image_id,
                    verdict=verdict,
                    annotator=annotator,
                    detection_id=found.id,
                    class_name=truth,
                    milliseconds=round(1000 * seconds_per_answer),
                )
                here.append(verdict)
            verdicts += here
            if all(verdict in ("reject", "skip") for verdict in here):
                flagged += _flag(labels[path], image_id)
        unmined = [image for image in store.images() if image.id not in by_image and image.path in labels]
        if flags_unmined:
            flagged += sum(_flag(labels[image.path], image.id) for image in unmined)
    count = {verdict: verdicts.count(verdict) for verdict in ("confirm", "reject", "reclass")}
    answers = sum(count.values())
    return SimulatedSession(
        answers=answers,
        accepted=count["confirm"],
        rejected=count["reject"],
        reclassed=count["reclass"],
        flagged=flagged,
        images=len(by_image),
        minutes=answers * seconds_per_answer / 60,
    )


class _Eye:
    """Judges the detections of one image by its labels."""

    def __init__(
        self, image: LabelledImage, class_names: Sequence[str], accept_share: float, corrects_class: bool
    ) -> None:
        self._names = list(class_names)
        self._share = accept_share
        self._corrects = corrects_class
        self._mask: NDArray[np.uint8] = class_mask(image, len(class_names))
        boxes, classes = labelled_boxes(image, self._mask)
        self._boxes = [(float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in boxes]
        self._classes = [int(index) for index in classes]

    def judge(self, found: StoredDetection) -> tuple[Verdict, str | None]:
        """The verdict and, on another class, its name."""
        index = self._names.index(found.shown_class)
        if self._is_true(found, index):
            return "confirm", None
        if self._corrects:
            for other, name in enumerate(self._names):
                if other != index and self._is_true(found, other):
                    return "reclass", name
        return "reject", None

    def _is_true(self, found: StoredDetection, index: int) -> bool:
        if found.rle is None:
            return is_true_box(found.box, self._boxes, self._classes, index, _BOX_IOU)
        return is_true_region(found.rle, self._mask, index, self._share)


def _draw(seed: int, run_id: int, number: int) -> float:
    """A number in 0..1 for one detection (its row) or one image (its row, negative), whatever else is asked."""
    return float(np.random.default_rng([seed, run_id, abs(number), int(number < 0)]).uniform())


def _check(error_rate: float, accept_share: float, seconds_per_answer: float, healthy_share: float) -> None:
    for name, value in (("error_rate", error_rate), ("healthy_share", healthy_share)):
        if not 0 <= value <= 1:
            raise ConfigurationError(f"The simulated operator's {name} is {value}; it must be within 0..1.")
    if not 0 < accept_share <= 1:
        raise ConfigurationError(f"The simulated operator's accept_share is {accept_share}; it must be in (0, 1].")
    if seconds_per_answer < 0:
        raise ConfigurationError(
            f"The simulated operator's seconds_per_answer is {seconds_per_answer}; it must be at least 0."
        )
