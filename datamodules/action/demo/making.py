"""The embedded data set of actions: clips and long videos drawn and encoded on first use, kept in a cache folder.

A person in ever other rooms calls, cooks, drinks, reads, waves or does nothing, which one frame tells apart, and
raises or lowers a barbell, which only time tells apart. Nothing is downloaded.
"""

from __future__ import annotations

import json
from pathlib import Path

from datamodules.action.demo.settings import DEMO_CLASSES, ActionDemoSettings
from datamodules.action.demo.videos import LONG_SETS, ClipJob, LongJob, make_clip, make_long, truth_of
from datamodules.common.errors import VideoError
from datamodules.common.generated import generated_folder, made_once
from datamodules.common.progress import file_progress
from datamodules.tables.csv import csv_text

DEMO_VERSION = 1  # raise it whenever the same settings would give other videos
_COLUMNS = ("video", "class", "split", "group")


def action_demo_folder(settings: ActionDemoSettings) -> Path:
    """Where the videos of these settings are or will be; any other setting or version has another folder."""
    return generated_folder("action_demo", settings.cache_dir, {"version": DEMO_VERSION, **settings.content()})


def make_action_demo(settings: ActionDemoSettings) -> Path:
    """Make the videos unless they are there, and return their folder.

    The folder appears at once when all is complete; an interrupted making goes on where it stopped. Processes that ask
    at the same time wait for the one that makes it. Progress goes to the standard error: a bar on a terminal, a few
    plain lines elsewhere, nothing where nothing is to be made.

    Args:
        settings: What to make and where to keep it.

    Returns:
        Folder with

        * ``clips/<class>/*.mp4`` and ``clips.csv`` with the columns ``video,class,split,group``: paths relative to the
          folder, ``train``, ``val`` or ``test``, and one group a place, where
          one person does all of the actions;
        * ``untrimmed/*.mp4``, long videos with the classes that a frame can tell apart; ``untrimmed_noisy/*.mp4``, the
          same ones with blur, occlusions and frames from elsewhere; ``untrimmed_pair/*.mp4``, long videos with the
          pair that differs only in time and ``idle``;
        * ``untrimmed.json``, ``untrimmed_noisy.json`` and ``untrimmed_pair.json``, their segments as ActivityNet has
          them: ``{"database": {name: {"duration", "subset", "annotations": [{"segment": [start, end], "label"}]}}}``,
          seconds, the names those of the files without suffix.

    Raises:
        VideoError: If the folder or a video cannot be written.
    """
    folder = action_demo_folder(settings)
    return made_once(
        folder,
        lambda: _complete(folder, settings),
        lambda partial: _make(partial, settings),
        what="videos",
        megabytes=150,
        failure=VideoError,
    )


def _clip_jobs(settings: ActionDemoSettings) -> list[ClipJob]:
    return [ClipJob(action, number) for number in range(settings.clips) for action in DEMO_CLASSES]  # a place at a time


def _long_jobs(settings: ActionDemoSettings) -> list[LongJob]:
    counts = {name: settings.untrimmed_pair if name == "untrimmed_pair" else settings.untrimmed for name in LONG_SETS}
    return [LongJob(name, number) for name in LONG_SETS for number in range(counts[name])]


def _complete(folder: Path, settings: ActionDemoSettings) -> bool:
    """Whether the list is there and no video was deleted by hand."""
    jobs: list[ClipJob | LongJob] = [*_clip_jobs(settings), *_long_jobs(settings)]
    lists = (folder / "clips.csv", *(folder / f"{name}.json" for name in LONG_SETS))
    return all(path.is_file() for path in lists) and all((folder / job.file).is_file() for job in jobs)


def _make(partial: Path, settings: ActionDemoSettings) -> None:
    """Make the videos in a partial folder; the caller holds the lock."""
    clips, longs = _clip_jobs(settings), _long_jobs(settings)
    jobs: list[ClipJob | LongJob] = [*clips, *longs]
    for job in jobs:
        (partial / job.file).parent.mkdir(parents=True, exist_ok=True)
    for name in LONG_SETS:  # also where a set has no videos
        (partial / name).mkdir(exist_ok=True)
    for stale in partial.rglob(".*.mp4"):  # half-written by a making that was killed
        stale.unlink()
    pending = [job for job in jobs if not (partial / job.file).is_file()]
    # A long video takes as long as many clips.
    weights = {job.file: 20 if isinstance(job, LongJob) else 1 for job in jobs}
    total = sum(weights.values())
    done = total - sum(weights[job.file] for job in pending)
    with file_progress("Making the demo videos", total, done, percent=True) as advance:
        for job in pending:
            if isinstance(job, LongJob):
                make_long(partial, settings, job)
            else:
                make_clip(partial, settings, job)
            advance(weights[job.file])
    (partial / "clips.csv").write_text(_clip_list(settings, clips), encoding="utf-8")
    for name in LONG_SETS:
        database = {Path(long.file).stem: truth_of(settings, long) for long in longs if long.kind == name}
        text = json.dumps({"version": "appraise action demo", "database": database}, indent=1)
        (partial / f"{name}.json").write_text(text + "\n", encoding="utf-8")


def _clip_list(settings: ActionDemoSettings, clips: list[ClipJob]) -> str:
    """Text of ``clips.csv``; the clips of the last places test and those of the ones before them validate."""
    test = max(1, round(settings.test_fraction * settings.clips))
    val = max(1, round(settings.val_fraction * settings.clips))
    rows = []
    for job in clips:
        left = settings.clips - job.number
        split = "test" if left <= test else "val" if left <= test + val else "train"
        rows.append((job.file, job.action, split, f"place_{job.number:03d}"))
    return csv_text(_COLUMNS, rows)
