"""OpenAI's CLIP: the vision tower ``visual.*``, with queries, keys and values in one matrix.

Dropped by name: the projection to the text space and the last layer norm, which KSVQE does not use, and the text tower.

References:
    https://github.com/openai/CLIP (ViT-B-16.pt, a TorchScript archive).
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from lightning_modules.video_quality.key_maps.mapping import Entry, KeyMap, Tensors, layer, renamed
from lightning_modules.video_quality.presets import KSVQEConfig

UNUSED = "KSVQE takes the tokens of the last block as they are"
TEXT = "KSVQE has no text tower"
TEXT_KEYS = ("transformer.", "token_embedding.", "ln_final.", "positional_embedding", "text_projection", "logit_scale")
ARCHIVE_KEYS = ("input_resolution", "context_length", "vocab_size")  # plain numbers that OpenAI's archives carry


def _split(tensors: Tensors) -> Tensors:
    return tensors[0].chunk(3)


def _join(tensors: Tensors) -> Tensors:
    return [torch.cat(list(tensors))]


def clip_entries(config: KSVQEConfig, prefix: str) -> list[Entry]:
    """Entries of the vision tower below a file's prefix."""
    tower = "content.tower."
    entries = [
        renamed(f"{prefix}class_embedding", f"{tower}embeddings.class_embedding"),
        renamed(f"{prefix}conv1.weight", f"{tower}embeddings.patch_embedding.weight"),
        renamed(f"{prefix}positional_embedding", f"{tower}embeddings.position_embedding.weight"),
        *layer(f"{prefix}ln_pre", f"{tower}pre_norm"),
    ]
    for number in range(config.content_layers):
        theirs, ours = f"{prefix}transformer.resblocks.{number}", f"{tower}blocks.{number}"
        for kind in ("weight", "bias"):
            split = tuple(f"{ours}.self_attn.{part}_proj.{kind}" for part in "qkv")
            entries.append(Entry((f"{theirs}.attn.in_proj_{kind}",), split, _split, _join))
        entries += layer(f"{theirs}.attn.out_proj", f"{ours}.self_attn.out_proj")
        entries += layer(f"{theirs}.ln_1", f"{ours}.layer_norm1")
        entries += layer(f"{theirs}.mlp.c_fc", f"{ours}.mlp.fc1")
        entries += layer(f"{theirs}.mlp.c_proj", f"{ours}.mlp.fc2")
        entries += layer(f"{theirs}.ln_2", f"{ours}.layer_norm2")
    return entries


def unused_keys(prefix: str) -> dict[str, str]:
    """Keys of the vision tower that are dropped by name."""
    return {f"{prefix}{name}": UNUSED for name in ("proj", "ln_post.weight", "ln_post.bias")}


def key_map(config: KSVQEConfig, state: Mapping[str, Tensor]) -> KeyMap:
    """Map for a file with these keys; with the prefix ``visual.`` where the file is empty."""
    prefix = "" if "conv1.weight" in state else "visual."
    dropped = unused_keys(prefix)
    if prefix:
        dropped |= dict.fromkeys(TEXT_KEYS, TEXT) | dict.fromkeys(ARCHIVE_KEYS, TEXT)
    return KeyMap(source="OpenAI CLIP", entries=tuple(clip_entries(config, prefix)), dropped=dropped)
