"""Arguments of `FaceXBenchDataModule`."""

from __future__ import annotations

from typing import Literal

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings
from datamodules.face_benchmark.batch import CATEGORIES, TASKS
from datamodules.faces.lists.settings import FaceListSettings
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.summary.findings import OnError

Shown = Literal["given", "black", "others"]


@settings(kw_only=False)
class QuestionDataSettings(FaceListSettings):
    """Arguments of `FaceXBenchDataModule`."""

    questions: str | None = argument(
        default=None,
        help=(
            "Folder of FaceXBench's files (or its repository), or one file. None makes questions from labelled faces: "
            "those of ``labels`` and ``root``, or drawn ones."
        ),
    )
    categories: list[str] | None = argument(
        default=None, help=f"Ask these alone, by their keys: {', '.join(CATEGORIES)}."
    )
    tasks: list[str] | None = argument(default=None, help=f"Ask these alone, by their keys: {', '.join(TASKS)}.")
    limit: int | None = argument(default=None, help="Ask the first so many questions of each task.", low=1)
    rotations: int = argument(
        default=1,
        help="Ask each question so often, its options moved on by a place each time: does the order decide?",
        low=1,
        high=26,
    )
    pictures: Shown = argument(
        default="given",
        help="What is shown: the pictures, black ones, or those of another question; the last two are blind controls.",
    )
    black_picture: bool = argument(
        default=True, help="Send the black picture that questions without pictures carry, as the released runner does."
    )
    per_task: int = argument(default=20, help="Questions that are made of each task and split.", low=1)
    train_per_task: int | None = argument(
        default=None, help="Questions that are made of each task for a training; None takes per_task.", low=1
    )
    image_size: int = argument(default=128, help="Side in pixels of faces in questions that are made.", low=32)
    batch_size: int = argument(default=8, help="Questions that are asked together.", low=1)
    num_workers: int = argument(default=0, help="Worker processes of a loader; 0 works in the main process.", low=0)
    seed: int = argument(default=0, help="Of questions that are made, and of the order of a training.")
    on_error: OnError = argument(
        default="raise",
        help='A picture or question that cannot be read stops before the first answer ("raise"), or is left out.',
    )
    demo: FaceDemoSettings | None = argument(default=None, help="What drawn faces are; None takes the defaults.")

    def check(self) -> None:
        """Refuse names that are none, and two sources."""
        tasks = {key: title for key, (title, _) in TASKS.items()}
        for name, own, titles in (("categories", self.categories, CATEGORIES), ("tasks", self.tasks, tasks)):
            known = list(titles)
            if unknown := [one for one in own or [] if one not in known]:
                keys = [f"{shown} is {key}" for key, shown in titles.items() if shown in unknown]
                meant = f" ({'; '.join(keys)})" if keys else ""
                raise ConfigurationError(f"{name} has {', '.join(unknown)}{meant}; the {name} are {', '.join(known)}")
            if own == []:
                raise ConfigurationError(f"{name} is empty, so that nothing would be asked: name some, or leave it out")
        if self.questions is not None and (self.labels is not None or self.root is not None):
            raise ConfigurationError(
                "questions names files of questions, and root or labels names faces to make some from: keep one of them"
            )
