"""Questions as a processor's tensors, with or without their right answers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature, ProcessorMixin

from datamodules.common.errors import ConfigurationError
from lightning_modules.face_benchmark.asking.loading import pad_left
from lightning_modules.face_benchmark.prompts import Asked

IGNORED: Final = -100  # label of what no loss is taken of


def encode(
    processor: ProcessorMixin,
    asked: Sequence[Asked],
    min_pixels: int | None = None,
    max_pixels: int | None = None,
) -> dict[str, Tensor]:
    """Questions by the processor's chat template, padded on the left, the beginning of an answer last.

    Args:
        processor: Of the model.
        asked: B questions of any numbers of pictures; the pictures come first, as the released runner has it.
        min_pixels: Smaller pictures are enlarged to so many, before the processor sees them.
        max_pixels: Larger ones are made smaller.

    Returns:
        What the model takes: ``input_ids`` and ``attention_mask`` ``(B, T)``, and the pictures as it wants them.
    """
    pad_left(processor)  # a processor that is saved and read again may have forgotten
    conversations = [
        [{"role": "user", "content": [*_pictures(one, min_pixels, max_pixels), {"type": "text", "text": one.prompt}]}]
        for one in asked
    ]
    encoded = cast(Any, processor).apply_chat_template(
        conversations,
        add_generation_prompt=True,
        tokenize=True,
        return_dict=True,
        return_tensors="pt",
        processor_kwargs={"padding": True},
    )
    return {name: value for name, value in cast(BatchFeature, encoded).items() if isinstance(value, Tensor)}


def with_answers(inputs: Mapping[str, Tensor], answers: Sequence[Sequence[int]], pad: int) -> dict[str, Tensor]:
    """Questions followed by their answers, padded on the right, and labels of the answers alone.

    On the right since positions of a training are counted from the left.

    Args:
        inputs: As `encode` gives them.
        answers: Tokens of each answer, its end among them.
        pad: Token of padding.

    Returns:
        The same names, and ``labels`` ``(B, T)``, `IGNORED` where no answer is.

    Example:
        >>> inputs = {"input_ids": torch.tensor([[0, 5], [6, 7]]), "attention_mask": torch.tensor([[0, 1], [1, 1]])}
        >>> made = with_answers(inputs, [[8], [9]], 0)
        >>> made["input_ids"].tolist(), made["labels"].tolist()
        ([[5, 8, 0], [6, 7, 9]], [[-100, 8, -100], [-100, -100, 9]])
    """
    mask = inputs["attention_mask"].bool()
    lengths = [int(row.sum()) for row in mask]
    longest = max(length + len(answer) for length, answer in zip(lengths, answers, strict=True))
    made = {name: value for name, value in inputs.items() if value.shape != mask.shape}
    for name in inputs.keys() - made.keys():
        fill = pad if name == "input_ids" else 0
        made[name] = torch.full((len(mask), longest), fill, dtype=inputs[name].dtype)
    labels = torch.full((len(mask), longest), IGNORED)
    for row, answer in enumerate(answers):
        end = lengths[row] + len(answer)
        tokens = torch.tensor(answer)
        for name in inputs.keys() & made.keys():
            if inputs[name].shape == mask.shape:
                made[name][row, : lengths[row]] = inputs[name][row, mask[row]]
        made["input_ids"][row, lengths[row] : end] = tokens
        made["attention_mask"][row, lengths[row] : end] = 1
        labels[row, lengths[row] : end] = tokens
    return made | {"labels": labels}


def check_length(inputs: Mapping[str, Tensor], asked: Sequence[Asked], new_tokens: int, context: int | None) -> None:
    """Refuse questions that the model would cut off.

    Raises:
        ConfigurationError: Naming the longest.
    """
    lengths = inputs["attention_mask"].sum(dim=1)
    longest = int(lengths.max()) + new_tokens
    if context is not None and longest > context:
        key = asked[int(lengths.argmax())].question.key
        raise ConfigurationError(
            f"question {key} has {longest - new_tokens} tokens, its pictures among them, and with an answer of "
            f"{new_tokens} more than the {context} that the model reads: make max_pixels or max_new_tokens smaller"
        )


def _pictures(one: Asked, min_pixels: int | None, max_pixels: int | None) -> list[dict[str, Any]]:
    return [{"type": "image", "image": sized(image, min_pixels, max_pixels)} for image in one.images]


def sized(image: Tensor, min_pixels: int | None, max_pixels: int | None) -> Image.Image:
    """A picture uint8 ``(3, H, W)``, with its aspect ratio as many pixels as are allowed."""
    picture = Image.fromarray(image.permute(1, 2, 0).contiguous().cpu().numpy())
    pixels = picture.width * picture.height
    wanted = min(max(pixels, min_pixels or 1), max_pixels or pixels)
    if wanted == pixels:
        return picture
    scale = math.sqrt(wanted / pixels)
    return picture.resize(
        (max(1, round(picture.width * scale)), max(1, round(picture.height * scale))), Image.Resampling.LANCZOS
    )
