"""FaceAttributeClassifier: training, presets, freezing, checkpoints, evaluation, prediction."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
import yaml
from torch import Tensor
from torch.utils.data import DataLoader

from datamodules.common.errors import CheckpointError, ConfigurationError
from datamodules.face_attributes.batch import FaceBatch
from datamodules.faces.schema import AttributeSchema, Head
from lightning_modules.face_attributes.classifier.layers import CutNetwork
from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier
from lightning_modules.face_attributes.classifier.settings import PRESETS
from lightning_modules.face_attributes.classifier.vgg import VGGSettings
from tests.lightning_modules.training import check_repeats, check_resume, same, trained, weights, whole_batches
from tests.running import quiet_trainer

SIDE = 16
SCHEMA = AttributeSchema(
    ("red", "bright", "dark", "never told"),
    (
        Head("red", "binary", ("red",)),
        Head("light", "exclusive", ("bright", "dark")),
        Head("unknown", "binary", ("never told",)),
    ),
)
TINY = VGGSettings((4, 8), (1, 2), (16,), norm=True)


def face_batch(number: int, size: int = 8) -> FaceBatch:
    """Faces of plain colour: red or not; bright, dark or neither."""
    generator = torch.Generator().manual_seed(number)
    red = torch.randint(0, 2, (size,), generator=generator)
    light = torch.randint(0, 3, (size,), generator=generator)
    colour = torch.stack([40 + 60 * light + 60 * red, 40 + 60 * light, 40 + 60 * light], dim=1)
    noise = torch.randint(0, 30, (size, 3, SIDE, SIDE), generator=generator)
    labels = torch.stack([red, light == 2, light == 0, torch.full_like(red, -1)], dim=1)
    return {
        "image": (noise + colour[:, :, None, None]).to(torch.uint8),
        "attributes": labels.to(torch.int8),
        "index": torch.arange(size) + number * size,
        "valid": torch.arange(size) != size - 1,
        "file": [f"{row}.png" for row in range(size)],
        "identity": [""] * size,
    }


BATCHES = [face_batch(number) for number in range(6)]


class Faces(L.LightningDataModule):
    """Batches as a data module with a table of labels."""

    def __init__(self, batches: Sequence[FaceBatch] = BATCHES) -> None:
        super().__init__()
        self.batches = batches

    def train_dataloader(self) -> DataLoader[Any]:
        return whole_batches(*self.batches)

    val_dataloader = test_dataloader = predict_dataloader = train_dataloader

    def label_table(self, split: str) -> tuple[Tensor, list[str], list[str]]:
        assert split == "train"
        return torch.cat([batch["attributes"] for batch in BATCHES]), [], []


def build(**options: Any) -> FaceAttributeClassifier:
    torch.manual_seed(0)
    arguments = {
        "attribute_schema": SCHEMA.plain(),
        "image_size": SIDE,
        "backbone": "small_vgg",
        "vgg": TINY,
        "dropout": 0.1,
        "learning_rate": 1e-2,
    }
    return FaceAttributeClassifier(**{**arguments, **options})


@pytest.fixture
def trainer(tmp_path: Path) -> Iterator[Any]:
    def make(**options: Any) -> L.Trainer:
        return quiet_trainer(tmp_path, **{"max_epochs": 1, **options})

    return make


# Training and evaluation.


def test_it_learns_and_logs(trainer: Any) -> None:
    module, run, data = build(), trainer(max_epochs=8), Faces()
    run.fit(module, data)
    names = {"loss", "accuracy", "balanced_accuracy", "average_precision", "head_accuracy", "attributes_over_90"}
    assert set(run.callback_metrics) == {"train/loss", "train/accuracy"} | {f"val/{name}" for name in names}
    validated = float(run.callback_metrics["val/balanced_accuracy"])
    assert validated > 0.95
    tested = run.test(module, data, verbose=False)[0]
    assert tested["test/balanced_accuracy"] == pytest.approx(validated)
    assert tested["test/attributes_over_90"] == 3
    table = module.test_metrics.table()
    assert [row.name for row in table] == list(SCHEMA.attributes)
    assert (table[3].present, table[3].missing) == (0, 42)  # padding is left out
    assert [row.name for row in module.test_metrics.head_table()] == ["red", "light", "unknown"]


def test_attributes_without_a_label_stay_open_in_predictions(trainer: Any, tmp_path: Path) -> None:
    module, run, data, path = build(), trainer(), Faces(), tmp_path / "told.ckpt"
    run.fit(module, data)
    assert module.labelled == {"red", "bright", "dark"}
    run.save_checkpoint(path)
    answers = run.predict(build(), data, ckpt_path=str(path))[0]
    assert torch.equal(answers["decision"][:, 3], torch.full((8,), -1))
    assert answers["probability"][:, 3].isnan().all()
    assert not answers["probability"][:, :3].isnan().any()
    assert (answers["decision"][:, :3] >= 0).all()
    # heads that are taken over bring what they were told, heads that begin anew do not
    assert build(weights=str(path)).labelled == {"red", "bright", "dark"}
    assert build(weights=str(path), layout="softmax").labelled is None


def test_a_checkpoint_that_does_not_say_what_was_labelled_answers_all(trainer: Any, tmp_path: Path) -> None:
    module, run, data, path = build(), trainer(), Faces(), tmp_path / "old.ckpt"
    run.fit(module, data)
    module.labelled = None
    run.save_checkpoint(path)
    assert "labelled_attributes" not in torch.load(path, weights_only=True)
    assert not run.predict(build(), data, ckpt_path=str(path))[0]["probability"].isnan().any()
    begun = build(weights=str(path))
    run.fit(begun, data)
    assert begun.labelled is None


def test_same_seed_gives_the_same_weights(trainer: Any) -> None:
    check_repeats(lambda: build(dropout=0.5), trainer, Faces())


def test_steps_hand_on_what_callbacks_need() -> None:
    module, batch = build().eval(), face_batch(0)
    step = module.test_step(batch, 0)
    assert {name: tuple(value.shape) for name, value in step.items()} == {
        "logits": (8, 5),
        "probability": (8, 4),
        "decision": (8, 4),
        "features": (8, 16),
        "attributes": (8, 4),
        "index": (8,),
        "valid": (8,),
    }
    predicted = module.predict_step(batch, 0)
    assert set(predicted) == {"probability", "decision", "index", "valid"}
    assert predicted["decision"].dtype == torch.int8
    assert torch.equal(predicted["probability"], step["probability"])
    assert torch.equal(module(batch["image"]), step["logits"])


def test_missing_labels_change_nothing() -> None:
    batch = face_batch(0)
    known = build().eval().face_losses(build().eval()(batch["image"]), batch)
    module = build().eval()
    batch["attributes"] = torch.full_like(batch["attributes"], -1)
    losses = module.face_losses(module(batch["image"]), batch)
    assert torch.equal(losses, torch.zeros(8))
    assert bool((known > 0).all())


def test_balanced_weights_come_from_the_labels_of_the_data(trainer: Any) -> None:
    module = build(class_weighting="balanced")
    trainer().fit(module, Faces())
    assert not torch.equal(module.absent_weight, torch.ones(5))
    with pytest.raises(ConfigurationError, match="give a data module with label_table"):
        trainer().fit(build(class_weighting="balanced"), whole_batches(*BATCHES))


def test_the_mean_image_is_that_of_the_training_faces(trainer: Any, tmp_path: Path) -> None:
    module, run = build(mean="image", preprocessing="vgg_face"), trainer()
    run.fit(module, Faces())
    images = torch.cat([batch["image"][:-1] for batch in BATCHES])
    torch.testing.assert_close(module.preprocess.mean, images.float().mean(dim=0))
    run.save_checkpoint(tmp_path / "mean.ckpt")
    loaded = FaceAttributeClassifier.load_from_checkpoint(tmp_path / "mean.ckpt", weights_only=True)
    assert torch.equal(loaded.preprocess.mean, module.preprocess.mean)
    with pytest.raises(ConfigurationError, match="no data module to take the mean of"):
        trainer().fit(build(mean="image"), whole_batches(*BATCHES))


# Presets, optimisers, freezing.


def test_the_paper_is_the_paper(trainer: Any) -> None:
    shape = VGGSettings((4, 4, 4, 4, 8), (1, 1, 1, 1, 2), (16, 16))
    module = build(preset="paper", vgg=shape, image_size=32, backbone="vgg16", dropout=None, learning_rate=None)
    module.trainer = trainer()
    optimizer = module.configure_optimizers()
    assert isinstance(optimizer, torch.optim.SGD)
    group = optimizer.param_groups[0]
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (5e-6, 0.9, 5e-4)
    drops = [part for part in module.modules() if isinstance(part, torch.nn.Dropout) and part.p > 0]
    assert len(drops) == 8
    assert module.network.heads.num_logits == 7
    learning = {
        name.split(".")[3] for name, value in module.named_parameters() if value.requires_grad and "back" in name
    }
    assert learning == {"conv5_1", "conv5_2", "fc6", "fc7"}
    assert module.preprocess.has_mean_image
    assert (module.hparams["reduction"], module.hparams["schedule"]) == ("sum", "constant")


def test_explicit_arguments_win_over_the_preset() -> None:
    module = build(
        preset="paper", backbone="small_vgg", freeze_below="fc6", layout="by_kind", labelling="legacy_random"
    )
    assert module.config.freeze_below == "fc6"
    assert module.hparams["layout"] == "by_kind"
    assert module.hparams["weight_decay"] == PRESETS["paper"].weight_decay
    with pytest.raises(ConfigurationError, match="no preset 'papre'"):
        build(preset="papre")
    with pytest.raises(ConfigurationError, match=r"dropout is 1\.5, but must be in 0\.\.0\.99"):
        build(dropout=1.5)
    with pytest.raises(ConfigurationError, match="no backbone 'vgg17'"):
        build(backbone="vgg17", vgg=None)


@pytest.mark.parametrize("schedule", ["cosine", "constant"])
@pytest.mark.parametrize("own", [False, True])
def test_rates_fall_towards_the_image(schedule: str, own: bool, trainer: Any) -> None:
    optimizer = (lambda parameters: torch.optim.SGD(parameters, lr=0.5)) if own else None
    module = build(layer_decay=0.5, schedule=schedule, optimizer=optimizer)
    run = trainer()
    run.fit(module, Faces())
    rates = [group.get("initial_lr", group["lr"]) for group in run.optimizers[0].param_groups]
    assert rates == pytest.approx([(0.5 if own else 1e-2) * 0.5**steps for steps in range(5)])


def test_what_is_frozen_stays_and_a_warning_tells_of_random_weights(
    trainer: Any, caplog: pytest.LogCaptureFixture
) -> None:
    module = build(freeze_below="fc6")
    before = weights(module.network.backbone)
    with caplog.at_level(logging.WARNING), warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        trainer().fit(module, Faces())
    assert not [warning for warning in seen if "in eval mode" in str(warning.message)]  # that is meant
    after = weights(module.network.backbone)
    moved = {name.split(".")[1] for name in after if not torch.equal(after[name], before[name])}
    assert moved == {"fc6", "norm6"}
    assert "frozen below fc6 with random weights" in caplog.text


def test_a_timm_network_takes_its_own_normalisation(trainer: Any) -> None:
    module = build(backbone="test_resnet", vgg=None, image_size=32, freeze_below="layer4")
    assert module.hparams["preprocessing"] == "backbone"
    trainer().fit(module, Faces())
    assert module.network.num_features == 96
    with pytest.raises(ConfigurationError, match="shape a VGG, but the backbone is test_resnet"):
        build(backbone="test_resnet")


# Checkpoints.


def test_a_checkpoint_needs_no_other_file(trainer: Any, tmp_path: Path) -> None:
    torch.save(build().network.backbone.module.state_dict(), tmp_path / "vgg.pth")
    module = build(backbone_weights=str(tmp_path / "vgg.pth"), freeze_below="conv2_2")
    path = trained(module, trainer(), tmp_path / "model.ckpt", Faces())
    (tmp_path / "vgg.pth").unlink()
    loaded = FaceAttributeClassifier.load_from_checkpoint(path, weights_only=True)
    assert loaded.schema == SCHEMA
    assert loaded.hparams["_class_path"] == "lightning_modules.FaceAttributeClassifier"
    image = face_batch(3)["image"]
    assert torch.equal(loaded.eval()(image), module.eval()(image))
    cut = CutNetwork(loaded.network, ["conv2_1", "fc6"])
    assert set(cut(loaded.preprocess(image))) == {"conv2_1", "fc6"}


def test_each_micro_batch_draws_its_own_noise(check_noise: Callable[..., None]) -> None:
    check_noise(lambda **options: build(dropout=0.5, **options), Faces([face_batch(0)] * 4))


def test_a_resumed_run_ends_at_the_same_weights(trainer: Any, tmp_path: Path) -> None:
    check_resume(lambda: build(dropout=0.5, layer_decay=0.8, mean="image"), trainer, tmp_path, Faces())


@pytest.mark.parametrize("shape", [TINY, None])
def test_what_a_checkpoint_keeps_survives_yaml_and_json(shape: VGGSettings | None) -> None:
    kept = dict(build(vgg=shape).hparams)
    assert yaml.safe_load(yaml.safe_dump(kept)) == kept
    assert json.loads(json.dumps(kept)) == kept


def test_the_shape_of_a_vgg_comes_back_from_lists_and_from_tuples() -> None:
    module = build()
    plain = {"widths": [4, 8], "depths": [1, 2], "fully": [16], "norm": True}
    assert module.hparams["vgg"] == plain
    for given in (plain, asdict(TINY)):  # tuples: as checkpoints were written before
        again = build(vgg=given)
        assert again.network.backbone.module.settings == TINY
        assert again.hparams["vgg"] == plain
        again.load_state_dict(module.state_dict())


def test_beginning_from_another_classifier(trainer: Any, tmp_path: Path) -> None:
    module = build()
    path = trained(module, trainer(), tmp_path / "first.ckpt", Faces())
    again = build(weights=path)
    assert same(weights(again), weights(module))
    other_schema = AttributeSchema(("red",), (Head("red", "binary", ("red",)),)).plain()
    other = build(weights=path, attribute_schema=other_schema)
    assert same(weights(other.network.backbone), weights(module.network.backbone))
    assert other.network.heads.num_logits == 1
    with pytest.raises(CheckpointError, match=r"trained with image_size \d+, not 32: set .*data.init_args.image_size"):
        build(weights=path, image_size=32)
    with pytest.raises(CheckpointError, match="There is no checkpoint at"):
        build(weights=str(tmp_path / "none.ckpt"))
