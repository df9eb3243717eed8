"""Weights by name from the Hugging Face Hub: where it cannot be reached, its cache answers at once."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from huggingface_hub import constants
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from datamodules.common.errors import CheckpointError

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


def read_pretrained(kind: Any, weights: str, **options: Any) -> Any:  # noqa: ANN401  # transformers' factories share no type
    """What one of transformers' factories reads from a folder or a name on the hub.

    Raises:
        CheckpointError: If it cannot be read.
    """
    try:
        folder = Path(weights).expanduser()
        if folder.is_dir():
            return kind.from_pretrained(str(folder), **options)
        with hub():
            return kind.from_pretrained(weights, **options)
    except (OSError, ValueError, TypeError, RuntimeError, StrictDataclassError, SafetensorError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{weights} is no model that transformers can read ({reason}): give a folder that save_pretrained wrote, "
            "or a name on the Hugging Face Hub while it can be reached."
        ) from error


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
