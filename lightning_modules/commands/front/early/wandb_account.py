"""Whether an account of Weights & Biases is known here, looked up without importing its client."""

from __future__ import annotations

import netrc
import os
from pathlib import Path
from urllib.parse import urlparse

from lightning_modules.commands.front.errors import CommandLineError


def check_wandb_account(otherwise: str) -> None:
    """Refuse to begin what W&B's server would refuse.

    Args:
        otherwise: What else to do, as the end of a sentence.

    Raises:
        CommandLineError: If no key is known.
    """
    if os.environ.get("WANDB_API_KEY") or os.environ.get("WANDB_IDENTITY_TOKEN_FILE"):
        return
    host = urlparse(os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")).hostname or ""
    files = [os.environ[name] for name in ("NETRC",) if name in os.environ] or ["~/.netrc", "~/_netrc"]
    for file in (Path(name).expanduser() for name in files):
        try:
            if file.is_file() and netrc.netrc(file).authenticators(host):
                return
        except (netrc.NetrcParseError, OSError):
            continue
    raise CommandLineError(f"no account of W&B is known here: run `wandb login`, or set WANDB_API_KEY{otherwise}")
