"""The face generator: it counts in validate, makes faces in predict, and carries everything in its checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch

from datamodules.common.errors import CheckpointError, ConfigurationError
from datamodules.face_attributes.datamodule import FaceAttributeDataModule
from datamodules.face_attributes.request_datamodule import AttributeRequestDataModule
from datamodules.faces.lists.people import overlap
from datamodules.faces.renderer.settings import FaceDemoSettings
from datamodules.faces.schema import AttributeSchema
from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier
from lightning_modules.face_attributes.classifier.vgg import VGGSettings
from lightning_modules.face_attributes.generator.module import AttributeFaceGenerator
from lightning_modules.face_attributes.generator.settings import GeneratorSettings, resolve_preset
from lightning_modules.face_attributes.inversion.settings import PAPER, InversionSettings
from lightning_modules.face_attributes.statistics.label_columns import draw_equal_sets
from tests.running import quiet_trainer

SIDE = 32
# The last is never drawn.
NAMES = ("Smiling", "Eyeglasses", "Blond Hair", "Black Hair", "Wearing Hat", "Color Photo", "Male")
DEMO = FaceDemoSettings(seed=100, train=90, val=12, test=12, fresh=False)
QUICK = InversionSettings(steps=4, components=12, strip=2)


def schema() -> dict[str, Any]:
    heads = [{"name": name, "kind": "binary", "attributes": [name]} for name in NAMES if not name.endswith("Hair")]
    hair = {"name": "hair_colour", "kind": "exclusive", "attributes": ["Blond Hair", "Black Hair"]}
    return AttributeSchema.from_plain({"attributes": list(NAMES), "heads": [*heads, hair]}).plain()


def data(**options: Any) -> FaceAttributeDataModule:
    settings = {"attribute_schema": schema(), "image_size": SIDE, "demo": DEMO, "batch_size": 32, "num_workers": 0}
    return FaceAttributeDataModule(**{"validate_on": "train", **settings, **options})


def trainer(folder: Path) -> L.Trainer:
    return quiet_trainer(folder, use_distributed_sampler=False)


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoint of a small classifier with random weights."""
    file = tmp_path_factory.mktemp("classifier") / "classifier.ckpt"
    L.seed_everything(0, verbose=False)
    vgg = {"widths": [8, 12], "depths": [1, 1], "fully": [16], "norm": True}
    module = FaceAttributeClassifier(attribute_schema=schema(), image_size=SIDE, backbone="small_vgg", vgg=vgg)  # type: ignore[arg-type]  # as a configuration file gives it
    run = trainer(file.parent)
    run.strategy.connect(module)
    run.save_checkpoint(file)
    return file


@pytest.fixture(scope="module")
def collected(classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    """Folder of a pass over the faces, and what it logged."""
    folder = tmp_path_factory.mktemp("statistics")
    generator = AttributeFaceGenerator(classifier_weights=str(classifier), kept=40, inversion=QUICK)
    (measures,) = trainer(folder).validate(generator, datamodule=data(), verbose=False)
    return folder, dict(measures)


def rebuilt(folder: Path, **options: Any) -> AttributeFaceGenerator:
    """As the command line does: from hyper-parameters of the checkpoint alone, with others where they are free."""
    saved = torch.load(folder / "generator.ckpt", weights_only=True)["hyper_parameters"]
    arguments = {name: value for name, value in saved.items() if not name.startswith("_")}
    return AttributeFaceGenerator(**{**arguments, **options})


def predicted(folder: Path, requests: AttributeRequestDataModule, **options: Any) -> list[dict[str, Any]]:
    checkpoint = str(folder / "generator.ckpt")
    found = trainer(folder).predict(
        rebuilt(folder, **options), datamodule=requests, ckpt_path=checkpoint, weights_only=True
    )
    assert found is not None
    return found  # type: ignore[return-value]  # one data loader: a list of batches


def requests(**options: Any) -> AttributeRequestDataModule:
    return AttributeRequestDataModule(attribute_schema=schema(), image_size=SIDE, demo=DEMO, **options)


def test_counting_writes_statistics_and_a_checkpoint_of_everything(collected: tuple[Path, dict[str, float]]) -> None:
    folder, measures = collected
    assert (folder / "statistics.safetensors").is_file()
    saved = torch.load(folder / "generator.ckpt", weights_only=True)
    assert saved["hyper_parameters"]["_class_path"] == "lightning_modules.AttributeFaceGenerator"
    assert not any("weights" in name for name in saved["hyper_parameters"])
    keys = list(saved["state_dict"])
    assert len(keys) == len({key.removeprefix("network.") for key in keys})
    assert measures["val/faces"] == 90
    for layer in ("conv2_1", "fc6"):
        assert 0 < measures[f"val/{layer}/explained"] < 1
        assert measures[f"val/{layer}/weight_min"] < measures[f"val/{layer}/weight_max"]


def test_faces_from_the_checkpoint_alone(collected: tuple[Path, dict[str, float]]) -> None:
    folder, _ = collected
    (found,) = predicted(folder, requests(attributes="Smiling, no Eyeglasses", count=3))
    assert found["image"].shape == (3, 3, SIDE, SIDE)
    assert found["image"].dtype == torch.uint8
    assert found["history"].shape == (4, 3)
    assert found["strip"].shape == (3, 2, 3, SIDE, SIDE)
    assert found["opinion"].shape == (3, len(NAMES))
    assert found["mode"] == "regression"
    assert set(found["target_errors"]) == set(found["target_distances"]) == {"conv2_1", "fc6"}
    assert "psnr" not in found


@pytest.mark.parametrize(
    "mode",
    ["mean", "paper", "paper_equal", "centred", "product", "sample", "nearest", "class_visualisation", "heads",
     "mean_face", "pixel_regression", "reconstruct"],
)  # fmt: skip
def test_every_mode(mode: str, collected: tuple[Path, dict[str, float]]) -> None:
    (found,) = predicted(collected[0], requests(requests=2), mode=mode)
    assert found["image"].shape == (2, 3, SIDE, SIDE)
    assert found["similarity"].shape == found["psnr"].shape == found["ssim"].shape == (2,)
    optimised = mode not in ("mean_face", "pixel_regression")
    assert len(found["history"]) == (4 if optimised else 0)
    assert bool(found["target_distances"]) == (optimised and mode not in ("class_visualisation", "heads"))


def test_classifier_and_file_of_statistics_give_the_same_faces(
    classifier: Path, collected: tuple[Path, dict[str, float]]
) -> None:
    folder, _ = collected
    other = AttributeFaceGenerator(
        classifier_weights=str(classifier), statistics_weights=str(folder / "statistics.safetensors"), inversion=QUICK
    )
    asked = requests(attributes="Smiling", count=2)
    (found,) = trainer(folder).predict(other, datamodule=asked)  # type: ignore[misc]  # a list of one batch
    (expected,) = predicted(folder, requests(attributes="Smiling", count=2))
    assert torch.equal(found["image"], expected["image"])  # type: ignore[call-overload]  # a prediction is a mapping
    assert torch.equal(found["opinion"], expected["opinion"])  # type: ignore[call-overload]  # the same


def test_a_face_depends_on_its_request_and_seed(collected: tuple[Path, dict[str, float]]) -> None:
    options = {"mode": "sample"}
    (many,) = predicted(collected[0], requests(attributes="Smiling", count=3, seed=5), **options)
    (one,) = predicted(collected[0], requests(attributes="Smiling", count=1, seed=6), **options)
    difference = (many["image"][1].float() - one["image"][0].float()).abs()
    assert float(difference.max()) <= 3
    assert not torch.equal(many["image"][0], many["image"][1])


def test_a_request_without_a_picture_cannot_be_found_again(
    collected: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    from PIL import Image

    Image.new("RGB", (40, 40), (200, 150, 120)).save(tmp_path / "face.png")
    (tmp_path / "mixed.csv").write_text("attributes,file\nSmiling,face.png\nEyeglasses,\n")
    with pytest.raises(ConfigurationError, match="a request has none"):
        predicted(collected[0], requests(from_list=str(tmp_path / "mixed.csv")), mode="reconstruct")


def test_the_ghost_is_made_of_the_same_completed_request(collected: tuple[Path, dict[str, float]]) -> None:
    images = [
        predicted(collected[0], requests(attributes="Smiling"), mode="pixel_regression", completion=completion)[0]
        for completion in ("likely", "expected")
    ]
    assert not torch.equal(images[0]["image"], images[1]["image"])


def test_a_source_without_labels_gets_those_of_the_classifier(
    collected: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    from PIL import Image

    Image.new("RGB", (40, 40), (200, 150, 120)).save(tmp_path / "face.png")
    asked = requests(from_image=str(tmp_path / "face.png"))
    (found,) = predicted(collected[0], asked)
    said = found["attributes"]
    assert bool(((said[:, :-1] == 0) | (said[:, :-1] == 1)).all())
    assert said[:, -1].tolist() == [-1]  # no face told what that is
    assert found["similarity"].shape == (1,)
    # What a request says of the picture stands, whatever the classifier sees in it.
    column = NAMES.index("Smiling")
    for text, value in (("Smiling", 1), ("no Smiling", 0)):
        (changed,) = predicted(collected[0], requests(from_image=str(tmp_path / "face.png"), attributes=text))
        expected = said.clone()
        expected[:, column] = value
        assert torch.equal(changed["attributes"], expected)


def test_statistics_of_another_network_are_refused(
    classifier: Path, collected: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    content = torch.load(classifier, weights_only=True)
    content["state_dict"]["network.backbone.module.conv1_1.weight"] += 1
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="another network"):
        AttributeFaceGenerator(
            classifier_weights=str(tmp_path / "other.ckpt"),
            statistics_weights=str(collected[0] / "statistics.safetensors"),
        )


def test_only_layers_that_can_be_taken_are_suggested(
    classifier: Path, collected: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    statistics = str(collected[0] / "statistics.safetensors")
    with pytest.raises(CheckpointError, match="but not conv1_1: choose as layers among conv2_1, fc6, or collect"):
        AttributeFaceGenerator(
            classifier_weights=str(classifier), statistics_weights=statistics, layers=["conv1_1", "fc6"]
        )
    content = torch.load(classifier, weights_only=True)
    content["state_dict"]["network.backbone.module.fc6.weight"] += 1
    torch.save(content, tmp_path / "partly.ckpt")
    with pytest.raises(CheckpointError, match="choose as layers among conv2_1, or collect"):
        AttributeFaceGenerator(
            classifier_weights=str(tmp_path / "partly.ckpt"), statistics_weights=statistics, layers=["conv1_1"]
        )
    deeper = VGGSettings(widths=(8, 12, 12), depths=(1, 1, 1), fully=(16,), norm=True)
    module = FaceAttributeClassifier(attribute_schema=schema(), image_size=SIDE, backbone="small_vgg", vgg=deeper)
    run = trainer(tmp_path)
    run.strategy.connect(module)
    run.save_checkpoint(tmp_path / "deeper.ckpt")
    with pytest.raises(CheckpointError, match="belong to another network: they hold the layers conv2_1, fc6 but not"):
        AttributeFaceGenerator(classifier_weights=str(tmp_path / "deeper.ckpt"), statistics_weights=statistics)


def test_the_checkpoint_tells_whose_faces_were_counted(collected: tuple[Path, dict[str, float]]) -> None:
    state = torch.load(collected[0] / "generator.ckpt", weights_only=True)["FaceAttributeDataModule"]
    people = data().people("train")
    assert overlap(state["people"], people) == (len(set(people)), len(set(people)))


def test_clear_sentences(classifier: Path, collected: tuple[Path, dict[str, float]], tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="classifier_weights"):
        AttributeFaceGenerator()
    refused: list[tuple[str, dict[str, Any]]] = [
        ("32 pixels", {"image_size": 64}),
        ("other attributes", {"attribute_schema": AttributeSchema.from_file().plain()}),
        ("conv2_1", {"layers": ["conv2_2"]}),
        ("mode is 'average': write one of", {"mode": "average"}),
    ]
    for words, options in refused:
        with pytest.raises(ConfigurationError, match=words):
            AttributeFaceGenerator(classifier_weights=str(classifier), **options)
    with pytest.raises(ConfigurationError, match="no statistics"):
        _ = AttributeFaceGenerator(classifier_weights=str(classifier)).generator
    with pytest.raises(ConfigurationError, match="validate"):
        trainer(tmp_path).fit(AttributeFaceGenerator(classifier_weights=str(classifier)), datamodule=data())
    with pytest.raises(ConfigurationError, match="no statistics of the layer"):
        predicted(collected[0], requests(attributes="Smiling"), layers=["conv1_1"])
    with pytest.raises(ConfigurationError, match="a request has none"):
        predicted(collected[0], requests(attributes="Smiling"), mode="reconstruct")


def test_faces_are_looked_for_in_float32(collected: tuple[Path, dict[str, float]]) -> None:
    run = L.Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, precision="bf16-true")
    with pytest.raises(ConfigurationError, match=r"precision is bf16-true, .* set it to 32-true"):
        run.predict(rebuilt(collected[0]), datamodule=requests(attributes="Smiling"))


def test_the_paper_as_a_preset(classifier: Path) -> None:
    module = AttributeFaceGenerator("paper", classifier_weights=str(classifier))
    assert module.config.layers == ("conv2_1",)
    assert (module.config.mode, module.config.contrast, module.config.inversion) == ("paper", 1.0, PAPER)
    assert AttributeFaceGenerator("paper", classifier_weights=str(classifier), mode="centred").config.mode == "centred"


def test_sets_of_equal_size(classifier: Path, tmp_path: Path) -> None:
    generator = AttributeFaceGenerator(
        classifier_weights=str(classifier), layers=["fc6"], kept=10, equal_sets=True, equal_seed=3
    )
    trainer(tmp_path).validate(generator, datamodule=data(), verbose=False)
    assert generator.statistics is not None
    counts = generator.statistics.counts()
    assert len(set(counts[:-1].tolist())) == 1  # the last is never drawn
    assert float(counts[0]) < 45


def test_sets_of_equal_size_of_the_split_that_is_counted(classifier: Path, tmp_path: Path) -> None:
    faces = data(validate_on="val", demo=FaceDemoSettings(seed=100, train=60, val=60, test=12, fresh=False))
    generator = AttributeFaceGenerator(classifier_weights=str(classifier), layers=["fc6"], kept=10, equal_sets=True)
    trainer(tmp_path).validate(generator, datamodule=faces, verbose=False)
    assert generator.statistics is not None
    sets = draw_equal_sets(faces.label_table("val").attributes, seed=0)
    assert generator.statistics.counts()[:-1].tolist() == sets.sum(0)[:-1].tolist()


def test_reconstruction_by_layer_of_faces_and_of_sources(collected: tuple[Path, dict[str, float]]) -> None:
    folder, _ = collected
    for asked in (requests(requests=2), None):
        checkpoint = str(folder / "generator.ckpt")
        batches = asked or data(validate_on="val", batch_size=2)
        layers = ["conv1_1", "conv2_1", "fc6"]  # the first was not counted
        module = rebuilt(folder, mode="reconstruct", layers=layers)
        if asked is None:
            batches.setup("test")
            (face,) = [batch for number, batch in enumerate(batches.test_dataloader()) if number == 0]
            module.on_load_checkpoint(torch.load(checkpoint, weights_only=True))
            found = module.predict_step(face, 0)
        else:
            (found,) = predicted(folder, asked, mode="reconstruct", layers=layers)
        assert list(found["layers"]) == layers
        assert set(found["target_distances"]) == {"conv2_1", "fc6"}
        assert found["layers"]["fc6"]["psnr"].shape == (2,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"preset": "best"}, "no preset 'best'; choose one of default, paper"),
        ({"contrast": -1.0}, "contrast is -1"),
        ({"ridge": -0.5}, "ridge -0.5"),
    ],
)
def test_presets_that_cannot_be(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        resolve_preset(GeneratorSettings(**options), ["conv1_1", "relu1_1", "fc6"])
