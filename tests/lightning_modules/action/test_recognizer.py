"""FrameAveragingActionRecognizer: training, schedules, checkpoints, evaluation, prediction, cached features."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch.utils.data import DataLoader

from datamodules.action.batch import ActionBatch, StreamBatch
from datamodules.common.errors import CheckpointError, ConfigurationError
from lightning_modules.action.losses import l1_norm
from lightning_modules.action.module import FrameAveragingActionRecognizer
from tests.lightning_modules.training import check_repeats, check_resume, same, trained, weights, whole_batches

Build = Callable[..., FrameAveragingActionRecognizer]
MakeTrainer = Callable[..., L.Trainer]
Loader = DataLoader[Any]


class Rates(L.Callback):
    """Keeps the learning rate of each step."""

    def __init__(self) -> None:
        self.seen: list[float] = []

    def on_train_batch_start(self, trainer: L.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        self.seen.append(trainer.optimizers[0].param_groups[0]["lr"])


# Training.


def test_it_learns_and_logs(build: Build, trainer: MakeTrainer, loader: Loader) -> None:
    module = build(optimizer_name="adamw", learning_rate=3e-3, dropout=0.1)
    run = trainer(max_epochs=6)
    run.fit(module, loader, loader)
    values = run.callback_metrics
    train = {f"train/{name}" for name in ("loss", "accuracy", "l1", "sparsity")}
    val = {f"val/{name}" for name in ("loss", "accuracy", "balanced_accuracy", "video_accuracy")}
    assert set(values) == train | val
    assert values["val/accuracy"] == 1
    assert values["val/video_accuracy"] == 1
    tested = run.test(module, loader, verbose=False)[0]
    assert tested["test/accuracy"] == 1
    assert tested["test/loss"] == pytest.approx(float(values["val/loss"]))


def test_same_seed_gives_the_same_weights(build: Build, trainer: MakeTrainer, loader: Loader) -> None:
    check_repeats(lambda: build(l1_method="proximal", class_weighting="none"), trainer, loader, loader)


def test_a_resumed_run_ends_at_the_same_weights(
    build: Build, trainer: MakeTrainer, loader: Loader, tmp_path: Path
) -> None:
    check_resume(lambda: build(time_decay=0.5, learning_rate=0.01), trainer, tmp_path, loader, loader)


def test_each_micro_batch_draws_its_own_noise(check_noise: Callable[..., None], build: Build, batch: Any) -> None:
    check_noise(lambda **options: build(dropout=0.5, schedule="constant", **options), whole_batches(*[batch] * 4))


def test_a_frozen_backbone_stays_as_it_was(build: Build, trainer: MakeTrainer, loader: Loader) -> None:
    module = build(train_backbone="none", learning_rate=0.1)
    before = weights(module.network.backbone)
    hidden = module.network.hidden.weight.detach().clone()
    trainer(max_epochs=1).fit(module, loader, loader)
    assert same(weights(module.network.backbone), before)
    assert not torch.equal(module.network.hidden.weight, hidden)
    assert module.backbone_is_frozen
    assert not any(part.training for part in module.network.backbone.train().modules())


def test_only_the_last_stage_learns(build: Build, trainer: MakeTrainer, loader: Loader) -> None:
    module = build(train_backbone="last", learning_rate=0.1, momentum=0.0)
    before = weights(module.network.backbone)
    trainer(max_epochs=1).fit(module, loader, loader)
    after = weights(module.network.backbone)
    assert {name.split(".")[1] for name in after if not torch.equal(after[name], before[name])} == {"layer4"}
    assert not module.backbone_is_frozen


def test_proximal_steps_make_true_zeros_and_the_penalty_does_not(
    build: Build, trainer: MakeTrainer, loader: Loader
) -> None:
    shares, norms = {}, {}
    options = {"l1_weight": 0.3, "learning_rate": 0.01, "momentum": 0.0, "schedule": "constant"}
    for method in ("penalty", "proximal"):
        module = build(l1_method=method, train_backbone="none", **options)
        run = trainer(max_epochs=5)
        run.fit(module, loader)
        shares[method] = float(run.callback_metrics["train/sparsity"])
        norms[method] = float(l1_norm(module.network.hidden.weight.detach()))
        assert float(run.callback_metrics["train/l1"]) == pytest.approx(0.3 * norms[method], rel=1e-5)
    assert shares["penalty"] == 0
    assert shares["proximal"] > 0.2
    assert norms["proximal"] == pytest.approx(norms["penalty"], rel=0.1)  # the same pull


def test_padding_and_frames_without_label_do_not_count(build: Build, batch: ActionBatch) -> None:
    module = build(dropout=0.0, train_backbone="none", l1_weight=0.0)
    module.log_stage = lambda *_, **__: None  # type: ignore[method-assign]  # there is no trainer
    part: Any = {name: value[:4] for name, value in batch.items()}
    spoilt = dict(batch)
    spoilt["label"] = torch.cat([batch["label"][:4], torch.tensor([-1, -1, 0, 1])])
    spoilt["valid"] = torch.tensor([True] * 6 + [False] * 2)
    loss = module.training_step(spoilt, 0)  # type: ignore[arg-type]  # a changed copy
    torch.testing.assert_close(loss, module.training_step(part, 0))
    spoilt["valid"] = torch.zeros(8, dtype=torch.bool)
    assert module.training_step(spoilt, 0) == 0  # type: ignore[arg-type]  # a changed copy


def test_balanced_weights_come_from_the_data(build: Build, trainer: MakeTrainer, loader: Loader) -> None:
    module = build(class_weighting="balanced")
    data = _Counted([30, 10], loader)
    trainer(max_steps=1).fit(module, datamodule=data)
    torch.testing.assert_close(module.class_weight, torch.tensor([40 / 60, 2.0]))
    with pytest.raises(ConfigurationError, match="class_counts"):
        trainer(max_steps=1).fit(build(class_weighting="balanced"), loader)


class _Counted(L.LightningDataModule):
    def __init__(self, counts: list[int], loader: Loader) -> None:
        super().__init__()
        self.class_counts = counts
        self.train_dataloader = lambda: loader  # type: ignore[method-assign]  # a hook of its own


# Optimiser and schedules.


def test_the_original_optimiser_is_the_default(build: Build) -> None:
    optimizer: Any = build(schedule="constant").configure_optimizers()
    group = optimizer[0][0].param_groups[0]
    assert isinstance(optimizer[0][0], torch.optim.SGD)
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (1e-4, 0.9, 0)


def test_plateau_lowers_the_rate_as_keras_does(build: Build, trainer: MakeTrainer, loader: Loader) -> None:
    module = build(learning_rate=1e-3, plateau_patience=2, min_learning_rate=1e-5)
    module.val_metrics.compute = lambda: {"loss": torch.tensor(1.0)}  # type: ignore[method-assign]  # stands still
    rates = Rates()
    trainer(max_epochs=8, limit_train_batches=1, limit_val_batches=1, callbacks=[rates]).fit(module, loader, loader)
    # Keras: the first epoch is the best one; it acts at the end of every second epoch without a better one.
    assert rates.seen == pytest.approx([1e-3] * 3 + [2e-4] * 2 + [4e-5] * 2 + [1e-5])


def test_time_decay_is_that_of_keras(build: Build, trainer: MakeTrainer, loader: Loader) -> None:
    rates = Rates()
    module = build(learning_rate=0.01, time_decay=0.6, schedule="constant")
    trainer(max_epochs=2, callbacks=[rates]).fit(module, loader)
    assert rates.seen == pytest.approx([0.01 / (1 + 0.3 * step) for step in range(8)])
    with pytest.raises(ConfigurationError, match="max_epochs"):
        trainer(max_epochs=-1, max_steps=2).fit(build(time_decay=0.1, schedule="constant"), loader)


def test_cosine_is_the_schedule_of_the_house(build: Build, trainer: MakeTrainer, loader: Loader) -> None:
    rates = Rates()
    trainer(max_epochs=1, callbacks=[rates]).fit(build(schedule="cosine", learning_rate=0.01), loader)
    assert rates.seen[0] == 0.01
    assert rates.seen[-1] < 0.005


def test_a_rate_that_plateau_can_never_lower_is_an_error(build: Build, trainer: MakeTrainer, loader: Loader) -> None:
    with pytest.raises(ConfigurationError, match="could never lower it"):
        build(learning_rate=1e-4, min_learning_rate=0.001)
    module = build(optimizer=lambda parameters: torch.optim.SGD(parameters, lr=1e-7))
    with pytest.raises(ConfigurationError, match="could never lower it"):
        trainer().fit(module, loader, loader)


# Preset legacy.


def test_legacy_warns_of_each_defect_and_repeats_it(
    build: Build, trainer: MakeTrainer, loader: Loader, batch: ActionBatch, caplog: pytest.LogCaptureFixture
) -> None:
    module = build(preset="legacy", train_backbone=None)
    rates = Rates()
    with caplog.at_level(logging.WARNING, logger="lightning_modules.action.module"):
        trainer(max_epochs=1, limit_val_batches=1, callbacks=[rates]).fit(module, loader, loader)
    said = [record.getMessage() for record in caplog.records if "original script" in record.getMessage()]
    for word in ("subtracts a mean", "RGB", "min_learning_rate", "l1"):
        assert any(word in line for line in said), word
    assert len(said) == 4
    assert rates.seen[-1] == pytest.approx(1e-4 / (1 + 1e-4 * 3))
    frames = batch["frames"]
    torch.testing.assert_close(module.preprocess(frames), frames.float())
    mean = torch.tensor([123.68, 116.779, 103.939]).view(3, 1, 1)
    torch.testing.assert_close(module.preprocess(frames, predicting=True), frames.float() - mean)
    module.eval()
    assert not torch.allclose(module.frame_scores(frames), module(frames).softmax(dim=1))


def test_legacy_has_the_penalty_in_its_validation_loss(build: Build, trainer: MakeTrainer, loader: Loader) -> None:
    plain, legacy = build(l1_weight=0.01), build(preset="legacy", preprocessing="normalised", train_backbone="all")
    losses = [trainer().validate(module, loader, verbose=False)[0]["val/loss"] for module in (plain, legacy)]
    assert losses[1] - losses[0] == pytest.approx(float(legacy.penalty()), rel=1e-4)


# Checkpoints.


def test_a_checkpoint_rebuilds_its_own_network(
    build: Build, trainer: MakeTrainer, loader: Loader, batch: ActionBatch, tmp_path: Path
) -> None:
    module = build(preset="legacy", train_backbone="last")
    path = trained(module, trainer(), tmp_path / "a.ckpt", loader)
    again = FrameAveragingActionRecognizer.load_from_checkpoint(path, weights_only=True)
    assert again.class_names == ["dark", "bright"]
    assert again.config == module.config
    assert same(weights(module), weights(again))
    torch.testing.assert_close(module.eval()(batch["frames"]), again.eval()(batch["frames"]))


def test_a_checkpoint_with_pretrained_fetches_nothing(
    build: Build, trainer: MakeTrainer, loader: Loader, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fetched = []
    monkeypatch.setattr("lightning_modules.action.module.fill_from_timm", lambda *given: fetched.append(given[1:]))
    run = trainer()
    run.fit(build(pretrained=True), loader)
    assert fetched == [("test_resnet", 32)]
    run.save_checkpoint(tmp_path / "a.ckpt")
    again = FrameAveragingActionRecognizer.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    trainer().test(again, loader, verbose=False)
    trainer(max_epochs=2).fit(again, loader, ckpt_path=str(tmp_path / "a.ckpt"), weights_only=True)
    assert len(fetched) == 1


def test_weights_of_another_run(build: Build, trainer: MakeTrainer, loader: Loader, tmp_path: Path) -> None:
    module = build()
    path = trained(module, trainer(), tmp_path / "a.ckpt", loader)
    assert same(weights(build(weights=path)), weights(module))
    other = build(weights=path, class_names=["x", "y", "z"])
    assert torch.equal(other.network.hidden.weight, module.network.hidden.weight)
    assert other.network.classes.weight.shape == (3, 16)
    with pytest.raises(CheckpointError, match="Nothing was loaded into the class layer"):
        other.on_predict_start()
    build(weights=path).on_predict_start()
    with pytest.raises(CheckpointError, match="no checkpoint at"):
        build(weights=str(tmp_path / "b.ckpt"))
    with pytest.raises(CheckpointError, match="do not fit"):
        build(weights=path, hidden_features=8)


def test_a_frozen_random_backbone_is_warned_of(
    build: Build, trainer: MakeTrainer, loader: Loader, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, logger="lightning_modules.action.module"):
        trainer(max_steps=1).fit(build(train_backbone="none"), loader)
    assert "frozen with random weights" in caplog.text


# Prediction.


@pytest.mark.parametrize("frames", [0, 1, 7])
def test_prediction_is_the_same_in_every_batch_size(
    build: Build, chunk: Callable[..., StreamBatch], frames: int
) -> None:
    module = build().eval()
    batch = chunk(frames)
    with torch.inference_mode():
        whole = module.predict_step(batch, 0)
        module.hparams["predict_batch"] = 2
        parts = module.predict_step(batch, 0)
    assert whole["scores"].shape == (frames, 2)
    assert whole["scores"].dtype == torch.float32
    torch.testing.assert_close(whole["scores"], parts["scores"])
    torch.testing.assert_close(whole["scores"].sum(dim=1), torch.ones(frames))
    assert (whole["video_id"], whole["is_last"]) == (3, True)
    assert torch.equal(whole["times"], batch["times"])


def test_nan_scores_stay_nan(build: Build, chunk: Callable[..., StreamBatch]) -> None:
    module = build().eval()
    with torch.no_grad():
        module.network.classes.bias[0] = torch.nan
        assert module.predict_step(chunk(2), 0)["scores"].isnan().all()


def test_frames_of_another_size_are_resized(build: Build, chunk: Callable[..., StreamBatch]) -> None:
    module = build().eval()
    with torch.no_grad():
        assert module.predict_step(chunk(2, side=48), 0)["scores"].shape == (2, 2)


def test_what_the_callbacks_get_of_a_test(build: Build, batch: ActionBatch) -> None:
    module = build().eval()
    with torch.no_grad():
        given = module.test_step(batch, 0)
    assert set(given) == {"scores", "label", "video_index", "index", "time", "valid"}
    torch.testing.assert_close(given["scores"].sum(dim=1), torch.ones(8))


@pytest.mark.gpu
def test_half_precision_on_a_gpu_is_close(build: Build, chunk: Callable[..., StreamBatch]) -> None:
    module = build().eval().cuda()
    with torch.inference_mode():
        half = module.predict_step(chunk(16), 0)["scores"]
        module.hparams["half"] = False
        torch.testing.assert_close(half, module.predict_step(chunk(16), 0)["scores"], atol=5e-3, rtol=0)


# Cached features.


def test_features_replace_frames(build: Build, batch: ActionBatch) -> None:
    module = build(train_backbone="none").eval()
    cached: Any = {name: value for name, value in batch.items() if name != "frames"}
    cached["features"] = module.frame_features(batch["frames"])
    assert cached["features"].dtype == torch.float32
    with torch.no_grad():
        assert torch.equal(module.batch_logits(cached), module.batch_logits(batch))


def test_the_digest_follows_backbone_and_preprocessing_alone(build: Build) -> None:
    module = build(train_backbone="none")
    digest = module.feature_digest()
    assert build(train_backbone="none", hidden_features=8, class_names=["a", "b", "c"]).feature_digest() == digest
    assert build(train_backbone="none", preprocessing="legacy").feature_digest() != digest
    assert build(train_backbone="none", frame_size=40).feature_digest() != digest
    with torch.no_grad():
        next(module.network.backbone.parameters()).add_(1)
    assert module.feature_digest() != digest
