"""``fit``, ``validate``, ``test`` and ``predict``: looked at without PyTorch, then run by Lightning's Trainer."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_modules.commands.front.early.start import begin


def run(command: str, arguments: Sequence[str]) -> int:
    """Run ``fit``, ``validate``, ``test`` or ``predict``; 0, since everything else is an exception."""
    resolved, configs = begin(command, arguments)
    from lightning_modules.commands.front.lightning_cli import launch_checked

    launch_checked(command, resolved, configs)
    return 0
