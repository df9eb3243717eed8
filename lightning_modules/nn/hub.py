"""Weights by name from the Hugging Face Hub: where it cannot be reached, its cache answers at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlparse

from huggingface_hub import constants

_SECONDS = 5.0  # to find and reach the hub
_PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


@contextmanager
def hub() -> Iterator[None]:
    """Spare a minute of retries: without a way to the hub its client looks into its cache alone."""
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not _reachable()
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _reachable() -> bool:
    """Whether the hub's address answers; behind a proxy that cannot be told, so its client finds out."""
    if any(os.environ.get(name) for name in _PROXIES):
        return True
    address = urlparse(constants.ENDPOINT)
    try:
        port = address.port or (80 if address.scheme == "http" else 443)
        with socket.create_connection((address.hostname or "", port), timeout=_SECONDS):
            return True
    except OSError:
        return False
