"""A taught model as folders that transformers and peft read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L
import pytest
import torch
from transformers import AutoModelForImageTextToText

from callbacks import ModelFolder
from datamodules import FaceXBenchDataModule
from datamodules.common.errors import CheckpointError, ConfigurationError
from datamodules.faces.renderer.settings import FaceDemoSettings
from lightning_modules import FaceXBenchEvaluator
from lightning_modules.face_benchmark.asking.loading import Loading, load
from lightning_modules.face_benchmark.asking.network import Network
from lightning_modules.face_benchmark.folders import load_folder, save_network
from tests.lightning_modules.face_benchmark.questions import asked

peft = pytest.importorskip("peft")
DEMO = FaceDemoSettings(train=60, val=40, test=60)


def taught(folder: Path, epochs: int = 1, **options: Any) -> FaceXBenchEvaluator:
    data = FaceXBenchDataModule(per_task=8, demo=DEMO, image_size=32, batch_size=4, tasks=["gender"])
    trainer = L.Trainer(
        accelerator="cpu", devices=1, logger=False, enable_progress_bar=False, enable_checkpointing=False,
        max_epochs=epochs, callbacks=[ModelFolder()], default_root_dir=folder, limit_val_batches=0,
    )  # fmt: skip
    model = FaceXBenchEvaluator(scoring="likelihood", learning_rate=0.01, **options)
    trainer.fit(model, data)
    return model


def answers(network: Network) -> list[tuple[float, ...]]:
    return [one.log_probabilities or () for one in network.answer(asked(4), "likelihood", 1)]


def network_of(module: FaceXBenchEvaluator) -> Network:
    assert isinstance(module.answerer, Network)
    return module.answerer.eval()


def test_a_taught_model_is_read_back(tmp_path: Path) -> None:
    model = taught(tmp_path)
    again = FaceXBenchEvaluator(weights=str(tmp_path / "model"))
    assert answers(network_of(again)) == answers(network_of(model))
    assert not (tmp_path / "adapters").exists()


@pytest.fixture
def base(tmp_path: Path) -> str:
    """A folder of random weights."""
    place = tmp_path / "base"
    save_network(network_of(FaceXBenchEvaluator()), place)
    return str(place)


def test_adapters_are_read_back_by_us_and_by_peft(tmp_path: Path, base: str) -> None:
    model = taught(tmp_path / "run", weights=base, adapter_rank=2)
    wanted = answers(network_of(model))
    assert wanted != answers(Network(load(base, Loading()), None, None, "base"))
    beside = Network(load_folder(str(tmp_path / "run" / "adapters"), Loading()), None, None, "adapters")
    merged = Network(load_folder(str(tmp_path / "run" / "model"), Loading()), None, None, "model")
    own = load(base, Loading())
    theirs = peft.PeftModel.from_pretrained(own.network, str(tmp_path / "run" / "adapters")).merge_and_unload()
    for found in (beside, merged, Network(own._replace(network=theirs), None, None, "peft")):
        for one, other in zip(answers(found), wanted, strict=True):
            assert one == pytest.approx(other, abs=1e-5)


def test_adapters_hold_little_and_leave_the_rest_as_it_was(tmp_path: Path, base: str) -> None:
    model = taught(tmp_path / "run", weights=base, adapter_rank=2)
    learnt = {name for name, value in model.named_parameters() if value.requires_grad}
    assert learnt
    assert all("lora_" in name for name in learnt)
    folder = tmp_path / "run" / "adapters"
    assert {file.name for file in folder.iterdir()} == {"adapter_config.json", "adapter_model.safetensors"}
    before = AutoModelForImageTextToText.from_pretrained(base).state_dict()
    held = {name.replace(".base_layer", ""): value for name, value in network_of(model).network.state_dict().items()}
    for name, value in before.items():
        assert torch.equal(held[name], value)


def test_adapters_move_with_the_model_beside_them(tmp_path: Path, base: str) -> None:
    taught(tmp_path / "run", weights=base, adapter_rank=2)
    folder = tmp_path / "run" / "adapters"
    config = folder / "adapter_config.json"
    config.write_text(config.read_text().replace(base, "own"))
    with pytest.raises(CheckpointError, match="own"):
        load_folder(str(folder), Loading())
    Path(base).rename(folder / "own")
    assert load_folder(str(folder), Loading()).network is not None


def test_adapters_taught_on_adapters_are_read_back(tmp_path: Path, base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    taught(tmp_path / "first", weights=base, adapter_rank=2)
    monkeypatch.chdir(tmp_path)
    model = taught(tmp_path / "second", weights="first/adapters", adapter_rank=2)
    monkeypatch.chdir("/")  # a base that was named relatively is found from elsewhere too
    folder = tmp_path / "second" / "adapters"
    again = Network(load_folder(str(folder), Loading()), None, None, "second")
    for one, other in zip(answers(again), answers(network_of(model)), strict=True):
        assert one == pytest.approx(other, abs=1e-5)
    config = folder / "adapter_config.json"
    config.write_text(config.read_text().replace(str(tmp_path / "first" / "adapters"), str(folder)))
    with pytest.raises(CheckpointError, match="stand beside themselves"):
        load_folder(str(folder), Loading())


def test_broken_weights_are_named_in_a_sentence(tmp_path: Path, base: str) -> None:
    taught(tmp_path / "run", weights=base, adapter_rank=2)
    adapters = tmp_path / "run" / "adapters" / "adapter_model.safetensors"
    for file, told in ((adapters, "do not fit"), (Path(base) / "model.safetensors", "is no model that transformers")):
        whole = file.read_bytes()
        file.write_bytes(whole[:100])
        with pytest.raises(CheckpointError, match=told):
            load_folder(str(adapters.parent), Loading())
        file.write_bytes(whole)
    adapters.unlink()
    with pytest.raises(CheckpointError, match=r"without weights: put adapter_model\.safetensors beside it"):
        load_folder(str(adapters.parent), Loading())


def test_adapters_of_nothing_are_refused(tmp_path: Path, base: str) -> None:
    with pytest.raises(ConfigurationError, match="adapter_targets names 'nothing'"):
        FaceXBenchEvaluator(weights=base, adapter_rank=2, adapter_targets=("nothing",))
    taught(tmp_path / "run", weights=base, adapter_rank=2)
    config = tmp_path / "run" / "adapters" / "adapter_config.json"
    config.write_text(config.read_text().replace(base, ""))
    with pytest.raises(CheckpointError, match="does not say what its adapters stand beside"):
        load_folder(str(config.parent), Loading())
    config.write_text("{")
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_folder(str(config.parent), Loading())


def test_a_script_is_not_taught(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="a server or a script learns nothing"):
        taught(tmp_path, script="oracle")
