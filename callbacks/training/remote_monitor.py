"""Post each epoch's numbers to a server."""

from __future__ import annotations

import json
import logging
import math
import re
import time
from http.client import HTTPException
from queue import Empty, Full, Queue
from threading import Thread
from urllib.error import URLError
from urllib.parse import urlencode, urlsplit, urlunsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

import lightning as L

from callbacks.training.epoch_numbers import EpochNumbers, EpochRow
from datamodules.common.errors import ConfigurationError

log = logging.getLogger(__name__)

_WAITING = 16  # epochs that wait for a slow server; the oldest go first


class RemoteMonitor(EpochNumbers):
    """Post the numbers of each epoch as JSON: ``{"epoch": 3, "train/loss": 0.12, "learning_rate": 0.0001, ...}``.

    A number that is not finite is ``null``. Posting goes on beside the training, on the first process alone. A server
    that cannot be reached, answers with an error, or redirects is worth one warning; later epochs are still tried.

    Args:
        url: Root of the server, ``http`` or ``https``.
        path: Path on the server.
        field: Name of the form field that carries the JSON; None posts the JSON itself.
        headers: Headers of each request. They stand in the run's record: name no secret here.
        timeout: Seconds that a request may take, and that the end of the training waits for those still on their way.

    Raises:
        ConfigurationError: If an argument cannot work.

    References:
        Keras' callback of the same name, which sends a form field ``data`` by default.
    """

    def __init__(
        self,
        url: str = "http://localhost:9000",
        path: str = "/publish/epoch/end/",
        field: str | None = None,
        headers: dict[str, str] | None = None,
        timeout: float = 5.0,
    ) -> None:
        super().__init__()
        if not (math.isfinite(timeout) and timeout > 0):
            raise ConfigurationError(f"timeout is {timeout} seconds, but must be a number above 0: give for example 5")
        self.address = address(url, path)
        self.shown = shown_address(self.address)
        self.field = field
        self.headers = checked_headers(headers or {})
        self.timeout = timeout
        self._poster: _Poster | None = None

    def on_fit_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the thread that posts."""
        super().on_fit_start(trainer, pl_module)
        if trainer.is_global_zero and not getattr(trainer, "fast_dev_run", False):
            self._poster = _Poster(self.shown, self.timeout)

    def epoch_done(self, trainer: L.Trainer, row: EpochRow) -> None:
        """Hand the numbers to the thread."""
        if self._poster is not None:
            self._poster.put(self.request(row))

    def request(self, row: EpochRow) -> Request:
        """The request that reports an epoch."""
        values = {name: value if math.isfinite(value) else None for name, value in row.values.items()}
        text = json.dumps({"epoch": row.epoch, **values}, allow_nan=False)
        kind, body = ("application/json", text)
        if self.field is not None:
            kind, body = ("application/x-www-form-urlencoded", urlencode({self.field: text}))
        headers = {"Content-Type": kind, **self.headers}
        return Request(self.address, data=body.encode(), headers=headers, method="POST")

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Post the last epoch and wait a little for what is on its way."""
        super().on_train_end(trainer, pl_module)
        self._close()

    def on_exception(self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException) -> None:
        """Post what there is and wait a little for what is on its way."""
        super().on_exception(trainer, pl_module, exception)
        self._close()

    def _close(self) -> None:
        poster, self._poster = self._poster, None
        if poster is not None:
            poster.close()


class _Poster:
    """A thread that posts requests one after the other, so that a slow server never holds up the training."""

    def __init__(self, shown: str, timeout: float) -> None:
        self._shown = shown
        self._timeout = timeout
        self._queue: Queue[Request | None] = Queue(_WAITING)
        self._warned = False
        self._opener = _plain_opener()
        self._thread = Thread(target=self._work, name="RemoteMonitor", daemon=True)
        self._thread.start()

    def put(self, request: Request | None) -> None:
        """Add a request; where too many wait, the oldest is given up."""
        while True:
            try:
                self._queue.put_nowait(request)
            except Full:
                self._drop_oldest()
            else:
                return

    def close(self) -> None:
        """End the thread after what waits, but wait no longer than the timeout."""
        self.put(None)
        self._thread.join(self._timeout)
        if self._thread.is_alive():
            self._warn(f"no answer within {self._timeout:g} s")

    def _drop_oldest(self) -> None:
        try:
            self._queue.get_nowait()
        except Empty:
            return  # the thread was faster
        self._warn(f"more than {_WAITING} epochs wait for an answer, the oldest are dropped")

    def _work(self) -> None:
        while (request := self._queue.get()) is not None:
            started = time.monotonic()
            try:
                with self._opener.open(request, timeout=self._timeout):
                    pass
            except (URLError, HTTPException, OSError, ValueError) as error:
                reason = getattr(error, "reason", None) or error
                status = f"{error.code} " if hasattr(error, "code") else ""
                self._warn(f"{status}{reason}, after {time.monotonic() - started:.1f} s")

    def _warn(self, reason: str) -> None:
        if self._warned:
            return
        self._warned = True
        log.warning(
            "Epochs are not posted to %s (%s): start the server or leave RemoteMonitor out; the training goes on.",
            self._shown,
            reason,
        )


def address(url: str, path: str) -> str:
    """Join a server's root and a path.

    Raises:
        ConfigurationError: If the result is no address on a server that speaks http or https.

    Example:
        >>> address("http://localhost:9000/", "/publish/epoch/end/")
        'http://localhost:9000/publish/epoch/end/'
    """
    joined = f"{url.rstrip('/')}/{path.lstrip('/')}" if path else url
    try:
        parts = urlsplit(joined)
        named = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number
        named = False
    if not named or "@" in parts.netloc or re.search(r"[\s\x00-\x1f\x7f]", joined):
        raise ConfigurationError(
            f"url {url!r} with path {path!r} is no address that epochs can be posted to: give http://SERVER:PORT or "
            "https://SERVER:PORT, without spaces or a password"
        )
    return joined


def shown_address(joined: str) -> str:
    """An address for messages, without what follows ``?``, which may hold a token.

    Example:
        >>> shown_address("https://host:1/a?token=b")
        'https://host:1/a'
    """
    return urlunsplit((*urlsplit(joined)[:3], "", ""))


def checked_headers(headers: dict[str, str]) -> dict[str, str]:
    """The headers, if each is one line of plain text.

    Raises:
        ConfigurationError: If one is not.
    """
    for name, value in headers.items():
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", name) or not re.fullmatch(r"[\x20-\x7e\t]*", value):
            raise ConfigurationError(
                f"the header {name!r} cannot be sent: a name and one line of ASCII text are needed"
            )
    return dict(headers)


def _plain_opener() -> OpenerDirector:
    """An opener of http and https alone; a redirect is an error, for it would turn the post into a question."""
    opener = OpenerDirector()
    for handler in (ProxyHandler, HTTPHandler, HTTPSHandler, HTTPDefaultErrorHandler, HTTPErrorProcessor):
        opener.add_handler(handler())
    return opener
