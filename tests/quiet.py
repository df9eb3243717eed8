"""A trainer that the tests of callbacks, methods and data share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import lightning as L


def quiet_trainer(folder: Path | None, *callbacks: L.Callback, **options: Any) -> L.Trainer:
    """A trainer on the CPU that writes and shows nothing by itself."""
    shown = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    settings: dict[str, Any] = {"callbacks": [*callbacks], **dict.fromkeys(shown, False), **options}
    return L.Trainer(accelerator="cpu", default_root_dir=folder, **settings)
