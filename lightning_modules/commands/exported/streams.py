"""Actions in videos by an exported classifier: the frames, the graph, and the segments that ``annotate`` finds."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from callbacks.action.frame_states import SegmentSettings
from callbacks.action.source_annotation import Outputs, SourceAnnotation, SourceResult, StreamChunk
from callbacks.action.source_names import free_name, sentence
from callbacks.action.summary import append_result, read_results, write_results
from datamodules.common.errors import ConfigurationError, VideoError, number_of
from datamodules.common.fingerprint import config_digest, file_key
from datamodules.video.streaming.chunks import ChunkBuilder, ChunkPart, ChunkPlan
from datamodules.video.streaming.info import StreamInfo
from datamodules.video.streaming.reader import SourceFacts, StreamReader
from datamodules.video.streaming.sources import is_live, sources_of
from lightning_modules.commands.exported.manifest import Manifest
from lightning_modules.commands.exported.outcome import Outcome
from lightning_modules.commands.exported.session import Array, Graph

log = logging.getLogger("appraise")

_CHUNK_BYTES = 64 << 20
_STRIDE = 10  # of the frames that are compared: neighbours look alike


def inputs(facts: Mapping[str, Any], place: str) -> Iterator[dict[str, Array]]:
    """What the graph takes of each readable video: frames at a distance of ten, from its first chunk."""
    for source in _files(place):
        reader = _Source(facts, source)
        part = next(iter(reader), None)
        if part is None or not len(part.frames):
            log.warning("warning: %s", reader.fault)
            continue
        yield {"frames": part.frames[::_STRIDE]}


def run(graph: Graph, manifest: Manifest, place: str, output: Path, sha256: str) -> Outcome:
    """Find the segments of the videos of a place; what an earlier run did of the same files is not done again.

    For each video NAME ``NAME.segments.csv``, ``NAME.srt``, ``NAME.vtt`` and ``NAME.frames.csv``; for all of them
    ``segments.json``, ``summary.json`` and ``summary.csv``, as ``annotate`` writes them without video and figures.

    Returns:
        How many videos gave frames, and how many cannot be read or break off; each has a row that says why.
    """
    facts = manifest.facts
    settings = SegmentSettings(**facts["segments"])
    run_key = config_digest({"graph": sha256, "facts": facts})
    earlier = read_results(output)
    results: dict[str, SourceResult] = {}
    for source in _files(place):
        known = earlier.get(source)
        key = config_digest({"run": run_key, "file": file_key(source)}) if Path(source).is_file() else ""
        if known is not None and known.status == "ok" and known.key == key and _whole(known, output):
            results[source] = known
            continue
        others = [*results.values(), *(one for place, one in earlier.items() if place not in results)]
        result = _annotate(graph, facts, settings, source, output, others)
        result.key = key
        results[source] = result
        append_result(output, result)
        log.log(logging.WARNING if result.status == "error" else logging.INFO, "%s", sentence(result))
    kept = [one for place, one in earlier.items() if place not in results]
    write_results(output, [*kept, *results.values()], {})
    failed = sum(1 for one in results.values() if one.status == "error")
    log.info("%s, %d with errors: %s", number_of(len(results), "video"), failed, output)
    return Outcome(sum(1 for one in results.values() if one.frames), failed)


class _Source:
    """The frames of a file in chunks, as the stream of ``predict`` has them; ``fault`` says why it broke off."""

    def __init__(self, facts: Mapping[str, Any], source: str) -> None:
        mapped = facts.get("tone_mapping", False)  # files of an older version do not say
        self._plan = ChunkPlan(facts["frame_size"], _CHUNK_BYTES, None, 1, facts["rate"], False, False, mapped)
        self._source, self._timeout = source, facts["decode_timeout"]
        self.fault = ""
        self.end = 0.0
        self.info: StreamInfo = _unknown(source)

    def __iter__(self) -> Iterator[ChunkPart]:
        """Yield the chunks; a file that cannot be opened gives none."""
        builder: ChunkBuilder | None = None
        try:
            reader = StreamReader(self._source, timeout=self._timeout)
            try:
                for timed in reader.frames(lambda: None):
                    if builder is None:
                        builder = self._begin(reader.facts(timed.frame))
                    elif builder.full:  # only now is it known that another frame follows
                        yield builder.take()
                    builder.add(timed)
            finally:
                reader.close()
                self.fault, self.end = reader.fault, reader.end
        except VideoError as error:
            self.fault = str(error)
        if builder is not None:
            yield builder.take(last=True)

    def _begin(self, facts: SourceFacts) -> ChunkBuilder:
        self.info = cast(StreamInfo, {name: getattr(facts, name) for name in StreamInfo.__annotations__})
        return ChunkBuilder(self._plan, facts)


def _annotate(
    graph: Graph,
    facts: Mapping[str, Any],
    settings: SegmentSettings,
    source: str,
    output: Path,
    others: list[SourceResult],
) -> SourceResult:
    reader = _Source(facts, source)
    annotation: SourceAnnotation | None = None
    outputs = Outputs(output, video=False, figures=False)
    for part in reader:
        if annotation is None:
            name = free_name(reader.info, others, output)
            annotation = SourceAnnotation(name, reader.info, facts["class_names"], settings, outputs)
        chunk = StreamChunk(part.times, part.selected, end=reader.end)
        annotation.add(chunk, _scores(graph, facts, part.frames))
    if annotation is None:
        name = free_name(reader.info, others, output)
        annotation = SourceAnnotation(name, reader.info, facts["class_names"], settings, outputs)
    return annotation.finish("error" if reader.fault else "ok", reader.fault)


def _scores(graph: Graph, facts: Mapping[str, Any], frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Probabilities ``(T, C)`` of frames, as many at a time as in ``predict``."""
    size = int(facts["predict_batch"])
    parts = [graph({"frames": frames[start : start + size]})["scores"] for start in range(0, len(frames), size)]
    empty = np.zeros((0, len(facts["class_names"])))
    return np.concatenate([empty, *parts]).astype(np.float64)


def _files(place: str) -> list[str]:
    """Videos of a place, absolute paths.

    Raises:
        ConfigurationError: If it is a live source.
    """
    found = sources_of(place)
    live = next((source for source in found if is_live(source)), None)
    if live is not None:
        raise ConfigurationError(f"{live} is live, but an exported network runs on files: give a file or a folder")
    return [str(Path(source).absolute()) for source in found]


def _unknown(source: str) -> StreamInfo:
    nan = float("nan")
    return {"name": source, "path": source, "live": False, "width": 0, "height": 0, "fps": 0.0, "duration": nan}


def _whole(result: SourceResult, output: Path) -> bool:
    return all((output / name).is_file() for name in result.outputs)
