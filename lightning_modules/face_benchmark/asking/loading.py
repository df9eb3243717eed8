"""Networks of transformers that read pictures and text, with their processors."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, cast

import torch
from transformers import (
    AutoConfig,
    AutoModelForImageTextToText,
    AutoProcessor,
    BitsAndBytesConfig,
    PreTrainedConfig,
    PreTrainedModel,
    ProcessorMixin,
)
from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING

from datamodules.common.errors import ConfigurationError
from lightning_modules.nn.hub import read_pretrained

Precision = Literal["auto", "float32", "bfloat16", "float16"]
Quantisation = Literal["4bit", "8bit"]
_log = logging.getLogger(__name__)
# Files that a processor and a configuration are; weights are elsewhere.
_TEXTS: Final = ("*.json", "*.jinja", "*.txt")
# Greedy decoding asks for nothing of these, but a model's own generation_config.json may.
_GREEDY: Final[dict[str, Any]] = {
    "do_sample": False,
    "num_beams": 1,
    "temperature": None,
    "top_p": None,
    "top_k": None,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "length_penalty": 1.0,
}


class Loading(NamedTuple):
    """How a network is loaded.

    Attributes:
        dtype: Of the weights; "auto" takes that of the files.
        device_map: How layers are spread over devices, "auto" for all GPUs; None: the device of the run.
        quantisation: By bitsandbytes.
        attention: Implementation by its name in transformers.
    """

    dtype: Precision = "auto"
    device_map: str | None = None
    quantisation: Quantisation | None = None
    attention: str | None = None


class Loaded(NamedTuple):
    """A network and what prepares its input.

    Attributes:
        network: In evaluation mode.
        processor: Pads on the left.
        reset: Values of its own generation settings that greedy decoding has set back.
    """

    network: PreTrainedModel
    processor: ProcessorMixin
    reset: Mapping[str, object]


def load(weights: str, how: Loading) -> Loaded:
    """Load a network and its processor by a folder or a name on the Hugging Face Hub.

    Raises:
        CheckpointError: If they cannot be read.
        ConfigurationError: If the network takes no pictures, the processor has no chat template, or a library is not
            installed.
    """
    config = cast(PreTrainedConfig, read_pretrained(AutoConfig, weights))
    if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise ConfigurationError(
            f"{weights} is a {config.model_type}, which is asked no question about pictures: give a model of image and "
            "text such as LLaVA, Qwen-VL, InternVL, Idefics or PaliGemma"
        )
    processor = _checked(read_pretrained(AutoProcessor, weights), weights)
    options: dict[str, Any] = {"dtype": "auto" if how.dtype == "auto" else getattr(torch, how.dtype)}
    if how.device_map is not None:
        options["device_map"] = how.device_map
    if how.attention is not None:
        options["attn_implementation"] = how.attention
    if how.quantisation is not None:
        options["quantization_config"] = _quantised(how.quantisation)
    network = cast(PreTrainedModel, read_pretrained(AutoModelForImageTextToText, weights, **options))
    return _ready(network, processor)


def rebuild(files: Mapping[str, str]) -> Loaded:
    """A network with random weights, for a checkpoint to fill, from the texts that `texts_of` gave."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            (Path(folder) / Path(name).name).write_text(text, encoding="utf-8")
        config = read_pretrained(AutoConfig, folder)
        processor = _checked(read_pretrained(AutoProcessor, folder), "the checkpoint")
        network = cast(PreTrainedModel, cast(Any, AutoModelForImageTextToText).from_config(config))
    return _ready(network, processor)


def texts_of(loaded: Loaded) -> dict[str, str]:
    """Configuration, tokenizer and chat template as the texts of their files."""
    with tempfile.TemporaryDirectory() as folder:
        loaded.network.config.save_pretrained(folder)
        loaded.processor.save_pretrained(folder)
        found = {file for pattern in _TEXTS for file in Path(folder).glob(pattern)}
        return {file.name: file.read_text(encoding="utf-8") for file in sorted(found)}


def pad_left(processor: ProcessorMixin) -> None:
    """Have batches padded on the left: on the right, all but the longest question would be answered after padding."""
    tokenizer = processor.tokenizer
    tokenizer.padding_side = "left"
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token


def _checked(processor: object, weights: str) -> ProcessorMixin:
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_processor"):
        raise ConfigurationError(
            f"the processor of {weights} is a {type(processor).__name__}, which reads no pictures beside text: give a "
            "folder with the files of the model's whole processor"
        )
    if not getattr(processor, "chat_template", None):
        raise ConfigurationError(
            f"{weights} has no chat template, so that nobody knows how it is to be asked: take its instruct version, "
            "or put its chat_template.jinja beside the other files"
        )
    found = cast(ProcessorMixin, processor)
    pad_left(found)
    return found


def _quantised(bits: Quantisation) -> BitsAndBytesConfig:
    if find_spec("bitsandbytes") is None:
        raise ConfigurationError(
            f"quantisation {bits} needs the package bitsandbytes, which is not installed: pip install bitsandbytes, or "
            "leave quantisation out"
        )
    made = cast(Any, BitsAndBytesConfig)  # transformers' constructors have no types
    options = {"load_in_8bit": True} if bits == "8bit" else {"load_in_4bit": True}
    return cast(BitsAndBytesConfig, made(**options, bnb_4bit_compute_dtype=torch.bfloat16))


def _ready(network: PreTrainedModel, processor: ProcessorMixin) -> Loaded:
    settings = network.generation_config
    reset: dict[str, object] = {}
    for name, value in _GREEDY.items():
        own = getattr(settings, name, None)
        if own is not None and own != value:
            reset[name] = own
        setattr(settings, name, value)
    if reset:
        _log.info("greedy decoding sets back what the model would do by itself: %s", reset)
    network.train(False)
    return Loaded(network, processor, reset)
