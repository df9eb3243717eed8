"""The error of a command line that cannot work."""

from __future__ import annotations

from datamodules.common.errors import ConfigurationError


class CommandLineError(ConfigurationError):
    """Arguments or configuration files cannot work; the process exits with code 2."""

    exit_code = 2
