"""Each map on files in the real format of its source: names, wrappers and shapes as published, sizes cut down."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import CLIPVisionConfig, CLIPVisionModel

from datamodules.common.errors import CheckpointError
from lightning_modules.video_quality.gated_bias import relative_position_index
from lightning_modules.video_quality.key_maps import content_settings, detect_source, export_weights, load_weights
from lightning_modules.video_quality.network import KSVQENetwork
from lightning_modules.video_quality.presets import KSVQEConfig

Smallest = Callable[..., KSVQEConfig]
State = dict[str, Tensor]
Shapes = dict[str, tuple[int, ...]]


def filled(shapes: Shapes) -> State:
    generator = torch.Generator().manual_seed(0)
    return {key: torch.randn(shape, generator=generator) for key, shape in shapes.items()}


def layer(name: str, *weight: int) -> Shapes:
    """Shapes of the weight and bias of a layer."""
    return {f"{name}.weight": weight, f"{name}.bias": weight[:1]}


def swin_file(prefix: str, *, fragment_tables: bool = True) -> State:
    """A Swin3D of embed 8, depths (2, 1), heads (1, 2), window (2, 7, 7), as the sources write it."""
    shapes = layer("patch_embed.proj", 8, 3, 2, 4, 4) | layer("patch_embed.norm", 8) | layer("norm", 16)
    shapes |= {"layers.0.downsample.reduction.weight": (16, 32)} | layer("layers.0.downsample.norm", 32)
    for stage, block, dim, heads in ((0, 0, 8, 1), (0, 1, 8, 1), (1, 0, 16, 2)):
        name = f"layers.{stage}.blocks.{block}"
        for table in ("relative", "fragment") if fragment_tables and stage == 0 else ("relative",):
            shapes |= {f"{name}.attn.{table}_position_bias_table": (3 * 13 * 13, heads)}
        shapes |= layer(f"{name}.norm1", dim) | layer(f"{name}.norm2", dim)
        shapes |= layer(f"{name}.attn.qkv", 3 * dim, dim) | layer(f"{name}.attn.proj", dim, dim)
        shapes |= layer(f"{name}.mlp.fc1", 2 * dim, dim) | layer(f"{name}.mlp.fc2", dim, 2 * dim)
    state = filled(shapes)
    index = relative_position_index((2, 7, 7), (2, 7, 7))
    state |= {f"{key.rsplit('.', 2)[0]}.relative_position_index": index for key in state if key.endswith("qkv.bias")}
    return {f"{prefix}{key}": value for key, value in state.items()}


def head_file(prefix: str) -> State:
    shapes = layer("fc_hid", 8, 16, 1, 1, 1) | layer("fc_last", 1, 8, 1, 1, 1)
    return {f"{prefix}{key}": value for key, value in filled(shapes).items()}


def fast_vqa_file() -> State:
    return swin_file("fragments_backbone.") | head_file("vqa_head.")


def clip_file(prefix: str = "visual.", width: int = 16, layers: int = 3) -> State:
    """OpenAI's vision tower, patch 16, positions of a 4 x 4 grid."""
    shapes: Shapes = {
        "class_embedding": (width,),
        "positional_embedding": (17, width),
        "proj": (width, 8),
        "conv1.weight": (width, 3, 16, 16),
    }
    shapes |= layer("ln_pre", width) | layer("ln_post", width)
    for number in range(layers):
        name = f"transformer.resblocks.{number}"
        shapes |= {f"{name}.attn.in_proj_weight": (3 * width, width), f"{name}.attn.in_proj_bias": (3 * width,)}
        shapes |= layer(f"{name}.attn.out_proj", width, width) | layer(f"{name}.ln_1", width)
        shapes |= layer(f"{name}.mlp.c_fc", 4 * width, width) | layer(f"{name}.mlp.c_proj", width, 4 * width)
        shapes |= layer(f"{name}.ln_2", width)
    return {f"{prefix}{key}": value for key, value in filled(shapes).items()}


def contrique_file() -> State:
    """Keys of CONTRIQUE_checkpoint25.tar: a torchvision ResNet-50 as a plain sequence, and its projector."""
    shapes: dict[str, tuple[int, ...]] = {"encoder.0.weight": (64, 3, 7, 7)}
    norms: dict[str, int] = {"encoder.1": 64, "projector.1": 2048, "projector.4": 12}
    shapes |= {"projector.0.weight": (2048, 2048), "projector.3.weight": (12, 2048)}
    before = 64
    for layer, (depth, width) in enumerate(zip((3, 4, 6, 3), (64, 128, 256, 512), strict=True), start=4):
        for block in range(depth):
            name = f"encoder.{layer}.{block}"
            shapes |= {f"{name}.conv1.weight": (width, before, 1, 1), f"{name}.conv2.weight": (width, width, 3, 3)}
            shapes |= {f"{name}.conv3.weight": (4 * width, width, 1, 1)}
            norms |= {f"{name}.bn1": width, f"{name}.bn2": width, f"{name}.bn3": 4 * width}
            if block == 0:
                shapes |= {f"{name}.downsample.0.weight": (4 * width, before, 1, 1)}
                norms |= {f"{name}.downsample.1": 4 * width}
            before = 4 * width
    for name, width in norms.items():
        shapes |= {f"{name}.{kind}": (width,) for kind in ("weight", "bias", "running_mean", "running_var")}
    state = filled(shapes)
    return state | {f"{name}.num_batches_tracked": torch.tensor(7) for name in norms}


def assert_round_trip(network: KSVQENetwork, weights: Path | State, original: State, source: str) -> tuple[str, ...]:
    """Load, write back, and get the same names and values; returns what was dropped by name."""
    report = load_weights(network, weights)
    assert report.source == source
    written = report.write_back(network)
    lost = {key for key in original if key.endswith("relative_position_index")} | set(report.dropped)
    assert set(written) == set(original) - lost
    for key, value in written.items():
        assert torch.equal(value, original[key]), key
    return report.dropped


@pytest.fixture
def network(smallest: Smallest) -> KSVQENetwork:
    return KSVQENetwork(smallest())


def test_fast_vqa(network: KSVQENetwork, tmp_path: Path) -> None:
    state = fast_vqa_file()
    torch.save({"state_dict": state, "validation_results": (0.8, 0.8)}, tmp_path / "FAST_VQA.pth")
    before = {key: value.clone() for key, value in network.state_dict().items()}
    assert assert_round_trip(network, tmp_path / "FAST_VQA.pth", state, "fast_vqa") == ()
    for key, value in network.state_dict().items():
        assert key.startswith(("backbone.", "head.")) != torch.equal(value, before[key]), key
    exported = export_weights(network, "fast_vqa")
    assert set(exported) == {key for key in state if not key.endswith("relative_position_index")}


@pytest.mark.parametrize("prefix", ["module.", ""])
def test_dover_leaves_its_aesthetic_half(prefix: str, network: KSVQENetwork) -> None:
    state = swin_file("technical_backbone.") | head_file("technical_head.")
    aesthetic = {"aesthetic_backbone.stages.0.0.gamma": torch.ones(1), "aesthetic_head.fc_hid.bias": torch.ones(1)}
    whole = {f"{prefix}{key}": value for key, value in (state | aesthetic).items()}
    report = load_weights(network, whole)
    assert report.source == "dover"
    assert set(report.dropped) == set(aesthetic)
    written = report.write_back(network)
    assert {f"{prefix}{key}" for key in written} <= set(whole)
    assert set(written) == {key for key in state if not key.endswith("relative_position_index")}


def test_other_prefixes_of_the_same_backbone(network: KSVQENetwork) -> None:
    state = swin_file("KSVQE_backbone.") | head_file("KSVQE_head.")
    assert_round_trip(network, state, state, "fast_vqa")
    assert_round_trip(network, swin_file(""), swin_file(""), "fast_vqa")


def test_kinetics_forks_its_tables(network: KSVQENetwork, tmp_path: Path) -> None:
    state = swin_file("backbone.", fragment_tables=False)
    state |= {"cls_head.fc_cls.weight": torch.zeros(400, 16), "cls_head.fc_cls.bias": torch.zeros(400)}
    torch.save({"state_dict": state, "meta": {"epoch": 30}}, tmp_path / "swin.pth")
    dropped = assert_round_trip(network, tmp_path / "swin.pth", state, "swin_k400")
    assert set(dropped) == {"cls_head.fc_cls.weight", "cls_head.fc_cls.bias"}
    own = network.state_dict()
    bias = "backbone.stages.0.blocks.0.attn.position_bias."
    assert torch.equal(own[f"{bias}relative_position_bias_table"], own[f"{bias}fragment_position_bias_table"])


def test_openai_clip(network: KSVQENetwork, tmp_path: Path) -> None:
    state = clip_file()
    text = {
        "positional_embedding": torch.zeros(77, 4),
        "logit_scale": torch.zeros(()),
        "text_projection": torch.zeros(4, 8),
    }
    text |= {"token_embedding.weight": torch.zeros(9, 4), "ln_final.weight": torch.zeros(4)}
    text |= {"transformer.resblocks.0.ln_1.weight": torch.zeros(4)}
    torch.save(state | text, tmp_path / "clip.pt")
    dropped = assert_round_trip(network, tmp_path / "clip.pt", state | text, "openai_clip")
    assert set(dropped) == set(text) | {"visual.proj", "visual.ln_post.weight", "visual.ln_post.bias"}


def test_openai_clip_of_half_precision(network: KSVQENetwork) -> None:
    state = {key: value.half() for key, value in clip_file().items()}
    report = load_weights(network, state, "openai_clip")
    written = report.write_back(network)
    assert all(torch.equal(value, state[key].float()) for key, value in written.items())


def test_clip_folder_of_transformers(smallest: Smallest, tmp_path: Path) -> None:
    sizes = {"hidden_size": 16, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 2}
    config = CLIPVisionConfig(**sizes, image_size=64, patch_size=16)
    model = CLIPVisionModel(config)
    model.save_pretrained(tmp_path / "clip")
    settings = content_settings(tmp_path / "clip")
    assert settings["content_width"] == 16
    network = KSVQENetwork(smallest(**settings))
    report = load_weights(network, tmp_path / "clip")
    assert report.source == "clip_folder"
    assert {key.split("post_layernorm.")[1] for key in report.dropped} == {"weight", "bias"}
    written = report.write_back(network)
    stored = load_file(tmp_path / "clip" / "model.safetensors")
    assert set(written) == set(stored) - set(report.dropped)
    assert all(torch.equal(written[key], stored[key]) for key in written)


def test_clip_folder_of_both_towers(network: KSVQENetwork, tmp_path: Path) -> None:
    """Older folders have the level ``vision_model.`` and a text tower beside it."""
    names = export_weights(network, "clip_folder")
    state = {f"vision_model.{key}": value + 1 for key, value in names.items()}
    text = {"text_model.final_layer_norm.bias": torch.zeros(4), "logit_scale": torch.zeros(())}
    text |= {"visual_projection.weight": torch.zeros(8, 16), "vision_model.embeddings.position_ids": torch.zeros(1, 17)}
    save_file(state | text, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text(json.dumps({}))
    dropped = assert_round_trip(network, tmp_path, state | text, "clip_folder")
    assert set(dropped) == set(text)


def test_contrique(smallest: Smallest, tmp_path: Path) -> None:
    network = KSVQENetwork(smallest(distortion_arch="contrique", fragment_size=32, patch_size=(2, 16, 16)))
    state = contrique_file()
    torch.save(state, tmp_path / "CONTRIQUE_checkpoint25.tar")
    assert assert_round_trip(network, tmp_path / "CONTRIQUE_checkpoint25.tar", state, "contrique") == ()
    assert network.state_dict()["distortion.extractor.encoder.layer3.5.bn2.num_batches_tracked"] == 7


def test_missing_and_left_over_keys_are_all_listed(network: KSVQENetwork) -> None:
    state = fast_vqa_file()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    del state["fragments_backbone.norm.bias"], state["vqa_head.fc_last.bias"]
    state["fragments_backbone.layers.0.blocks.0.attn.surprise"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        load_weights(network, state)
    for part in ("2 missing: fragments_backbone.norm.bias, vqa_head.fc_last.bias", "1 not expected", "surprise"):
        assert part in str(caught.value)
    assert all(torch.equal(value, before[key]) for key, value in network.state_dict().items())


def test_shapes_are_listed(smallest: Smallest) -> None:
    network = KSVQENetwork(smallest(head_hidden=5))
    state = fast_vqa_file()
    with pytest.raises(
        CheckpointError, match=r"3 of another shape: head\.hidden\.bias is \(8,\), the network needs \(5,\)"
    ):
        load_weights(network, state)


def test_another_window_is_an_error(network: KSVQENetwork) -> None:
    state = swin_file("fragments_backbone.")
    key = "fragments_backbone.layers.0.blocks.0.attn.relative_position_index"
    state[key] = state[key].flip(0)
    with pytest.raises(CheckpointError, match="another attention window"):
        load_weights(network, state)


@pytest.mark.parametrize(("gate", "warns"), [("binary", True), ("distance", False)])
def test_released_weights_under_the_binary_gate_warn(
    gate: str, warns: bool, smallest: Smallest, caplog: pytest.LogCaptureFixture
) -> None:
    network = KSVQENetwork(smallest(gate=gate))
    with caplog.at_level(logging.WARNING):
        load_weights(network, swin_file("fragments_backbone."))
    assert ("gate" in caplog.text) is warns


def test_a_part_that_the_network_lacks(smallest: Smallest) -> None:
    network = KSVQENetwork(smallest(qrs=False, cam=False))
    with pytest.raises(CheckpointError, match="this network does not have"):
        load_weights(network, clip_file())
    with pytest.raises(CheckpointError, match="this network does not have"):
        export_weights(network, "openai_clip")


def test_unknown_format() -> None:
    with pytest.raises(CheckpointError, match="no format that is known here"):
        detect_source({"nothing.here": torch.zeros(1)})


def test_a_name_that_is_nowhere(network: KSVQENetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(name: str) -> None:
        raise OSError(f"{name} is not a local folder and is not a valid model identifier")

    monkeypatch.setattr(CLIPVisionModel, "from_pretrained", absent)
    with pytest.raises(CheckpointError, match="neither a folder nor a CLIP"):
        load_weights(network, "nobody/nothing", "clip_folder")


@pytest.mark.parametrize("content", ["{", '{"vision_config": {"hidden_size": "wide"}}'])
def test_a_clip_folder_whose_configuration_is_broken(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"configuration of the CLIP .* cannot be read"):
        content_settings(tmp_path)


def test_a_clip_folder_without_weights(network: KSVQENetwork, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"holds neither .* nor .*: save the model there"):
        load_weights(network, tmp_path, "clip_folder")
