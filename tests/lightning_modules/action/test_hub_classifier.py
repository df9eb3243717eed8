"""PretrainedActionClassifier: tiny models of transformers, saved and read back, against their own processors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning as L
import numpy as np
import pytest
import torch
import transformers
from torch import Tensor

from datamodules.action.batch import StreamBatch
from datamodules.action.datamodule import ActionDataModule
from datamodules.common.errors import CheckpointError, ConfigurationError
from datamodules.video.writing.encode import encode_video
from lightning_modules.action.hub_classifier import PretrainedActionClassifier

LABELS = ["drinking", "drinking beer", "juggling balls"]
SIZES: dict[str, Any] = {
    "image_size": 32, "patch_size": 16, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "id2label": dict(enumerate(LABELS)), "label2id": {n: i for i, n in enumerate(LABELS)},
}  # fmt: skip
CROP: dict[str, Any] = {"size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}


def videomae() -> tuple[Any, Any]:
    config = transformers.VideoMAEConfig(num_frames=4, decoder_num_hidden_layers=1, **SIZES)
    return transformers.VideoMAEForVideoClassification(config), transformers.VideoMAEImageProcessor(**CROP)


def timesformer() -> tuple[Any, Any]:
    config = transformers.TimesformerConfig(num_frames=4, **SIZES)
    processor = transformers.VideoMAEImageProcessor(**CROP, image_mean=[0.4, 0.5, 0.6], image_std=[0.2, 0.3, 0.4])
    return transformers.TimesformerForVideoClassification(config), processor


def vivit() -> tuple[Any, Any]:
    config = transformers.VivitConfig(num_frames=4, tubelet_size=[2, 16, 16], **SIZES)
    return transformers.VivitForVideoClassification(config), transformers.VivitImageProcessor(**CROP)


def vjepa2() -> tuple[Any, Any]:
    sizes = {name: value for name, value in SIZES.items() if name not in ("image_size", "intermediate_size")}
    sizes |= {"hidden_size": 24, "pred_hidden_size": 24, "pred_num_attention_heads": 2, "pred_num_hidden_layers": 1}
    config = transformers.VJEPA2Config(crop_size=32, frames_per_clip=4, num_pooler_layers=1, **sizes)
    processor = transformers.VJEPA2VideoProcessor(crop_size={"height": 32, "width": 32}, size={"shortest_edge": 32})
    return transformers.VJEPA2ForVideoClassification(config), processor


def vit() -> tuple[Any, Any]:
    processor = transformers.ViTImageProcessor(size={"height": 32, "width": 32}, do_rescale=True)
    return transformers.ViTForImageClassification(transformers.ViTConfig(**SIZES)), processor


MODELS: dict[str, Callable[[], tuple[Any, Any]]] = {
    "videomae": videomae, "timesformer": timesformer, "vivit": vivit, "vit": vit,
}  # fmt: skip


def saved(folder: Path, kind: str) -> tuple[str, Any, Any]:
    """A folder with a random model, the model, and its processor."""
    torch.manual_seed(0)
    model, processor = vjepa2() if kind == "vjepa2" else MODELS[kind]()
    with torch.no_grad():
        model.classifier.weight.normal_()
    model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return str(folder), model.eval(), processor


def own_scores(model: Any, processor: Any, frames: Tensor, video: bool) -> Tensor:
    """What transformers itself says of frames."""
    given = list(frames.permute(0, 2, 3, 1).numpy())
    with torch.no_grad():
        inputs = processor([given] if video else given, return_tensors="pt")
        scores: Tensor = model(**inputs).logits.softmax(dim=1)
    return scores


@pytest.mark.parametrize("kind", MODELS)
def test_scores_are_those_of_transformers(tmp_path: Path, kind: str, chunk: Callable[..., StreamBatch]) -> None:
    folder, model, processor = saved(tmp_path, kind)
    module = PretrainedActionClassifier(folder)
    frames = chunk(4)["frames"]
    expected = own_scores(model, processor, frames, video=kind != "vit").expand(4, -1)
    torch.testing.assert_close(module.chunk_scores(frames), expected, atol=1e-5, rtol=0)
    assert module.class_names == LABELS
    assert module.clip_length == (1 if kind == "vit" else 4)


def test_a_model_with_inputs_of_another_name(tmp_path: Path, chunk: Callable[..., StreamBatch]) -> None:
    folder, model, _ = saved(tmp_path, "vjepa2")  # its processor enlarges and crops, which is not done here
    module = PretrainedActionClassifier(folder)
    frames = chunk(4)["frames"]
    with torch.no_grad():
        expected = model(pixel_values_videos=module.preprocess(frames)[None].contiguous()).logits.softmax(dim=1)
    torch.testing.assert_close(module.chunk_scores(frames), expected.expand(4, -1))


def test_groups_of_frames_share_a_score(tmp_path: Path, chunk: Callable[..., StreamBatch]) -> None:
    folder, model, processor = saved(tmp_path, "videomae")
    module = PretrainedActionClassifier(folder, clip_length=8, predict_batch=4)
    batch = chunk(19)
    scores = module.predict_step(batch, 0)["scores"]
    assert scores.shape == (19, 3)
    frames = batch["frames"]
    last = frames[torch.tensor([16, 18, 18, 18])]
    for rows, clip in ((slice(0, 8), frames[0:8:2]), (slice(8, 16), frames[8:16:2]), (slice(16, 19), last)):
        expected = own_scores(model, processor, clip, video=True)
        torch.testing.assert_close(scores[rows], expected.expand(len(scores[rows]), -1), atol=1e-5, rtol=0)


def test_chunks_give_what_the_whole_gives(tmp_path: Path, chunk: Callable[..., StreamBatch]) -> None:
    module = PretrainedActionClassifier(saved(tmp_path, "timesformer")[0])
    frames = chunk(10)["frames"]
    parts = torch.cat([module.chunk_scores(frames[:8]), module.chunk_scores(frames[8:])])
    torch.testing.assert_close(parts, module.chunk_scores(frames))


def test_an_empty_chunk(tmp_path: Path, chunk: Callable[..., StreamBatch]) -> None:
    module = PretrainedActionClassifier(saved(tmp_path, "videomae")[0])
    assert module.predict_step(chunk(0), 0)["scores"].shape == (0, 3)


def test_frames_of_any_size(tmp_path: Path, chunk: Callable[..., StreamBatch]) -> None:
    module = PretrainedActionClassifier(saved(tmp_path, "vit")[0])
    assert module.predict_step(chunk(3, side=50), 0)["scores"].shape == (3, 3)


def test_labels_are_grouped(tmp_path: Path, chunk: Callable[..., StreamBatch]) -> None:
    folder = saved(tmp_path, "vit")[0]
    module = PretrainedActionClassifier(folder, class_groups={"drink": ["drinking", "drinking beer"]})
    plain = PretrainedActionClassifier(folder).predict_step(chunk(3), 0)["scores"]
    assert module.class_names == ["drink", "other"]
    expected = torch.stack([plain[:, :2].sum(dim=1), plain[:, 2]], dim=1)
    torch.testing.assert_close(module.predict_step(chunk(3), 0)["scores"], expected)
    with pytest.raises(ConfigurationError, match="nearest: juggling balls"):
        PretrainedActionClassifier(folder, class_groups={"juggle": ["juggling bals"]})


def test_a_clip_that_the_model_does_not_take(tmp_path: Path) -> None:
    folder = saved(tmp_path, "videomae")[0]
    for length in (1, 6, 0):
        with pytest.raises(ConfigurationError, match=r"--data.init_args.clip_length to 4"):
            PretrainedActionClassifier(folder, clip_length=length)


def test_models_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"--model.init_args.weights"):
        PretrainedActionClassifier()
    with pytest.raises(CheckpointError, match="save_pretrained"):
        PretrainedActionClassifier(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "vit", "hidden_size": "wide"}')
    with pytest.raises(CheckpointError, match="save_pretrained"):
        PretrainedActionClassifier(str(tmp_path))
    transformers.BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2).save_pretrained(tmp_path)
    with pytest.raises(ConfigurationError, match="bert, which classifies neither videos nor images"):
        PretrainedActionClassifier(str(tmp_path))


def test_a_name_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(CheckpointError, match="nobody/nothing is no model"):
        PretrainedActionClassifier("nobody/nothing")


def test_it_only_predicts(tmp_path: Path) -> None:
    module = PretrainedActionClassifier(saved(tmp_path, "vit")[0])
    module.setup("predict")
    with pytest.raises(ConfigurationError, match="cannot fit"):
        module.setup("fit")
    assert not any(parameter.requires_grad for parameter in module.parameters())


def test_a_real_stream_in_chunks_of_whole_groups(tmp_path: Path, trainer: Callable[..., L.Trainer]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (22, 32, 48, 3), dtype=np.uint8)
    encode_video(tmp_path / "a.mp4", picture, fps=10, qp=10)
    module = PretrainedActionClassifier(saved(tmp_path / "model", "videomae")[0], class_groups={"a": ["drinking"]})
    scores = []
    for chunk_frames in (5, 64):  # the data asks the model for the length of a group, and rounds the chunks to it
        data = ActionDataModule(path=str(tmp_path / "a.mp4"), frame_size=32, chunk_frames=chunk_frames)
        parts: Any = trainer().predict(module, datamodule=data)
        scores.append(torch.cat([part["scores"] for part in parts]))
        assert [part["is_last"] for part in parts].count(True) == 1
    assert scores[0].shape == (22, 2)
    torch.testing.assert_close(scores[0], scores[1])
    assert torch.equal(scores[0][0], scores[0][3])
    assert not torch.equal(scores[0][3], scores[0][4])
