"""Question files of FaceXBench's layout, with pictures, made for tests."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

OPTIONS = ["Image 1", "Image 2", "Both Images", "None of the above"]


def question(images: Sequence[str], letter: str = "B", **others: object) -> dict[str, Any]:
    answer = OPTIONS["ABCD".index(letter)] if letter and letter in "ABCD" else ""
    entry = {"question_text": "Which image?", "options": OPTIONS, "correct_answer_option": letter, "answer": answer}
    return {"image_paths": list(images), **entry, **others}


def write_file(folder: Path, stem: str, questions: Mapping[str, Any] | list[Any], **head: object) -> Path:
    content = {
        "category": "bias_fairness",
        "sub-category": "age",
        "dataset": "fairface",
        "question_type": "MCQ",
        "num_images": "multiple",
        "prepend_text": "Ages are told.",
        "postpend_text": "Letter only.",
        "questions": questions,
        **head,
    }
    file = folder / f"{stem}.json"
    file.write_text(json.dumps(content))
    return file


def write_pictures(folder: Path, names: Sequence[str], side: int = 32) -> None:
    for name in names:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(zlib.crc32(name.encode())).integers(0, 256, (side, side, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(place)


def write_benchmark(folder: Path, files: int = 2, questions: int = 4) -> Path:
    """A folder of questions, two pictures each."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        stem = f"set{number}_multiple_mcq"
        entries = {}
        for place in range(1, questions + 1):
            names = [f"images/{stem}/question_{place}_{image}.png" for image in (1, 2)]
            write_pictures(folder, names)
            entries[str(place)] = question(names, "ABCD"[place % 4], question_text=f"Which image of {place}?")
        write_file(folder, stem, entries)
    return folder
