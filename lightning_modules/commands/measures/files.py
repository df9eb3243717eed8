"""What a measurement leaves in its folder: page, tables, figures and sheets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from callbacks.figures.pictures import write_figure, write_image
from callbacks.figures.plain import without_nan
from datamodules.common.atomic_write import output_name, write_text
from datamodules.common.progress import file_progress
from datamodules.tables.csv import csv_text, short_numbers
from lightning_modules.commands.measures.figures import draw_bars, draw_pairs, draw_similarity
from lightning_modules.commands.measures.report import build_page
from lightning_modules.commands.measures.results import Found, Measured
from lightning_modules.commands.measures.settings import MeasureSettings

_COLUMNS = ("set", "part", "by", "measure", "of", "value", "low", "high", "n")
_PAIR_COLUMNS = ("set", "by", "file", "nearest", "similarity", "judged_copy")


def write_files(found: Found, folder: Path, settings: MeasureSettings) -> None:
    """Write ``page.html``, ``measures.json``, ``measures.csv``, ``nearest.csv``, figures and sheets."""
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / "measures.csv", csv_text(_COLUMNS, map(short_numbers, _rows(found))))
    write_text(folder / "measures.json", json.dumps(without_nan(plain(found)), indent=1) + "\n")
    write_text(folder / "nearest.csv", csv_text(_PAIR_COLUMNS, map(short_numbers, _pair_rows(found))))
    build_page(found, _draw(found, folder, settings.pairs)).write(folder / "page.html")


def plain(found: Found) -> dict[str, object]:
    """All numbers as plain values."""
    return {
        "sets": [
            {
                "name": one.name,
                "role": one.pictures.role,
                "folder": str(one.pictures.folder),
                "files": len(one.pictures),
                "read": one.read,
                "notes": one.notes,
                "measures": [{**row._asdict(), "estimate": row.estimate._asdict()} for row in one.rows],
            }
            for one in found.every
        ],
        "classes": list(found.classes),
        "target": list(found.target),
        "notes": found.notes,
    }


def _draw(found: Found, folder: Path, pairs: int) -> dict[str, dict[str, Path]]:
    """Figures and sheets, by section of the page and caption."""
    pictures: dict[str, dict[str, Path]] = {}
    file = folder / "bars.png"
    shares = "Shares of the classes and of copies" if found.classes else "Share of copies"
    if write_figure(draw_bars(found), file):
        pictures["bars"] = {f"{shares}; lines: 95 % intervals": file}
    embedders = found.training.by("copies")
    with file_progress("Drawing", len(embedders) * (1 + len(found.generated))) as done:
        for number, embedder in enumerate(embedders):
            file = folder / f"similarity_{number + 1}.png"
            if write_figure(draw_similarity(found, embedder), file):
                pictures[f"similarity {embedder}"] = {f"Similarity by {embedder}": file}
            done()
            for place, one in enumerate(found.generated):
                file = folder / "nearest" / f"{place + 1}_{output_name(one.name)}_{number + 1}.png"
                file.parent.mkdir(exist_ok=True)
                write_image(draw_pairs(found, one, embedder, pairs), file)
                caption = f"{one.name} (left) and the nearest training {found.sets.unit}s (right), by {embedder}"
                pictures.setdefault("pairs", {})[caption] = file
                done()
    return pictures


def _rows(found: Found) -> Iterator[list[object]]:
    for one in found.every:
        for row in one.rows:
            yield [one.name, row.part, row.by, row.measure, row.of, *row.estimate]


def _pair_rows(found: Found) -> Iterator[list[object]]:
    for one in found.generated:
        for embedder, pairs in one.pairs.items():
            for place in pairs.similarity.argsort(descending=True, stable=True).tolist():
                yield _pair(found, one, embedder, place)


def _pair(found: Found, one: Measured, embedder: str, place: int) -> list[object]:
    pairs = one.pairs[embedder]
    nearest = found.sets.training.file(pairs.nearest[place])
    similarity = pairs.similarity[place].item()
    return [one.name, embedder, one.pictures.file(pairs.rows[place]), nearest, similarity, int(pairs.copied[place])]
