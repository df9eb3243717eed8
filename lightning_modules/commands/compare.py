"""``appraise compare A B``: where two results differ, on one page."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import lightning as L
import numpy as np
import yaml
from jsonargparse import ArgumentParser
from PIL import Image
from torch import Tensor

from callbacks.figures.page import Page
from datamodules import FaceXBenchDataModule
from datamodules.common.errors import AppraiseError, number_of, one_line
from datamodules.face_benchmark.batch import CATEGORIES, TASKS
from datamodules.face_benchmark.dataset import QuestionDataset
from lightning_modules.commands.front.bare_options import SentenceParser
from lightning_modules.commands.front.console import set_up_console
from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.face_benchmark.results.intervals import accuracy, clusters_of, difference
from lightning_modules.face_benchmark.results.outcome import Outcome, read_line
from lightning_modules.nn.estimate import Estimate

_ANSWERS: Final = "answers.jsonl"
_HIGH: Final = 128  # pixels of a picture on the page
_LONGEST: Final = 400  # letters of an answer that are shown
_log = logging.getLogger("appraise")


class Pair(NamedTuple):
    """A question that both answered.

    Attributes:
        first: Of the first result.
        second: Of the second.
    """

    first: Outcome
    second: Outcome

    @property
    def is_one_question(self) -> bool:
        """Whether both were asked the same words and options, whatever pictures were shown."""
        first, second = ((one.question, one.options, one.right) for one in self)
        return first == second

    @property
    def differs(self) -> bool:
        """Whether they mean other options."""
        return self.first.strict != self.second.strict


def build_parser() -> SentenceParser:
    """Options of the command."""
    parser = SentenceParser(prog="appraise compare", description="Where two results differ, on one page.")
    add = parser.add_argument
    add("first", metavar="A", help="folder of a result, such as `test` of FaceXBenchEvaluator wrote")
    add("second", metavar="B", help="another one of the same questions")
    add("--output", type=Path, default=Path("compared.html"), metavar="FILE", help="the page (default: compared.html)")
    add("--most", type=int, default=200, metavar="NUMBER", help="questions that are shown (default: 200)")
    return parser


def run(command: str, arguments: Sequence[str]) -> int:
    """Write the page; 0.

    Raises:
        CommandLineError: If a folder holds no result, or they have no question in common.
    """
    options = build_parser().parse_args(list(arguments))
    set_up_console()
    folders = [Path(options.first).expanduser(), Path(options.second).expanduser()]
    first, second = (_answers(folder) for folder in folders)
    both = [Pair(first[place], second[place]) for place in first if place in second]
    pairs = [pair for pair in both if pair.is_one_question]
    if not pairs:
        raise CommandLineError(f"{folders[0]} and {folders[1]} have no question in common: name two results of one set")
    if len(pairs) < len(both):
        other = number_of(len(both) - len(pairs), "question")
        _log.warning("warning: %s of the same number have other words or options there, and are left out", other)
    names = _names(folders)
    page = _page(names, pairs, options.most, _pictures(folders[0]))
    page.write(options.output)
    sys.stdout.write(f"{_summary(names, pairs)}\n{options.output}\n")
    return 0


def _answers(folder: Path) -> dict[tuple[str, int], Outcome]:
    """Answers of a folder by question and turn."""
    file = folder / _ANSWERS
    if not file.is_file():
        raise CommandLineError(
            f"{one_line(str(folder))} is no result that can be compared, since it holds no {_ANSWERS}: name the output "
            "of `test` or `predict` of FaceXBenchEvaluator"
        )
    lines = file.read_text(encoding="utf-8", errors="replace").split("\n")
    found = [outcome for line in lines if (outcome := read_line(line)) is not None]
    return {(one.key, one.rotation): one for one in found}


def _names(folders: Sequence[Path]) -> tuple[str, str]:
    """What the two are called: the parts of their paths that differ."""
    first, second = (folder.absolute() for folder in folders)
    if first.name != second.name:
        return first.name, second.name
    return str(folders[0]), str(folders[1])


def _page(
    names: tuple[str, str], pairs: Sequence[Pair], most: int, pictures: Callable[[Outcome], Sequence[Tensor]]
) -> Page:
    page = Page(f"{names[0]} and {names[1]}")
    page.add_paragraph(_summary(names, pairs))
    rows = [_row(part, own) for part, own in _parts(pairs).items()]
    page.add_table(("part", "questions", *names, "difference", "from", "to"), rows, marked=[0])
    differing = sorted((pair for pair in pairs if pair.differs), key=_order)
    for pair in differing[:most]:
        _add_question(page, names, pair, pictures)
    if len(differing) > most:
        page.add_paragraph(f"{len(differing) - most} more differ; --most shows more.")
    return page


def _summary(names: tuple[str, str], pairs: Sequence[Pair]) -> str:
    differ = sum(pair.differs for pair in pairs)
    gained = sum(pair.second.is_right and not pair.first.is_right for pair in pairs)
    lost = sum(pair.first.is_right and not pair.second.is_right for pair in pairs)
    return (
        f"{number_of(len(pairs), 'question')} answered by both, {differ} of them differently: {names[1]} is right on "
        f"{gained} where {names[0]} is not, and the other way round on {lost}."
    )


def _parts(pairs: Sequence[Pair]) -> Mapping[str, Sequence[Pair]]:
    parts: dict[str, list[Pair]] = {"all": list(pairs)}
    for pair in pairs:
        parts.setdefault(CATEGORIES.get(pair.first.category, pair.first.category), []).append(pair)
    for pair in pairs:
        task = pair.first.task
        parts.setdefault(TASKS[task][0] if task in TASKS else task, []).append(pair)
    return parts


def _row(part: str, pairs: Sequence[Pair]) -> list[str | int | float]:
    clusters = clusters_of([pair.first for pair in pairs])
    first = np.array([pair.first.is_right for pair in pairs])
    second = np.array([pair.second.is_right for pair in pairs])
    change: Estimate = difference(second, first, clusters)
    shares = [accuracy(right, clusters).value for right in (first, second)]
    return [part, len(pairs), *shares, change.value, change.low, change.high]


def _order(pair: Pair) -> tuple[int, str, int]:
    """Questions that one of the two has right first."""
    kind = 0 if pair.second.is_right else 1 if pair.first.is_right else 2
    return kind, pair.first.key, pair.first.rotation


def _add_question(
    page: Page, names: tuple[str, str], pair: Pair, pictures: Callable[[Outcome], Sequence[Tensor]]
) -> None:
    one = pair.first
    page.add_heading(f"{one.key}{f', turned by {one.rotation}' if one.rotation else ''}: {one.question}")
    if shown := pictures(one):
        page.add_picture(_strip(shown), f"{number_of(len(shown), 'picture')} of {one.key}")
    rows = []
    for letter, option in zip("ABCDEFGHIJKLMNOPQRSTUVWXYZ", one.options, strict=False):
        said = [name for name, own in zip(names, pair, strict=True) if own.strict == letter]
        rows.append([f"({letter}) {option}", "right" if letter == one.right else "", ", ".join(said)])
    right = [place for place, row in enumerate(rows) if row[1]]
    page.add_table(("option", "", "said by"), rows, marked=right, still=True)
    if any(own.text != own.strict for own in pair):  # the table says who gave a bare letter
        page.add_list([f"{name}: {own.text[:_LONGEST] or '(nothing)'}" for name, own in zip(names, pair, strict=True)])


def _strip(pictures: Sequence[Tensor]) -> bytes:
    """Pictures side by side as PNG."""
    shown = []
    for picture in pictures:
        image = Image.fromarray(picture.permute(1, 2, 0).contiguous().numpy())
        shown.append(image.resize((max(1, round(image.width * _HIGH / image.height)), _HIGH)))
    strip = Image.new("RGB", (sum(image.width + 4 for image in shown), _HIGH), "white")
    left = 0
    for image in shown:
        strip.paste(image, (left, 0))
        left += image.width + 4
    stream = io.BytesIO()
    strip.save(stream, format="PNG")
    return stream.getvalue()


def _pictures(folder: Path) -> Callable[[Outcome], Sequence[Tensor]]:
    """Reads the pictures of a question by the data of a run; none where these cannot be built again."""
    try:
        content = yaml.safe_load((folder / "config.yaml").read_text(encoding="utf-8"))
        parser = ArgumentParser(exit_on_error=False)
        parser.add_subclass_arguments(L.LightningDataModule, "data")
        data = parser.instantiate(parser.parse_object({"data": content["data"]})).data
        assert isinstance(data, FaceXBenchDataModule)  # the run's method takes no other
        dataset: QuestionDataset = data.dataset("test")
    except (AppraiseError, OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        _log.warning(
            "warning: the page shows no pictures, since the data of %s cannot be built again (%s)", folder, error
        )
        return lambda outcome: []
    places = {(row.question.key, row.rotation): place for place, row in enumerate(dataset.rows)}

    def read(outcome: Outcome) -> Sequence[Tensor]:
        place = places.get((outcome.key, outcome.rotation))
        return [] if place is None else dataset.pictures(place)

    return read
