"""Reading question files of FaceXBench's layout."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple, cast, get_args

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.common.walking import files_below
from datamodules.face_benchmark.batch import LETTERS, TASKS, ImageCount, Question
from datamodules.summary.findings import Findings
from datamodules.tables.json import read_json

_LAYOUT: Final = 'give a file of FaceXBench: category, sub-category, dataset, num_images, and "questions" by number'
_FOLDER: Final = "benchmark"  # of the repository, which holds the files and their pictures
_NUMBERS: Final = re.compile(r"\d+")


class QuestionFiles(NamedTuple):
    """Questions of a folder.

    Attributes:
        folder: What the names of pictures are relative to.
        questions: In the order of their files and numbers.
    """

    folder: Path
    questions: list[Question]


class _Head(NamedTuple):
    """What a file says of all its questions."""

    stem: str
    source: str
    category: str
    task: str
    dataset: str
    image_count: ImageCount
    description: str
    instruction: str
    context: str


def read_questions(root: str | Path, findings: Findings) -> QuestionFiles:
    """Read the question files of a folder, or one file.

    Args:
        root: The benchmark's repository, its folder ``benchmark``, any folder of such files, or one file.
        findings: Takes what is wrong with a file or a question; such questions are left out.

    Raises:
        ConfigurationError: If there is no such place, or no question in it.
    """
    place = Path(root)
    if (place / _FOLDER).is_dir() and not any(place.glob("*.json")):
        place /= _FOLDER
    if place.is_file():
        folder, files = place.parent, [place]
    elif place.is_dir():
        folder, files = place, [file for file in sorted(place.glob("*.json")) if not file.name.startswith(".")]
    else:
        raise ConfigurationError(
            f"questions {str(root)!r} does not exist; give a folder of question files, or one file"
        )
    questions = [question for file in files for question in _read_file(file, findings)]
    if not questions:
        findings.stop()
        near = [Path(file).parent for file in files_below(place, frozenset({".json"}))][:1] if place.is_dir() else []
        hint = f"; {near[0]} holds json files" if near and not files else ""
        raise ConfigurationError(
            f"questions {str(root)!r} holds no question (looked into {len(files)} json files){hint}"
        )
    return QuestionFiles(folder, questions)


def template_of(text: str) -> str:
    """A question's wording without its numbers, which one template fills in differently.

    Example:
        >>> template_of("Who is in the 40-49 age group in Image 2?")
        'who is in the #-# age group in image #?'
    """
    return _NUMBERS.sub("#", " ".join(text.lower().split()))


def _read_file(file: Path, findings: Findings) -> list[Question]:
    try:
        content = read_json(file, _LAYOUT)
    except LabelError as error:
        findings.entry(str(error))
        return []
    if not isinstance(content, dict) or not isinstance(content.get("questions"), (dict, list)):
        findings.entry(f'{file} has no "questions": {_LAYOUT}')
        return []
    try:
        head = _head(file, content)
    except LabelError as error:
        findings.entry(str(error))
        return []
    if head.task not in TASKS:
        findings.note(f"{file}: the task {head.task!r} is none of FaceXBench's; it stands under its own name")
    listed = content["questions"]
    numbered = listed.items() if isinstance(listed, dict) else ((str(n), one) for n, one in enumerate(listed, start=1))
    found = []
    for number, entry in numbered:
        try:
            found.append(_question(head, number, entry, findings))
        except LabelError as error:
            findings.entry(str(error))
    if not found:
        findings.entry(f"{file} holds no question")
    return found


def _head(file: Path, content: Mapping[str, object]) -> _Head:
    source = str(file)
    count = _text(content, "num_images", source, "single")
    if count not in get_args(ImageCount):
        raise LabelError(f"{source}: num_images is {count!r}; it is zero, single or multiple")
    category, task = _text(content, "category", source), _text(content, "sub-category", source)
    dataset = _text(content, "dataset", source)
    return _Head(
        stem=file.stem,
        source=source,
        category=category,
        task=task,
        dataset=dataset,
        image_count=cast(ImageCount, count),
        description=_text(content, "prepend_text", source, ""),
        instruction=_text(content, "postpend_text", source, ""),
        context=_text(content, "context", source, ""),
    )


def _question(head: _Head, number: str, entry: object, findings: Findings) -> Question:
    source = f"{head.source}, question {number}"
    if not isinstance(entry, dict):
        raise LabelError(f"{source}: {entry!r} is no question: give question_text, options and correct_answer_option")
    text = _text(entry, "question_text", source)
    options = _options(entry, source)
    if len(set(options)) < len(options):
        findings.warn(f"{source}: two of the options {list(options)} are the same; the letter counts", "answers")
    letter = _text(entry, "correct_answer_option", source).strip().strip("().").upper()
    if letter not in LETTERS[: len(options)] or len(letter) != 1:
        allowed = f"A to {LETTERS[len(options) - 1]}"
        raise LabelError(f"{source}: correct_answer_option is {entry['correct_answer_option']!r}; it is {allowed}")
    answer = str(entry.get("answer", ""))
    right = options[LETTERS.index(letter)]
    others = [option for option in options if option == answer]
    if answer != right and others:
        findings.warn(f"{source}: answer is {answer!r}, but option {letter} is {right!r}; the letter counts", "answers")
    images = entry.get("image_paths", [])
    if not isinstance(images, list) or not all(isinstance(image, str) and image for image in images):
        raise LabelError(f"{source}: image_paths is {images!r}; it is a list of files relative to the folder")
    if outside := next((image for image in images if _is_outside(image)), None):
        raise LabelError(f"{source}: the picture {outside!r} lies outside the folder of the questions; put it below")
    if head.image_count != "zero" and not images:
        raise LabelError(f"{source}: image_paths is empty, and num_images of the file is {head.image_count}")
    return Question(
        key=f"{head.stem}/{number}",
        category=head.category,
        task=head.task,
        dataset=head.dataset,
        images=tuple(images),
        text=text,
        options=options,
        letter=letter,
        answer=answer,
        description=head.description,
        instruction=head.instruction,
        context=head.context,
        image_count=head.image_count,
        template=f"{head.stem}/{template_of(text)}",
        groups=_groups(entry),
    )


def _is_outside(image: str) -> bool:
    """Whether a name leads out of the folder: a file of somebody else may name what is to be sent to no server."""
    parts = PurePosixPath(image.replace("\\", "/"))
    return parts.is_absolute() or ".." in parts.parts


def _options(entry: Mapping[str, object], source: str) -> tuple[str, ...]:
    options = entry.get("options")
    if not isinstance(options, list) or not 2 <= len(options) <= len(LETTERS):
        held = f"{len(options)} of them" if isinstance(options, list) else repr(options)
        raise LabelError(f"{source}: options is {held}; give 2 to {len(LETTERS)} texts, a letter each")
    texts = tuple("" if option is None else str(option).strip() for option in options)
    if "" in texts:
        raise LabelError(f"{source}: options are {list(texts)}; each needs a text")
    return texts


def _groups(entry: Mapping[str, object]) -> dict[str, str]:
    groups = entry.get("groups", {})
    return {str(kind): str(value) for kind, value in groups.items()} if isinstance(groups, dict) else {}


def _text(entry: Mapping[str, object], name: str, source: str, default: str | None = None) -> str:
    value = entry.get(name, default)
    if not isinstance(value, str) or (default is None and not value.strip()):
        raise LabelError(f"{source}: {name} is {value!r}; it is a text, as in FaceXBench's files")
    return value


def names_of(questions: Sequence[Question]) -> list[str]:
    """All pictures of some questions, each once, in order."""
    return list(dict.fromkeys(image for question in questions for image in question.images))
