"""The LightningModule: steps on random clips, hyper-parameters, checkpoints, the score map."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from callbacks.training.parameter_ema import ParameterEMA
from datamodules.common.errors import CheckpointError, ConfigurationError
from lightning_modules.video_quality.key_maps import export_weights
from lightning_modules.video_quality.module import KSVQE
from tests.lightning_modules.training import check_repeats, check_resume, same, weights, whole_batches
from tests.running import quiet_trainer

SMALLEST: dict[str, Any] = {
    "preset": "tiny",
    "clip_length": 8,
    "tuning_stage": 0,
    "num_samples": 4,
    "network": {
        "embed_dim": 8,
        "swin_heads": [1, 2],
        "content_width": 16,
        "content_layers": 1,
        "content_heads": 2,
        "distortion_width": 4,
        "distortion_dim": 8,
        "head_hidden": 4,
    },
}


def clip_row(row: int, count: int, clips: int) -> dict[str, Any]:
    """Clips whose MOS is their brightness, in the batch contract."""
    noise = torch.Generator().manual_seed(row)
    fragments = torch.randint(0, 100 + 15 * row, (clips, 3, 8, 288, 288), generator=noise, dtype=torch.uint8)
    return {
        "fragments": fragments,
        "key_frames": fragments[:, :, ::2, :112, :112].transpose(1, 2).contiguous(),
        "index": row,
        "mos": torch.tensor(1 + row / count * 4),
        "pattern": row % 3,
        "valid": True,
        "region": torch.full((4,), torch.nan),
    }


def loader(count: int = 8, clips: int = 1) -> DataLoader[dict[str, Any]]:
    rows: Any = [clip_row(row, count, clips) for row in range(count)]
    return DataLoader(rows, batch_size=4)


def trainer(folder: Path, **options: Any) -> L.Trainer:
    return quiet_trainer(folder, **{"max_epochs": 1, "enable_checkpointing": True, **options})


def fit(folder: Path, module: KSVQE, **options: Any) -> L.Trainer:
    run = trainer(folder, **options)
    run.fit(module, loader(), loader())
    return run


def build(**options: Any) -> KSVQE:
    L.seed_everything(3)
    return KSVQE(**SMALLEST, **options)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_same_seed_gives_the_same_weights_and_another_seed_does_not(tmp_path: Path) -> None:
    check_repeats(build, partial(trainer, tmp_path), loader(), loader())
    other = KSVQE(**SMALLEST)  # after the draws of a training
    assert not same(weights(build()), weights(other))


def test_resume_repeats_the_run_that_was_not_stopped(tmp_path: Path) -> None:
    check_resume(partial(build, learning_rate=1e-3), partial(trainer, tmp_path), tmp_path, loader(), loader())


def test_each_micro_batch_draws_its_own_noise(check_noise: Callable[..., None]) -> None:
    check_noise(partial(build, sigma=1.0, contrastive_tokens=8), whole_batches(*[next(iter(loader()))] * 4))


def test_checkpoint_rebuilds_the_module_without_any_other_file(tmp_path: Path) -> None:
    module = KSVQE(**SMALLEST, label_range=(0.0, 100.0))
    fit(tmp_path, module).save_checkpoint(tmp_path / "a.ckpt")
    loaded = torch.load(tmp_path / "a.ckpt", weights_only=True)  # plain values only
    assert loaded["hyper_parameters"]["label_range"] == [0.0, 100.0]
    again = KSVQE.load_from_checkpoint(tmp_path / "a.ckpt", weights_only=True)
    assert again.config == module.config
    assert same(weights(again), weights(module))


def test_an_explicit_argument_beats_the_preset_and_both_are_saved() -> None:
    module = KSVQE(**SMALLEST, gate="binary")
    assert module.config.gate == "binary"
    assert module.hparams["gate"] == "binary"
    assert module.hparams["sigma"] == module.config.sigma
    assert module.hparams["network"]["embed_dim"] == 8


@pytest.mark.parametrize("averaging", [False, True], ids=["plain", "averaged"])
def test_checkpoint_holds_the_map_of_its_own_validation(tmp_path: Path, averaging: bool) -> None:
    callbacks = [ParameterEMA(decay=0.5)] if averaging else []
    module = KSVQE(**SMALLEST)
    run = fit(tmp_path, module, callbacks=callbacks, max_epochs=2)
    newest = module.score_map.clone()
    run.save_checkpoint(tmp_path / "a.ckpt")
    saved = torch.load(tmp_path / "a.ckpt", weights_only=True)["state_dict"]["score_map"]
    assert torch.isfinite(saved).all()
    assert torch.equal(saved, newest)


def test_averaging_leaves_frozen_weights_as_they_are(tmp_path: Path) -> None:
    frozen = KSVQE(**(SMALLEST | {"freeze_distortion": True}))
    assert frozen.network.distortion is not None
    before = weights(frozen.network.distortion.extractor)
    fit(tmp_path, frozen, callbacks=[ParameterEMA(decay=0.9)])
    assert same(weights(frozen.network.distortion.extractor), before)


def test_every_trainable_parameter_gets_a_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    module = KSVQE(**SMALLEST, rank_weight=1.0)
    monkeypatch.setattr(module, "log_stage", lambda *_, **__: None)  # no trainer here
    monkeypatch.setattr(module, "step_generator", lambda shared=False: torch.Generator().manual_seed(0))
    batch = next(iter(loader(4)))
    module.training_step(batch, 0).backward()
    without = [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_rows_without_label_or_not_valid_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    module = KSVQE(**(SMALLEST | {"qrs": False, "dropout": 0.0})).train()
    logged: dict[str, Tensor] = {}
    monkeypatch.setattr(module, "log_stage", lambda _, values, **__: logged.update(values))  # no trainer here
    monkeypatch.setattr(module, "step_generator", lambda shared=False: torch.Generator().manual_seed(0))
    batch = next(iter(loader(4)))
    module.training_step({name: value[:3] for name, value in batch.items()}, 0)
    three = logged["plcc_loss"].clone()
    batch["valid"] = torch.tensor([True, True, True, False])
    module.training_step(batch, 0)
    torch.testing.assert_close(logged["plcc_loss"], three)
    batch["valid"][:] = True
    batch["mos"][3] = torch.nan
    module.training_step(batch, 0)
    torch.testing.assert_close(logged["plcc_loss"], three)
    batch["mos"][:] = torch.nan
    assert torch.isfinite(module.training_step(batch, 0))


def test_clips_are_scored_one_by_one_and_averaged() -> None:
    module = KSVQE(**SMALLEST).eval()
    batch = next(iter(loader(2, clips=3)))
    with torch.no_grad():
        outputs = module.predict_step(batch, 0)
        apart = torch.stack([module(batch["fragments"][:, k], batch["key_frames"][:, k]).score for k in range(3)], 1)
    torch.testing.assert_close(outputs["score_raw"], apart.mean(1))
    torch.testing.assert_close(outputs["score_std"], apart.std(1, correction=0))
    assert outputs["clips"] == 3
    assert outputs["region_index"].shape == (2, 3, 4)
    assert outputs["score_1_5"].isnan().all()  # there was no validation yet


def test_score_on_the_1_to_5_scale_follows_the_label_range() -> None:
    module = KSVQE(**SMALLEST, label_range=(0.0, 100.0))
    module.score_map.copy_(torch.tensor([100.0, 0.0, 0.0, 1.0]))
    outputs = module.eval().predict_step(next(iter(loader(2))), 0)
    torch.testing.assert_close(outputs["score_1_5"], 1 + 4 * outputs["score_raw"].sigmoid())


def test_a_scale_has_two_ends() -> None:
    assert KSVQE(**SMALLEST, label_range=(100.0, 0.0)).hparams["label_range"] == [100.0, 0.0]  # 0 is best
    with pytest.raises(ConfigurationError, match="label_range is 5 to 5"):
        KSVQE(**SMALLEST, label_range=(5.0, 5.0))


@pytest.mark.gpu
def test_scores_on_cpu_and_cuda_agree() -> None:
    if not torch.cuda.is_available():
        pytest.skip("there is no CUDA device")
    module = KSVQE(**SMALLEST).eval()
    batch = next(iter(loader(2)))
    with torch.no_grad():
        here = module(batch["fragments"][:, 0], batch["key_frames"][:, 0]).score
        there = module.cuda()(batch["fragments"][:, 0].cuda(), batch["key_frames"][:, 0].cuda()).score.cpu()
    torch.testing.assert_close(here, there, rtol=1e-3, atol=1e-4)


def test_a_test_after_the_fit_measures_the_averaged_weights(tmp_path: Path) -> None:
    module = KSVQE(**(SMALLEST | {"learning_rate": 0.01, "warmup_epochs": 0}))
    run = fit(tmp_path, module, callbacks=[ParameterEMA(decay=0.9)], max_epochs=2)
    assert run.checkpoint_callback is not None
    path = str(run.checkpoint_callback.best_model_path)  # saved while training, with both sets of weights
    saved = torch.load(path, weights_only=True)
    name = "network.head.last.weight"
    assert not torch.equal(saved["state_dict"][name], saved["current_model_state"][name])
    here = run.test(module, loader(), ckpt_path=path, weights_only=True, verbose=False)
    apart = trainer(tmp_path).test(KSVQE(**SMALLEST), loader(), path, False, weights_only=True)
    assert here == [pytest.approx(one, rel=0, abs=0, nan_ok=True) for one in apart]
    assert torch.equal(module.state_dict()[name], saved["state_dict"][name])


def test_a_prediction_with_parts_that_nothing_filled_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "fast_vqa.pth"
    torch.save(export_weights(build().network, "fast_vqa"), file)
    module = build(weights=str(file), weights_source="fast_vqa")
    with pytest.raises(CheckpointError, match=r"Nothing was loaded into .*content, distortion"):
        trainer(tmp_path).predict(module, loader())
    fit(tmp_path, module, max_epochs=1)
    trainer(tmp_path).predict(module, loader())


@pytest.mark.parametrize(("videos", "told"), [(2, True), (4, False)])
def test_few_videos_are_told_of(videos: int, told: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("WARNING")
    trainer(tmp_path).test(build(), loader(videos), verbose=False)
    assert (f"the test split has {videos} videos with a score" in caplog.text) == told
