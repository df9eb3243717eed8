"""diffusers, where it is installed."""

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
