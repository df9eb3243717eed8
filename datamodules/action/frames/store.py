"""The chosen frames of all labelled videos, decoded once and kept in one memory-mapped file.

The file is filled video by video beside a journal, so that a making that was stopped goes on where it was, and memory
stays at a few frames whatever the number and length of the videos. A file whose content changes has another key, and
with it the store another folder.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from datamodules.action.frames.chosen import read_frames
from datamodules.action.frames.sampling import DEFAULT_FRAMES
from datamodules.action.frames.settings import ActionFrameSettings
from datamodules.action.lists.records import ActionVideo
from datamodules.common.cache_folder import cache_folder
from datamodules.common.errors import VideoError, number_of
from datamodules.common.fingerprint import config_digest, file_key
from datamodules.common.progress import file_progress

STORE_VERSION = 2  # raise it whenever the same videos would give other frames
_FRAMES = "frames.u8"
_JOURNAL = "videos.jsonl"
_WORKERS = 4
_NAMED = 20  # unreadable files that are named one by one

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StoredVideo:
    """What a store holds of one video.

    Attributes:
        first: Row of its first frame.
        times: Times of its frames in seconds; NaN where unknown.
        errors: Sentences about what could not be read; without a frame, it is the whole video.
    """

    first: int
    times: tuple[float, ...]
    errors: tuple[str, ...] = ()


class FrameStore:
    """A complete store of frames of one side; it can be handed to a loader's worker processes.

    Attributes:
        videos: The videos in the order of the list that it was made of.
        key: Name that changes with every video and option.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self.folder = folder
        self.key = folder.name
        self.size = size
        self.videos = _read_journal(folder / _JOURNAL)
        self._frames: NDArray[np.uint8] | None = None

    @property
    def frames(self) -> NDArray[np.uint8]:
        """All frames, mapped from the disk, read-only, uint8 ``(N, 3, size, size)``."""
        if self._frames is None:
            count = sum(len(video.times) for video in self.videos)
            shape = (count, 3, self.size, self.size)
            path = self.folder / _FRAMES
            self._frames = np.memmap(path, np.uint8, "r", shape=shape) if count else np.zeros(shape, np.uint8)
        return self._frames

    @property
    def errors(self) -> list[str]:
        """Sentences about all that could not be read."""
        return [error for video in self.videos for error in video.errors]

    def __getstate__(self) -> dict[str, object]:
        """A copy for another process maps the file anew: pickling a map would copy the frames."""
        return {**self.__dict__, "_frames": None}


def frame_store(videos: Sequence[ActionVideo], reading: ActionFrameSettings) -> FrameStore:
    """Decode the chosen frames of all videos, unless they are kept from before.

    Processes that ask at the same time wait for the one that decodes. Files that cannot be read are named and skipped.

    Raises:
        VideoError: If not one frame can be read, or the disk is too small.
    """
    folder = cache_folder() / "action_frames" / store_key(videos, reading)
    if not (folder / _JOURNAL).is_file():
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(folder.with_suffix(".lock")):
                if not (folder / _JOURNAL).is_file():
                    _make(folder, videos, reading)
        except OSError as error:
            if isinstance(error, VideoError):
                raise
            raise VideoError(
                f"Cannot keep the frames in {folder}: {error}; free some disk space or name another folder by the "
                "environment variable APPRAISE_CACHE."
            ) from error
    store = FrameStore(folder, reading.frame_size)
    if not len(store.frames):
        reason = f": {store.errors[0]}" if store.errors else ""
        raise VideoError(f"Not one frame of the {len(videos)} videos can be read{reason}")
    return store


def store_key(videos: Sequence[ActionVideo], reading: ActionFrameSettings) -> str:
    """Name of the store: the same for the same files in the same state, parts and options."""
    listed = [
        [video.path, *([_state(picture.path), picture.path, picture.time] for picture in video.pictures)]
        if video.pictures
        else [video.path, _state(video.path), video.start, video.end]
        for video in videos
    ]
    options = {
        "size": reading.frame_size,
        "sampling": {"frames_per_video": reading.frames_per_video, "sampling_rate": reading.sampling_rate},
        "timeout": reading.decode_timeout,
        "tone_mapping": reading.tone_mapping,
    }
    return config_digest({"version": STORE_VERSION, **options, "videos": listed})[:20]


def _state(path: str) -> str:
    try:
        return file_key(path)
    except OSError:  # it will be named when it is read
        return "absent"


def _make(folder: Path, videos: Sequence[ActionVideo], reading: ActionFrameSettings) -> None:
    """Fill a partial folder, then give it its name; the caller holds the lock."""
    partial = folder.with_suffix(".partial")
    partial.mkdir(exist_ok=True)
    done = _resume(partial, reading.frame_size)
    _check_space(partial, videos[len(done) :], reading)
    with (
        (partial / _FRAMES).open("ab") as frames,
        (partial / _JOURNAL).open("a", encoding="utf-8") as journal,
        file_progress("Reading the videos", len(videos), len(done)) as advance,
    ):
        for part, times, errors in _decoded(partial, videos, reading, len(done)):
            with part.open("rb") as source:
                shutil.copyfileobj(source, frames, 1 << 20)
            part.unlink()
            frames.flush()
            journal.write(json.dumps({"times": times, "errors": errors}) + "\n")
            journal.flush()
            advance()
        for stream in (frames, journal):
            os.fsync(stream.fileno())
    partial.replace(folder)
    _report(FrameStore(folder, reading.frame_size))


def _decoded(
    folder: Path, videos: Sequence[ActionVideo], reading: ActionFrameSettings, first: int
) -> Iterator[tuple[Path, list[float], list[str]]]:
    """Decode videos in threads, each into a file of its own, and yield them in order."""
    workers = max(1, min(_WORKERS, os.cpu_count() or 1, len(videos) - first))
    pending: deque[tuple[Path, Future[tuple[list[float], list[str]]]]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        for number in range(first, len(videos)):
            part = folder / f"part-{number:07d}"
            pending.append((part, pool.submit(read_frames, videos[number], reading, part)))
            if len(pending) > 2 * workers:
                done, future = pending.popleft()
                yield done, *future.result()
        while pending:
            done, future = pending.popleft()
            yield done, *future.result()
    finally:
        pool.shutdown(cancel_futures=True)


def _resume(folder: Path, size: int) -> list[StoredVideo]:
    """Cut a partial store back to its last complete video; returns the complete ones."""
    for part in folder.glob("part-*"):
        part.unlink()
    journal, frames = folder / _JOURNAL, folder / _FRAMES
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True) if journal.is_file() else []
    held = frames.stat().st_size if frames.is_file() else 0
    kept: list[str] = []
    needed = 0
    for line in lines:
        if not line.endswith("\n"):
            break
        bytes_of = len(json.loads(line)["times"]) * 3 * size * size
        if needed + bytes_of > held:
            break
        needed += bytes_of
        kept.append(line)
    journal.write_text("".join(kept), encoding="utf-8")
    with frames.open("ab") as stream:
        stream.truncate(needed)
    return _read_journal(journal)


def _read_journal(path: Path) -> list[StoredVideo]:
    videos: list[StoredVideo] = []
    first = 0
    with path.open(encoding="utf-8") as stream:
        for line in stream:
            entry = json.loads(line)
            videos.append(StoredVideo(first, tuple(entry["times"]), tuple(entry["errors"])))
            first += len(entry["times"])
    return videos


def _check_space(folder: Path, videos: Sequence[ActionVideo], reading: ActionFrameSettings) -> None:
    """Stop before the work where the frames cannot fit; how many a rate gives is not known before decoding."""
    if reading.sampling_rate is not None:
        return
    count = reading.frames_per_video
    frames = sum(min(len(v.pictures), count or len(v.pictures)) or count or DEFAULT_FRAMES for v in videos)
    needed, free = frames * 3 * reading.frame_size**2, shutil.disk_usage(folder).free
    if needed > free:
        raise VideoError(
            f"{frames} frames of {reading.frame_size} px need {needed / 1e9:.1f} GB but {folder} has "
            f"{free / 1e9:.1f} GB free; take fewer frames_per_video or name another folder by the environment "
            "variable APPRAISE_CACHE"
        )


def _report(store: FrameStore) -> None:
    """Name what could not be read, and say where the frames are."""
    errors = store.errors
    for error in errors[:_NAMED]:
        _log.warning("skipped: %s", error)
    if len(errors) > _NAMED:
        _log.warning("skipped: %s more that cannot be read", number_of(len(errors) - _NAMED, "file"))
    count = len(store.frames)
    size = count * 3 * store.size**2 / 1e6
    held = f"{number_of(count, 'frame')} of {number_of(len(store.videos), 'video')}"
    _log.info("%s: kept in %s (%.0f MB)", held, store.folder, size)
