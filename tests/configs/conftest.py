"""Generated trees in the formats of the shipped configurations, and the smallest network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import cli
from datamodules.faces.renderer.drawing import draw_parameters
from datamodules.faces.renderer.labels import labels
from datamodules.faces.renderer.rendering import render
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.faces.schema import DEFAULT_SCHEMA, AttributeSchema
from datamodules.inspection.store.feedback import FeedbackStore
from datamodules.video.writing.encode import encode_video
from lightning_modules.face_benchmark.asking.network import Network
from lightning_modules.face_benchmark.asking.tiny import TinySettings, tiny
from lightning_modules.face_benchmark.folders import save_network
from tests.configs.shipped import CONFIGS, SMALL_DIFFUSION, SMALL_PICTURES, trained_shortly
from tests.running import threads

REFERENCES = 5
VERSIONS = 7  # a source and its six processed versions
ACTIONS = ("drinking", "kochen für zwei")
PARTS_PER_DOMAIN = {"train": 8, "val": 4, "test": 4}


@pytest.fixture(scope="session")
def video_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with 35 tiny encoded videos and label lists in the formats ``kvq`` and ``duration_fps_mos``."""
    root = tmp_path_factory.mktemp("tree")
    (root / "train").mkdir()
    rng = np.random.default_rng(0)
    rows, scores = [], []
    for number in range(REFERENCES * VERSIONS):
        reference, version = divmod(number, VERSIONS)
        coarse = np.random.default_rng(reference).integers(0, 255, (1, 12, 16, 3))
        frames = np.repeat(np.kron(coarse, np.ones((1, 6, 6, 1))), 6, axis=0)
        noisy = np.clip(frames + rng.normal(0, 8, frames.shape), 0, 255).astype(np.uint8)
        name = f"train/{number + 1:04d}.mp4"
        encode_video(root / name, noisy, fps=12, qp=20 + 4 * version)
        scores.append(round(4.5 - 0.4 * version + 0.1 * reference, 3))
        rows.append(name)
    pairs = list(zip(rows, scores, strict=True))
    (root / "kvq.csv").write_text("filename,score\n" + "".join(f"{name},{score}\n" for name, score in pairs))
    (root / "konvid.txt").write_text("".join(f"{name}, 0.5, 12.0, {score}\n" for name, score in pairs))
    lines = ["video1,video2,rank,group"]
    for first in range(0, len(rows), 2):
        for second in range(1, len(rows), 9):
            group = "source" if first // VERSIONS == second // VERSIONS else "nonsource"
            lines.append(f"{rows[first]},{rows[second]},{1 if scores[first] >= scores[second] else 2},{group}")
    (root / "pairs.csv").write_text("\n".join(lines) + "\n")
    return root


@pytest.fixture(scope="session")
def smallest_network() -> list[str]:
    """Arguments that swap in the smallest network with all parts, keeping a configuration's own switches."""
    sizes = {"embed_dim": 8, "swin_heads": [1, 2], "content_width": 16, "content_layers": 1, "content_heads": 2}
    sizes |= {"distortion_width": 4, "distortion_dim": 8, "head_hidden": 4}
    return [
        "--model.init_args.preset=tiny",
        f"--model.init_args.network={json.dumps(sizes)}",
        "--model.init_args.tuning_stage=0",
        "--model.init_args.num_samples=4",
        "--model.init_args.content_weights=null",
        "--model.init_args.distortion_weights=null",
        "--model.init_args.contrastive_tokens=64",
    ]


@pytest.fixture(scope="session")
def diffusion_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of the smallest diffusion model, shortly trained on drawn faces."""
    folder = tmp_path_factory.mktemp("diffusion")
    return trained_shortly(folder, "--config=face_diffusion/demo", *SMALL_DIFFUSION, *SMALL_PICTURES)


@pytest.fixture(scope="session")
def language_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the smallest model that is asked about pictures."""
    folder = tmp_path_factory.mktemp("language_model")
    save_network(Network(tiny(TinySettings()), None, None, "tiny"), folder)
    return folder


@pytest.fixture(scope="session")
def small_demo() -> list[str]:
    """Arguments for a demo of 7 sources of 6 clips, 3 of them for validation and 3 for the test."""
    demo = '{"sources": 7, "frames": 8, "size": 64, "val_fraction": 0.43, "test_fraction": 0.43, "workers": 1}'
    return [f"--data.init_args.demo={demo}", "--data.init_args.batch_size=4", "--data.init_args.clip_length=8"]


@pytest.fixture(scope="session")
def checkpoint(small_demo: list[str], smallest_network: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of a short training on the demo."""
    folder = tmp_path_factory.mktemp("fit")
    return trained_shortly(folder, "--config", "video_quality/demo", *small_demo, *smallest_network)


@pytest.fixture(scope="session")
def part_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Parts of two domains with one bright square each, labelled in all formats that the configurations name."""
    root = tmp_path_factory.mktemp("parts")
    for name in ("images", "masks", "labels", "templates"):
        (root / name).mkdir()
    tiles = ["image,mask,defect_class,exposure,tile_group,split,width,height,defect_area_fraction"]
    boards = ["image,template,board_group,domain,split,num_boxes"]
    boxes = ["image,x1,y1,x2,y2,class_id,class_name"]
    generator = np.random.default_rng(0)
    for domain, base in (("original", 60), ("new", 110)):
        for split, count in PARTS_PER_DOMAIN.items():
            for number in range(count):
                stem = f"{domain}_{split}_{number}"
                pixels = generator.normal(base, 8, (96, 96)).clip(0, 255)
                Image.fromarray(pixels.astype(np.uint8)).save(root / "templates" / f"{stem}.png")
                x, y, width, height = (int(number) for number in generator.integers((4, 4, 16, 16), (62, 62, 32, 32)))
                pixels[y : y + height, x : x + width] = 240
                Image.fromarray(pixels.astype(np.uint8)).save(root / "images" / f"{stem}.png")
                mask = np.zeros((96, 96), np.uint8)
                mask[y : y + height, x : x + width] = 255
                Image.fromarray(mask).save(root / "masks" / f"{stem}.png")
                centre = f"{(x + width / 2) / 96:.6f} {(y + height / 2) / 96:.6f}"
                (root / "labels" / f"{stem}.txt").write_text(f"0 {centre} {width / 96:.6f} {height / 96:.6f}\n")
                listed = "val" if split == "test" else "train"  # both sets name their test split so
                exposure = 1 if domain == "original" else 5
                tiles.append(f"images/{stem}.png,masks/{stem}.png,break,{exposure},{stem},{listed},96,96,0.06")
                twin = f"templates/{stem}.png" if domain == "new" else ""
                boards.append(f"images/{stem}.png,{twin},{domain},{domain},{listed},1")
                boxes.append(f"images/{stem}.png,{x},{y},{x + width},{y + height},1,open")
    (root / "data.yaml").write_text("names: [square]\n")
    (root / "classes.txt").write_text("square\n")
    (root / "boxes.csv").write_text("\n".join(boxes) + "\n")
    (root / "tiles.csv").write_text("\n".join(tiles) + "\n")
    (root / "boards.csv").write_text("\n".join(boards) + "\n")
    return root


@pytest.fixture(scope="session")
def deployed(part_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A model that was trained as the README says, and a store with answers to what it found."""
    folder = tmp_path_factory.mktemp("deployed")
    options = ["--config", "inspection/segmenter", "--data.init_args.label_format=folder"]
    options += [f"--data.init_args.root={part_tree}", "--data.init_args.crop_size=64", "--data.init_args.batch_size=4"]
    options += ["--data.init_args.val_fraction=0.25", "--data.init_args.test_fraction=0.25"]
    options += ["--model.init_args.backbone=small", "--model.init_args.width=4", "--trainer.accelerator=cpu"]
    checkpoint = trained_shortly(folder / "base", *options)
    mining = ["predict", "--config", "inspection/mine", f"--ckpt_path={checkpoint}", "--trainer.accelerator=cpu"]
    mining += [f"--data.init_args.path={part_tree / 'templates'}", f"--output={folder / 'mined'}"]
    assert cli.main([*mining, "--model.init_args.threshold=0.0001"]) == 0
    store = FeedbackStore(folder / "mined" / "feedback.sqlite")
    run = store.runs()[0].id
    for number, item in enumerate(store.next_items(run, "test", limit=6)):
        store.answer(
            client_id=f"test-{number}",
            run_id=run,
            image_id=item.image_id,
            detection_id=item.id,
            verdict="reject",
            annotator="test",
            milliseconds=900,
        )
    return store.path, checkpoint


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small operations on many threads take longer than on one."""
    with threads(1):
        yield


@pytest.fixture(autouse=True)
def in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    """Configurations are named as seen from there."""
    monkeypatch.chdir(CONFIGS.parent)


@pytest.fixture(scope="session")
def clip_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for each of two classes, eight clips of ten frames in each, told apart by their colour."""
    root = tmp_path_factory.mktemp("clips")
    rng = np.random.default_rng(0)
    for number, name in enumerate(ACTIONS):
        (root / name).mkdir()
        for clip in range(8):
            frames = rng.integers(0, 90, (10, 48, 64, 3)).astype(np.uint8)
            frames[..., 2 * number] += 120
            encode_video(root / name / f"clip {clip}.mp4", frames, fps=10, qp=20)
    return root


@pytest.fixture(scope="session")
def recogniser(clip_tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of the smallest recogniser of actions, trained for one epoch."""
    output = tmp_path_factory.mktemp("recogniser")
    words = ["--config", "action/finetune", f"--data.init_args.root={clip_tree}"]
    words += ["--model.init_args.backbone=test_efficientnet", "--model.init_args.pretrained=false"]
    words += ["--data.init_args.frame_size=32", "--data.init_args.frames_per_video=4", "--trainer.accelerator=cpu"]
    return trained_shortly(output, *words)


FACES = 60
RARE = 8
SMALL_FACES = {"train": 64, "val": 32, "test": 32}


@pytest.fixture(scope="session")
def face_tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces of 30 people, two pictures each, listed as a csv, as PubFig and as CelebA list theirs."""
    root = tmp_path_factory.mktemp("faces")
    pubfig, celeba = (
        AttributeSchema.from_file(DEFAULT_SCHEMA.with_name(f"{name}.yaml")) for name in ("pubfig", "celeba")
    )
    drawn = draw_parameters(5, "train", torch.arange(FACES), 0, FaceDemoSettings())
    known = labels(drawn, pubfig)
    for column in torch.nonzero((known == 1).sum(dim=0) < RARE).flatten().tolist():
        known[column % RARE :: RARE, column] = 1  # no training begins with an attribute that none of its faces shows
    lists: dict[str, list[str]] = {name: [] for name in ("faces", "pubfig", "celeba", "identities")}
    lists["faces"].append(",".join(["file", "identity", *pubfig.attributes]))
    lists["pubfig"] += ["# attributes", "\t".join(["#", "person", "imagenum", *pubfig.attributes])]
    lists["celeba"] += [str(FACES), " ".join(name.replace(" ", "_") for name in celeba.attributes)]
    signs = np.random.default_rng(1).choice([-1, 1], (FACES, len(celeba.attributes)))
    for number, picture in enumerate(render(drawn, 48)):
        person, photo = f"Person {number // 2}", number % 2 + 1
        file = root / "images" / person.replace(" ", "_") / f"{person.replace(' ', '_')}_{photo:04d}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(file)
        Image.fromarray(picture.permute(1, 2, 0).numpy()).save(root / f"{number + 1:06d}.jpg")
        row = known[number].tolist()
        values = ["" if value < 0 else str(value) for value in row]
        lists["faces"].append(",".join([str(file.relative_to(root)), person, *values]))
        lists["pubfig"].append("\t".join([person, str(photo), *(str(value - 0.5) for value in row)]))
        lists["celeba"].append(" ".join([f"{number + 1:06d}.jpg", *map(str, signs[number])]))
        lists["identities"].append(f"{number + 1:06d}.jpg {number // 2}")
    (root / "faces.csv").write_text("\n".join(lists["faces"]) + "\n")
    (root / "pubfig_attributes.txt").write_text("\n".join(lists["pubfig"]) + "\n")
    (root / "list_attr_celeba.txt").write_text("\n".join(lists["celeba"]) + "\n")
    (root / "identity_CelebA.txt").write_text("\n".join(lists["identities"]) + "\n")
    return root


@pytest.fixture(scope="session")
def small_faces() -> list[str]:
    """Arguments for few and small drawn faces and the smallest VGG."""
    demo = [f"--data.init_args.demo.{name}={value}" for name, value in SMALL_FACES.items()]
    return [*demo, "--data.init_args.image_size=32", "--data.init_args.batch_size=16", "--data.init_args.num_workers=0"]


@pytest.fixture(scope="session")
def face_classifier(small_faces: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of a short training on drawn faces."""
    words = ["--config", "face_attributes/demo", *small_faces, "--trainer.check_val_every_n_epoch=1"]
    return trained_shortly(tmp_path_factory.mktemp("face_classifier"), *words)


@pytest.fixture(scope="session")
def face_judge(small_faces: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of a judge after a few steps."""
    words = ["--config", "face_attributes/judge_b", *small_faces, "--trainer.check_val_every_n_epoch=1"]
    return trained_shortly(tmp_path_factory.mktemp("face_judge"), *words)


@pytest.fixture(scope="session")
def face_generator(face_classifier: Path, small_faces: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Generator made of that classifier and its statistics."""
    output = tmp_path_factory.mktemp("face_generator")
    words = ["validate", "--config", "face_attributes/statistics", *small_faces, f"--output={output}"]
    words += [f"--model.init_args.classifier_weights={face_classifier}", "--model.init_args.kept=32"]
    assert cli.main([*words, "--trainer.accelerator=cpu"]) == 0
    return output / "generator.ckpt"
