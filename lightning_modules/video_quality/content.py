"""What the content of a key frame is: a CLIP vision tower whose class token is adapted to quality.

References:
    Radford et al., "Learning Transferable Visual Models From Natural Language Supervision", ICML 2021;
    Lu et al., "KVQ: Kwai Video Quality Assessment for Short-form Videos", CVPR 2024, section 4.2 and supplement 4.2.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from transformers import CLIPVisionConfig, CLIPVisionModel

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.frozen import Freezable


class ContentTokens(NamedTuple):
    """What a content extractor says of N images.

    Shape:
        - class_token: ``(N, D)``.
        - patch_tokens: ``(N, h * w, D)``, row by row.
    """

    class_token: Tensor
    patch_tokens: Tensor


class Adapter(nn.Module):
    """Two linear layers, each followed by ReLU (the released code's form of the supplement's FC layers)."""

    def __init__(self, dim: int, hidden: int, out: int) -> None:
        super().__init__()
        self.down = nn.Linear(dim, hidden)
        self.up = nn.Linear(hidden, out)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(..., dim)`` to non-negative ``(..., out)``."""
        return F.relu(self.up(F.relu(self.down(x))))


class ClipTower(Freezable):
    """CLIP's vision transformer up to its last block, built from plain numbers, without a file or the network.

    The final layer norm and the projection to the text space are left out: the importance map and the modulation use
    the tokens of the last block as they are. Position embeddings keep the grid they were trained on, and are resized
    (bicubic) in the forward pass.

    Args:
        width: Channels D.
        layers: Blocks.
        heads: Attention heads.
        patch_size: Pixels per side of a patch.
        image_size: Pixels per side of the images that the position embeddings were trained on.
        activation: Of the MLPs: ``quick_gelu`` (OpenAI) or ``gelu`` (some later CLIPs).
    """

    def __init__(
        self, width: int, layers: int, heads: int, patch_size: int, image_size: int, activation: str = "quick_gelu"
    ) -> None:
        super().__init__()
        config = CLIPVisionConfig(
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=layers,
            num_attention_heads=heads,
            image_size=image_size,
            patch_size=patch_size,
            hidden_act=activation,
        )
        model = CLIPVisionModel(config)
        self.width = width
        self.patch_size = patch_size
        self.embeddings = model.embeddings
        self.pre_norm = model.pre_layrnorm
        self.blocks = model.encoder.layers

    def embed(self, images: Tensor) -> Tensor:
        """Images ``(N, 3, R, R)`` to the tokens before the first block, ``(N, 1 + h * w, D)``, class token first."""
        embeddings = self.embeddings
        patches = embeddings.patch_embedding(images)
        size = patches.shape[-2:]
        tokens = patches.flatten(2).transpose(1, 2)
        positions = embeddings.position_embedding.weight
        side = round((len(positions) - 1) ** 0.5)
        grid = positions[1:].view(1, side, side, self.width).permute(0, 3, 1, 2)
        if tuple(size) != (side, side):
            grid = F.interpolate(grid.float(), size=size, mode="bicubic", align_corners=False).to(positions.dtype)
        first = (embeddings.class_embedding + positions[0]).expand(images.shape[0], 1, self.width)
        tokens = torch.cat([first.to(tokens.dtype), tokens + grid.flatten(2).transpose(1, 2)], dim=1)
        return cast(Tensor, self.pre_norm(tokens))

    def run_block(self, number: int, tokens: Tensor) -> Tensor:
        """Tokens after block ``number``."""
        return cast(Tensor, self.blocks[number](tokens, None))


class ClipContent(nn.Module):
    """CLIP tower with adapters on the class token of its last blocks.

    After block i the class token becomes ``0.5 * adapter(class) + 0.5 * class``; patch tokens pass unchanged, but see
    the new class token in later blocks. In a frozen tower no gradient is kept below the first adapter.

    Args:
        tower: The vision transformer.
        adapted_blocks: How many of the last blocks are followed by an adapter; 0 for none.
        adapter_width: Channels of the adapters' bottleneck.
        freeze: Freeze the tower; the adapters always learn.

    Raises:
        ConfigurationError: If there are more adapters than blocks.
    """

    def __init__(
        self, tower: ClipTower, adapted_blocks: int = 4, adapter_width: int = 192, freeze: bool = True
    ) -> None:
        super().__init__()
        if not 0 <= adapted_blocks <= len(tower.blocks):
            raise ConfigurationError(
                f"content_adapter_layers is {adapted_blocks}, but the content tower has {len(tower.blocks)} blocks: "
                "choose a number from 0 to that."
            )
        self.tower = tower.freeze() if freeze else tower
        self.adapters = nn.ModuleList(Adapter(tower.width, adapter_width, tower.width) for _ in range(adapted_blocks))
        self.dim = tower.width

    def map_size(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of patch tokens for images of ``height x width`` pixels."""
        return height // self.tower.patch_size, width // self.tower.patch_size

    def forward(self, images: Tensor) -> ContentTokens:
        """Tokens of CLIP-normalised images ``(N, 3, R, R)``."""
        plain = len(self.tower.blocks) - len(self.adapters)
        # Up to the block before the first adapter nothing learns, unless the tower itself does.
        with torch.no_grad() if self.tower.frozen else nullcontext():
            tokens = self.tower.embed(images)
            for number in range(min(plain + 1, len(self.tower.blocks))):
                tokens = self.tower.run_block(number, tokens)
        for number, adapter in enumerate(self.adapters, start=plain):
            if number > plain:
                tokens = self.tower.run_block(number, tokens)
            first = tokens[:, :1]
            tokens = torch.cat([0.5 * adapter(first) + 0.5 * first, tokens[:, 1:]], dim=1)
        return ContentTokens(tokens[:, 0], tokens[:, 1:])
