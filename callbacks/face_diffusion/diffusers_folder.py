"""Save a diffusion model as diffusers does, when its training ends."""

from __future__ import annotations

import logging
from pathlib import Path

import lightning as L

from datamodules.common.atomic_write import atomic_folder
from datamodules.common.errors import ConfigurationError
from lightning_modules import RewardTunedDiffusion
from lightning_modules.face_diffusion.starting import save_folder

log = logging.getLogger(__name__)


class DiffusersFolder(L.Callback):
    """Write ``diffusers`` into the run's folder: what `DDIMPipeline.from_pretrained` and ``weights`` load.

    That of a latent model is for `LDMPipeline`, or has the ``vae`` that it came with. No pipeline of diffusers tells a
    class: of a class-conditional model its ``UNet2DModel.from_pretrained(folder, subfolder="unet")`` is what is read.
    The schedule is saved as DDIM's, so that a pipeline's samples are those of ``sampler: ddim``.

    The averaged weights are saved where `ParameterEMA` keeps some.

    Args:
        folder: Where to; None takes ``diffusers`` in the run's folder. What stands there is replaced.
    """

    def __init__(self, folder: str | None = None) -> None:
        super().__init__()
        self.folder = folder

    def on_fit_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Write the folder."""
        if not isinstance(pl_module, RewardTunedDiffusion):
            raise ConfigurationError(
                f"DiffusersFolder saves a RewardTunedDiffusion, not a {type(pl_module).__name__}: leave it out"
            )
        if not trainer.is_global_zero or getattr(trainer, "fast_dev_run", False):
            return
        place = Path(self.folder).expanduser() if self.folder else Path(trainer.default_root_dir) / "diffusers"
        with atomic_folder(place) as temporary:
            save_folder(temporary, pl_module.unet, pl_module.schedule.config, pl_module.autoencoder)
        log.info("diffusers' folder: %s", place)
