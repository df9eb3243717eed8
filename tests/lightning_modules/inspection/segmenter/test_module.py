"""MentoringSegmenter: training, resuming, checkpoints, the fixes, evaluation."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from datamodules.common.errors import CheckpointError, ConfigurationError
from datamodules.inspection.batch import InspectionBatch
from lightning_modules.inspection.measures.stage import DomainMetrics
from lightning_modules.inspection.segmenter.module import MentoringSegmenter
from tests.lightning_modules.training import check_repeats, check_resume, same, weights, whole_batches
from tests.running import quiet_trainer

Batch = Callable[..., InspectionBatch]
SMALLEST: dict[str, Any] = {"class_names": ["dent", "scratch"], "backbone": "small", "width": 4}


def labelled(make: Batch, seed: int = 0, **options: Any) -> Any:
    """Labelled images, half of them new."""
    batch: Any = {name: value[:8] for name, value in make(16, 64, seed=seed, **options).items()}
    batch["domain"] = torch.arange(8) // 4
    return batch


@pytest.fixture
def loaders(random_batch: Batch) -> tuple[DataLoader[Any], DataLoader[Any]]:
    train = whole_batches(*(random_batch(8, 64, seed=number) for number in range(6)))
    return train, whole_batches(labelled(random_batch, 100), labelled(random_batch, 101))


def trainer(folder: Path, **options: Any) -> L.Trainer:
    return quiet_trainer(folder, **{"max_epochs": 1, **options})


def build(**options: Any) -> MentoringSegmenter:
    L.seed_everything(3)
    return MentoringSegmenter(**(SMALLEST | options))


def saved(folder: Path, name: str = "baseline.ckpt", **options: Any) -> tuple[MentoringSegmenter, Path]:
    """A checkpoint of an untrained module."""
    module = build(**options)
    with torch.no_grad():
        module.network.head.weight.normal_()  # type: ignore[union-attr, operator]  # a convolution
    run = trainer(folder)
    run.strategy.connect(module)
    run.save_checkpoint(folder / name)
    return module, folder / name


# Training.


def test_it_learns_from_labels_and_answers(tmp_path: Path, loaders: Any) -> None:
    module = build(width=12, learning_rate=1e-2)
    run = trainer(tmp_path, max_epochs=6)
    run.fit(module, *loaders)
    values = run.callback_metrics
    assert values["val/map_original"] > 0.9
    assert values["val/map_new"] > 0.9
    names = {name.removeprefix("train/") for name in values if name.startswith("train/")}
    assert names == {"loss", "supervised_loss", "weak_loss", "answered_areas", "assumed_areas"}
    assert values["train/answered_areas"] == 6.0  # four confirmed, two rejected in each batch
    assert values["train/assumed_areas"] == 0


def test_every_fix_at_once(tmp_path: Path, loaders: Any) -> None:
    _, baseline = saved(tmp_path)
    module = build(
        omnia_epsilon=0.01, healthy_knowledge=True, domain_weight=0.1, distillation_weight=0.5, weights=str(baseline),
        baseline_weights=str(baseline), area_average="split", mask_unit="area_class", dropout=0.1,
    )  # fmt: skip
    teacher = weights(module, "teacher.")
    run = trainer(tmp_path)
    run.fit(module, *loaders)
    values = run.callback_metrics
    names = {"domain_loss", "domain_accuracy", "domain_strength", "proxy_a_distance", "distillation_loss"}
    assert {f"train/{name}" for name in names} <= values.keys()
    assert values["train/assumed_areas"] > 0
    assert same(weights(module, "teacher."), teacher)
    assert module.teacher is not None
    assert not module.teacher.training


def test_same_seed_gives_the_same_weights(tmp_path: Path, loaders: Any) -> None:
    check_repeats(lambda: build(domain_weight=0.1, dropout=0.2), partial(trainer, tmp_path), *loaders)


class _Strengths(L.Callback):
    """Keeps the strength of the reversal at each step."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.seen.append(pl_module.domain_strength())


@pytest.mark.parametrize("schedule", ["ganin", "linear", "constant"])
def test_a_resumed_run_has_the_same_strength_and_weights(tmp_path: Path, loaders: Any, schedule: str) -> None:
    make = partial(build, domain_weight=0.1, domain_schedule=schedule, dropout=0.2)
    watching = check_resume(make, partial(trainer, tmp_path), tmp_path, *loaders, callback=_Strengths)
    whole, first, second = (strengths.seen for strengths in watching)
    assert first + second == whole
    assert len(whole) == 12
    assert whole[0] == (1.0 if schedule == "constant" else 0.0)


def test_each_micro_batch_draws_its_own_noise(check_noise: Callable[..., None], random_batch: Batch) -> None:
    check_noise(partial(build, dropout=0.5), whole_batches(*[random_batch(8, 64, seed=0)] * 4))


def test_endless_training_has_no_progress(tmp_path: Path, loaders: Any) -> None:
    class Stop(L.Callback):
        def on_train_batch_end(self, trainer: L.Trainer, *_: Any) -> None:
            trainer.should_stop = True

    run = trainer(tmp_path, max_epochs=-1, callbacks=[Stop()])
    module = build(domain_weight=0.1, scheduler=lambda optimizer: torch.optim.lr_scheduler.ConstantLR(optimizer))
    with pytest.raises(ConfigurationError, match="max_epochs"):
        run.fit(module, *loaders)


def test_the_domain_segmenter_exists_only_when_it_is_on() -> None:
    assert build().domain_segmenter is None
    assert not weights(build(), "domain_segmenter.")
    assert weights(build(domain_weight=0.1), "domain_segmenter.")


def test_weak_weight_is_lambda_of_equation_3(random_batch: Batch) -> None:
    batch = random_batch(8, 64)
    values = build(weak_weight=0.3).losses(batch, 0.0)
    torch.testing.assert_close(values["loss"], values["supervised_loss"] + 0.3 * values["weak_loss"])


# Checkpoints and other weights.


def test_checkpoint_rebuilds_the_module_without_any_other_file(tmp_path: Path, random_batch: Batch) -> None:
    _, baseline = saved(tmp_path)
    options = {"weights": str(baseline), "baseline_weights": str(baseline), "pretrained": False}
    module, path = saved(tmp_path, "new.ckpt", domain_weight=0.1, distillation_weight=0.2, threshold=0.7, **options)
    module.thresholds.fill_(0.25)
    run = trainer(tmp_path)
    run.strategy.connect(module)
    run.save_checkpoint(path)
    baseline.unlink()
    content = torch.load(path, weights_only=True)  # plain values only
    arguments = dict(content["hyper_parameters"])
    assert arguments.pop("_class_path") == "lightning_modules.MentoringSegmenter"
    assert "threshold" in arguments.pop("_free")
    assert not [name for name in arguments if name.endswith("weights") or name == "optimizer"]
    rebuilt = MentoringSegmenter(**arguments)
    rebuilt.load_state_dict(content["state_dict"])
    assert same(weights(rebuilt), weights(module))
    assert rebuilt.thresholds.tolist() == [0.25, 0.25]
    assert rebuilt.applied_thresholds().tolist() == pytest.approx([0.7, 0.7])
    image = random_batch(2, 64)["image"]
    assert torch.equal(rebuilt.eval()(image).logits, module.eval()(image).logits)


def test_transfer_takes_all_weights_and_may_add_a_domain_segmenter(tmp_path: Path) -> None:
    old, path = saved(tmp_path)
    new = build(weights=str(path), domain_weight=0.1)
    assert same(weights(new, "network."), weights(old, "network."))
    assert weights(new, "domain_segmenter.")
    with_domain, path = saved(tmp_path, "domain.ckpt", domain_weight=0.1)
    assert same(
        weights(build(weights=str(path), domain_weight=0.2), "domain_segmenter."),
        weights(with_domain, "domain_segmenter."),
    )
    assert build(weights=str(path)).domain_segmenter is None  # the other way round it is left out


@pytest.mark.parametrize("argument", ["weights", "baseline_weights"])
def test_weights_that_do_not_fit(tmp_path: Path, argument: str) -> None:
    _, path = saved(tmp_path)
    distils = {"distillation_weight": 0.1} if argument == "baseline_weights" else {}
    with pytest.raises(ConfigurationError, match=r"\['dent', 'scratch'\].*\['dent', 'hole'\]"):
        build(class_names=["dent", "hole"], **{argument: str(path)}, **distils)
    with pytest.raises(CheckpointError, match="of another shape"):
        build(width=8, **{argument: str(path)}, **distils)
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        build(**{argument: str(tmp_path / "none.ckpt")}, **distils)
    content = torch.load(path, weights_only=True)
    content["hyper_parameters"]["_class_path"] = "lightning_modules.KSVQE"
    torch.save(content, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match=r"written by lightning_modules\.KSVQE"):
        build(**{argument: str(tmp_path / "other.ckpt")}, **distils)


def test_distillation_without_a_teacher(tmp_path: Path, loaders: Any) -> None:
    with pytest.raises(ConfigurationError, match="baseline_weights"):
        trainer(tmp_path).fit(build(distillation_weight=0.1), *loaders)


def test_pretrained_weights_are_fetched_when_training_begins(
    tmp_path: Path, loaders: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched: list[str] = []
    monkeypatch.setattr(
        "lightning_modules.inspection.mentoring.download_backbone", lambda backbone, name: fetched.append(name)
    )
    module = build(pretrained=True)
    assert not fetched
    run = trainer(tmp_path, max_epochs=1, limit_train_batches=1)
    run.fit(module, *loaders)
    assert fetched == ["small"]
    run.save_checkpoint(tmp_path / "a.ckpt")
    trainer(tmp_path, max_epochs=1).fit(
        build(pretrained=True), *loaders, ckpt_path=str(tmp_path / "a.ckpt"), weights_only=True
    )
    assert fetched == ["small"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"class_names": None}, "class_names"),
        ({"class_names": ["a", "a"]}, "class_names"),
        ({"coverage": 0.0}, "coverage is 0"),
        ({"omnia_epsilon": 2.0}, "omnia_epsilon is 2"),
        ({"weak_weight": -1.0}, "weak_weight is -1"),
        ({"mc_samples": 3}, "dropout is 0"),
        ({"baseline_weights": "a.ckpt"}, "distillation_weight above 0"),
        ({"backbone": "resnet81"}, "resnet18"),
        ({"tile_size": 100}, "multiple of the stride"),
        ({"tile_size": 64, "tile_overlap": 64}, "smaller than tile_size"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        build(**options)


# Evaluation.


def test_validation_tunes_thresholds_and_names_both_domains(tmp_path: Path, loaders: Any) -> None:
    module = build(threshold_rule="recall", recall_floor=1.0)
    run = trainer(tmp_path)
    run.validate(module, loaders[1], verbose=False)
    keys = {f"val/{name}_{domain}" for domain in ("original", "new") for name in
            ("map", "precision", "recall", "precision_tuned", "recall_tuned")}  # fmt: skip
    assert set(run.callback_metrics) == keys
    assert run.callback_metrics["val/recall_tuned_new"] == 1.0  # the floor
    assert module.thresholds.max() < 0.5  # nothing was learnt yet, so every score is low


def test_thresholds_are_tuned_on_the_new_domain_only_after_training_on_it(
    tmp_path: Path, random_batch: Batch, monkeypatch: pytest.MonkeyPatch
) -> None:
    preferred: list[bool] = []
    monkeypatch.setattr(
        DomainMetrics, "best_thresholds", lambda self, tuning, *, prefer_new: preferred.append(prefer_new)
    )
    old = random_batch(8, 64)
    old["domain"][:] = 0
    val = whole_batches(labelled(random_batch))
    module, run = build(domain_weight=0.1), trainer(tmp_path, num_sanity_val_steps=0)
    run.fit(module, whole_batches(old), val)
    run.save_checkpoint(tmp_path / "old.ckpt")
    mentored = trainer(tmp_path, num_sanity_val_steps=0)
    mentored.fit(build(), whole_batches(random_batch(8, 64)), val)
    mentored.save_checkpoint(tmp_path / "new.ckpt")
    for name in ("old", "new"):
        trainer(tmp_path).validate(
            build(domain_weight=0.1 if name == "old" else 0.0), val, str(tmp_path / f"{name}.ckpt"), verbose=False,
            weights_only=True,
        )  # fmt: skip
    assert preferred == [False, True, False, True]


def test_one_domain_alone_is_warned_of(tmp_path: Path, random_batch: Batch, caplog: pytest.LogCaptureFixture) -> None:
    old = random_batch(8, 64)
    old["domain"][:] = 0
    trainer(tmp_path).fit(build(domain_weight=0.1), whole_batches(old))
    assert "one domain alone" in caplog.text


def test_one_class(tmp_path: Path, random_batch: Batch) -> None:
    val = whole_batches(labelled(random_batch, classes=1))
    module = build(class_names=["dent"])
    run = trainer(tmp_path)
    run.validate(module, val, verbose=False)
    assert "test/ap_new/dent" in run.test(module, val, verbose=False)[0]


def test_a_domain_without_rows_logs_nothing(tmp_path: Path, random_batch: Batch) -> None:
    batch = labelled(random_batch)
    batch["domain"][:] = 0
    run = trainer(tmp_path)
    run.validate(build(), whole_batches(batch), verbose=False)
    assert {name.rpartition("_")[2] for name in run.callback_metrics} == {"original"}


def test_test_measures_images_and_boxes_too(tmp_path: Path, loaders: Any) -> None:
    module = build(width=12, learning_rate=1e-2)
    run = trainer(tmp_path, max_epochs=6)
    run.fit(module, *loaders)
    found = run.test(module, loaders[1], verbose=False)[0]
    for name in ("map", "precision_tuned", "image_ap", "image_accuracy", "box_map_50"):
        assert found[f"test/{name}_new"] > 0.8
    assert found["test/ap_new/scratch"] > 0.8


def test_detections_lie_where_the_defects_are(tmp_path: Path, loaders: Any, random_batch: Batch) -> None:
    module = build(width=12, learning_rate=1e-2, dropout=0.1, mc_samples=4, embeddings=True)
    trainer(tmp_path, max_epochs=6).fit(module, *loaders)
    batch = random_batch(8, 64, seed=200)
    with torch.no_grad():
        prediction = module.eval().predict_step(batch, 0)
        again = module.predict_step(batch, 0)
    assert prediction["detections"][0][0].mc_dropout == again["detections"][0][0].mc_dropout
    for row in range(4):
        best = prediction["detections"][row][0]
        mask = batch["class_mask"][row]
        places = (mask == row % 2 + 1).nonzero()
        top, left, bottom, right = (*places.min(0).values.tolist(), *(places.max(0).values + 1).tolist())
        assert best.class_index == row % 2
        assert best.box == (left, top, right, bottom)
        assert best.embedding is not None
        assert best.embedding.dtype == torch.float16
        assert best.score == pytest.approx(float(prediction["image_score"][row]), abs=1e-6)
        assert prediction["score_map"][row].shape == (8, 8)
        assert float(prediction["score_map"][row].max()) == pytest.approx(best.score, abs=1e-3)
    high = [found for row in module.detect(batch, threshold=0.9) for found in row]
    assert min(found.score for found in high) >= 0.9


def test_tiles_give_what_the_whole_image_gives(random_batch: Batch) -> None:
    whole = build().eval()
    tiled = build(tile_size=128, tile_overlap=96).eval()
    tiled.load_state_dict(whole.state_dict())
    noise = torch.Generator().manual_seed(0)
    batch = random_batch(1, 32)
    batch["image"] = torch.randint(0, 256, (1, 3, 216, 200), generator=noise, dtype=torch.uint8)
    with torch.no_grad():
        expected, found = whole.cell_probabilities(batch), tiled.cell_probabilities(batch)
    assert found.shape == (1, 2, 1, 27, 25)
    inner = (..., slice(-5), slice(-5))  # beyond the image a tile sees black, the network zeros
    torch.testing.assert_close(found[inner], expected[inner], rtol=1e-4, atol=1e-6)


def test_cells_beyond_the_picture_raise_no_alarm(random_batch: Batch) -> None:
    module = build().eval()
    batch = random_batch(2, 64)
    batch["size"][:] = torch.tensor([40, 30])
    with torch.no_grad():
        module.network.head.bias.fill_(3.0)  # type: ignore[union-attr, operator]  # a convolution
        prediction = module.predict_step(batch, 0)
    assert prediction["score_map"][0].shape == (5, 4)
    batch["valid"][1] = False
    assert module.predict_step(batch, 0)["image_score"][1] == 0


@pytest.mark.parametrize("backbone", ["mobilenetv3_small_050", "resnet18"])
def test_the_teacher_says_what_the_deployed_model_says(tmp_path: Path, random_batch: Batch, backbone: str) -> None:
    """Also where batch norm and activation are one layer, as in timm's MobileNet."""
    baseline, path = saved(tmp_path, backbone=backbone)
    student = build(backbone=backbone, distillation_weight=1.0, baseline_weights=str(path)).train()
    image = random_batch(2, 64)["image"]
    assert student.teacher is not None
    with torch.no_grad():
        torch.testing.assert_close(student.teacher(image)[0], baseline.eval()(image).logits, rtol=0, atol=0)
    assert not any(parameter.requires_grad for parameter in student.teacher.parameters())


def test_mixed_precision(tmp_path: Path, loaders: Any) -> None:
    module = build(domain_weight=0.1, omnia_epsilon=0.01, dropout=0.1, mc_samples=2, embeddings=True)
    run = trainer(tmp_path, precision="bf16-mixed")
    run.fit(module, *loaders)
    assert run.callback_metrics["train/loss"].isfinite()
    module.thresholds.fill_(0.0)  # everything is a detection
    found = run.predict(module, loaders[1])
    assert found is not None
    assert found[0]["score_map"][0].dtype == torch.float16  # type: ignore[index]  # a prediction
    assert found[0]["image_score"].dtype == torch.float32  # type: ignore[index]  # likewise


def test_distillation_is_over_mentored_areas_without_an_answer(tmp_path: Path, random_batch: Batch) -> None:
    _, path = saved(tmp_path)
    student = build(distillation_weight=1.0, baseline_weights=str(path)).eval()
    batch = random_batch(4, 64)
    assert student.teacher is not None
    with torch.no_grad():
        targets = student.area_targets(batch)
        student_score = student.cell_probabilities(batch)[2:].double()
        teacher_score = student.teacher(batch["image"])[0][2:, :, None].double().sigmoid()
        unmentored = ~targets.known[2:]
        divergence = (
            teacher_score * (teacher_score / student_score).log()
            + (1 - teacher_score) * ((1 - teacher_score) / (1 - student_score)).log()
        )
        found = student.losses(batch, 0.0)["distillation_loss"]
    torch.testing.assert_close(found.double(), divergence[unmentored].mean(), rtol=1e-4, atol=1e-7)
    assert found > 1e-3


def test_load_from_checkpoint(tmp_path: Path, random_batch: Batch) -> None:
    module, path = saved(tmp_path, domain_weight=0.1)
    loaded = MentoringSegmenter.load_from_checkpoint(path, weights_only=True)
    assert same(weights(loaded), weights(module))
