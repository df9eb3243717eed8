"""A small network of LLaVA's form with random weights, made without a download."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, cast

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    CLIPImageProcessor,
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from datamodules.common.settings import argument, settings
from datamodules.face_benchmark.batch import CATEGORIES, LETTERS, TASKS
from lightning_modules.face_benchmark.asking.loading import Loaded, pad_left

# What questions are made of, so that most of their words are tokens and a small network need not learn to spell.
_ASKED: Final = (
    "What is the gender of the person in this image?", "Which image shows a female person?",
    "Which image shows a male person?", "How many people are in this image?", "Do these images show the same person?",
    "female male yes no smiling frowning neutral 1 2 3 4 5 6 7 8 9",
    "image 1 image 2 image 3 both images none of the above",
    " ".join(LETTERS),
)  # fmt: skip
_SPECIAL: Final = ("<pad>", "<s>", "</s>", "<image>")
_TEMPLATE: Final = (
    "{{ bos_token }}{% for message in messages %}{{ message['role'] }}: {% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


@settings
class TinySettings:
    """Sizes of a network that is made where no weights are named."""

    width: int = argument(default=16, help="Features of a token.", low=8)
    layers: int = argument(default=2, help="Blocks of the language model.", low=1)
    heads: int = argument(default=2, help="Attention heads of a block.", low=1)
    vision_width: int = argument(default=16, help="Features of a patch.", low=8)
    vision_layers: int = argument(default=2, help="Blocks of the vision model.", low=1)
    image_size: int = argument(default=28, help="Side in pixels of what it sees.", low=14)
    patch: int = argument(default=14, help="Side of a patch in pixels; a picture is (side / patch)^2 tokens.", low=2)
    context: int = argument(default=2048, help="Tokens that it reads.", low=64)
    vocabulary: int = argument(
        default=560, help="Tokens that it knows, learnt from what questions are made of.", low=300
    )
    seed: int = argument(default=0, help="Of its weights.")


def tiny(sizes: TinySettings) -> Loaded:
    """A network of random weights, a tokenizer and a processor; the same seed gives the same ones.

    Its ``image_size`` should be a multiple of ``patch``.
    """
    processor = _processor(sizes)
    tokenizer = processor.tokenizer
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=sizes.vision_width,
            intermediate_size=2 * sizes.vision_width,
            num_hidden_layers=sizes.vision_layers,
            num_attention_heads=sizes.heads,
            initializer_range=sizes.vision_width**-0.5,
            image_size=sizes.image_size,
            patch_size=sizes.patch,
        ),
        text_config=LlamaConfig(
            hidden_size=sizes.width,
            intermediate_size=2 * sizes.width,
            num_hidden_layers=sizes.layers,
            num_attention_heads=sizes.heads,
            num_key_value_heads=sizes.heads,
            initializer_range=sizes.width**-0.5,  # 0.02, the usual one, is that of some thousand features
            vocab_size=len(tokenizer),
            max_position_embeddings=sizes.context,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
        ),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        vision_feature_layer=-1,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(sizes.seed)
        network = LlavaForConditionalGeneration(config)
    network.train(False)
    return Loaded(network, processor, {})


def _processor(sizes: TinySettings) -> LlavaProcessor:
    side = sizes.image_size
    processor: LlavaProcessor = cast(Any, LlavaProcessor)(  # transformers' constructors have no types
        CLIPImageProcessor(size={"height": side, "width": side}, do_center_crop=False),
        _tokenizer(sizes.vocabulary),
        patch_size=sizes.patch,
        vision_feature_select_strategy="default",
        chat_template=_TEMPLATE,
        num_additional_image_tokens=1,
    )
    pad_left(processor)
    return processor


def _tokenizer(vocabulary: int) -> PreTrainedTokenizerFast:
    """Bytes, and pairs of them that the benchmark's own words hold."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(_SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_words(), trainer)
    pad, begin, end, image = _SPECIAL
    made = cast(Any, PreTrainedTokenizerFast)(
        tokenizer_object=tokenizer,
        pad_token=pad,
        bos_token=begin,
        eos_token=end,
        extra_special_tokens={"image_token": image},
    )
    return cast(PreTrainedTokenizerFast, made)


def _words() -> Iterable[str]:
    yield from CATEGORIES.values()
    yield from (name for name, _ in TASKS.values())
    for _ in range(3):  # words that are read once do not become tokens
        yield from _ASKED
    yield from (f"Which image? ({letter}) Image {number}" for number, letter in enumerate(LETTERS[:8]))
    yield "Please answer the question and provide only the correct option letter, e.g., A, B, C, D."
