"""``appraise extract-frames``: sparse frames of videos as pictures, in a folder for each class.

The layout is that of Gjorjian's script, ``DIR/<class>/<video>_<number>.jpg``; a list beside the folders remembers the
video and the time of each picture, so that they can still be split by video.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import logging
import sys
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datamodules.action.frames.chosen import wanted_frames
from datamodules.action.frames.sampling import FrameSampling
from datamodules.action.lists.class_folders import FRAME_COLUMNS, FRAME_LIST, OPTIONAL_FRAME_COLUMNS
from datamodules.action.lists.records import ActionVideo, group_of
from datamodules.action.lists.settings import ActionListSettings
from datamodules.action.lists.sources import read_videos
from datamodules.common.atomic_write import BEYOND_UTF8, flush_row, output_name, write_text
from datamodules.common.errors import AppraiseError, ConfigurationError, VideoError, number_of, one_line
from datamodules.common.fingerprint import config_digest
from datamodules.common.progress import file_progress
from datamodules.common.walking import look_below
from datamodules.tables.csv import CsvRows, csv_text
from datamodules.tables.rows import read_rows
from datamodules.video.finding import VIDEO_SUFFIXES
from datamodules.video.reading.contract import FrameChunk, VideoInfo
from datamodules.video.reading.reader import read_video
from lightning_modules.commands.front.bare_options import SentenceParser
from lightning_modules.commands.front.errors import CommandLineError

OPTIONS_FILE = "extract.json"
_COLUMNS = (*FRAME_COLUMNS, *OPTIONAL_FRAME_COLUMNS)
_QUALITY = 95  # of the JPEG files

_log = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Options of the command, which ``front.help_text`` explains."""
    parser = SentenceParser(prog="appraise extract-frames")
    parser.add_argument("source", metavar="SOURCE")
    parser.add_argument("--output", required=True)
    often = parser.add_mutually_exclusive_group()
    often.add_argument("--every", type=float)
    often.add_argument("--count", type=int)
    parser.add_argument("--size", type=int)
    parser.add_argument("--root")
    parser.add_argument("--class", dest="label")
    parser.add_argument("--timeout", type=float, default=60.0)
    parser.add_argument("--tone-mapping", action="store_true")
    return parser


def run(command: str, arguments: Sequence[str]) -> int:
    """Extract frames; videos that are done already are left as they are.

    Returns:
        Exit code: 0, or 1 where not one video could be read.

    Raises:
        ConfigurationError: If options cannot work, or the folder holds frames that were extracted otherwise.
        LabelError: If a list is wrong.
    """
    options = build_parser().parse_args(arguments)
    if options.every is not None and not options.every > 0:
        raise CommandLineError(f"--every is {options.every:g} s; it must be above 0")
    if options.size is not None and options.size < 8:
        raise CommandLineError(f"--size is {options.size}; it must be at least 8")
    sampling = FrameSampling(options.count, None if options.every is None else 1 / options.every)
    videos = listed_videos(options.source, options.root, options.label)
    try:
        folder, mapped = Path(options.output), options.tone_mapping
        extraction = Extraction(folder, videos, sampling, options.size, options.timeout, mapped)
        errors = extraction.run()
    except OSError as error:
        if isinstance(error, AppraiseError):
            raise
        raise ConfigurationError(f"{options.output} cannot be written ({error}); give another --output") from error
    failed = f"; {len(errors)} could not be read" if errors else ""
    done = f"{number_of(extraction.frames, 'frame')} of {number_of(len(videos) - len(errors), 'video')}"
    sys.stdout.write(f"{done} in {options.output}{failed}\n")
    return 1 if len(errors) == len(videos) else 0


def listed_videos(source: str, root: str | None, label: str | None) -> list[ActionVideo]:
    """The videos of a folder, a list or one file.

    Raises:
        ConfigurationError: If there is nothing, or a class cannot be the name of a folder.
        LabelError: If a list is wrong.
    """
    path = Path(source)
    if not path.exists():
        raise CommandLineError(f"{source} does not exist; give a folder of class folders, a list or a video")
    if path.is_dir():
        flat = flat_videos(path, label)
        videos = flat or read_videos(ActionListSettings(root=source, label_format="videos"))
    elif path.suffix.lower() in (".csv", ".txt"):
        videos = read_videos(ActionListSettings(root=root, labels=source))
    else:
        file = path.absolute()
        videos = [ActionVideo(str(file), file.name, label or file.parent.name or "video", file.name, source=source)]
    for video in videos:
        if video.label in (".", "..") or {"/", "\\", "\0"} & set(video.label) or one_line(video.label) != video.label:
            raise ConfigurationError(
                f"{one_line(video.source)}: class '{one_line(video.label)}' cannot be the name of a folder; rename it, "
                "or name another one with --class where SOURCE is one file"
            )
    return videos


def flat_videos(folder: Path, label: str | None) -> list[ActionVideo]:
    """Videos that lie in a folder without class folders, all of one class: the given one, or the folder's name.

    Nothing where videos lie deeper: then the folders name the classes.
    """
    found = [Path(file) for file in look_below(folder, VIDEO_SUFFIXES).files]
    if not found or any(file.parent.absolute() != folder.absolute() for file in found):
        return []
    name = label or folder.absolute().name or "video"
    return [
        ActionVideo(str(file.absolute()), file.name, name, group_of(file.stem, file.name), source=str(folder))
        for file in sorted(found)
    ]


class Extraction:
    """Writes the pictures of videos one by one, and after each its rows of the list; ``frames`` counts them.

    Args:
        folder: Where they go.
        videos: The videos.
        sampling: Which frames.
        size: Shorter side of the pictures in pixels; None keeps that of the video.
        timeout: Seconds for one file.
        tone_mapping: Whether pictures of high dynamic range are mapped to BT.709.

    Raises:
        ConfigurationError: If the folder holds frames that were extracted with other options.
    """

    def __init__(
        self,
        folder: Path,
        videos: Sequence[ActionVideo],
        sampling: FrameSampling,
        size: int | None,
        timeout: float,
        tone_mapping: bool = False,
    ) -> None:
        self.folder = folder
        self.frames = 0
        self._videos = videos
        self._stems = unique_stems(videos)
        self._sampling = sampling
        self._size = size
        self._timeout = timeout
        self._tone_mapping = tone_mapping
        self._list = folder / FRAME_LIST
        self._check_options()

    def run(self) -> list[str]:
        """Extract what is not there yet.

        Returns:
            Sentences about the videos that cannot be read.
        """
        done = self._done()
        errors: list[str] = []
        with (
            self._list.open("a", encoding="utf-8", errors=BEYOND_UTF8, newline="") as stream,
            file_progress("Extracting frames", len(self._videos), len(done)) as advance,
        ):
            for video, stem in zip(self._videos, self._stems, strict=True):
                if f"{video.label}/{stem}" in done:
                    continue
                pictures = PictureFiles(self.folder, video, stem, self._sampling, self._size)
                try:
                    read_video(video.path, pictures, timeout=self._timeout, tone_mapping=self._tone_mapping)
                except VideoError as error:
                    pictures.remove()
                    errors.append(str(error))
                    _log.warning("skipped: %s", error)
                else:
                    CsvRows(stream).writerows(pictures.rows)
                    flush_row(stream)
                    self.frames += len(pictures.rows)
                advance()
        return errors

    def _check_options(self) -> None:
        """Compare the options with those that the folder was filled with, or remember them."""
        stated = {
            "frames_per_video": self._sampling.frames_per_video,
            "sampling_rate": self._sampling.sampling_rate,
            "size": self._size,
            **({"tone_mapping": True} if self._tone_mapping else {}),
        }
        path = self.folder / OPTIONS_FILE
        if path.is_file():
            known = json.loads(path.read_text(encoding="utf-8"))
            if known != stated:
                raise ConfigurationError(
                    f"{self.folder} holds frames extracted with {known}, not {stated}; give another --output or the "
                    "same options"
                )
            return
        if self._list.exists():
            raise ConfigurationError(f"{self._list} was written by something else; give another --output")
        self.folder.mkdir(parents=True, exist_ok=True)
        write_text(path, json.dumps(stated) + "\n")

    def _done(self) -> set[str]:
        """Class and stem of the videos that are listed; the last one may be incomplete, and is extracted again."""
        if not self._list.is_file():
            write_text(self._list, csv_text(_COLUMNS, []))
            return set()
        text = self._list.read_text(encoding="utf-8")
        rows = [row.fields for row in read_rows(self._list)][1:] if text.endswith("\n") else _whole_rows(text)
        keys = [_key(row[0]) for row in rows]
        kept = [row for row, key in zip(rows, keys, strict=True) if key != keys[-1]]
        write_text(self._list, csv_text(_COLUMNS, kept))
        self.frames = len(kept)
        return {_key(row[0]) for row in kept}


class PictureFiles:
    """Takes frames from ``read_video`` and writes each as ``<class>/<stem>_<number>.jpg``.

    Attributes:
        rows: A row of the list for each picture.
    """

    def __init__(self, folder: Path, video: ActionVideo, stem: str, sampling: FrameSampling, size: int | None) -> None:
        self.rows: list[tuple[str, ...]] = []
        self._folder = folder
        self._video = video
        self._stem = stem
        self._sampling = sampling
        self._size = size
        self._aspect = Fraction(1)

    def start(self, info: VideoInfo) -> NDArray[np.int64]:
        """Remove the pictures of an earlier attempt and choose frames."""
        self.remove()
        self._aspect = info.pixel_aspect
        (self._folder / self._video.label).mkdir(exist_ok=True)
        return wanted_frames(info, self._video, self._sampling)

    def add(self, chunk: FrameChunk) -> None:
        """Write pictures."""
        for frame, time in zip(chunk.frames, chunk.times.tolist(), strict=True):
            name = f"{self._video.label}/{self._stem}_{len(self.rows) + 1:05d}.jpg"
            _scaled(Image.fromarray(frame), self._size, self._aspect).save(self._folder / name, quality=_QUALITY)
            seconds = f"{time:.6f}" if np.isfinite(time) else ""
            video = self._video
            self.rows.append((name, video.name, video.label, seconds, video.group, video.split or ""))

    def remove(self) -> None:
        """Remove what was written."""
        for row in self.rows:
            (self._folder / row[0]).unlink(missing_ok=True)
        self.rows = []


def unique_stems(videos: Sequence[ActionVideo]) -> list[str]:
    """Names for the pictures of each video: that of its file, with its folders or its part where two would be alike.

    Names that differ in case alone are alike, as some file systems have it.
    """
    stems = [output_name(Path(video.name).stem) for video in videos]
    for longer in (_with_folders, _with_part, _with_mark):
        keys = [(video.label.casefold(), stem.casefold()) for video, stem in zip(videos, stems, strict=True)]
        counts = Counter(keys)
        stems = [
            output_name(longer(video)) if counts[key] > 1 else stem
            for video, stem, key in zip(videos, stems, keys, strict=True)
        ]
    return stems


def _with_folders(video: ActionVideo) -> str:
    return Path(video.name).with_suffix("").as_posix().strip("./").replace("/", "-")


def _with_part(video: ActionVideo) -> str:
    end = "end" if video.end is None else f"{video.end:g}s"
    return f"{_with_folders(video)}-{video.start:g}s-{end}-{Path(video.name).suffix.lstrip('.')}"


def _with_mark(video: ActionVideo) -> str:
    """With a mark of the name itself, where case alone tells it from another."""
    return f"{_with_part(video)}-{config_digest({'name': video.name})[:8]}"


def _scaled(image: Image.Image, size: int | None, aspect: Fraction) -> Image.Image:
    """The picture with square pixels, as players show it, and so many on its shorter side."""
    shown = (image.width * aspect, Fraction(image.height))
    factor = 1 if size is None else size / min(shown)
    width, height = (max(1, round(side * factor)) for side in shown)
    if (width, height) == image.size:
        return image
    return image.resize((width, height), Image.Resampling.BILINEAR)


def _key(frame: str) -> str:
    """Class and stem of the name of a picture."""
    return frame.rpartition("_")[0]


def _whole_rows(text: str) -> list[tuple[str, ...]]:
    """Rows of a list whose last line was cut off."""
    return [tuple(row) for row in csv.reader(io.StringIO(text[: text.rfind("\n") + 1]))][1:]
