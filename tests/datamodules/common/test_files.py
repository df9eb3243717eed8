"""Atomic writing, fingerprints, tables, and the folder that keeps what the package makes."""

from __future__ import annotations

import csv
import io
import os
import re
import socket
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
import torch

from datamodules.common.atomic_write import (
    append_row,
    atomic_folder,
    short_name,
    sweep_leftovers,
    write_bytes,
    write_text,
    write_with,
)
from datamodules.common.cache_folder import cache_folder
from datamodules.common.errors import LabelError
from datamodules.common.fingerprint import config_digest, file_key, file_sha256, tensors_digest
from datamodules.common.walking import look_below
from datamodules.tables.columns import Table
from datamodules.tables.csv import csv_text
from datamodules.tables.numbers import parse_integer, parse_number
from datamodules.tables.rows import read_rows


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "folder" / "table.csv"
    write_text(target, "old")

    def fail_half_way(path: Path) -> None:
        path.write_text("new")
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        write_with(target, fail_half_way)
    assert target.read_text() == "old"
    assert [file.name for file in target.parent.iterdir()] == ["table.csv"]


def test_a_folder_takes_the_place_of_another_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "export"
    with atomic_folder(target) as folder:
        (folder / "old").write_text("1")
    with pytest.raises(FileNotFoundError), atomic_folder(target) as folder:
        (folder / "absent" / "new").touch()
    assert [file.name for file in target.iterdir()] == ["old"]
    with atomic_folder(target) as folder:
        (folder / "new").touch()
    assert [file.name for file in target.iterdir()] == ["new"]
    assert [file.name for file in target.parent.iterdir()] == ["export"]


def write_three(path: Path) -> None:
    path.write_bytes(b"345")


def test_writes_replace_whole_files(tmp_path: Path) -> None:
    target = tmp_path / "a.bin"
    write_bytes(target, b"12")
    write_with(target, write_three)
    assert target.read_bytes() == b"345"
    assert target.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def test_rows_are_appended_and_a_torn_row_is_ended(tmp_path: Path) -> None:
    target = tmp_path / "new" / "rows.jsonl"
    append_row(target, "one")
    append_row(target, "two")
    with target.open("a") as stream:
        stream.write("torn")
    append_row(target, "three")
    assert target.read_text().splitlines() == ["one", "two", "torn", "three"]
    with pytest.raises(ValueError, match="newline"):
        append_row(target, "a\nb")


def test_a_long_name_can_be_written_and_a_killed_process_is_swept_up(tmp_path: Path) -> None:
    target = tmp_path / f"{'é' * 125}.csv"  # 254 bytes: nothing more fits
    write_text(target, "a\udce9")
    assert target.read_text() == "a\\udce9"
    gone = (
        tmp_path
        / f".{short_name('é' * 125, 120)}.{re.sub(r'[^A-Za-z0-9_]', '-', socket.gethostname())}.{2**30}.abc.csv"
    )
    gone.touch()
    assert sweep_leftovers(target) == [gone]


def test_rows_of_csv_end_with_a_line_feed() -> None:
    text = csv_text(["file", "n"], [["a\nb", 1], ["c\rd", 2]])
    assert text == 'file,n\n"a\nb",1\n"c\rd",2\n'
    assert list(csv.reader(io.StringIO(text, newline="")))[1:] == [["a\nb", "1"], ["c\rd", "2"]]


def test_walking_follows_links_and_opens_no_pipe(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    for file in (
        inside / "a" / "1.mp4",
        inside / "x.mp4" / "2.MP4",
        outside / "3.mp4",
        inside / ".h.mp4",
        inside / "n",
    ):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    (inside / "linked").symlink_to(outside)
    (inside / "a" / "up").symlink_to("..")
    (outside / "back").symlink_to(inside / "a")  # in, linked, back, up: a circle over two folders
    (inside / "nowhere.mp4").symlink_to("/nowhere")
    (inside / "self.mp4").symlink_to("self.mp4")
    os.mkfifo(inside / "pipe.mp4")
    below = look_below(inside, {".mp4"})
    found = sorted(Path(file).relative_to(inside).as_posix() for file in below.files)
    assert found == ["a/1.mp4", "linked/3.mp4", "linked/back/1.mp4", "nowhere.mp4", "self.mp4", "x.mp4/2.MP4"]
    assert [Path(file).name for file in (*below.others, *below.odd)] == ["n", "pipe.mp4"]
    assert sorted(Path(file).relative_to(inside).as_posix() for file in below.circles) == ["a/up", "linked/back/up"]
    assert caplog.messages == []
    assert look_below(tmp_path / "absent").files == []
    assert "absent is left out: it cannot be looked into (No such file or directory)" in caplog.text


def test_fingerprints_follow_content(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"x" * 10)
    second.write_bytes(b"x" * 10)
    assert file_sha256(first) == file_sha256(second)
    key = file_key(first)
    os.utime(first, ns=(0, 5))
    assert file_key(first) != key
    assert file_key(first) == "10-5"


def test_tensor_digests_see_names_shapes_types_and_values() -> None:
    base = {"w": torch.arange(4.0), "b": torch.tensor(1, dtype=torch.int64)}
    same = {"b": torch.tensor(1, dtype=torch.int64), "w": torch.arange(4.0)}
    assert tensors_digest(base) == tensors_digest(same)
    others = [
        {**base, "w": torch.arange(4.0).view(2, 2)},
        {**base, "w": torch.arange(4.0).double()},
        {**base, "w": torch.arange(4.0) + 1},
        {"w2": base["w"], "b": base["b"]},
        {**base, "empty": torch.zeros(0)},
    ]
    assert len({tensors_digest(other) for other in [base, *others]}) == 6


def test_a_part_of_large_tensors_tells_them_apart() -> None:
    plain = {"w": torch.zeros(64, 64), "b": torch.zeros(8)}
    for one, other in (("w", plain["w"] + 1e-6), ("b", plain["b"].index_fill(0, torch.tensor([7]), 1.0))):
        assert tensors_digest(plain | {one: other}, most=100) != tensors_digest(plain, most=100)
    columns = plain["w"].clone()
    columns[:, 3] = 1  # a stride that divides the rows would miss it
    assert tensors_digest(plain | {"w": columns}, most=100) != tensors_digest(plain, most=100)
    assert tensors_digest(plain, most=5000) == tensors_digest(plain)
    assert tensors_digest({"h": torch.zeros(3, dtype=torch.bfloat16)})


def test_config_digests_refuse_objects() -> None:
    assert config_digest({"a": [1, 2]}) != config_digest({"a": [2, 1]})
    with pytest.raises(TypeError):
        config_digest({"a": object()})


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def test_rows_keep_their_lines(tmp_path: Path) -> None:
    rows = read_rows(write(tmp_path / "a.csv", '\ufeffa, b\r\n\r\n"x, y",2\r\n'))
    assert [(row.line, row.fields) for row in rows] == [(1, ("a", "b")), (3, ("x, y", "2"))]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "empty"),
        ("\n\n", "empty"),
        ("file\na.mp4\n", "line 1: the header lacks mos"),
        ("file,mos,file\n", "names a column twice"),
        ("file,mos,colour\n", "unknown column 'colour'"),
        ("file,mos\n", "no row"),
        ("file,mos\na.mp4,1\nb.mp4\n", "line 3: 1 fields, expected 2"),
        ('file,mos\n"a.mp4,1\n', "not valid csv"),
    ],
)
def test_tables_name_the_line(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path / "list.csv", text)
    with pytest.raises(LabelError, match=message) as caught:
        Table(path, ["file", "mos"], ["split"])
    assert str(path) in str(caught.value)


def test_absent_and_binary_lists(tmp_path: Path) -> None:
    with pytest.raises(LabelError, match="no such list"):
        read_rows(tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\x80")
    with pytest.raises(LabelError, match="UTF-8"):
        read_rows(tmp_path / "binary.csv")


def test_numbers(tmp_path: Path) -> None:
    assert parse_number("f", 2, "score", "3.5") == 3.5
    assert parse_integer("f", 2, "pattern", "-1") == -1
    for text in ("nan", "inf", "x", ""):
        with pytest.raises(LabelError, match="f, line 2: score"):
            parse_number("f", 2, "score", text)
    with pytest.raises(LabelError, match="whole number"):
        parse_integer("f", 2, "pattern", "1.5")


@pytest.mark.parametrize("read", [file_key, file_sha256])
def test_files_that_are_not_there(read: Callable[[Path], str], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="absent"):
        read(tmp_path / "absent")


def test_an_old_path_has_the_names_of_the_new_one_alone() -> None:
    with pytest.warns(FutureWarning, match=r"datamodules\.action\.demo\.settings"):
        old = import_module("datamodules.action.demo_settings")
    assert old.ActionDemoSettings.__module__ == "datamodules.action.demo.settings"
    with pytest.raises(AttributeError, match=r"'datamodules\.action\.demo_settings' has no attribute 'Nothing'"):
        old.Nothing  # noqa: B018


def test_a_setting_then_the_variables_then_the_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("APPRAISE_CACHE", str(tmp_path / "own"))
    assert cache_folder(str(tmp_path / "named")) == tmp_path / "named"
    assert cache_folder("~/named") == tmp_path / "home" / "named"
    assert cache_folder() == tmp_path / "own"
    monkeypatch.setenv("APPRAISE_CACHE", "~/own")
    assert cache_folder() == tmp_path / "home" / "own"
    monkeypatch.setenv("APPRAISE_CACHE", "")
    assert cache_folder() == tmp_path / "xdg" / "appraise"
    monkeypatch.delenv("APPRAISE_CACHE")
    assert cache_folder() == tmp_path / "xdg" / "appraise"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert cache_folder() == tmp_path / "home" / ".cache" / "appraise"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == tmp_path / "home" / ".cache" / "appraise"
