"""Lists as other programs save them: encodings, ends of lines, separators, numbers, spellings of a file."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from datamodules.common.errors import LabelError
from datamodules.tables.columns import Table
from datamodules.tables.json import read_json
from datamodules.tables.names import file_at, plain_name
from datamodules.tables.numbers import number_of, parse_number, parse_numbers, whole_of
from datamodules.tables.rows import read_rows
from datamodules.tables.text import read_lines, read_text
from datamodules.tables.yaml import read_yaml

LIST = "file,mos\nRiß.mp4,3.5\n"


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_unicode_and_any_end_of_line(encoding: str, end: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", LIST.replace("\n", end).encode(encoding))
    assert list(Table(path, ["file", "mos"]).records(["file", "mos"])) == [(2, ["Riß.mp4", "3.5"])]
    assert read_lines(path) == ["file,mos", "Riß.mp4,3.5"]


def test_other_encodings_are_named_with_line_and_remedy(tmp_path: Path) -> None:
    said = r"a\.csv, line 2: byte 0xdf is no UTF-8; .*cp1252.*'Riß\.mp4,3\.5'.*`iconv -f cp1252 -t utf-8 a\.csv > new_a"
    for end in ("\n", "\r\n", "\r"):
        with pytest.raises(LabelError, match=said):
            read_rows(write(tmp_path / "a.csv", LIST.replace("\n", end).encode("cp1252")))


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"file,mos\na\0.mp4,3\n", "line 2: it holds a NUL byte"),
        (b"PK\x03\x04rest", "this is an Excel or zip file"),
        (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS"),
        (b"<!DOCTYPE html>\n", "a web page"),
        (b"\xff\xfea", "begins as UTF-16 but is damaged"),
        (b"", "the list is empty"),
        (b"\xef\xbb\xbf\r\n", "the list is empty"),
    ],
)
def test_what_is_no_text_is_named(content: bytes, said: str, tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=rf"a\.csv.*{said}"):
        read_rows(write(tmp_path / "a.csv", content))


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path, Path("/dev/zero")):
        with pytest.raises(LabelError, match="no regular file"):
            read_text(path)
    with pytest.raises(LabelError, match="null"):
        read_text("a\0b")


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("before", ["", "sep=SEPARATOR\n", "\n \n"])
def test_any_separator(separator: str, before: str, tmp_path: Path) -> None:
    rows = [["file", "mos", "note"], ["a.mp4", "3.5", '"a\n b"'], ["b.mp4", "4", ""], ["", "", ""]]
    text = before.replace("SEPARATOR", separator) + "".join(separator.join([*row, ""]) + "\n" for row in rows)
    table = Table(write(tmp_path / "a.csv", text), ["file", "mos"])
    assert table.column("file") == ["a.mp4", "b.mp4"]
    assert table.column("mos") == ["3.5", "4"]
    assert table.column("note") == ["a\n b", ""]


def test_decimal_commas(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "file;mos;class\na,1.mp4;3,125;0,5 mm\nb.mp4;4;x\n")
    assert [row.fields for row in read_rows(path, ["file"])][1:] == [
        ("a,1.mp4", "3.125", "0,5 mm"),
        ("b.mp4", "4", "x"),
    ]
    assert read_rows(write(path, "a.mp4;1,5;30;3,2\n"), width=4)[0].fields == ("a.mp4", "1.5", "30", "3.2")
    with pytest.raises(LabelError, match=r"line 3: '4\.5' has a decimal point, but '3,5' in line 2 a decimal comma"):
        read_rows(write(path, "file;mos\na.mp4;3,5\nb.mp4;4.5\n"))
    with pytest.raises(LabelError, match=r"line 2: score '3,5' has a decimal comma; write 3\.5"):
        parse_number("a.csv", 2, "score", "3,5")


def test_an_open_quote_is_named_where_it_begins(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match=r"line 3: the record that begins here is not valid csv"):
        read_rows(write(tmp_path / "a.csv", 'file,mos\na,1\n"b,2\nc,3\nd,4\n'))


def test_numbers_are_what_people_write() -> None:
    other_digits = ("\uff11\uff12", "\u0663")  # full width, Arabic
    for text in ("1_0", *other_digits, "nan", "inf", "-Infinity", "1e400", "", "0x10", "1,5", "3 5", "1" * 5000):
        assert number_of(text) is None, text
        assert whole_of(text) is None, text
        with pytest.raises(LabelError, match="f, line 2: x"):
            parse_numbers("f", 2, "x", ["1", text])
    assert [number_of(text) for text in ("+.5", "5.", "1e-3", "-0")] == [0.5, 5.0, 0.001, 0.0]
    assert [whole_of(text) for text in ("9223372036854775807", "-3.00")] == [2**63 - 1, -3]


def test_one_file_has_many_spellings(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    for name in ("a.mp4", "x/b.mp4", "x/e\u0301.mp4", "w\\c.mp4"):
        (tmp_path / name).touch()
    for spelling in ("./a.mp4", ".//a.mp4", "x/../a.mp4", str(tmp_path / "a.mp4"), ".\\a.mp4"):
        assert file_at(tmp_path, spelling) == str(tmp_path / "a.mp4"), spelling
    assert file_at(tmp_path, "x\\b.mp4") == str(tmp_path / "x/b.mp4")
    assert file_at(tmp_path, "w\\c.mp4") == str(tmp_path / "w\\c.mp4")  # a name that is there is taken as it is
    assert file_at(tmp_path, "x/\u00e9.mp4") == str(tmp_path / "x/e\u0301.mp4")  # as a Mac spells it
    assert plain_name("x/e\u0301.mp4") == plain_name("x\\\u00e9.mp4")


def test_yaml_has_every_key_once(tmp_path: Path) -> None:
    path = write(tmp_path / "a.yaml", "names:\n  0: no\n  1: 010\nnames: [x]\n")
    with pytest.raises(LabelError, match=r"a\.yaml, line 4: the key names stands in line 1 too"):
        read_yaml(path)
    assert read_yaml(write(path, "names:\n  0: no\n  1: 010\n  2:\n"), words=True) == {
        "names": {"0": "no", "1": "010", "2": None}
    }
    assert read_yaml(write(path, "base: &b {x: 1}\na: {<<: *b, y: 2}\n")) == {"base": {"x": 1}, "a": {"x": 1, "y": 2}}
    for text, said in (("a: [", "line 1"), ("[" * 5000, "nested too deeply"), ("a: 2024-13-45", "no valid YAML")):
        with pytest.raises(LabelError, match=rf"a\.yaml.*{said}"):
            read_yaml(write(path, text))


def test_json_has_every_key_once(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert read_json(write(path, '\ufeff{"a": 1}'), "give one") == {"a": 1}
    for text, said in (
        ('{"a": 1,\n "a": 2}', "'a' twice"),
        ("{\n,}", "line 2: not valid JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("1" * 5000, "digits"),
    ):
        with pytest.raises(LabelError, match=rf"a\.json.*{said}.*; give one"):
            read_json(write(path, text), "give one")


def test_the_remedy_works(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", LIST.encode("cp1252"))
    with pytest.raises(LabelError, match="iconv") as caught:
        read_rows(path)
    command = str(caught.value).split("`")[1]
    done = subprocess.run(command, shell=True, cwd=tmp_path, check=False)
    if done.returncode == 127:
        pytest.skip("iconv is not here")
    assert read_text(tmp_path / "new_a.csv") == LIST
