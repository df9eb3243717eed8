"""Lists and folders of labelled videos."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from datamodules.action.lists.class_folders import folder_kind, read_class_folders
from datamodules.action.lists.public import read_kinetics, read_ucf
from datamodules.action.lists.settings import ActionListSettings
from datamodules.action.lists.sources import detect_format, read_videos
from datamodules.action.lists.table import read_video_list
from datamodules.common.errors import ConfigurationError, LabelError


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def write(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


class TestVideoList:
    def test_all_columns(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.mp4", "b.mp4", "v_Archery_g01_c02.avi")
        path = write(
            tmp_path / "list.csv",
            "video,class,start,end,split,group",
            "a.mp4,drinking,1.5,4,train,kitchen",
            "b.mp4,cooking,,,validation,",
            "v_Archery_g01_c02.avi,archery,,2,test,",
        )
        first, second, third = read_video_list(path, None)
        assert (first.label, first.start, first.end) == ("drinking", 1.5, 4.0)
        assert (first.split, first.group) == ("train", "kitchen")
        assert (second.start, second.end, second.split, second.group) == (0.0, None, "val", "b.mp4")
        assert third.group == "v_Archery_g01"
        assert first.path == str(tmp_path / "a.mp4")
        assert first.source == f"{path}, line 2"

    def test_two_columns_and_a_root(self, tmp_path: Path) -> None:
        touch(tmp_path / "videos", "ä b.mp4")
        path = write(tmp_path / "list.csv", "video,class", "ä b.mp4,Überholen")
        assert read_video_list(path, str(tmp_path / "videos"))[0].label == "Überholen"

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            ("gone.mp4,drinking,,,,", "line 3: there is no file"),
            ("a.mp4,drnking,,,,", "line 3: class 'drnking' is not known: did you mean drinking"),
            ("a.mp4,drinking,4,2,,", "line 3: end 2 s is not after start 4 s"),
            ("a.mp4,drinking,-1,2,,", "line 3: start is -1 s"),
            ("a.mp4,drinking,now,2,,", "line 3: start 'now' is not a number"),
            ("a.mp4,drinking,,,dev,", "line 3: split 'dev' is not known"),
            ("a.mp4,,,,,", "line 3: video and class must not be empty"),
            ("./a.mp4,cooking,0.0,2,,", "line 3: './a.mp4' was already named in line 2 with class 'drinking'"),
        ],
    )
    def test_errors_name_file_and_line(self, tmp_path: Path, row: str, message: str) -> None:
        touch(tmp_path, "a.mp4")
        path = write(tmp_path / "list.csv", "video,class,start,end,split,group", "a.mp4,drinking,0,2,,", row)
        with pytest.raises(LabelError, match=message) as error:
            read_video_list(path, None, ["cooking", "drinking"])
        assert str(path) in str(error.value)

    def test_unknown_column(self, tmp_path: Path) -> None:
        path = write(tmp_path / "list.csv", "video,class,stop", "a.mp4,x,1")
        with pytest.raises(LabelError, match="unknown column 'stop'"):
            read_video_list(path, None)


class TestClassFolders:
    def test_videos(self, tmp_path: Path) -> None:
        touch(tmp_path, "cooking/b.mp4", "cooking/deep/a.MKV", "drinking/a.webm", "drinking/notes.txt", ".hidden/a.mp4")
        videos = read_class_folders(tmp_path, "videos")
        assert [(v.label, v.name) for v in videos] == [
            ("cooking", "cooking/b.mp4"),
            ("cooking", "cooking/deep/a.MKV"),
            ("drinking", "drinking/a.webm"),
        ]
        assert all(v.split is None for v in videos)
        assert folder_kind(tmp_path) == "videos"

    def test_linked_classes_and_classes_without_a_video(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        for file in ("elsewhere/1.mp4", "root/red/2.mp4", "root/empty/notes.txt"):
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / file).touch()
        (tmp_path / "root" / "blue").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "root" / "gone").symlink_to("/nowhere")
        videos = read_class_folders(tmp_path / "root", "videos")
        assert [(video.name, video.label) for video in videos] == [("blue/1.mp4", "blue"), ("red/2.mp4", "red")]
        assert "so they give no class: empty, gone (a link that leads nowhere)" in caplog.text
        (tmp_path / "root" / "red").rename(tmp_path / "root" / "r\udce9")
        with pytest.raises(ConfigurationError, match=r"'r\\xe9' cannot be the name of a class"):
            read_class_folders(tmp_path / "root", "videos")

    def test_folders_of_splits(self, tmp_path: Path) -> None:
        touch(tmp_path, "train/cooking/a.mp4", "valid/cooking/b.mp4", "test/cooking/c.mp4")
        videos = read_class_folders(tmp_path, "videos")
        assert {(v.label, v.split) for v in videos} == {("cooking", "train"), ("cooking", "val"), ("cooking", "test")}

    def test_a_class_named_like_a_split(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        touch(tmp_path, "training/gym/a.mp4", "running/b.mp4", "beside.mp4")
        videos = read_class_folders(tmp_path, "videos")
        assert [(v.label, v.split) for v in videos] == [("running", None), ("training", None)]
        assert "left out: 1 file(s) beside the class folders" in caplog.text

    def test_numbered_pictures_are_gathered_by_video(self, tmp_path: Path) -> None:
        touch(tmp_path, "cooking/a_1.jpg", "cooking/a_2.jpg", "cooking/a_10.jpg", "cooking/b_1.jpg", "drinking/v/1.png")
        videos = read_class_folders(tmp_path, "frames")
        assert [(v.name, len(v.pictures)) for v in videos] == [("cooking/a", 3), ("cooking/b", 1), ("drinking/v", 1)]
        assert [Path(p.path).name for p in videos[0].pictures] == ["a_1.jpg", "a_2.jpg", "a_10.jpg"]
        assert math.isnan(videos[0].pictures[0].time)

    def test_list_of_pictures(self, tmp_path: Path) -> None:
        touch(tmp_path, "cooking/a_1.jpg", "cooking/a_2.jpg", "cooking/other.jpg")
        write(
            tmp_path / "frames.csv",
            "frame,video,class,time,group,split",
            "cooking/a_1.jpg,clips/a.mp4,cooking,0.5,g,train",
            "cooking/a_2.jpg,clips/a.mp4,cooking,,g,train",
        )
        (video,) = read_class_folders(tmp_path, "frames")
        assert (video.name, video.group, video.split, len(video.pictures)) == ("clips/a.mp4", "g", "train", 2)
        assert video.pictures[0].time == 0.5

    def test_list_of_pictures_with_errors(self, tmp_path: Path) -> None:
        touch(tmp_path, "cooking/a_1.jpg")
        header = "frame,video,class,time,group,split"
        write(tmp_path / "frames.csv", header, "cooking/gone.jpg,a.mp4,cooking,1,,")
        with pytest.raises(LabelError, match="line 2: there is no picture"):
            read_class_folders(tmp_path, "frames")
        write(tmp_path / "frames.csv", header, "cooking/a_1.jpg,a.mp4,cooking,1,,dev")
        with pytest.raises(LabelError, match="line 2: split 'dev' is not known"):
            read_class_folders(tmp_path, "frames")
        write(tmp_path / "frames.csv", header)
        with pytest.raises(LabelError, match=r"empty|no row"):
            read_class_folders(tmp_path, "frames")
        row = "cooking/a_1.jpg,a.mp4,cooking,1,"
        write(tmp_path / "frames.csv", header, row + "g,train", row + "h,train")
        with pytest.raises(LabelError, match=r"line 3: a.mp4 has another group or split here than in line 2"):
            read_class_folders(tmp_path, "frames")

    def test_nothing_and_both(self, tmp_path: Path) -> None:
        touch(tmp_path, "a.mp4")
        with pytest.raises(ConfigurationError, match="ROOT/CLASS/FILE"):
            read_class_folders(tmp_path, "videos")
        touch(tmp_path, "cooking/a.mp4", "cooking/a.jpg")
        with pytest.raises(ConfigurationError, match="both videos and pictures"):
            folder_kind(tmp_path)
        with pytest.raises(ConfigurationError, match="is not a folder"):
            read_class_folders(tmp_path / "gone", "videos")


class TestPublicLists:
    def test_kinetics(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        touch(tmp_path, "k/drinking beer/AbCdEfGhIjK_000010_000020.mp4", "k/whole_video.mkv")
        path = write(
            tmp_path / "train.csv",
            "label,youtube_id,time_start,time_end,split,is_cc",
            "drinking beer,AbCdEfGhIjK,10,20,train,0",
            "cooking egg,whole_video,5,15,validate,0",
            "cooking egg,gonegonegon,5,15,test,0",
        )
        trimmed, whole = read_kinetics([path], str(tmp_path / "k"))
        assert (trimmed.label, trimmed.start, trimmed.end, trimmed.split) == ("drinking beer", 0.0, None, "train")
        assert (whole.start, whole.end, whole.split, whole.group) == (5.0, 15.0, "val", "whole_video")
        assert "1 of 3 listed clips are not below" in caplog.text

    def test_kinetics_without_a_clip(self, tmp_path: Path) -> None:
        path = write(tmp_path / "train.csv", "label,youtube_id,time_start,time_end,split", "a,b,1,2,train")
        with pytest.raises(ConfigurationError, match="not one of the 1 clips"):
            read_kinetics([path], None)
        write(path, "label,youtube_id,time_start,time_end,split", "a,b,2,1,train")
        with pytest.raises(LabelError, match="line 2"):
            read_kinetics([path], None)
        touch(tmp_path, "a/b.mp4")
        write(path, "label,youtube_id,time_start,time_end,split", "a,b,1,2,dev")
        with pytest.raises(LabelError, match="line 2: split 'dev' is not known"):
            read_kinetics([path], None)

    def test_ucf(self, tmp_path: Path) -> None:
        touch(tmp_path, "videos/Archery/v_Archery_g01_c01.avi", "videos/Archery/v_Archery_g02_c01.avi")
        write(tmp_path / "trainlist02.txt", "Archery/v_Archery_g02_c01.avi 1")
        write(tmp_path / "testlist02.txt", "Archery/v_Archery_g01_c01.avi")
        videos = read_ucf(tmp_path, str(tmp_path / "videos"), 2)
        assert [(v.label, v.split, v.group) for v in videos] == [
            ("Archery", "train", "v_Archery_g02"),
            ("Archery", "test", "v_Archery_g01"),
        ]
        with pytest.raises(LabelError, match="trainlist01"):
            read_ucf(tmp_path, None, 1)
        write(tmp_path / "testlist02.txt", "Archery/v_Archery_g09_c01.avi")
        with pytest.raises(LabelError, match=r"testlist02.txt, line 1: there is no file"):
            read_ucf(tmp_path, str(tmp_path / "videos"), 2)
        write(tmp_path / "testlist02.txt", "v_Archery_g01_c01.avi")
        with pytest.raises(LabelError, match=r"line 1: .* names no class"):
            read_ucf(tmp_path, str(tmp_path / "videos"), 2)


class TestSources:
    def test_formats_are_found(self, tmp_path: Path) -> None:
        touch(tmp_path, "videos/a/1.mp4", "frames/a/1.jpg")
        (tmp_path / "ucf").mkdir()
        plain = write(tmp_path / "plain.csv", "video,class", "a.mp4,a")
        kinetics = write(tmp_path / "k.csv", "label,youtube_id,time_start,time_end,split", "a,b,1,2,train")
        other = write(tmp_path / "other.csv", "name,score", "a,1")
        assert detect_format(str(tmp_path / "videos"), ()) == "videos"
        assert detect_format(str(tmp_path / "frames"), ()) == "frames"
        assert detect_format(None, (str(plain),)) == "csv"
        assert detect_format(None, (str(kinetics),)) == "kinetics"
        assert detect_format(None, (str(tmp_path / "ucf"),)) == "ucf"
        with pytest.raises(ConfigurationError, match="name its label_format"):
            detect_format(None, (str(other),))
        with pytest.raises(ConfigurationError, match="neither root nor labels is given"):
            detect_format(None, ())

    def test_only_some_classes(self, tmp_path: Path) -> None:
        touch(tmp_path, "cooking/a.mp4", "drinking/a.mp4", "reading/a.mp4")
        kept = read_videos(ActionListSettings(root=str(tmp_path), classes=["cooking", "reading"]))
        assert [video.label for video in kept] == ["cooking", "reading"]
        with pytest.raises(ConfigurationError, match="'coking', which no video has: did you mean cooking"):
            read_videos(ActionListSettings(root=str(tmp_path), classes=["coking"]))

    def test_names_of_a_checkpoint_that_lack_a_class(self, tmp_path: Path) -> None:
        touch(tmp_path, "cooking/a.mp4", "drinking/a.mp4")
        with pytest.raises(LabelError, match=r"drinking/a.mp4 has class 'drinking', which is not among"):
            read_videos(ActionListSettings(root=str(tmp_path), class_names=["cooking", "reading"]))
