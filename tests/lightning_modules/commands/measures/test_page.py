"""The page of `measure-generated`: whole, without a network, and names are text alone."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from PIL import Image

import cli
from tests.lightning_modules.commands.measures.drawn import draw_faces, save_faces

ODD = '<b>&"quoted"\n\N{GRINNING FACE}'


def test_odd_names_are_text(faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = tmp_path / ODD
    made.mkdir()
    save_faces(made, draw_faces(3, 0)[0], [f"{row}{ODD.replace('/', '')}.png" for row in range(3)])
    save_faces(made, draw_faces(3, 4)[0])
    words = ["--generated", str(made), "--training", str(faces / "training"), "--output", str(tmp_path / "out")]
    assert cli.main(["measure-generated", *words, "--embedder", "PixelEmbedder", "--embedder.side=8", "--flips"]) == 0
    assert "<b>" in capsys.readouterr().out
    page = (tmp_path / "out/page.html").read_text()
    assert "<b>" not in page
    assert "&lt;b&gt;&amp;&quot;quoted&quot;" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    sheets = list((tmp_path / "out/nearest").glob("*.png"))
    assert len(sheets) == 1
    with Image.open(sheets[0]) as sheet:
        assert sheet.width > 400


def test_every_number_has_its_interval_and_n(colours: Path, tmp_path: Path) -> None:
    words = [
        "--generated", f"before={colours / 'before'}", "--generated", f"after={colours / 'after'}",
        "--training", str(colours / "training"), "--attributes", str(colours / "training.csv"),
        "--judge", "FunctionJudge", "--judge.function", "tests.lightning_modules.commands.measures.drawn.colour_of",
        '--judge.classes=["Smiling", "Bald"]', "--classes", "Smiling", "Bald", "--target", "0.5", "0.5",
        "--output", str(tmp_path / "out"),
    ]  # fmt: skip
    assert cli.main(["measure-generated", *words]) == 0
    page = (tmp_path / "out/page.html").read_text()
    assert page.count("<img ") == 4  # bars, similarity, two sheets
    assert "before (n = 60)" in page
    assert re.search(r"0\.200 \(0\.11\d to 0\.3\d\d\)", page)
    for word in (
        "less the training share",
        "total variation",
        "Kullback-Leibler",
        "Jensen-Shannon",
        "precision",
        "recall",
    ):
        assert word in page
    assert not re.search(r"<td[^>]*>[^<]*nan\b", page)
    figures = {path.name for path in (tmp_path / "out").glob("*.png")}
    assert figures == {"bars.png", "similarity_1.png"}


def test_help_says_which_command_asks_what(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("measure-generated", "evaluate-faces"):
        assert cli.main([command, "--help"]) == 0
        out = capsys.readouterr().out
        assert "whether it copies its training set" in out
        assert "whether each made face shows what was asked for" in out
