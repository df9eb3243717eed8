"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray

from datamodules.video.writing.encode import encode_video

REPOSITORY = Path(__file__).resolve().parent.parent
# Before torch is imported: threads that wait by spinning take a busy machine's cores from the work that they wait for.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
hypothesis.settings.register_profile("no clock", deadline=None)  # a busy machine is no failure
hypothesis.settings.load_profile("no clock")


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the working tree."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_dir() -> Path:
    """Folder of real videos and reference numbers that is not part of the project; skips where it is absent."""
    folder = REPOSITORY.parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("the folder ../shared with real videos is not here")
    return folder


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep what the tests make out of the user's cache."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("APPRAISE_CACHE")
    os.environ["APPRAISE_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["APPRAISE_CACHE"]
    else:
        os.environ["APPRAISE_CACHE"] = before


@pytest.fixture(scope="session", autouse=True)
def shipped_fonts() -> Iterator[None]:
    """Leave matplotlib's own fonts alone, so that a picture has the same letters on every machine."""
    from callbacks.figures import fonts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fonts.font_manager, "findSystemFonts", list)
        fonts.system_fonts.cache_clear()
        yield
    fonts.system_fonts.cache_clear()


@pytest.fixture
def display() -> Iterator[str]:
    """A display without a screen."""
    program = shutil.which("Xvfb")
    if program is None:
        pytest.skip("Xvfb is not installed")
    pytest.importorskip("tkinter", reason="this Python has no tkinter")
    reading, writing = os.pipe()
    command = [program, "-displayfd", str(writing), "-screen", "0", "800x600x24"]
    with subprocess.Popen(command, pass_fds=[writing], stderr=subprocess.DEVNULL) as server:
        os.close(writing)
        with os.fdopen(reading) as answer:
            number = answer.readline().strip()
        yield f":{number}"
        server.terminate()


MakeClip = Callable[..., Path]


def moving_picture(frames: int, height: int, width: int, phase: float = 0.0) -> NDArray[np.uint8]:
    """Smooth moving waves, uint8 (frames, height, width, 3); each frame differs from the others."""
    rows, columns = np.mgrid[:height, :width]
    pictures = []
    for time in range(frames):
        channels = [
            np.sin((columns + 5 * time) / 9 + phase),
            np.sin((rows - 3 * time) / 11 + 1 + phase),
            np.cos((rows + columns) / 13 + time / 4 + phase),
        ]
        pictures.append(127 + 100 * np.stack(channels, axis=-1))
    return np.stack(pictures).astype(np.uint8)


@pytest.fixture(scope="session")
def make_clip(tmp_path_factory: pytest.TempPathFactory) -> MakeClip:
    """Encode a moving picture once per set of options; the name of the file can be chosen."""
    made: dict[tuple[object, ...], Path] = {}

    def make(
        name: str = "clip.mp4",
        frames: int = 24,
        height: int = 96,
        width: int = 128,
        phase: float = 0.0,
        **options: object,
    ) -> Path:
        key = (name, frames, height, width, phase, repr(sorted(options.items())))
        if key not in made:
            path = tmp_path_factory.mktemp("clips") / name
            settings = {"fps": 25, "qp": 20, "preset": "ultrafast", **options}
            encode_video(path, moving_picture(frames, height, width, phase), **settings)  # type: ignore[arg-type]
            made[key] = path
        return made[key]

    return make
