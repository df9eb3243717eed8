"""The commands that the READMEs and the developers' page print can be typed as they stand."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

import cli
from lightning_modules.commands.cluster import submit
from lightning_modules.commands.cluster.request import job_request, read_cluster
from tests.datamodules.face_benchmark.benchmark_files import write_benchmark
from tests.running import printed_here

ROOT = Path(cli.__file__).parent
METHODS = ROOT / "lightning_modules"
PAGES = (
    ROOT / "README.md",
    ROOT / ".readme" / "developing.md",
    *(
        METHODS / name / "README.md"
        for name in ("video_quality", "inspection", "action", "face_attributes", "face_diffusion", "face_benchmark")
    ),
)
PROGRAM = re.compile(r"^(?:.*&& )?(?:appraise|(?:\.venv/bin/)?python cli\.py) (.*)$")


def commands(page: Path) -> list[list[str]]:
    """Arguments of every command in the page's bash blocks."""
    blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), flags=re.DOTALL)
    lines = [line.partition("  #")[0] for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [shlex.split(found.group(1)) for found in map(PROGRAM.match, lines) if found]


CASES = [(page, command) for page in PAGES for command in commands(page)]


def with_checkpoint(words: list[str], checkpoint: Path) -> list[str]:
    return [str(checkpoint) if word.endswith(".ckpt") or word == "FILE" else word for word in words]


@pytest.mark.parametrize(("page", "command"), CASES, ids=[" ".join(command)[:60] for _, command in CASES])
def test_command_runs(
    page: Path,
    command: list[str],
    video_tree: Path,
    checkpoint: Path,
    part_tree: Path,
    deployed: tuple[Path, Path],
    clip_tree: Path,
    recogniser: Path,
    face_tree: Path,
    face_classifier: Path,
    face_generator: Path,
    diffusion_model: Path,
    language_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if command[0] == "compare" or any("face_benchmark" in word or word.startswith("FaceXBench") for word in command):
        ask(command, face_tree, language_model, tmp_path, capsys)
        return
    folder = tmp_path / "videos"
    folder.mkdir()
    shutil.copy(video_tree / "train" / "0001.mp4", folder / "a.mp4")
    (folder / "labels.csv").write_text("file,mos,pattern,reference\na.mp4,3,0,a\n")
    words = [re.sub(r"^(FOLDER|DIR)(?=/|$)", str(folder), word) for word in command]
    if words[0] in ("validate", "generate") or (words[0] == "predict" and "face_attributes/predict" in words):
        run_on_faces(words, face_tree, face_classifier, face_generator, tmp_path)
        return
    if words[0] == "measure-generated":
        pictures = sorted(face_tree.glob("*.jpg"))
        for name, number in (("before", 6), ("after", 8)):
            (tmp_path / name).mkdir()
            for picture in pictures[:number]:
                shutil.copy(picture, tmp_path / name)
        half = len(pictures) // 2
        for name, own in (("learnt.csv", pictures[:half]), ("held_out.csv", pictures[half:])):
            (tmp_path / name).write_text("".join(f"{line}\n" for line in ("file", *own)))
        names = ("before", "after", "measured", "learnt.csv", "held_out.csv")
        places = {name: str(tmp_path / name) for name in names}
        words = [str(face_classifier) if word.endswith(".ckpt") else word for word in words]
        words = [places.get(Path(word).name, word) for word in words]
        assert cli.main(words) == 0
        assert (tmp_path / "measured" / "page.html").is_file()
        return
    if words[0] == "predict" and "face_diffusion/sample" in words:
        words[words.index("--output") + 1] = str(tmp_path / "made")
        assert cli.main([*with_checkpoint(words, diffusion_model), "--trainer.accelerator=cpu"]) == 0
        assert (tmp_path / "made" / "sheet.png").is_file()
        return
    if words[0] == "predict" and "inspection/mine" in words:
        words = with_checkpoint(words, deployed[1])
        words = [str(part_tree / "templates") if word == "NEW_IMAGES" else word for word in words]
        words = [str(tmp_path / "mined") if word == "mined" else word for word in words]
        if "--output" not in words:
            words += ["--output", str(tmp_path / "mined"), f"--data.init_args.path={part_tree / 'templates'}"]
        assert cli.main([*words, "--trainer.accelerator=cpu"]) == 0
        assert (tmp_path / "mined" / "feedback.sqlite").is_file()
        return
    if words[0] == "predict":
        words = with_checkpoint(words, checkpoint)
        words[words.index("--output") + 1] = str(tmp_path / "scores")
        assert cli.main([*words, "--trainer.accelerator=cpu"]) == 0
        assert (tmp_path / "scores" / "scores.csv").is_file()
        return
    if words[0] in ("annotate", "extract-frames"):
        source = clip_tree if words[0] == "extract-frames" else next(clip_tree.rglob("*.mp4"))
        words = [words[0], str(source), *words[2:]]
        if "--output" not in words:
            words += ["--output", ""]
        words[words.index("--output") + 1] = str(tmp_path / "out")
        if words[0] == "annotate":
            words = [*with_checkpoint(words, recogniser), "--trainer.accelerator=cpu"]
            if "--show" in words or "--model" in words:  # needs a display, or another model's weights
                words.append("--print_config")
        assert cli.main(words) == 0
        assert "--print_config" in words or any((tmp_path / "out").iterdir())
        return
    if words[0] in ("export", "run-exported"):
        places = {"exported": tmp_path / "exported", "found": tmp_path / "found", "NEW_IMAGES": part_tree / "templates"}
        words = [str(places.get(word, word)) for word in with_checkpoint(words, deployed[1])]
        if words[0] == "run-exported":
            command = ["export", f"--ckpt_path={deployed[1]}", f"--output={places['exported']}"]
            assert cli.main([*command, f"--input={places['NEW_IMAGES']}"]) == 0
        assert cli.main(words) == 0
        assert (tmp_path / ("found/feedback.sqlite" if words[0] == "run-exported" else "exported/model.onnx")).is_file()
        return
    if words[0] == "doctor" and "--data" in words:
        words[words.index("--data.root") + 1] = str(labelled_folder(tmp_path))
        words[words.index("--report") + 1] = str(tmp_path / "data.json")
    if words[0] == "mentor":
        words[words.index("--store") + 1] = str(deployed[0])
        words.append("--agreement")  # says it and stops, where the page would wait for people
    if words[0] == "submit":
        monkeypatch.setattr(submit, "printed_config", printed_here)
    if words[0] in ("mentor-loop", "reward-study"):
        words.append("--print_config")
    if words[0] == "fit":
        words.append("--print_config")  # the runs themselves are those of the shipped configurations' tests
    assert cli.main(words) == 0
    assert capsys.readouterr().out


def ask(
    command: list[str], face_tree: Path, language_model: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Run a command of the language models' on few questions."""
    places = {
        "MODEL": language_model, "runs/taught/version_0/adapters": language_model, "PICTURES": face_tree,
        "PICTURES/faces.csv": face_tree / "faces.csv", "FOLDER": write_benchmark(folder / "benchmark"),
        **{name: folder / name for name in ("DIR", "OTHER_DIR", "before", "after")},
    }  # fmt: skip
    words = [str(places.get(word, word)) for word in command]
    small = ["--data.init_args.per_task=2", "--data.init_args.image_size=32", "--trainer.accelerator=cpu"]
    if words[0] == "test":
        output = folder / "asked"
        words += [*small, f"--output={output}", "--data.init_args.demo.test=60"]
        assert cli.main(words) == 0
        assert (output / "results.md").is_file()
        return
    if words[0] == "compare":
        for place, script in zip(words[1:], ("oracle", "always_a"), strict=True):
            asked = ["predict", "--config=face_benchmark/demo", f"--model.init_args.script={script}", *small]
            assert cli.main([*asked, "--data.init_args.demo.test=60", f"--output={place}"]) == 0
        words.append(f"--output={folder / 'page.html'}")
    if words[0] == "fit":
        words.append("--print_config")
    assert cli.main(words) == 0
    assert words[0] != "doctor" or capsys.readouterr().out.endswith(
        "no fault, 40 warnings\n"
    )  # it is not the benchmark
    assert words[0] != "compare" or (folder / "page.html").is_file()


def labelled_folder(folder: Path) -> Path:
    """Ten images of parts with masks."""
    for name, value in (("images", 90), ("masks", 255)):
        (folder / name).mkdir()
        for number in range(10):
            picture = Image.new("L", (16, 16))
            picture.paste(value, (4, 4, 8, 8))
            picture.save(folder / name / f"{number}.png")
    (folder / "classes.txt").write_text("dent\n")
    return folder


def run_on_faces(command: list[str], tree: Path, classifier: Path, generator: Path, output: Path) -> None:
    """Run a command of the face methods on drawn faces, with as little work as it allows."""
    words = [re.sub(r"^.*(?=/faces\.csv$)", str(tree), word) for word in command]
    words = [str(generator) if word.endswith("generator.ckpt") or word == "GENERATOR" else word for word in words]
    words = [str(classifier) if word.endswith(".ckpt") and word != str(generator) else word for word in words]
    words = [str(classifier) if word in ("FILE", "CLASSIFIER") else word for word in words]
    places = {"--output": output, "--data.init_args.root": tree, "--data.init_args.path": tree / "images"}
    for name, value in places.items():
        if name in words:
            words[words.index(name) + 1] = str(value)
    if "--output" not in words:
        words += ["--output", str(output)]
    if words[0] == "validate":
        words += ["--model.init_args.kept", "16", "--data.init_args.num_workers", "0"]
        if "--data.init_args.root" not in words:
            words += ["--data.init_args.demo.train", "32"]
    if words[0] == "generate":
        words += ["--model.init_args.inversion.steps", "2"]
    assert cli.main([*words, "--trainer.accelerator=cpu"]) == 0
    assert any(output.iterdir())


def test_the_two_commands_of_a_fresh_machine() -> None:
    text = PAGES[0].read_text()
    main = re.search(r"```bash\n(python3 -m venv .*cli\.py fit --config (\S+))\n```", text)
    assert main is not None
    assert (ROOT / main.group(2)).is_file()
    test = re.search(r"<!-- test-command -->\n```bash\n(python3 -m venv .* -m pytest)\n```", text)
    assert test is not None
    assert "test-command" in (ROOT / ".ci" / "run").read_text()


def test_the_cluster_file_of_the_readme_is_one(tmp_path: Path) -> None:
    text = re.search(r"```toml\n(.*?)```", PAGES[0].read_text(), flags=re.DOTALL)
    assert text is not None
    (tmp_path / "cluster.toml").write_text(text.group(1))
    assert job_request(read_cluster(tmp_path / "cluster.toml"), {}).account == "lab"


def test_pictures_and_links_exist() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@pytest.mark.parametrize("page", PAGES, ids=[page.parent.name for page in PAGES])
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"`([\w./]+/[\w.]+\.(?:py|toml))`", page.read_text())
    assert [name for name in named if not (page.parent / name).exists() and not (ROOT / name).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=[page.parent.name for page in PAGES])
def test_tables_are_whole(page: Path) -> None:
    lines = ["", *page.read_text().splitlines(), ""]
    beginnings = [at for at in range(1, len(lines)) if "|" in lines[at][:1] and "|" not in lines[at - 1][:1]]
    for at in beginnings:  # rows without a rule below the first belong to a table that broke off above
        assert re.fullmatch(r"\|[ |:-]+\|", lines[at + 1]), lines[at]
