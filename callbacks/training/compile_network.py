"""Let torch compile the network of a method."""

from __future__ import annotations

import os
import shutil
from typing import Literal

import lightning as L
from lightning.pytorch.callbacks import Callback
from torch import nn

from datamodules.common.errors import ConfigurationError

Mode = Literal["default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs"]
_COMPILERS = ("c++", "g++", "clang++", "cl")


class CompileNetwork(Callback):
    """Compile the method's ``network`` in place, so that weights and the keys of checkpoints stay as they are.

    The first steps take minutes, the others less time than without; outputs differ in the last digits.

    Args:
        backend: What compiles; ``inductor`` needs a C++ compiler on the CPU and Triton on a GPU.
        mode: What is traded for speed.
        dynamic: Whether sizes may differ from batch to batch; None finds out by compiling a second time.
    """

    def __init__(
        self,
        backend: Literal["inductor", "aot_eager", "eager", "cudagraphs"] = "inductor",
        mode: Mode | None = None,
        dynamic: bool | None = None,
    ) -> None:
        self.backend = backend
        self.mode = mode
        self.dynamic = dynamic

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Compile; the work itself is done at the first batch.

        Raises:
            ConfigurationError: If the method has no network, or nothing here can compile it.
        """
        network = getattr(pl_module, "network", None)
        if not isinstance(network, nn.Module):
            raise ConfigurationError(f"{type(pl_module).__name__} has no network that CompileNetwork could compile.")
        missing = not any(shutil.which(name) for name in (os.environ.get("CXX", ""), *_COMPILERS) if name)
        if self.backend == "inductor" and trainer.strategy.root_device.type == "cpu" and missing:
            raise ConfigurationError(
                f"backend is inductor, but this machine has no C++ compiler ({', '.join(_COMPILERS)}): install one, or "
                "leave CompileNetwork out."
            )
        network.compile(backend=self.backend, mode=self.mode, dynamic=self.dynamic)
