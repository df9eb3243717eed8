"""The folders of pictures or videos that are compared, and reading them one after the other."""

from __future__ import annotations

import logging
import os
import statistics
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from datamodules.common.errors import (
    AppraiseError,
    ConfigurationError,
    ImageError,
    LabelError,
    VideoError,
    number_of,
    one_line,
)
from datamodules.common.progress import file_progress
from datamodules.common.walking import files_below
from datamodules.faces.lists.crops import cut_face, square_of
from datamodules.faces.lists.index import IMAGE_SUFFIXES
from datamodules.images.size import picture_size
from datamodules.images.unreadable import UnreadablePictureError
from datamodules.images.upright import read_picture
from datamodules.images.whole import broken_picture
from datamodules.summary.findings import OnError
from datamodules.tables.columns import Table
from datamodules.video.finding import VIDEO_SUFFIXES
from datamodules.video.reading.contract import FrameChunk, VideoInfo
from datamodules.video.reading.reader import read_video
from lightning_modules.commands.measures.settings import MeasureSettings

Role = Literal["generated", "training", "held out"]
_LARGEST = 256  # side that is taken where none is asked for
_SMALLEST = 8
_SIZES_READ = 200  # of made pictures

log = logging.getLogger("appraise")


@dataclass(frozen=True)
class PictureSet:
    """A folder of pictures, or of videos.

    Attributes:
        name: What it is called on the page.
        role: What it is.
        folder: Where it is.
        paths: Its files, absolute, sorted.
        side: Of the squares that pictures are cut and resized to, in pixels.
        frames: Of each video; 1 for pictures.
    """

    name: str
    role: Role
    folder: Path
    paths: tuple[str, ...]
    side: int = 0
    frames: int = 1

    def __len__(self) -> int:
        return len(self.paths)

    def file(self, row: int) -> str:
        """Path relative to the folder."""
        return Path(self.paths[row]).relative_to(self.folder).as_posix()

    def read(self, row: int) -> Tensor:
        """A picture, or the frames of a video, uint8 ``(T, 3, S, S)``.

        Raises:
            ImageError: If the picture cannot be read.
            VideoError: If the video cannot, or has too few frames.
        """
        path = self.paths[row]
        if self.frames > 1:
            taken = _EvenFrames(path, self.frames, self.side)
            read_video(path, taken)
            return torch.from_numpy(np.stack(taken.pictures))
        image = read_picture(path)
        return torch.from_numpy(cut_face(image, square_of(None, image.size, 0), self.side))[None]


@dataclass(frozen=True)
class Compared:
    """All sets of one measurement.

    Attributes:
        generated: Of made pictures.
        training: Those that a model learnt from.
        held_out: Other real ones; None where there are none.
    """

    generated: tuple[PictureSet, ...]
    training: PictureSet
    held_out: PictureSet | None

    @property
    def every(self) -> tuple[PictureSet, ...]:
        """All of them, the made ones first."""
        return (*self.generated, self.training, *([self.held_out] if self.held_out else []))

    @property
    def unit(self) -> str:
        """What is counted."""
        return "picture" if self.training.frames == 1 else "video"


def find_sets(settings: MeasureSettings) -> Compared:
    """List the files of all folders, and refuse what cannot be compared.

    Raises:
        ConfigurationError: If a folder is missing, empty, or lies in another, or one holds pictures and one videos.
        ImageError: If a picture is damaged and is not to be skipped.
    """
    folders: list[tuple[str, Role, Path]] = [(name, "generated", path) for name, path in settings.named().items()]
    folders.append(("training", "training", Path(settings.training).expanduser()))
    if settings.held_out is not None:
        folders.append(("held out", "held out", Path(settings.held_out).expanduser()))
    _check_apart(folders)
    _check_output(Path(settings.output).expanduser(), folders)
    found = [_listed(name, role, folder, settings) for name, role, folder in folders]
    _check_shared(found)
    kinds = {one.frames > 1 for one in found}
    if len(kinds) > 1:
        videos = next(one for one in found if one.frames > 1)
        pictures = next(one for one in found if one.frames == 1)
        raise ConfigurationError(
            f"{videos.folder} holds videos and {pictures.folder} pictures: give pictures alone or videos alone "
            "(`appraise extract-frames` turns videos into pictures)"
        )
    if kinds == {True} and (settings.classes or settings.intersections):
        raise ConfigurationError("shares are measured on pictures, and these are videos: leave the classes out")
    found = [_whole(one, settings.on_error) for one in found] if kinds == {False} else found
    _check_numbers(found, settings.neighbours)
    side = settings.image_size or (_LARGEST // 2 if kinds == {True} else _own_side(found))
    sized = [PictureSet(one.name, one.role, one.folder, one.paths, side, one.frames) for one in found]
    held = next((one for one in sized if one.role == "held out"), None)
    training = next(one for one in sized if one.role == "training")
    return Compared(tuple(one for one in sized if one.role == "generated"), training, held)


def _check_apart(folders: list[tuple[str, Role, Path]]) -> None:
    places = []
    for name, role, folder in folders:
        option = f"--{role.replace(' ', '_')}"
        shown = one_line(str(folder))
        if _is_list(folder, role):
            continue
        if not folder.is_dir():
            what = "is a file" if folder.exists() else "does not exist"
            hint = "" if role == "generated" else ", or a csv with a column file"
            raise ConfigurationError(f"{option} {shown} {what}: give a folder of pictures or of videos{hint}")
        places.append((option, shown, name, folder.resolve()))
    for number, (option, shown, _, place) in enumerate(places):
        for other_option, other_shown, _, other in places[number + 1 :]:
            if place == other:
                raise ConfigurationError(
                    f"{option} and {other_option} are both {shown}, so that each picture is found in itself: name two "
                    "folders"
                )
            if place.is_relative_to(other) or other.is_relative_to(place):
                inner, outer = (shown, other_shown) if place.is_relative_to(other) else (other_shown, shown)
                raise ConfigurationError(
                    f"{option} and {other_option} overlap, since {inner} lies in {outer}: name folders that lie apart"
                )


def _check_output(output: Path, folders: list[tuple[str, Role, Path]]) -> None:
    if output.exists() and not output.is_dir():
        raise ConfigurationError(f"--output {one_line(str(output))} is a file: name a folder")
    for _, role, folder in folders:
        if not _is_list(folder, role) and output.resolve().is_relative_to(folder.resolve()):
            raise ConfigurationError(
                f"--output {one_line(str(output))} lies in {one_line(str(folder))}, so that its figures would be taken "
                "for pictures of that folder: name another"
            )


def _listed(name: str, role: Role, folder: Path, settings: MeasureSettings) -> PictureSet:
    place = folder.absolute()
    if _is_list(folder, role):
        return _of_list(name, role, place)
    files = _samples(place) or sorted(files_below(place, IMAGE_SUFFIXES))
    if files:
        return PictureSet(name, role, place, tuple(files))
    files = sorted(files_below(place, VIDEO_SUFFIXES))
    if not files:
        raise ConfigurationError(
            f"--{role.replace(' ', '_')} {one_line(str(folder))} holds no picture and no video: give another folder "
            f"(pictures end in {' '.join(sorted(IMAGE_SUFFIXES))})"
        )
    return PictureSet(name, role, place, tuple(files), frames=settings.frames)


def _is_list(place: Path, role: Role) -> bool:
    """Whether a list of real pictures is named in the place of a folder, such as a training writes."""
    return role != "generated" and place.is_file() and place.suffix.lower() == ".csv"


def _of_list(name: str, role: Role, file: Path) -> PictureSet:
    """The pictures that a list names, relative to its own folder."""
    paths = sorted({str((file.parent / one).resolve()) for one in Table(file, ["file"]).column("file")})
    folder = Path(os.path.commonpath([str(Path(path).parent) for path in paths]))
    return PictureSet(name, role, folder, tuple(paths))


def _check_shared(found: list[PictureSet]) -> None:
    """Refuse sets that hold the same file: folders lie apart, lists may not."""
    for number, one in enumerate(found):
        for other in found[number + 1 :]:
            if shared := set(one.paths) & set(other.paths):
                raise ConfigurationError(
                    f"{one_line(one.name)} and {one_line(other.name)} both hold {one_line(min(shared))}"
                    f"{f' and {len(shared) - 1} more files' if len(shared) > 1 else ''}, so that pictures are found in "
                    "themselves: name sets that lie apart"
                )


def _samples(folder: Path) -> list[str]:
    """Pictures that `SampleWriter` lists in a folder, which holds a sheet of them too; none where it wrote no list."""
    samples = folder / "samples.csv"
    if not samples.is_file():
        return []
    with suppress(LabelError):  # a list of that name that somebody else wrote
        files = Table(samples, ["file", "seed", "index"]).column("file")
        return sorted(str(folder / file) for file in files if (folder / file).is_file())
    return []


def _whole(one: PictureSet, on_error: OnError) -> PictureSet:
    """The set without pictures that are cut off or none; a few bytes of each are read."""
    kept = []
    with file_progress(f"Looking at the pictures of {one_line(one.name)}", len(one)) as done:
        for path in one.paths:
            error = broken_picture(path)
            if error is None:
                kept.append(path)
            elif on_error == "raise":
                raise ImageError(f"{one_line(str(error))}; or leave out what cannot be read with --on_error skip")
            else:
                log.warning("warning: skipped: %s", one_line(str(error)))
            done()
    if not kept:
        raise ConfigurationError(f"not one picture of {one_line(str(one.folder))} can be read: give another folder")
    return PictureSet(one.name, one.role, one.folder, tuple(kept), one.side, one.frames)


def _check_numbers(found: list[PictureSet], neighbours: int) -> None:
    training = next(one for one in found if one.role == "training")
    if len(training) < 2:
        raise ConfigurationError(
            f"--training {one_line(str(training.folder))} holds one file alone; give two or more, so that it can be "
            "told how alike two of them are"
        )
    few = next((one for one in found if len(one) <= neighbours), None)
    if few is not None:
        raise ConfigurationError(
            f"{one_line(few.name)} has {number_of(len(few), 'file')}, but precision and recall look at the "
            f"{neighbours} nearest: give more, or --neighbours {max(0, len(few) - 1)}"
        )


def _own_side(found: list[PictureSet]) -> int:
    """Median of the shorter sides of some made pictures, within bounds."""
    sides = []
    for one in found:
        if one.role == "generated":
            for path in one.paths[:: max(1, len(one) // _SIZES_READ)]:
                with suppress(UnreadablePictureError):  # whoever decodes it says what is wrong
                    sides.append(min(picture_size(path)))
    return max(_SMALLEST, min(_LARGEST, int(statistics.median_low(sides)))) if sides else _LARGEST


class _EvenFrames:
    """Takes so many frames of a video, evenly over its length."""

    def __init__(self, path: str, number: int, side: int) -> None:
        self.pictures: list[NDArray[np.uint8]] = []
        self._path, self._number, self._side = path, number, side

    def start(self, info: VideoInfo) -> NDArray[np.int64]:
        """Forget earlier frames and choose."""
        self.pictures = []
        if info.frames < self._number:
            raise VideoError(
                f"{self._path} has {number_of(info.frames, 'frame')}, fewer than {self._number}: ask for fewer with "
                "--frames"
            )
        return np.linspace(0, info.frames - 1, self._number).round().astype(np.int64)

    def add(self, chunk: FrameChunk) -> None:
        """Cut and resize the next frames."""
        for frame in chunk.frames:
            image = Image.fromarray(np.ascontiguousarray(frame))
            self.pictures.append(cut_face(image, square_of(None, image.size, 0), self._side))


UNREADABLE: tuple[type[AppraiseError], ...] = (ImageError, VideoError)
