"""One HTML page in one file: words, tables that sort and filter, pictures inside; it opens without a network."""

from __future__ import annotations

import base64
import hashlib
import math
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path

from datamodules.common.atomic_write import write_text

Cell = str | int | float | None  # a number that is none is shown as "-" and sorted last

_UNPRINTABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]")  # may not stand in a page, or in UTF-8
_MEDIA = {b"\x89PNG": "image/png", b"\xff\xd8\xff": "image/jpeg"}
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #222; max-width: 1500px; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.15rem; margin-top: 2rem; }
.wide { overflow-x: auto; } .still { margin-bottom: 1.2rem; } .still td { white-space: nowrap; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; border-bottom: 1px solid #ddd; text-align: right; vertical-align: bottom; }
th:first-child, td:first-child { text-align: left; white-space: nowrap; } tr.marked { font-weight: 600; background: #eef4fb; }
th button { font: inherit; font-weight: 600; border: 0; background: none; padding: 0; cursor: pointer; text-align: inherit; }
th[aria-sort=ascending] button::after { content: "\\A0\\25B2"; } th[aria-sort=descending] button::after { content: "\\A0\\25BC"; }
input { font: inherit; padding: .2rem .5rem; margin: .3rem .6rem .6rem 0; } output, figcaption { color: #666; }
figure { margin: 1.5rem 0; } img { max-width: 100%; height: auto; }
"""  # noqa: E501
_SCRIPT = """
for (const box of document.querySelectorAll(".table")) {
  const body = box.querySelector("tbody"), heads = [...box.querySelectorAll("th")];
  const filter = box.querySelector("input"), count = box.querySelector("output");
  const show = () => {
    const words = filter.value.toLowerCase().split(/\\s+/).filter(Boolean), rows = [...body.rows];
    for (const row of rows) row.hidden = !words.every((word) => row.textContent.toLowerCase().includes(word));
    count.textContent = `${rows.filter((row) => !row.hidden).length} of ${rows.length}`;
  };
  heads.forEach((head, at) => head.querySelector("button").addEventListener("click", () => {
    const rows = [...body.rows], value = (row) => row.cells[at].dataset.value, missing = (row) => value(row) === "";
    const words = rows.some((row) => Number.isNaN(Number(value(row))));
    const before = head.getAttribute("aria-sort") ?? (words ? "descending" : "ascending");
    const way = before === "descending" ? 1 : -1;
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", way === 1 ? "ascending" : "descending");
    const compare = words ? (one, other) => value(one).localeCompare(value(other), undefined, { numeric: true })
      : (one, other) => value(one) - value(other);
    body.append(...rows.sort((one, other) => missing(one) - missing(other) || way * compare(one, other)));
  }));
  filter.addEventListener("input", show);
  show();
}
"""


class Page:
    """Collects the parts of a page from top to bottom.

    Whatever is given is text: it is escaped, and a policy in the page forbids all scripts but its own and every
    address outside it.

    Args:
        title: Heading, and name of the browser's tab.

    Example:
        >>> page = Page("a <b> c")
        >>> page.add_paragraph("1 < 2")
        >>> "<h1>a &lt;b&gt; c</h1>" in page.html(), "<p>1 &lt; 2</p>" in page.html()
        (True, True)
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._parts: list[str] = []

    def add_heading(self, text: str) -> None:
        """Begin a section."""
        self._parts.append(f"<h2>{_plain(text)}</h2>")

    def add_paragraph(self, text: str) -> None:
        """Add a paragraph."""
        self._parts.append(f"<p>{_plain(text)}</p>")

    def add_list(self, lines: Sequence[str]) -> None:
        """Add a list of points."""
        self._parts.append("<ul>" + "".join(f"<li>{_plain(line)}</li>" for line in lines) + "</ul>")

    def add_table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[Cell]],
        *,
        digits: int | Sequence[int] = 3,
        marked: Sequence[int] = (),
        still: bool = False,
    ) -> None:
        """Add a table that sorts by a click on a heading and filters by words; a ``still`` one does neither.

        Numbers with a fraction are shown with so many digits, in all columns or in each; sorting knows all of them.
        ``marked`` rows stand out.

        Raises:
            ValueError: If a row has more or fewer cells than there are headings.
        """
        if wrong := next((row for row in rows if len(row) != len(columns)), None):
            raise ValueError(f"a row has {len(wrong)} cells, but the table has {len(columns)} columns: {wrong}")
        each = [digits] * len(columns) if isinstance(digits, int) else digits
        names = [_plain(column) for column in columns]
        names = names if still else [f'<button type="button">{name}</button>' for name in names]
        head = "".join(f'<th scope="col">{name}</th>' for name in names)
        lines = []
        for number, row in enumerate(rows):
            look = ' class="marked"' if number in marked else ""
            lines.append(f"<tr{look}>{''.join(map(_cell, row, each))}</tr>")
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
        if still:
            self._parts.append(f'<div class="wide still">{table}</div>')
            return
        self._parts.append(
            '<div class="table"><input type="search" placeholder="filter" aria-label="filter rows"><output></output>'
            f'<div class="wide">{table}</div></div>'
        )

    def add_picture(self, picture: bytes | Path, caption: str) -> None:
        """Add a PNG or JPEG, with a caption that also speaks for it where it cannot be seen.

        Raises:
            ValueError: If it is of another kind.
        """
        content = picture if isinstance(picture, bytes) else picture.read_bytes()
        kind = next((kind for start, kind in _MEDIA.items() if content.startswith(start)), None)
        if kind is None:
            raise ValueError(f"the picture {caption!r} is neither PNG nor JPEG: save it as one of them")
        source = f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
        self._parts.append(
            f'<figure><img alt="{_plain(caption)}" src="{source}"><figcaption>{_plain(caption)}</figcaption></figure>'
        )

    def html(self) -> str:
        """The whole page."""
        policy = f"default-src 'none'; img-src data:; style-src {_digest(_STYLE)}; script-src {_digest(_SCRIPT)}"
        return (
            '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
            f"<meta http-equiv=\"Content-Security-Policy\" content=\"{policy}; base-uri 'none'; form-action 'none'\">"
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{_plain(self.title)}</title><style>{_STYLE}</style></head>\n<body><h1>{_plain(self.title)}</h1>\n"
            + "\n".join(self._parts)
            + f"\n<script>{_SCRIPT}</script></body></html>\n"
        )

    def write(self, path: str | Path) -> None:
        """Write the page, whole or not at all."""
        write_text(path, self.html())


def _plain(text: str) -> str:
    return escape(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text), quote=True)


def _cell(cell: Cell, digits: int) -> str:
    missing = cell is None or (isinstance(cell, float) and math.isnan(cell))
    shown = "-" if missing else f"{cell:.{digits}f}" if isinstance(cell, float) else str(cell)
    return f'<td dir="auto" data-value="{"" if missing else _plain(str(cell))}">{_plain(shown)}</td>'


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode('ascii')}'"
