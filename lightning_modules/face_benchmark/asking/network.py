"""A network of transformers, asked in batches."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.metadata import version
from typing import Any, Final, Self, cast

import torch
from torch import Tensor, nn
from transformers import LogitsProcessorList, PreTrainedModel, PreTrainedTokenizerBase

from datamodules.common.fingerprint import config_digest, tensors_digest
from datamodules.face_benchmark.batch import LETTERS
from lightning_modules.face_benchmark.asking.contract import Answered, Answerer, Scoring
from lightning_modules.face_benchmark.asking.encoding import check_length, encode, with_answers
from lightning_modules.face_benchmark.asking.letters import BracketFirst, LetterTokens
from lightning_modules.face_benchmark.asking.loading import Loaded, texts_of
from lightning_modules.face_benchmark.prompts import Asked

_log = logging.getLogger(__name__)
_LOOKED_AT: Final = 1 << 16  # values of a weight that tell it from another one
_NO_MEMORY: Final = "can't allocate memory"  # what the CPU says


class Network(nn.Module, Answerer):
    """A network and its processor.

    Args:
        loaded: Both.
        min_pixels: Smaller pictures are enlarged to so many.
        max_pixels: Larger ones are made smaller.
        origin: Name under which it was found, for the record.
    """

    def __init__(self, loaded: Loaded, min_pixels: int | None, max_pixels: int | None, origin: str) -> None:
        super().__init__()
        self.network: PreTrainedModel = loaded.network
        self.processor = loaded.processor
        self.files = texts_of(loaded)
        self._reset = dict(loaded.reset)
        self._pixels = (min_pixels, max_pixels)
        self._origin = origin
        self._together: int | None = None  # questions that fit into memory; None: not known to be limited

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Leave a network that is spread over several devices where it is, whatever device the run has."""
        spread = set(getattr(self.network, "hf_device_map", {}).values())
        if len(spread) < 2:
            super()._apply(fn, recurse)  # type: ignore[no-untyped-call]  # torch's own
        return self

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """Of the processor."""
        found: PreTrainedTokenizerBase = self.processor.tokenizer
        return found

    @property
    def device(self) -> torch.device:
        """Where inputs go."""
        return next(self.network.parameters()).device

    @property
    def context(self) -> int | None:
        """Tokens that the network reads at most; None where it does not say."""
        config = self.network.config.get_text_config()
        found = getattr(config, "max_position_embeddings", None)
        return int(found) if found else None

    @cached_property
    def letters(self) -> LetterTokens:
        """Tokens of the letters.

        Raises:
            ConfigurationError: If they cannot be told apart.
        """
        return LetterTokens(self.tokenizer, LETTERS)

    def answer(self, asked: Sequence[Asked], scoring: Scoring, max_new_tokens: int) -> list[Answered]:
        """Answer questions; where memory does not last, in halves.

        Raises:
            ConfigurationError: If a question is longer than the network reads.
        """
        if self._together is not None and len(asked) > self._together:
            return self._halves(asked, scoring, max_new_tokens)
        try:
            if scoring == "likelihood":
                return self._by_likelihood(asked)
            return self._by_words(asked, max_new_tokens)
        except (torch.OutOfMemoryError, RuntimeError) as error:
            if len(asked) == 1 or not _is_memory(error):
                raise
        self._together = len(asked) // 2
        _log.warning("warning: %d questions at once do not fit into memory, %d from now on", len(asked), self._together)
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return self._halves(asked, scoring, max_new_tokens)

    def loss(self, asked: Sequence[Asked], answers: Sequence[str]) -> Tensor:
        """Mean cross entropy of the tokens of answers and of the ends behind them, a scalar.

        Args:
            asked: B questions.
            answers: The right one to each, as it is to be said.
        """
        inputs = encode(self.processor, asked, *self._pixels)
        end = self.tokenizer.eos_token_id
        ends = [] if end is None else [int(end)]
        tokens = [[*self.tokenizer.encode(one, add_special_tokens=False), *ends] for one in answers]
        pad = self.tokenizer.pad_token_id
        check_length(inputs, asked, max(map(len, tokens)), self.context)
        given = with_answers(inputs, tokens, 0 if pad is None else int(pad))
        found: Tensor = self.network(**self._moved(given), use_cache=False).loss
        return found

    def facts(self) -> Mapping[str, object]:
        """Its name, digests of files and weights, precision, pixels, and the versions that decide."""
        config = self.network.config
        parameter = next(self.network.parameters())
        return {
            "model": self._origin,
            "model_type": config.model_type,
            "files": config_digest(self.files),
            "weights": tensors_digest(dict(self.network.state_dict()), most=_LOOKED_AT),
            "dtype": str(parameter.dtype).removeprefix("torch."),
            "attention": config._attn_implementation,
            "quantisation": str(getattr(config, "quantization_config", None) or "none"),
            "devices": sorted({str(one.device.type) for one in self.network.parameters()}),
            "min_pixels": self._pixels[0],
            "max_pixels": self._pixels[1],
            "generation_reset": self._reset,
            "transformers": version("transformers"),
        }

    def _halves(self, asked: Sequence[Asked], scoring: Scoring, max_new_tokens: int) -> list[Answered]:
        size = self._together or len(asked)
        parts = [asked[start : start + size] for start in range(0, len(asked), size)]
        return [one for part in parts for one in self.answer(part, scoring, max_new_tokens)]

    def _by_words(self, asked: Sequence[Asked], max_new_tokens: int) -> list[Answered]:
        inputs, length = self._inputs(asked, max_new_tokens)
        made = cast(Any, self.network).generate(**inputs, max_new_tokens=max_new_tokens, do_sample=False)
        ends = self._ends()
        answers = []
        for one, row in zip(self._lengths(inputs), made[:, length:].tolist(), strict=True):
            end = next((place for place, token in enumerate(row) if token in ends), len(row))
            text = str(self.tokenizer.decode(row[:end], skip_special_tokens=True)).strip()
            answers.append(Answered(text, None, one, end, cut=end == max_new_tokens))
        return answers

    def _by_likelihood(self, asked: Sequence[Asked]) -> list[Answered]:
        inputs, length = self._inputs(asked, 2)
        brackets = self.letters.brackets
        steps = (
            cast(Any, self.network)
            .generate(
                **inputs,
                max_new_tokens=2 if brackets else 1,
                min_new_tokens=2 if brackets else 1,
                do_sample=False,
                output_logits=True,
                return_dict_in_generate=True,
                logits_processor=LogitsProcessorList([BracketFirst(brackets, length)] if brackets else []),
            )
            .logits
        )
        answers = []
        for row, (one, tokens) in enumerate(zip(asked, self._lengths(inputs), strict=True)):
            letters = one.question.letters
            second = steps[1][row] if brackets else None
            logs = self.letters.log_probabilities(steps[0][row], second, letters)
            answers.append(Answered(letters[int(logs.argmax())], tuple(logs.tolist()), tokens, 1))
        return answers

    def _inputs(self, asked: Sequence[Asked], new_tokens: int) -> tuple[dict[str, Any], int]:
        inputs = encode(self.processor, asked, *self._pixels)
        check_length(inputs, asked, new_tokens, self.context)
        return self._moved(inputs), inputs["input_ids"].shape[1]

    def _moved(self, inputs: Mapping[str, Tensor]) -> dict[str, Any]:
        dtype = next(self.network.parameters()).dtype
        return {
            name: value.to(self.device, dtype if value.is_floating_point() and dtype.is_floating_point else None)
            for name, value in inputs.items()
        }

    def _ends(self) -> set[int]:
        ends = self.network.generation_config.eos_token_id
        found = {self.tokenizer.eos_token_id, self.tokenizer.pad_token_id}
        return {int(one) for one in {*found, *(ends if isinstance(ends, list) else [ends])} if one is not None}

    @staticmethod
    def _lengths(inputs: Mapping[str, Tensor]) -> list[int]:
        found: list[int] = inputs["attention_mask"].sum(dim=1).tolist()
        return found


def _is_memory(error: BaseException) -> bool:
    return isinstance(error, torch.OutOfMemoryError) or _NO_MEMORY in str(error)
