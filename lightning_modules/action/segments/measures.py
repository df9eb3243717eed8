"""Measures of segments against the truth: F1 and edit score, errors of the boundaries, mean average precision.

Each takes the segments of one video as a list, or those of many as a dict from video to list; a video that only one
side knows counts as empty on the other. Values are shares in 0..1 (papers often print them times 100), NaN where
nothing can be measured. Labels are compared by name.

Sources: segmental F1 and edit score: Lea et al., "Temporal Convolutional Networks for Action Segmentation and
Detection", CVPR 2017, section 4.2, with the matching of the authors' public code; mean average precision: Caba
Heilbron et al., "ActivityNet", CVPR 2015, as its evaluation kit counts it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lightning_modules.action.segments.flicker import agreement
from lightning_modules.action.segments.machine import COMPUTING, Segment

Segments = Sequence[Segment] | Mapping[str, Sequence[Segment]]
Floats = NDArray[np.float64]

F1_THRESHOLDS = (0.10, 0.25, 0.50)
MAP_THRESHOLDS = tuple(round(0.50 + 0.05 * step, 2) for step in range(10))


def frame_accuracy(states: ArrayLike, true: ArrayLike, *, count_unlabelled: bool = False) -> float:
    """Share of frames with the right class.

    Args:
        states: Class index a frame, -1 for "computing", ``(T,)``.
        true: Class index a frame, -1 where no segment is labelled, ``(T,)``; see :func:`true_states`.
        count_unlabelled: Whether frames without a label count too, right if "computing"; else they are left out.

    Raises:
        ValueError: If the lengths differ.

    Example:
        >>> round(frame_accuracy([0, 0, 1, -1], [0, 1, 1, -1]), 4)
        0.6667
    """
    found, truth = np.asarray(states), np.asarray(true)
    if found.shape != truth.shape:
        raise ValueError(f"{found.size} states cannot be compared with {truth.size} labels; give one a frame.")
    counts = np.full(truth.shape, True) if count_unlabelled else truth != COMPUTING
    return agreement(found[counts], truth[counts])


def true_states(segments: Sequence[Segment], times: ArrayLike, class_names: Sequence[str]) -> NDArray[np.int64]:
    """Class of each frame that segments give it: a segment holds the frames from its start on and before its end.

    Args:
        segments: Of one video; where two overlap, the later in the list wins.
        times: Seconds, ``(T,)``.
        class_names: Classes in the order of the indices; segments with other labels are left out.

    Returns:
        int64 ``(T,)``, -1 outside of all segments.

    Example:
        >>> true_states([Segment("b", 1.0, 3.0)], [0, 1, 2, 3], ["a", "b"]).tolist()
        [-1, 1, 1, -1]
    """
    at = np.asarray(times, np.float64)
    index = {name: place for place, name in enumerate(class_names)}
    states = np.full(at.shape, COMPUTING, np.int64)
    for one in segments:
        if one.label in index:
            states[(at >= one.start) & (at < one.end)] = index[one.label]
    return states


def keep_labels(segments: Sequence[Segment], labels: Collection[str]) -> list[Segment]:
    """Only the segments of some classes, to report these apart."""
    return [one for one in segments if one.label in labels]


def temporal_iou(segments: Sequence[Segment], others: Sequence[Segment]) -> Floats:
    """Overlap in time as a share of the time that either of two segments covers; 0 where their labels differ.

    Returns:
        float64 ``(len(segments), len(others))``.

    Example:
        >>> temporal_iou([Segment("a", 0, 4)], [Segment("a", 2, 6), Segment("b", 0, 4)]).round(3).tolist()
        [[0.333, 0.0]]
    """
    common = _common_seconds(segments, others)
    lengths = [np.array([one.duration for one in side], np.float64) for side in (segments, others)]
    union = lengths[0][:, None] + lengths[1] - common
    return np.divide(common, union, out=np.zeros_like(common), where=union > 0)


def segment_f1(predicted: Segments, true: Segments, iou: float = 0.5) -> float:
    """Segmental F1: a segment is right if its best-overlapping true segment of its class is near enough and still free.

    Right, wrong and missed segments are counted over all videos.

    Args:
        predicted: Found segments.
        true: Labelled segments.
        iou: Smallest temporal IoU; .10, .25 and .50 are usual.

    Returns:
        2 right / (found + labelled); NaN where there are neither.

    Example:
        >>> segment_f1([Segment("a", 0, 4), Segment("a", 4, 5)], [Segment("a", 0, 5)])
        0.6666666666666666
    """
    right = found = labelled = 0
    for guesses, truths in _videos(predicted, true):
        found, labelled = found + len(guesses), labelled + len(truths)
        free = np.ones(len(truths), np.bool_)
        for overlap in temporal_iou(_in_time(guesses), truths) if truths else ():
            best = int(np.argmax(overlap))
            if overlap[best] >= iou and free[best]:
                free[best] = False
                right += 1
    return 2 * right / (found + labelled) if found + labelled else float("nan")


def edit_score(predicted: Segments, true: Segments) -> float:
    """How right the order of the labels is, whatever their times: 1 - edit distance / longer length, video mean.

    Insertions, deletions and replacements cost 1 each; the score punishes flicker.

    Returns:
        0..1; NaN where no video has a segment.

    Example:
        >>> a, b = Segment("a", 0, 1), Segment("b", 1, 2)
        >>> edit_score([a, b, a, b], [a, b])
        0.5
    """
    scores = []
    for guesses, truths in _videos(predicted, true):
        found, wanted = ([one.label for one in _in_time(side)] for side in (guesses, truths))
        if found or wanted:
            scores.append(1 - _edit_distance(found, wanted) / max(len(found), len(wanted)))
    return float(np.mean(scores)) if scores else float("nan")


def boundary_errors(predicted: Segments, true: Segments) -> Floats:
    """Errors of the begin and end of each true segment.

    Pairs of one class that overlap in time are made from the longest overlap down, each segment once.

    Returns:
        float64 ``(N, 2)``, found minus true seconds of begin and end, a row for each true segment in order of video and
        time: above 0 is late, NaN was not found.

    Example:
        >>> boundary_errors([Segment("a", 1.5, 4.0)], [Segment("a", 1.0, 5.0), Segment("b", 5.0, 6.0)]).tolist()
        [[0.5, -1.0], [nan, nan]]
    """
    rows = [np.empty((0, 2))]
    for guesses, truths in _videos(predicted, true):
        ordered = _in_time(truths)
        errors = np.full((len(ordered), 2), np.nan)
        for place, guess in _pairs(guesses, ordered):
            errors[place] = guess.start - ordered[place].start, guess.end - ordered[place].end
        rows.append(errors)
    return np.concatenate(rows)


def segment_average_precision(predicted: Segments, true: Segments, label: str, iou: float = 0.5) -> float:
    """Average precision of one class, as ActivityNet counts it.

    Found segments of all videos are taken from the highest score down. Each takes the free true segment of its video
    that it overlaps most, if that is near enough; otherwise it is wrong. Precision is made non-rising in recall.

    Args:
        predicted: Found segments with scores.
        true: Labelled segments.
        label: The class.
        iou: Smallest temporal IoU.

    Returns:
        Area under precision over recall, 0..1; NaN where the class is not labelled.

    Example:
        >>> found = [Segment("a", 0, 1, 0.9), Segment("a", 5, 6, 0.8), Segment("a", 2, 3, 0.7)]
        >>> segment_average_precision(found, [Segment("a", 0, 1), Segment("a", 2, 3)], "a")
        0.8333333333333333
    """
    videos = [[keep_labels(side, {label}) for side in sides] for sides in _videos(predicted, true)]
    total = sum(len(truths) for _, truths in videos)
    if not total:
        return float("nan")
    overlaps = [temporal_iou(guesses, truths) for guesses, truths in videos]
    ranked = sorted(
        (-guess.score, video, guess.start, place)
        for video, (guesses, _) in enumerate(videos)
        for place, guess in enumerate(guesses)
    )
    right = np.zeros(len(ranked))
    for rank, (_, video, _, place) in enumerate(ranked):
        overlap = overlaps[video][place]
        if len(overlap) and overlap.max() >= iou:
            overlaps[video][:, int(np.argmax(overlap))] = -1  # taken
            right[rank] = 1
    hits = np.cumsum(right)
    precision = np.maximum.accumulate((hits / np.arange(1, len(ranked) + 1))[::-1])[::-1]
    return float((precision * right).sum() / total)


def segment_map(predicted: Segments, true: Segments, thresholds: Sequence[float] = MAP_THRESHOLDS) -> float:
    """Mean average precision over the labelled classes and over thresholds of the temporal IoU, .50 to .95 by .05.

    Returns:
        0..1; NaN without a labelled segment.

    Example:
        >>> round(segment_map([Segment("a", 0, 7, 0.9)], [Segment("a", 0, 10)]), 3)  # right at .50 to .70
        0.5
    """
    labels = sorted({one.label for _, truths in _videos(predicted, true) for one in truths})
    values = [segment_average_precision(predicted, true, label, iou) for label in labels for iou in thresholds]
    return float(np.mean(values)) if values else float("nan")


def segment_report(predicted: Segments, true: Segments) -> dict[str, float]:
    """All measures of segments under their short names.

    Returns:
        ``segment_f1_10``, ``segment_f1_25``, ``segment_f1_50``, ``edit_score``, ``segment_map`` (0..1);
        ``onset_error`` and ``boundary_error``, medians in seconds of the size of the error of begins, and of begins and
        ends; ``found_share``, share of the true segments that any found segment of their class overlaps.
    """
    errors = boundary_errors(predicted, true)
    found = ~np.isnan(errors[:, 0])
    size = np.abs(errors[found])
    return {
        **{f"segment_f1_{round(100 * iou)}": segment_f1(predicted, true, iou) for iou in F1_THRESHOLDS},
        "edit_score": edit_score(predicted, true),
        "segment_map": segment_map(predicted, true),
        "onset_error": float(np.median(size[:, 0])) if len(size) else float("nan"),
        "boundary_error": float(np.median(size)) if len(size) else float("nan"),
        "found_share": float(found.mean()) if len(errors) else float("nan"),
    }


def _videos(predicted: Segments, true: Segments) -> Iterator[tuple[Sequence[Segment], Sequence[Segment]]]:
    found = predicted if isinstance(predicted, Mapping) else {"": predicted}
    labelled = true if isinstance(true, Mapping) else {"": true}
    if isinstance(predicted, Mapping) != isinstance(true, Mapping):
        raise ValueError("One side has the segments of one video, the other those of many by name; give both alike.")
    for video in dict.fromkeys([*labelled, *found]):
        yield found.get(video, []), labelled.get(video, [])


def _in_time(segments: Sequence[Segment]) -> list[Segment]:
    return sorted(segments, key=lambda one: one.start)


def _common_seconds(segments: Sequence[Segment], others: Sequence[Segment]) -> Floats:
    """Seconds that two segments of one label share, ``(len(segments), len(others))``."""
    starts, ends = (
        [np.array([getattr(one, name) for one in side], np.float64) for side in (segments, others)]
        for name in ("start", "end")
    )
    labels = [np.array([one.label for one in side], np.str_) for side in (segments, others)]
    common = np.minimum(ends[0][:, None], ends[1]) - np.maximum(starts[0][:, None], starts[1])
    return np.where(labels[0][:, None] == labels[1], np.clip(common, 0.0, None), 0.0)


def _pairs(guesses: Sequence[Segment], truths: Sequence[Segment]) -> Iterator[tuple[int, Segment]]:
    """Pair each true segment with at most one found one, from the longest overlap down."""
    common = _common_seconds(truths, guesses)
    taken: tuple[set[int], set[int]] = (set(), set())
    places, numbers = np.nonzero(common)
    order = np.lexsort((numbers, places, -common[places, numbers]))
    for place, number in zip(places[order].tolist(), numbers[order].tolist(), strict=True):
        if place not in taken[0] and number not in taken[1]:
            taken[0].add(place)
            taken[1].add(number)
            yield place, guesses[number]


def _edit_distance(first: Sequence[str], second: Sequence[str]) -> int:
    """Levenshtein distance of two sequences of labels."""
    row = list(range(len(second) + 1))
    for place, label in enumerate(first, start=1):
        above, row[0] = row[0], place
        for column, other in enumerate(second, start=1):
            above, row[column] = row[column], min(row[column] + 1, row[column - 1] + 1, above + (label != other))
    return row[-1]
