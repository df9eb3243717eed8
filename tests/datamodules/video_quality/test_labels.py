"""The five label formats, and what is wrong with a list."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest

from datamodules.common.errors import ConfigurationError, LabelError
from datamodules.video_quality.labels import LabelFormat, LabelledVideo, read_labels, read_rank_pairs
from datamodules.video_quality.settings import VideoListSettings
from datamodules.video_quality.sources import LabelSources

Write = Callable[[Path, str], Path]


def read(path: Path, label_format: LabelFormat, **options: object) -> list[LabelledVideo]:
    return read_labels(path, label_format, **{"require_files": False, **options})  # type: ignore[arg-type]


def test_kvq_takes_reference_and_pattern_from_the_order(tmp_path: Path, write: Write) -> None:
    rows = "".join(f"train/{number:04}.mp4,{1 + number / 10}\n" for number in range(1, 15))
    videos = read(write(tmp_path / "list.csv", "filename,score\n" + rows), "kvq", root=tmp_path / "v")
    assert [video.pattern for video in videos] == [0, 1, 2, 3, 4, 5, 6] * 2
    assert {video.reference for video in videos[:7]} == {"train/0001.mp4"}
    assert {video.reference for video in videos[7:]} == {"train/0008.mp4"}
    assert videos[2].path == str(tmp_path / "v" / "train" / "0003.mp4")
    assert (videos[2].name, videos[2].mos, videos[2].line) == ("train/0003.mp4", 1.3, 4)


def test_duration_fps_mos(tmp_path: Path, write: Write) -> None:
    videos = read(write(tmp_path / "a.txt", "a/b.mp4, -1, -1, 78.5\nc.avi, 8.0, 29.97, 3"), "duration_fps_mos")
    assert [(v.name, v.mos, v.pattern, v.reference) for v in videos] == [
        ("a/b.mp4", 78.5, -1, None),
        ("c.avi", 3, -1, None),
    ]
    assert videos[0].path == str(tmp_path / "a" / "b.mp4")  # relative to the list where no root is given


def test_ksvqe_patterns(tmp_path: Path, write: Write) -> None:
    videos = read(write(tmp_path / "a.txt", "a.mp4,1,5,3.25\nb.mp4,0,2,1\n"), "ksvqe")
    assert [(v.mos, v.pattern, v.reference) for v in videos] == [(3.25, 5, None), (1.0, 2, None)]


@pytest.mark.parametrize(("column", "score"), [("aesthetic", 1.5), ("technical", 2.5), ("overall", 3.5)])
def test_divide_columns(tmp_path: Path, write: Write, column: str, score: float) -> None:
    path = write(tmp_path / "a.txt", "a.mp4, 1.5, 2.5, 3.5\n")
    assert read(path, "divide", divide_column=column)[0].mos == score
    with pytest.raises(ConfigurationError, match="divide_column"):
        read(path, "divide", divide_column="mean")


def test_manifest_columns(tmp_path: Path, write: Write) -> None:
    text = "file,mos,pattern,reference,split,x1,y1,x2,y2\na.mp4,3,2,s1,val,0,1,10,20.5\nb.mp4,4,,,,,,,\n"
    first, second = read(write(tmp_path / "m.csv", text), "manifest")
    assert (first.pattern, first.reference, first.split, first.region) == (2, "s1", "val", (0.0, 1.0, 10.0, 20.5))
    assert (second.pattern, second.reference, second.split, second.region) == (-1, None, None, None)
    assert [video.line for video in (first, second)] == [2, 3]


def test_empty_scores_are_for_predict_only(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "m.csv", "file,mos\na.mp4,\n")
    assert math.isnan(read(path, "manifest", require_scores=False)[0].mos)
    with pytest.raises(LabelError, match=r"m\.csv, line 2: 'a\.mp4' has no score; only predict"):
        read(path, "manifest")


KVQ = "filename,score\n"
SEVEN = "".join(f"{number:04}.mp4,3\n" for number in range(1, 8))


@pytest.mark.parametrize(
    ("label_format", "text", "message"),
    [
        ("manifest", "", "the list is empty"),
        ("duration_fps_mos", "\n", "the list is empty"),
        ("kvq", KVQ, "no row"),
        ("manifest", "file,mos\na.mp4,nan\n", r"line 2: the score of 'a\.mp4', 'nan' is not finite"),
        ("manifest", "file,mos\na.mp4,good\n", "line 2: .* is not a number"),
        ("manifest", "file,mos\na.mp4,1\nb.mp4,2\na.mp4,3\n", r"line 4: 'a\.mp4' was already named in line 2"),
        ("manifest", "file,mos\n,1\n", "line 2: the name of the video is empty"),
        ("manifest", "file,mos,split\na.mp4,1,dev\n", "line 2: split 'dev' must be train, val or test"),
        ("manifest", "file,mos,x1,y1,x2,y2\na.mp4,1,5,0,5,9\n", "line 2: region 5,0,5,9 must hold"),
        ("manifest", "file,mos,x1,y1,x2,y2\na.mp4,1,5,0,,9\n", "line 2: x2 '' is not a number"),
        ("manifest", "file,mos,pattern\na.mp4,1,x\n", "line 2: pattern 'x' is not a whole number"),
        ("duration_fps_mos", "a.mp4, 1, 2\n", "line 1: 3 fields, expected 4"),
        ("duration_fps_mos", "a.mp4, x, 2, 3\n", "line 1: duration 'x' is not a number"),
        ("ksvqe", "a.mp4,1,blur,3\n", "line 1: dis 'blur' is not a whole number"),
        ("ksvqe", "path,cls,dis,mos\na.mp4,1,2,3\n", "line 1: cls 'cls' is not a whole number"),
        ("divide", "a.mp4, 1, two, 3\n", "line 1: technical score 'two'"),
        ("kvq", "score,filename\n" + SEVEN, "line 1: the header is score,filename; the kvq format has filename,score"),
        ("kvq", "name,mos\n" + SEVEN, "line 1: the header lacks filename, score"),
        ("kvq", KVQ + SEVEN.replace("0003", "0009"), r"line 4: '0009\.mp4' breaks the order \(number 3 was expected\)"),
        ("kvq", KVQ + SEVEN + "0008.mp4,3\n", "8 rows are no whole number of groups of 7"),
        ("kvq", KVQ + "one.mp4,3\n", r"line 2: 'one\.mp4' does not end in a number"),
    ],
)
def test_errors_name_file_and_line(
    tmp_path: Path, write: Write, label_format: LabelFormat, text: str, message: str
) -> None:
    path = write(tmp_path / "list.csv", text)
    with pytest.raises(LabelError, match=message) as caught:
        read(path, label_format)
    assert str(caught.value).startswith(str(path))


def test_formats_are_never_guessed(tmp_path: Path, write: Write) -> None:
    with pytest.raises(ConfigurationError, match="label_format is 'csv'; allowed are kvq"):
        read(write(tmp_path / "a.csv", KVQ), "csv")  # type: ignore[arg-type]


def test_a_row_that_repeats_another_counts_once(tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    path = write(tmp_path / "list.csv", "file;mos;split\na.mp4;3,5;train\n./a.mp4;3,50;train\nx\\b.mp4;2;test\n")
    assert [(video.name, video.mos) for video in read(path, "manifest")] == [("a.mp4", 3.5), ("x\\b.mp4", 2)]
    assert "1 row(s) repeat another and count once, the first is line 3" in caplog.text
    write(path, "file,mos\nx/b.mp4,3\nx\\b.mp4,2\n")
    with pytest.raises(LabelError, match=r"line 3: .* was already named in line 2 with score 3, here with 2"):
        read(path, "manifest")
    pairs = write(tmp_path / "pairs.csv", "video1,video2,rank,group\na.mp4,b.mp4,1,source\nb.mp4,./a.mp4,2,source\n")
    assert len(read_rank_pairs(pairs)) == 1
    write(pairs, "video1,video2,rank,group\na.mp4,b.mp4,1,source\nb.mp4,a.mp4,1,source\n")
    with pytest.raises(LabelError, match=r"line 3: .* line 2 with better 'a.mp4', here with 'b.mp4'"):
        read_rank_pairs(pairs)


def test_videos_of_two_lists_are_named(tmp_path: Path, write: Write, caplog: pytest.LogCaptureFixture) -> None:
    train = write(tmp_path / "train.csv", "file,mos\na.mp4,3\nb.mp4,2\n")
    test = write(tmp_path / "test.csv", "file,mos\nc.mp4,3\n./b.mp4,2\n")
    settings = VideoListSettings(label_format="manifest", train_labels=str(train), test_labels=str(test))
    LabelSources(settings).load("train", require_files=False)
    assert "1 video(s) of train_labels are in test_labels too, the first is ./b.mp4 (lines 3 and 3)" in caplog.text


def test_a_missing_video_is_named(folder: Path, write: Write) -> None:
    path = write(folder / "list.csv", "file,mos\n0001.mp4,1\nabsent.mp4,2\nlost.mp4,2\n")
    with pytest.raises(LabelError, match=r"line 3: there is no video .*absent\.mp4 \(2 of 3 videos are absent\)"):
        read(path, "manifest", require_files=True)


def test_rank_pairs(tmp_path: Path, write: Write) -> None:
    path = write(tmp_path / "p.csv", "video1,video2,rank,group\na.mp4,b.mp4,1,source\nb.mp4,c.mp4,2,nonsource\n")
    first, second = read_rank_pairs(path, ["a.mp4", "b.mp4", "c.mp4"])
    assert (first.video1, first.video2, first.rank, first.group) == ("a.mp4", "b.mp4", 1, "source")
    assert (second.rank, second.group, second.line) == (2, "nonsource", 3)
    with pytest.raises(LabelError, match=r"line 3: video 'c\.mp4' is in no label list"):
        read_rank_pairs(path, ["a.mp4", "b.mp4"])


@pytest.mark.parametrize(
    ("row", "message"), [("a,b,3,source", "rank '3'"), ("a,b,1,mine", "group 'mine'"), (",b,1,source", "video ''")]
)
def test_wrong_rank_pairs(tmp_path: Path, write: Write, row: str, message: str) -> None:
    with pytest.raises(LabelError, match=f"line 2: {message}"):
        read_rank_pairs(write(tmp_path / "p.csv", f"video1,video2,rank,group\n{row}\n"))


REAL: list[tuple[str, LabelFormat, int, bool]] = [
    ("KVQ_train_mos.csv", "kvq", 2926, True),
    ("KVQ_test_names.csv", "kvq", 854, False),
    ("KoNViD.txt", "duration_fps_mos", 1200, True),
    ("LIVE_VQC.txt", "duration_fps_mos", 585, True),
    ("YouTubeUGC.txt", "duration_fps_mos", 1147, True),
    ("CVD2014.txt", "duration_fps_mos", 234, True),
    ("LSVQ_train.txt", "duration_fps_mos", 28056, True),
    ("LSVQ_test.txt", "duration_fps_mos", 7185 + 1, True),
    ("LSVQ_1080p.txt", "duration_fps_mos", 3572 + 1, True),
    ("DIVIDE_MaxWell_train.txt", "divide", 3634, True),
    ("DIVIDE_MaxWell_val.txt", "divide", 909, True),
]


@pytest.mark.parametrize(("name", "label_format", "rows", "scored"), REAL)
def test_public_lists(shared_dir: Path, name: str, label_format: LabelFormat, rows: int, scored: bool) -> None:
    path = shared_dir / "data" / "vqa" / "labels" / name
    if not path.is_file():
        pytest.skip(f"{name} is not here")
    videos = read(path, label_format, require_scores=scored)
    assert len(videos) == rows
    assert all(math.isfinite(video.mos) == scored for video in videos)
    if label_format == "kvq":
        assert len({video.reference for video in videos}) == rows // 7
