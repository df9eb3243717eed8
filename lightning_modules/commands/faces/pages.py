"""What an evaluation of faces leaves in words and pictures: page, plain values, sentences and sheets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor

from callbacks.face_attributes.picture_writer import caption_of
from callbacks.figures.page import Cell, Page
from callbacks.figures.pictures import write_image
from callbacks.figures.sheet import SheetFace, as_picture, draw_grid, draw_sheet
from datamodules.faces.schema import ABSENT, PRESENT, AttributeSchema
from lightning_modules.commands.faces.measures import Bench, is_realistic
from lightning_modules.commands.faces.requests import Kind, RequestSet
from lightning_modules.commands.faces.tables import Rows, comparison, kind_tables, markdown

_COLUMNS = 8  # of a sheet


def sentences(rows: Rows, chosen: str) -> list[str]:
    """What the table says of the chosen mode."""
    lines = []
    for kind, ahead in comparison(rows, chosen).items():
        own = rows[chosen][kind]
        others = ", ".join(f"{mode} {value:+.3f}" for mode, value in ahead.items())
        lines.append(f"{chosen}, {kind} requests: agreement {own['agreement']:.3f}; ahead of {others}")
        verdict = "within" if is_realistic(own) else "outside"
        lines.append(
            f"{chosen}, {kind} requests: total variation {own['variation_ratio']:.2f}, distance to the nearest real "
            f"face {own['nearest_ratio']:.2f} of real ones: {verdict} the bounds"
        )
    return lines


def heading(chosen: str, how: str) -> str:
    """Title of the result: the mode that counts, and how it came to be chosen."""
    return f"Faces from attributes: {chosen} was {how}"


def markdown_page(rows: Rows, chosen: str, how: str, benches: Sequence[Bench], independence: Mapping[str, str]) -> str:
    """The whole result in Markdown.

    ``independence`` says how apart generator and judges are from the people of the requests and from each other.
    """
    parts = [f"# {heading(chosen, how)}", markdown(rows, chosen)]
    parts += ["\n".join(f"- {line}" for line in sentences(rows, chosen)) + "\n"]
    parts += [f"{line}\n" for line in known_by(benches)]
    parts += ["\n".join(f"- {name} {note}" for name, note in independence.items()) + "\n"]
    return "\n".join(parts)


def html_page(
    rows: Rows,
    chosen: str,
    how: str,
    benches: Sequence[Bench],
    independence: Mapping[str, str],
    pictures: Mapping[str, Path],
) -> Page:
    """The same with the pictures inside, by caption; its tables sort and filter."""
    page = Page(heading(chosen, how))
    page.add_list(sentences(rows, chosen))
    for table in kind_tables(rows):
        page.add_heading(table.title)
        cells: list[list[Cell]] = [[mode, *values] for mode, values in zip(table.modes, table.values, strict=True)]
        marked = [number for number, mode in enumerate(table.modes) if mode == chosen]
        digits = [0, *(column[-1] for column in table.columns)]
        page.add_table(["mode", *(column[0] for column in table.columns)], cells, digits=digits, marked=marked)
    page.add_heading("Pictures")
    for caption, path in pictures.items():
        page.add_picture(path, caption)
    page.add_heading("Judges")
    page.add_list(known_by(benches))
    page.add_list([f"{name} {note}" for name, note in independence.items()])
    return page


def known_by(benches: Sequence[Bench]) -> list[str]:
    """A sentence on each judge: what it knows."""
    return [f"{bench.judge.name} ({bench.judge.backbone}) {known_of(bench)}." for bench in benches]


def known_of(bench: Bench) -> str:
    """How much a judge knows, and what it does not."""
    unknown = ", ".join(bench.knowledge.unknown_names()) or "none"
    return f"knows {int(bench.knowledge.known.sum())} attributes; not: {unknown}"


def plain_judges(benches: Sequence[Bench]) -> dict[str, dict[str, Any]]:
    """File, architecture and knowledge of each judge, as plain values."""
    return {
        bench.judge.name: {
            "file": bench.judge.path,
            "backbone": bench.judge.backbone,
            "knows": int(bench.knowledge.known.sum()),
            "does_not_know": bench.knowledge.unknown_names(),
        }
        for bench in benches
    }


def draw_sheets(
    folder: Path,
    requests: RequestSet,
    made: Mapping[str, Tensor],
    chosen: str,
    schema: AttributeSchema,
    number: int,
) -> None:
    """All modes side by side for some requests, and a sheet of its own for each mode.

    Into the folder go ``modes_KIND.png`` and ``sheets/MODE_KIND.png``, of faces of each mode, uint8 ``(N, 3, S, S)``.
    So many requests are shown side by side; a sheet of a mode shows four times as many.
    """
    captions = [_caption(request, schema, requests.kind) for request in requests.asked]
    columns = {"real face": requests.sources, **made}
    shown = range(min(number, len(captions)))
    grid = [[as_picture(images[row]) for images in columns.values()] for row in shown]
    titles = [f"{name} (chosen)" if name == chosen else name for name in columns]
    titles = [title.replace("_", " ") for title in titles]  # where a long name may be broken
    heading = f"the same {requests.kind} requests in every mode"
    write_image(
        draw_grid(grid, [captions[row] for row in shown], titles, heading), folder / f"modes_{requests.kind}.png"
    )
    for name, images in made.items():
        rows = range(min(4 * number, len(captions)))
        faces = [SheetFace((as_picture(images[row]),), captions[row]) for row in rows]
        sheet = draw_sheet(faces, _COLUMNS, f"{name}, {requests.kind} requests")
        write_image(sheet, folder / "sheets" / f"{name}_{requests.kind}.png")


def _caption(request: Tensor, schema: AttributeSchema, kind: Kind) -> str:
    values = request.tolist()
    asked = [name for name, value in zip(schema.attributes, values, strict=True) if value == PRESENT]
    absent = [name for name, value in zip(schema.attributes, values, strict=True) if value == ABSENT]
    return caption_of({"asked_for": asked, "asked_to_be_absent": absent if kind == "short" else []})
