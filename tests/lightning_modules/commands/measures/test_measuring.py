"""What `measure-generated` finds in folders whose content is known."""

from __future__ import annotations

import csv
import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import Tensor

from datamodules.common.errors import CheckpointError
from datamodules.tables.csv import csv_text
from lightning_modules.commands.measures.measuring import measure, measured_whole
from lightning_modules.commands.measures.settings import MeasureSettings
from lightning_modules.face_diffusion.rewards.embedders import (
    CopyDetector,
    Embedder,
    FaceLayerEmbedder,
    PixelEmbedder,
    TimmEmbedder,
)
from lightning_modules.face_diffusion.rewards.judges import FaceJudge, FunctionJudge
from tests.lightning_modules.commands.faces.small_faces import save_classifier
from tests.lightning_modules.commands.measures.conftest import COPIES
from tests.lightning_modules.commands.measures.drawn import colour_of, draw_faces, save_faces

JUDGE = f"{colour_of.__module__}.colour_of"


class Colours(Embedder):
    """Histogram of each channel: sees no places, and so no mirror."""

    identity = "colours"

    def features(self, pictures: Tensor) -> Tensor:
        bins = torch.nn.functional.one_hot(pictures.long() // 8, 32).float().mean(dim=(2, 3))
        return bins.flatten(1)


def test_lists_stand_in_place_of_folders(faces: Path, tmp_path: Path) -> None:
    """Relative to their own folder, or absolute."""
    for name in ("training", "held_out"):
        rows = [[str(file)] for file in sorted((faces / name).glob("*.png"))]
        (tmp_path / f"{name}.csv").write_text(csv_text(["file"], rows))
    (faces / "learnt.csv").write_text(csv_text(["file"], [[f"training/{row:05d}.png"] for row in range(150)]))

    def numbers(training: Path, held_out: Path) -> list[float | None]:
        settings = MeasureSettings(
            generated=(f"made={faces / 'made'}",),
            training=str(training),
            held_out=str(held_out),
            output=str(tmp_path / "o"),
        )
        [found] = measure(settings)
        return [found.number(name).value for name in ("copies", "kid")]

    folders = numbers(faces / "training", faces / "held_out")
    assert numbers(tmp_path / "training.csv", tmp_path / "held_out.csv") == folders
    assert numbers(faces / "learnt.csv", faces / "held_out") == folders


def test_copies_are_found_at_the_rate_that_each_embedder_allows(faces: Path, tmp_path: Path) -> None:
    archive = tmp_path / "copies.pt"
    network = torch.nn.Sequential(torch.nn.AvgPool2d(4), torch.nn.Flatten())
    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 3, 32, 32)), str(archive))
    embedders = [PixelEmbedder(), Colours(), CopyDetector(str(archive), 32)]
    kinds = ("copies", "mirrored", "cropped", "others")
    rates = {}
    for flips in (False, True):
        settings = MeasureSettings(
            generated=(str(faces / "made"),), training=str(faces / "training"), held_out=str(faces / "held_out"),
            embedder=embedders, flips=flips, output=str(tmp_path),
        )  # fmt: skip
        (found,) = measure(settings, write=False)
        for embedder, pairs in found.pairs.items():
            parts = [pairs.copied[kind * COPIES : (kind + 1) * COPIES] for kind in range(3)]
            parts.append(pairs.copied[3 * COPIES :])
            rates[embedder, flips] = dict(zip(kinds, (sum(part) / len(part) for part in parts), strict=True))
            near = torch.tensor(pairs.nearest[: 3 * COPIES])
            right = near == torch.arange(3 * COPIES)
            assert bool(right[:COPIES].all())
            if flips:
                assert bool(right[: 2 * COPIES].all())
    lines = [
        f"{embedder:<16}{flips!s:<7}{''.join(f'{rate:>10.2f}' for rate in row.values())}"
        for (embedder, flips), row in rates.items()
    ]
    sys.stdout.write(
        "\n".join(["", f"{'embedder':<16}{'flips':<7}{''.join(f'{kind:>10}' for kind in kinds)}", *lines, ""])
    )
    assert all(row["copies"] == 1 for row in rates.values())
    assert all(row["others"] < 0.06 for row in rates.values())
    assert all(row["mirrored"] == 1 for (_, flips), row in rates.items() if flips)
    assert rates["PixelEmbedder", False]["mirrored"] < 0.5
    assert rates["Colours", False]["mirrored"] == 1  # it sees no side
    assert rates["PixelEmbedder", False]["cropped"] > 0.3 > rates["CopyDetector", False]["cropped"]


def test_the_share_of_copies_is_in_its_interval_and_files_say_the_same(faces: Path, tmp_path: Path) -> None:
    settings = MeasureSettings(
        generated=(f"tuned={faces / 'made'}",), training=str(faces / "training"), held_out=str(faces / "held_out"),
        flips=True, output=str(tmp_path / "out"),
    )  # fmt: skip
    (found,) = measure(settings)
    rate = found.number("copies")
    assert rate is not None
    assert rate.low <= 0.3 <= rate.high
    assert rate.n == 120
    near = found.number("near_copies")
    assert near is not None
    assert near.value >= 0.2
    written = json.loads((tmp_path / "out/measures.json").read_text())
    assert [one["name"] for one in written["sets"]] == ["tuned", "training", "held out"]
    (json_rate,) = (row["estimate"] for row in written["sets"][0]["measures"] if row["measure"] == "copies")
    assert json_rate["value"] == pytest.approx(rate.value)
    rows = list(csv.DictReader((tmp_path / "out/measures.csv").open()))
    (row,) = (row for row in rows if row["measure"] == "copies")
    assert (row["set"], row["by"], row["n"]) == ("tuned", "PixelEmbedder", "120")
    pairs = list(csv.DictReader((tmp_path / "out/nearest.csv").open()))
    assert len(pairs) == 120
    similarity = [float(pair["similarity"]) for pair in pairs]
    assert similarity == sorted(similarity, reverse=True)
    copied = {pair["file"]: pair["nearest"] for pair in pairs if pair["judged_copy"] == "1"}
    assert all(copied[f"{row:05d}.png"] == f"{row:05d}.png" for row in range(2 * COPIES))


def test_the_same_settings_give_the_same_numbers_and_made_copies_are_no_better(faces: Path) -> None:
    settings = MeasureSettings(
        generated=(f"made={faces / 'made'}", f"real={faces / 'held_out'}"), training=str(faces / "training")
    )
    first, second = measured_whole(settings, write=False), measured_whole(settings, write=False)
    assert [one.rows for one in first.every] == [one.rows for one in second.every]
    assert first.reference is first.training
    background = first.training.number("similarity_mean")
    strangers = first.generated[1].number("similarity_mean")
    assert background is not None
    assert strangers is not None
    assert strangers.value == pytest.approx(background.value, abs=0.03)


def test_shares_by_a_judge_corrected_and_by_labels(colours: Path, tmp_path: Path) -> None:
    """The judge calls red Smiling and blue Bald, and so does the list of the training pictures."""
    settings = MeasureSettings(
        generated=(f"before={colours / 'before'}", f"after={colours / 'after'}"), training=str(colours / "training"),
        judge=FunctionJudge(JUDGE, ["Smiling", "Bald"]), classes=["smiling", "bald"],
        confusion=[[0.9, 0.1], [0.1, 0.9]], intersections=["Smiling", "Bald"], output=str(tmp_path),
    )  # fmt: skip
    before, after = measure(settings, write=False)
    share = before.number("share", "bald")
    assert share is not None
    assert share.value == pytest.approx(0.2)
    assert share.n == 60
    corrected = before.number("corrected_share", "bald")
    assert corrected is not None
    assert corrected.value == pytest.approx((0.2 - 0.1) / 0.8)
    assert corrected.low < corrected.value < corrected.high
    moved = before.number("amplification", "bald")
    assert moved is not None
    assert moved.value == pytest.approx(-0.1)
    assert moved.low < -0.1 < moved.high
    distance, none = before.number("total_variation"), after.number("total_variation")
    assert distance is not None
    assert none is not None
    assert distance.value == pytest.approx(0.3)
    assert none.value == 0
    joint = {row.of: row.estimate.value for row in before.rows if row.measure == "joint_share"}
    assert joint == {
        "Smiling, Bald": 0.0,
        "Smiling, no Bald": pytest.approx(0.8),
        "no Smiling, Bald": pytest.approx(0.2),
        "no Smiling, no Bald": 0.0,
    }
    inside = after.number("class_kid")
    assert inside is not None
    whole = before.number("kid")
    assert whole is not None
    assert inside.low < 0.02
    assert {row.of for row in after.rows if row.measure == "class_kid"} == {"", "smiling", "bald"}
    assert after.number("pixel_spread", "bald") is not None


def test_the_judge_is_held_against_labels(colours: Path) -> None:
    settings = MeasureSettings(
        generated=(str(colours / "before"),), training=str(colours / "training"),
        judge=FunctionJudge(JUDGE, ["Smiling", "Bald"]), classes=["Smiling", "Bald"],
        attributes=str(colours / "training.csv"),
    )  # fmt: skip
    found = measured_whole(settings, write=False)
    assert any("confusion on 120 labelled training pictures (right on Smiling 1.000" in note for note in found.notes)
    assert found.generated[0].number("corrected_share", "Bald") is not None
    wrong = replace(settings, confusion=[[0.9, 0.1], [0.1, 0.9]])  # less is bald than the judge says
    moved = measured_whole(wrong, write=False).generated[0].number("amplification", "Bald")
    assert moved is not None
    assert moved.value == pytest.approx((0.2 - 0.1) / 0.8 - 0.3)
    assert found.training.by("shares") == ["labels"]


def test_made_pictures_that_the_list_names_need_no_judge(colours: Path, tmp_path: Path) -> None:
    rows = [line for name in ("training", "before") for line in (colours / f"{name}.csv").read_text().splitlines()[1:]]
    labels = colours / "both.csv"
    labels.write_text("\n".join(["file,Smiling,Bald", *rows]) + "\n")
    settings = MeasureSettings(
        generated=(str(colours / "before"), str(colours / "after")), training=str(colours / "training"),
        classes=["Bald"], target=[0.3], attributes=str(labels),
    )  # fmt: skip
    before, after = measure(settings, write=False)
    share = before.number("share", "no Bald", by="labels")
    assert share is not None
    assert share.value == pytest.approx(0.8)
    assert after.number("share", "Bald") is None
    assert any("name none of its pictures" in note for note in after.notes)
    crossed = MeasureSettings(
        generated=settings.generated, training=settings.training, attributes=str(labels),
        intersections=["Bald", "Smiling"],
    )  # fmt: skip
    before, after = measure(crossed, write=False)
    joint = before.number("joint_share", "Bald, no Smiling", by="labels")
    assert joint is not None
    assert joint.value == pytest.approx(0.2)
    assert joint.n == 60
    assert after.number("joint_share", "Bald, no Smiling") is None


def test_shares_are_in_their_intervals_in_ninety_of_a_hundred_draws(tmp_path: Path) -> None:
    """Sets of 150 pictures, each blue with probability 0.3, as the judge sees them."""
    from lightning_modules.commands.measures.answers import Answers
    from lightning_modules.nn.estimate import wilson
    from lightning_modules.nn.shares import class_counts
    from tests.lightning_modules.commands.measures.drawn import coloured

    settings = MeasureSettings(
        generated=("x",), training="y", judge=FunctionJudge(JUDGE, ["red", "blue"]), classes=["red", "blue"]
    )
    answers, inside = Answers(settings, "cpu"), 0
    for repeat in range(100):
        red = torch.rand(150, generator=torch.Generator().manual_seed(repeat)) >= 0.3
        said = answers.probabilities(coloured(150, red, seed=repeat))
        counts = class_counts(said)
        share = wilson(counts[1].item(), 150)
        inside += share.low <= 0.3 <= share.high
    assert inside >= 90


def test_regions_and_chunks_find_a_pasted_part(faces: Path, tmp_path: Path) -> None:
    training, _ = draw_faces(20, 0)
    made, _ = draw_faces(40, 2)
    made[:10, :, :16, :16] = training[:10, :, :16, :16]
    save_faces(tmp_path / "pasted", made)
    found = {}
    for name, regions in {"whole": 1, "regions": 2}.items():
        settings = MeasureSettings(
            generated=(str(tmp_path / "pasted"),), training=str(faces / "training"), regions=regions
        )
        found[name] = measure(settings, write=False)[0].pairs["PixelEmbedder"]
    assert found["regions"].nearest[:10] == list(range(10))
    assert found["regions"].similarity[:10].min() > 0.98
    assert found["whole"].nearest[:10] != list(range(10))
    settings = MeasureSettings(generated=(str(tmp_path / "pasted"),), training=str(faces / "training"), parts=6)
    assert measure(settings, write=False)[0].number("copies") is not None


def test_pictures_of_mixed_sizes_in_folders_of_folders(faces: Path, tmp_path: Path) -> None:
    large, _ = draw_faces(6, 0, side=64)
    small, _ = draw_faces(6, 3)
    save_faces(tmp_path / "mixed", large, [f"deep/er/{row}.png" for row in range(6)])
    save_faces(tmp_path / "mixed", small)
    settings = MeasureSettings(generated=(str(tmp_path / "mixed"),), training=str(faces / "training"))
    (found,) = measure(settings, write=False)
    assert found.pictures.side == 32
    assert found.read == 12
    pairs = found.pairs["PixelEmbedder"]
    deep = [row for row in range(12) if found.pictures.file(row).startswith("deep/er/")]
    assert [pairs.nearest[row] for row in deep] == list(range(6))  # the same faces, drawn larger


def test_realism_on_some_pictures_and_copies_of_all(faces: Path) -> None:
    settings = MeasureSettings(
        generated=(str(faces / "made"),), training=str(faces / "training"), realism_pictures=50, seed=1
    )
    found = measured_whole(settings, write=False)
    numbers = [found.generated[0].number(name) for name in ("kid", "precision", "recall", "spread", "similar")]
    assert [number.n for number in numbers if number] == [50, 50, 50, 50, 120]
    assert any("on 50 drawn by chance" in note for note in found.notes)


def test_one_picture_alone(faces: Path, tmp_path: Path) -> None:
    one, _ = draw_faces(1, 0)
    save_faces(tmp_path / "one", one)
    settings = MeasureSettings(
        generated=(str(tmp_path / "one"),), training=str(faces / "training"), neighbours=0, output=str(tmp_path / "out")
    )
    (found,) = measure(settings)
    assert found.pairs["PixelEmbedder"].copied == [True]
    assert any("no KID" in note for note in found.notes)
    assert (tmp_path / "out/page.html").is_file()


def test_the_sheet_of_our_own_samples_is_no_sample(faces: Path, tmp_path: Path) -> None:
    made = save_faces(tmp_path / "made", draw_faces(8, 5)[0])
    save_faces(made, draw_faces(1, 6)[0], ["sheet.png"])
    rows = [[f"{row:05d}.png", 0, row, ""] for row in range(8)]
    (made / "samples.csv").write_text(csv_text(("file", "seed", "index", "class"), rows))
    settings = MeasureSettings(generated=(str(made),), training=str(faces / "training"))
    assert measure(settings, write=False)[0].read == 8


def test_a_face_classifier_embeds_and_judges(faces: Path, tmp_path: Path) -> None:
    checkpoint = str(save_classifier(tmp_path))
    settings = MeasureSettings(
        generated=(str(faces / "made"),), training=str(faces / "training"), embedder=[FaceLayerEmbedder(checkpoint)],
        judge=FaceJudge(checkpoint), classes=["Smiling"], intersections=["Smiling", "Bald"],
    )  # fmt: skip
    (found,) = measure(settings, write=False)
    assert found.pairs["FaceLayerEmbedder"].nearest[:COPIES] == list(range(COPIES))
    shares = [found.number("share", name, "FaceJudge") for name in ("Smiling", "no Smiling")]
    assert sum(share.value for share in shares if share) == pytest.approx(1)
    assert sum(row.estimate.value for row in found.rows if row.measure == "joint_share") == pytest.approx(1)
    assert found.number("fid") is not None  # 16 features


def test_a_face_classifier_judges_nothing_that_it_had_no_label_of(tmp_path: Path) -> None:
    file = save_classifier(tmp_path)
    content = torch.load(file, weights_only=True)
    torch.save({**content, "labelled_attributes": ["Bald", "Smiling"]}, file)
    judge = FaceJudge(str(file))
    judge.load()
    assert judge.names == ["Smiling", "Bald"] or judge.names == ["Bald", "Smiling"]
    pictures = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    assert judge(pictures).shape == (2, 2)
    with pytest.raises(CheckpointError, match="FaceJudge knows no Eyeglasses; it knows"):
        judge.columns(["Eyeglasses"])
    with pytest.raises(CheckpointError, match="knows no Smilling; nearest: Smiling"):
        judge.columns(["Smilling"])


def test_a_network_of_timm_needs_weights_of_its_own(faces: Path, tmp_path: Path) -> None:
    weights = str(tmp_path / "weights.safetensors")
    torch.manual_seed(0)
    save_file(timm.create_model("test_resnet").state_dict(), weights)
    made, training = (str(faces / "made"),), str(faces / "training")
    embedder: Embedder = TimmEmbedder("test_resnet", weights, 32)
    (found,) = measure(MeasureSettings(generated=made, training=training, embedder=[embedder]), write=False)
    assert found.pairs["TimmEmbedder test_resnet"].nearest[:COPIES] == list(range(COPIES))
    embedder = TimmEmbedder("resnet18", weights, 32)
    with pytest.raises(CheckpointError, match="resnet18"):
        measure(MeasureSettings(generated=made, training=training, embedder=[embedder]), write=False)


@pytest.mark.slow
def test_shares_of_a_hundred_folders(tmp_path: Path) -> None:
    """Each of 100 drawn faces, three in ten with sunglasses, known by a list."""
    lines = ["file,Sunglasses"]
    for repeat in range(100):
        pictures, shown = draw_faces(100, 1000 + repeat, share=0.3)
        save_faces(tmp_path / f"made{repeat}", pictures)
        lines += [f"made{repeat}/{row:05d}.png,{int(one)}" for row, one in enumerate(shown)]
    save_faces(tmp_path / "training", draw_faces(20, 0)[0])
    (tmp_path / "faces.csv").write_text("\n".join(lines) + "\n")
    settings = MeasureSettings(
        generated=tuple(str(tmp_path / f"made{repeat}") for repeat in range(100)), training=str(tmp_path / "training"),
        attributes=str(tmp_path / "faces.csv"), classes=["Sunglasses"],
    )  # fmt: skip
    shares = [one.number("share", "Sunglasses") for one in measure(settings, write=False)]
    assert sum(share.low <= 0.3 <= share.high for share in shares if share) >= 90
