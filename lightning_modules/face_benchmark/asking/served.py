"""A server that speaks OpenAI's protocol: vLLM, llama.cpp, and what companies offer."""

from __future__ import annotations

import base64
import io
import logging
import math
import os
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final, cast

from PIL import Image
from torch import Tensor

from datamodules.common.errors import AppraiseError, ConfigurationError, one_line
from datamodules.common.settings import argument, settings
from lightning_modules.face_benchmark.asking.contract import Answered, Answerer, Scoring
from lightning_modules.face_benchmark.asking.encoding import sized
from lightning_modules.face_benchmark.prompts import Asked

if TYPE_CHECKING:
    from openai import OpenAI

_log = logging.getLogger(__name__)
_NO_KEY: Final = "none"  # what servers that want no key are given
_REFUSED: Final = "refused: "  # how the reason begins of a question that the server will not answer
_MOST_REFUSED: Final = 16  # at the beginning, before it is thought that the server takes no such questions


class ServerError(AppraiseError, RuntimeError):
    """A server does not answer, or has answered as much as was allowed; what it has answered is kept."""


@settings
class ServerSettings:
    """A server and what may be spent on it."""

    base_url: str = argument(default="http://127.0.0.1:8000/v1", help="Where it is, up to the version.")
    model: str = argument(default="", help="Name by which it knows the model.")
    key_variable: str = argument(
        default="OPENAI_API_KEY", help="Variable of the environment that holds the key; servers without keys need none."
    )
    concurrency: int = argument(default=4, help="Questions that it is asked at a time.", low=1, high=256)
    retries: int = argument(
        default=5, help="How often a request is repeated that failed, after longer and longer pauses.", low=0, high=50
    )
    timeout: float = argument(default=120.0, help="Seconds after which a request has failed.", low=0.1)
    price_in: float = argument(default=0.0, help="Price of a million tokens of questions.", low=0)
    price_out: float = argument(default=0.0, help="Price of a million tokens of answers.", low=0)
    max_tokens: int | None = argument(
        default=None, help="Stop where the answers of a folder have taken so many tokens.", low=1
    )
    max_price: float | None = argument(
        default=None, help="Stop where the answers of a folder have cost so much.", low=0
    )

    def price(self, tokens_in: int, tokens_out: int) -> float:
        """What questions and answers of so many tokens cost."""
        return (tokens_in * self.price_in + tokens_out * self.price_out) / 1e6

    def check(self) -> None:
        """Refuse a server without a model, and a limit on a price that nobody stated."""
        if not self.model:
            raise ConfigurationError("server has no model: name the one that it is to answer by, server.model")
        if self.max_price is not None and self.price_in == self.price_out == 0:
            raise ConfigurationError(
                f"max_price is {self.max_price:g}, and no price is stated: give price_in and price_out a million tokens"
            )


class Served(Answerer):
    """Asks a server several questions at a time.

    Args:
        server: Which, and what may be spent.
        max_pixels: Larger pictures are made smaller.

    Attributes:
        tokens: Of questions and answers of a folder so far, those of earlier runs among them.
        price: Likewise.
    """

    def __init__(self, server: ServerSettings, max_pixels: int | None) -> None:
        self.tokens = 0
        self.price = 0.0
        self._server = server
        self._max_pixels = max_pixels
        self._answers = 0
        self._refused = 0
        self._lock = threading.Lock()

    def answer(self, asked: Sequence[Asked], scoring: Scoring, max_new_tokens: int) -> list[Answered]:
        """Ask; a question that the server refuses or does not answer in all retries is told as failed.

        Raises:
            ServerError: If not one is answered because the server cannot be reached, it has refused all of the first
                questions, or a limit is reached.
        """
        with ThreadPoolExecutor(self._server.concurrency) as pool:
            found = list(pool.map(lambda one: self._ask(one, max_new_tokens), asked))
        self._answers += sum(not one.failed for one in found)
        self._refused += sum(one.failed.startswith(_REFUSED) for one in found)
        if stopped := next((one.failed for one in found if one.failed.startswith(_LIMIT)), ""):
            if all(one.failed for one in found):
                raise ServerError(stopped)
        elif asked and all(one.failed for one in found) and not self._may_go_on(found):
            raise ServerError(
                f"{self._server.base_url} answers nothing ({found[0].failed}): see that it runs and is meant, and that "
                f"{self._server.key_variable} holds its key where it wants one"
            )
        return found

    def _may_go_on(self, found: Sequence[Answered]) -> bool:
        """Whether a batch without an answer is one of questions that were refused by what they say."""
        known = self._answers > 0 or self._refused < _MOST_REFUSED
        return known and all(one.failed.startswith(_REFUSED) for one in found)

    def resume(self, tokens_in: int, tokens_out: int) -> None:
        """Begin with what the answers of a folder have taken, by whatever run."""
        self.tokens, self.price = 0, 0.0
        self._count(tokens_in, tokens_out)

    def facts(self) -> Mapping[str, object]:
        """Its address and the model's name."""
        return {"model": self._server.model, "server": self._server.base_url, "max_pixels": self._max_pixels}

    @cached_property
    def _client(self) -> OpenAI:
        library = _openai()
        key = os.environ.get(self._server.key_variable) or _NO_KEY
        client: OpenAI = library.OpenAI(
            base_url=self._server.base_url, api_key=key, timeout=self._server.timeout, max_retries=self._server.retries
        )
        return client

    def _ask(self, one: Asked, max_new_tokens: int) -> Answered:
        if limit := self._reached():
            return Answered("", failed=limit)
        content: list[dict[str, Any]] = [_picture(image, self._max_pixels) for image in one.images]
        content.append({"type": "text", "text": one.prompt})
        try:
            reply = cast(Any, self._client.chat.completions).create(  # plain dicts are its protocol
                model=self._server.model,
                messages=[{"role": "user", "content": content}],
                max_completion_tokens=max_new_tokens,
                temperature=0,
            )
            choice = reply.choices[0]
            text, reason = choice.message.content or choice.message.refusal or "", choice.finish_reason
        except (_openai().BadRequestError, _openai().UnprocessableEntityError) as error:
            return Answered("", failed=one_line(f"{_REFUSED}{error}")[:300])
        except _openai().OpenAIError as error:
            return Answered("", failed=one_line(f"{type(error).__name__}: {error}")[:300])
        except (AttributeError, IndexError, TypeError, ValueError) as error:  # a reply of another form
            return Answered("", failed=f"a reply of another form ({one_line(str(error))[:100]})")
        used = (getattr(reply.usage, "prompt_tokens", 0) or 0, getattr(reply.usage, "completion_tokens", 0) or 0)
        self._count(*used)
        return Answered(text.strip(), None, *used, cut=reason == "length")

    def _count(self, tokens_in: int, tokens_out: int) -> None:
        with self._lock:
            self.tokens += tokens_in + tokens_out
            self.price += self._server.price(tokens_in, tokens_out)

    def _reached(self) -> str:
        """Sentence about the limit that is reached; empty where none is."""
        if self.tokens >= (self._server.max_tokens or math.inf):
            return f"{_LIMIT} of {self._server.max_tokens} tokens is reached: the same command with more goes on"
        if self.price >= (math.inf if self._server.max_price is None else self._server.max_price):
            return f"{_LIMIT} of {self._server.max_price:g} is reached: the same command with more goes on"
        return ""


_LIMIT: Final = "the limit"


def _openai() -> ModuleType:
    try:
        import openai as found
    except ImportError as error:
        raise ConfigurationError(
            f"a server is asked by the package {error.name}: install it with `pip install 'appraise[served]'`"
        ) from error
    return found


def _picture(image: Tensor, max_pixels: int | None) -> dict[str, Any]:
    stream = io.BytesIO()
    picture: Image.Image = sized(image, None, max_pixels)
    picture.save(stream, format="PNG")
    coded = base64.b64encode(stream.getvalue()).decode("ascii")
    return {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{coded}"}}
