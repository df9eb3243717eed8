"""diffusers and peft, where they are installed."""

from __future__ import annotations

from types import ModuleType

from datamodules.common.errors import ConfigurationError


def diffusers() -> ModuleType:
    """The library, imported when it is needed: it is slow to import, and an extra.

    Raises:
        ConfigurationError: If it is not installed.
    """
    try:
        import diffusers as found
    except ImportError as error:
        raise ConfigurationError(
            f"diffusion models need the package {error.name}: install it with `pip install 'appraise[diffusion]'`"
        ) from error
    return found


def peft() -> ModuleType:
    """The library of low-rank adapters, likewise.

    Raises:
        ConfigurationError: If it is not installed.
    """
    try:
        import peft as found
    except ImportError as error:
        raise ConfigurationError(
            f"adapters need the package {error.name}: install it with `pip install 'appraise[diffusion]'`, or leave "
            "adapter_rank out"
        ) from error
    return found
