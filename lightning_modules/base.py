"""What every method shares: how it is optimised, how its metrics are named, and how its noise is seeded."""

from __future__ import annotations

import inspect
import logging
import math
import os
import warnings
from collections.abc import Mapping, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Literal

import lightning as L
import numpy as np
import torch
from lightning.pytorch.cli import LRSchedulerCallable, OptimizerCallable
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics import Metric, MetricCollection

from datamodules.common.errors import CheckpointError, ConfigurationError
from datamodules.common.settings import argument, free_names, saved_values, settings

if TYPE_CHECKING:
    from _typeshed import DataclassInstance  # any dataclass, to type checkers alone

Stage = Literal["train", "val", "test"]

log = logging.getLogger(__name__)


def warmup_cosine(step: int, warmup_steps: int, total_steps: int) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine down to zero.

    Args:
        step: Optimiser steps taken so far.
        warmup_steps: Steps until the factor is 1.
        total_steps: Steps at which the factor is 0.

    Example:
        >>> [round(warmup_cosine(step, 2, 6), 2) for step in (0, 1, 2, 4, 6)]
        [0.5, 1.0, 1.0, 0.5, 0.0]
    """
    if step < warmup_steps:
        return (step + 1) / max(1, warmup_steps)
    progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return 0.5 * (1.0 + math.cos(math.pi * progress))


def check_class_names(names: Sequence[str] | None) -> None:
    """Refuse classes that cannot be told apart by their names.

    Raises:
        ConfigurationError: If there is no class, or two have one name.
    """
    if not names or len(set(names)) != len(names):
        raise ConfigurationError(
            f"class_names is {names}, but each class needs a name of its own: the data module gives them, or name them "
            "as --model.init_args.class_names."
        )


@settings
class MethodSettings:
    """Arguments that every method has."""

    optimizer: OptimizerCallable | None = argument(default=None, help="Builds another optimiser.", saved=False)
    scheduler: LRSchedulerCallable | None = argument(default=None, help="Builds another schedule.", saved=False)
    scheduler_interval: Literal["step", "epoch"] = argument(
        default="step", help="Whether ``scheduler`` advances every ``step`` or every ``epoch``.", saved=False
    )
    warmup_epochs: float = argument(default=0.0, help="Linear warm-up of the default schedule, in epochs.", low=0)

    @property
    def optimisation(
        self,
    ) -> tuple[OptimizerCallable | None, LRSchedulerCallable | None, Literal["step", "epoch"], float]:
        """What `Method` takes."""
        return self.optimizer, self.scheduler, self.scheduler_interval, self.warmup_epochs


def _outermost_frame() -> FrameType | None:
    frame = inspect.currentframe()
    while frame is not None and frame.f_back is not None:
        frame = frame.f_back
    return frame


def _all_filled(module: torch.nn.Module, keys: object) -> None:
    if isinstance(module, Method):
        module._left_random = ()


class Method(L.LightningModule):
    """Base of all methods.

    A subclass names its default optimiser in :meth:`default_optimizer` and may override :meth:`parameter_groups`.

    Args:
        optimizer: Builds the optimiser from parameters; None takes the method's own default.
        scheduler: Builds the schedule from the optimiser; None takes warm-up, then cosine, a step at a time.
        scheduler_interval: Whether ``scheduler`` advances every optimiser step or every epoch.
        warmup_epochs: Length of the default schedule's warm-up, in epochs.
    """

    def __init__(
        self,
        optimizer: OptimizerCallable | None = None,
        scheduler: LRSchedulerCallable | None = None,
        scheduler_interval: Literal["step", "epoch"] = "step",
        warmup_epochs: float = 0.0,
    ) -> None:
        super().__init__()
        self._make_optimizer = optimizer
        self._make_scheduler = scheduler
        self._scheduler_interval: Literal["step", "epoch"] = scheduler_interval
        self._warmup_epochs = warmup_epochs
        self._left_random: tuple[str, ...] = ()
        self._warned_of_random = False

    @classmethod
    def class_path(cls) -> str:
        """Name under which a checkpoint says who wrote it: the public one of the package's own methods."""
        package = cls.__module__.partition(".")[0]
        return f"{package if package == __name__.partition('.')[0] else cls.__module__}.{cls.__qualname__}"

    def keep(self, settings: DataclassInstance, **resolved: object) -> None:
        """Make settings the hyper-parameters, so that a checkpoint builds this method again without another file.

        Args:
            settings: Those that checkpoints keep are taken.
            **resolved: Values that stand in the place of settings, or beside them.
        """
        marks = {"_class_path": self.class_path(), "_free": free_names(settings)}
        # Lightning would look for the arguments among the variables of the constructors that called: there are none.
        self.save_hyperparameters(marks | saved_values(settings) | resolved, frame=_outermost_frame())

    def random_and_frozen(self) -> str | None:
        """Sentence on what is frozen and filled by nothing, so that it stays random for ever; None where nothing is."""
        return None

    def warn_of_random(self) -> None:
        """Say that sentence, once: before any data are read where the caller can, else when a training begins."""
        text = None if self._warned_of_random else self.random_and_frozen()
        if text is not None:
            self._warned_of_random = True
            log.warning("warning: %s", text)

    def left_random(self, parts: Sequence[str]) -> None:
        """Remember parts into which the named weights brought nothing: what they say means nothing until they learn.

        A prediction with them is refused; a training, or a state dict that is loaded, fills them.
        """
        self._left_random = tuple(parts)
        if parts:
            self.register_load_state_dict_post_hook(_all_filled)  # type: ignore[no-untyped-call]  # torch has no types here

    def on_train_start(self) -> None:
        """From here on all parts learn, or are left frozen on purpose."""
        self._left_random = ()

    def on_predict_start(self) -> None:
        """Refuse to predict with parts that nothing filled.

        Raises:
            CheckpointError: Naming them.
        """
        if self._left_random:
            raise CheckpointError(
                f"Nothing was loaded into {', '.join(self._left_random)} of {type(self).__name__}, so that its "
                "answers would be chance: name weights for these parts too, or train, and predict with that checkpoint."
            )

    def parameter_groups(self) -> list[torch.nn.Parameter]:
        """Parameters that train; frozen ones are left out."""
        return [parameter for parameter in self.parameters() if parameter.requires_grad]

    def default_optimizer(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """Optimiser of the method's paper."""
        return torch.optim.AdamW(parameters)

    def build_optimizer(self) -> torch.optim.Optimizer:
        """The optimiser that was asked for, or the method's own, over what trains."""
        parameters = self.parameter_groups()
        return self._make_optimizer(parameters) if self._make_optimizer else self.default_optimizer(parameters)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimiser and its schedule."""
        optimizer = self.build_optimizer()
        if self._make_scheduler is not None:
            return {
                "optimizer": optimizer,
                "lr_scheduler": {"scheduler": self._make_scheduler(optimizer), "interval": self._scheduler_interval},
            }
        total = max(1, int(self.trainer.estimated_stepping_batches))
        epochs = self.trainer.max_epochs or 1
        warmup = round(total * self._warmup_epochs / epochs) if epochs > 0 else 0
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: warmup_cosine(step, warmup, total))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def log_stage(self, stage: Stage, values: Mapping[str, Tensor | float], batch_size: int | None = None) -> None:
        """Log ``values`` as ``stage/name``; epoch values when ``batch_size`` is None."""
        named = {f"{stage}/{name}": value for name, value in values.items()}
        if batch_size is None:
            self.log_dict(named)
        else:
            self.log_dict(named, batch_size=batch_size, on_step=False, on_epoch=True, sync_dist=True)

    def log_metrics(self, stage: Stage, metrics: Metric | MetricCollection) -> None:
        """Log what was collected in an epoch, and forget it."""
        self.log_stage(stage, metrics.compute())
        metrics.reset()

    def expect_frozen(self, part: torch.nn.Module) -> None:
        """Hide Lightning's warning of parts in evaluation mode where all of them lie in ``part``, frozen on purpose."""
        inside = set(part.modules())
        if all(module.training or module in inside for module in self.modules()):
            warnings.filterwarnings("ignore", message=r"Found \d+ module\(s\) in eval mode")

    def on_train_batch_start(self, batch: object, batch_idx: int) -> None:
        """Seed dropout from (seed, rank, micro-batch): ranks differ, and a resumed run repeats the whole one."""
        torch.manual_seed(self.step_seed())

    def step_generator(self, shared: bool = False) -> torch.Generator:
        """Generator of an operator's noise for this micro-batch, seeded as dropout is."""
        return torch.Generator(device=self.device).manual_seed(self.step_seed(shared))

    def step_seed(self, shared: bool = False) -> int:
        """Seed of this rank and micro-batch, whose epoch and number in it a checkpoint keeps.

        Mixed, since torch's generator of the CPU looks at the lower 32 bits alone.

        Args:
            shared: Give all ranks that of the first, for draws from what all of them hold.
        """
        seed = int(os.environ.get("PL_GLOBAL_SEED", "0"))
        place = self.trainer.current_epoch, self.trainer.fit_loop.batch_idx
        return int(
            np.random.SeedSequence((seed, 0 if shared else self.global_rank, *place)).generate_state(1, np.uint64)[0]
        )
