"""How likely each letter is as an answer."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from transformers import LogitsProcessor, PreTrainedTokenizerBase

from datamodules.common.errors import ConfigurationError

_SPELLINGS = ("{}", " {}")  # a token may hold the space before a letter


class LetterTokens:
    """Tokens of letters and of the bracket that may come before one.

    Args:
        tokenizer: Of the model.
        letters: All that may be asked about.

    Raises:
        ConfigurationError: If a letter is no token, or two letters are the same.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, letters: str) -> None:
        self.letters = {letter: _tokens_of(tokenizer, letter) for letter in letters}
        self.brackets = _tokens_of(tokenizer, "(")
        unknown = [letter for letter, tokens in self.letters.items() if not tokens]
        every = [token for tokens in self.letters.values() for token in tokens]
        if unknown or len(set(every)) < len(every):
            raise ConfigurationError(
                f"the tokenizer has no token of its own for {', '.join(unknown) or 'each letter'}, so that letters "
                "cannot be compared: take scoring generate"
            )

    def log_probabilities(self, first: Tensor, second: Tensor | None, letters: Sequence[str]) -> Tensor:
        """Logarithm of the probability that an answer begins with a letter, or with a bracket and the letter.

        Args:
            first: Logits of an answer's first token, ``(V,)``.
            second: Those of its second token where the first is a bracket; None where there is no such token.
            letters: Of the options.

        Returns:
            float32 ``(letters,)``; their sum over all tokens is 1 at most.
        """
        logs = first.float().log_softmax(dim=0)
        found = torch.stack([logs[self.letters[letter]].logsumexp(dim=0) for letter in letters])
        if second is None:
            return found
        inner = second.float().log_softmax(dim=0)
        behind = torch.stack([inner[self.letters[letter]].logsumexp(dim=0) for letter in letters])
        return torch.logaddexp(found, logs[self.brackets].max() + behind)


class BracketFirst(LogitsProcessor):
    """Has an answer begin with a bracket, so that one pass tells what follows both with and without it.

    Args:
        tokens: Of the bracket; the likeliest is taken.
        length: Of the question.
    """

    def __init__(self, tokens: Sequence[int], length: int) -> None:
        self._tokens = list(tokens)
        self._length = length

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores ``(B, V)`` of the next token."""
        if input_ids.shape[1] > self._length:
            return scores
        kept = torch.full_like(scores, -torch.inf)
        kept[:, self._tokens] = scores[:, self._tokens]
        return kept


def _tokens_of(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    found: dict[int, None] = {}
    for spelling in _SPELLINGS:
        tokens = tokenizer.encode(spelling.format(text), add_special_tokens=False)
        if len(tokens) == 1 and tokens[0] != tokenizer.unk_token_id:
            found[tokens[0]] = None
    return list(found)
