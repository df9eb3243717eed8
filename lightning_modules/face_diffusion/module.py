"""Reward-tuned diffusion as a LightningModule: denoising of data, or of its own samples weighted by a reward."""

from __future__ import annotations

from typing import Any, Self, cast

import torch
from lightning.pytorch.utilities.types import OptimizerLRScheduler
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection

from datamodules.common.errors import ConfigurationError
from datamodules.common.seeded_draws import uniforms
from datamodules.common.settings import takes
from datamodules.face_diffusion.batch import DiffusionBatch, SampleBatch
from lightning_modules.base import Method
from lightning_modules.face_diffusion.autoencoder import Autoencoder
from lightning_modules.face_diffusion.guidance import ShareGuidance
from lightning_modules.face_diffusion.losses import Predict, anchored, denoising_losses
from lightning_modules.face_diffusion.network import build_unet, predict_by, side_of, unet_config
from lightning_modules.face_diffusion.preprocess import to_pictures, to_signal
from lightning_modules.face_diffusion.rounds import Round
from lightning_modules.face_diffusion.sampling import Guide, draw
from lightning_modules.face_diffusion.schedule import NoiseSchedule, schedule_config, without_clipping
from lightning_modules.face_diffusion.settings import DiffusionSettings
from lightning_modules.face_diffusion.starting import Started, load_autoencoder, load_model
from lightning_modules.nn.adapters import learn_only
from lightning_modules.nn.processes import mean_over_processes, number_of_processes


class RewardTunedDiffusion(Method):
    """A diffusion model that learns from pictures, or from its own samples as a reward values them.

    Without ``gamma`` it is trained on the data alone. With it each step takes, beside the batch of real
    pictures, as many samples of the round that `RewardRounds` drew:
    ``L = E[r(x0) ||target - prediction||^2] + gamma * E_data[||target - prediction||^2]``.

    Time and noise of a row follow from its key in the batch, so that any number of processes learns the same.

    Attributes:
        round: The samples that the loss takes; `RewardRounds` sets it.
        guidance: What leads the pictures that are predicted; `SampleWriter` sets it.

    References:
        Patel, "Towards Responsible and Trustworthy Biometrics" (IAPR/IEEE Winter School 2025), mitigating replication
        and bias in diffusion-based image synthesis.
    """

    @takes(DiffusionSettings)
    def __init__(self, settings: DiffusionSettings) -> None:
        super().__init__(*settings.optimisation)
        self.config = config = settings
        started = _started(config, self.class_path())
        self.unet = started.network
        self.autoencoder = started.autoencoder
        self._frozen = learn_only(self.unet, config.train_only, config.adapters)
        self.unet = self.unet.to(memory_format=torch.channels_last)
        self.schedule = NoiseSchedule(started.schedule)
        self.schedule.check_steps(config.sampling_steps)
        self.image_size = side_of(started.unet, self.autoencoder, config.weights or "the configuration")
        self.keep(
            settings,
            gamma=config.gamma if config.is_tuned else None,
            unet=dict(started.unet),
            autoencoder_config=None if self.autoencoder is None else self.autoencoder.config,
            noise_schedule=dict(self.schedule.config),
            image_size=self.image_size,
        )
        self.val_metrics = MetricCollection({"loss": MeanMetric()})
        self.test_metrics = MetricCollection({"loss": MeanMetric()})
        self.round: Round | None = None
        self.guidance: ShareGuidance | None = None

    def train(self, mode: bool = True) -> Self:
        """Set the mode; frozen parts of the network stay in evaluation mode."""
        super().train(mode)
        for name in self._frozen:
            self.unet.get_submodule(name).train(False)
        return self

    @property
    def takes_classes(self) -> bool:
        """Whether the network is told what to make."""
        return self.classes > 0

    @property
    def classes(self) -> int:
        """Number of classes that the network is told; 0 for none."""
        return int(getattr(getattr(self.unet, "config", None), "num_class_embeds", None) or 0)

    def default_optimizer(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(parameters, lr=self.config.learning_rate, weight_decay=self.config.weight_decay)

    def configure_optimizers(self) -> OptimizerLRScheduler:
        """Build the optimiser, at a constant rate unless a schedule is named: rounds have no end that is known."""
        return self.build_optimizer() if self._make_scheduler is None else super().configure_optimizers()

    # Training.

    def setup(self, stage: str) -> None:
        """Refuse data that do not fit the network: a model in ``weights`` has its own side and classes.

        Raises:
            ConfigurationError: If the data are of another side, or tell other classes.
        """
        data = getattr(self.trainer, "datamodule", None)
        if stage == "predict" or data is None:
            return
        if (side := getattr(data, "image_size", self.image_size)) != self.image_size:
            raise ConfigurationError(
                f"the data give pictures of {side} pixels, but the model makes them of {self.image_size}: state "
                f"--data.init_args.image_size {self.image_size}, or begin from other weights"
            )
        told = len(data.class_names or ()) if hasattr(data, "class_names") else self.classes
        if told != self.classes:
            raise ConfigurationError(
                f"the data tell the model {told or 'no'} classes, but it takes {self.classes or 'none'}: conditional "
                "and classes of the data say what is told, weights (or class_names) what is taken"
            )

    def on_fit_start(self) -> None:
        """Frozen parts are meant to be."""
        self.expect_frozen(torch.nn.ModuleList([self.unet, *([] if self.autoencoder is None else [self.autoencoder])]))

    def on_train_start(self) -> None:
        """Refuse a tuning without rewards."""
        super().on_train_start()
        if self.config.is_tuned and self.round is None:
            raise ConfigurationError(
                f"gamma is {self.config.gamma:g}, so that the model learns from its own samples, but nothing draws and "
                "values them: add the callback RewardRounds with a reward, or leave gamma out for plain training"
            )

    def losses(self, pictures: Tensor, labels: Tensor, keys: Tensor, least: float = 0.0) -> Tensor:
        """Loss of each picture, ``(B,)``, of uint8 ``(B, 3, S, S)``, or of samples as `drawn` gives them."""
        return denoising_losses(self.predictor(labels), self.schedule, self.signal(pictures, keys), keys, least)

    def signal(self, pictures: Tensor, keys: Tensor) -> Tensor:
        """What the network denoises of uint8 pictures: themselves in -1..1, or latents; floats are that already."""
        if self.autoencoder is None or pictures.is_floating_point():
            return to_signal(pictures)
        return self.autoencoder.encode(pictures, keys)

    def predictor(self, labels: Tensor) -> Predict:
        """The network, told these classes if it takes any."""
        return predict_by(self.unet, labels if self.takes_classes else None)

    def training_step(self, batch: DiffusionBatch, batch_idx: int) -> Tensor:
        """Mean loss of the rows of all processes, on data, on rewarded samples, or on both."""
        valid = batch["valid"].float()
        share = mean_over_processes(valid.sum()).clamp(min=1 / number_of_processes())
        gamma = self.config.gamma if self.config.is_tuned else None
        values: dict[str, Tensor] = {}
        real = rewarded = torch.zeros((), device=self.device)
        if gamma != 0:
            losses = self.losses(batch["image"], batch["label"], batch["noise_key"]) * batch["weight"]
            real = (losses * valid).sum() / share
            values["data_loss"] = (losses * valid).sum() / valid.sum().clamp(min=1)
        if gamma is not None:
            rewarded = (self.rewarded_losses(batch["noise_key"]) * valid).sum() / share
            values["reward_loss"] = rewarded * share / valid.sum().clamp(min=1)
        loss = anchored(rewarded, real, gamma)
        self.log_stage("train", {"loss": loss * share / valid.sum().clamp(min=1), **values}, int(valid.sum()))
        return loss

    def rewarded_losses(self, keys: Tensor) -> Tensor:
        """Loss times reward of a sample of the round for each key, ``(B,)``; 0 at times before ``reward_from``."""
        assert self.round is not None  # training has begun
        rows = self.rows_of(keys)
        samples, labels = self.round.samples[rows].to(self.device), self.round.labels[rows].to(self.device)
        rewards = self.round.rewards[rows].to(self.device)
        least = self.config.reward_from
        return (1 - least) * rewards * self.losses(samples, labels, ~keys, least)

    def rows_of(self, keys: Tensor) -> Tensor:
        """Row of the round that each key takes, int64 ``(B,)``: each row as likely as any other."""
        assert self.round is not None  # training has begun
        return (uniforms(keys, ["row of the round"])[:, 0] * len(self.round)).long().cpu()

    # Evaluation.

    def _evaluate(self, batch: DiffusionBatch, metrics: MetricCollection) -> None:
        losses = self.losses(batch["image"], batch["label"], batch["noise_key"])
        metrics.update(losses[batch["valid"]])

    def validation_step(self, batch: DiffusionBatch, batch_idx: int) -> None:
        """Collect the losses of held-out pictures, each always with the same noise."""
        self._evaluate(batch, self.val_metrics)

    def test_step(self, batch: DiffusionBatch, batch_idx: int) -> None:
        """Collect the losses of test pictures."""
        self._evaluate(batch, self.test_metrics)

    def on_validation_epoch_end(self) -> None:
        """Log the mean loss of all held-out pictures."""
        self.log_metrics("val", self.val_metrics)

    def on_test_epoch_end(self) -> None:
        """Log the mean loss of all test pictures."""
        self.log_metrics("test", self.test_metrics)

    # Sampling.

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of what the network denoises."""
        side = self.image_size if self.autoencoder is None else self.image_size // self.autoencoder.factor
        return int(cast(Any, self.unet).config.in_channels), side, side

    def labels_for(self, numbers: Tensor, asked: Tensor | None = None) -> Tensor:
        """Class that each sample is made for, int64 ``(B,)``; -1 without classes.

        Args:
            numbers: Of the samples; where no class is asked for, all classes are taken in turns by it.
            asked: Classes that are asked for, -1 for none; None asks for none.

        Raises:
            ConfigurationError: If the network is not told such a class.
        """
        if asked is not None and bool((asked >= self.classes).any()):
            allowed = f"0..{self.classes - 1}" if self.classes else "none: leave sample_class out"
            raise ConfigurationError(f"class {int(asked.max())} is asked for; the model's classes are {allowed}")
        if not self.classes:
            return torch.full_like(numbers, -1)
        turns = numbers % self.classes
        return turns if asked is None else torch.where(asked >= 0, asked, turns)

    def sample(self, keys: Tensor, labels: Tensor, guide: Guide | None = None) -> Tensor:
        """Pictures, uint8 ``(B, 3, S, S)``, which follow from their keys alone."""
        signal = self.sample_signal(keys, labels, guide)
        return to_pictures(signal) if self.autoencoder is None else self.autoencoder.decode(signal)

    def drawn(self, keys: Tensor, labels: Tensor) -> Tensor:
        """Samples as a round keeps them and the loss takes them: uint8 pictures, or latents as float32.

        Latents are kept as they are drawn, since those of a decoded picture are others.
        """
        return self.sample(keys, labels) if self.autoencoder is None else self.sample_signal(keys, labels)

    def pictures(self, drawn: Tensor) -> Tensor:
        """Pictures of what `drawn` gives, as rewards look at them, uint8 ``(B, 3, S, S)``."""
        return drawn if self.autoencoder is None else self.autoencoder.decode(drawn.to(self.device))

    def sample_signal(self, keys: Tensor, labels: Tensor, guide: Guide | None = None) -> Tensor:
        """What sampling ends with, float32 ``(B, *sample_shape)``."""
        predict, config = self.predictor(labels.to(self.device)), self.config
        way = (config.sampling_steps, config.own_sampler, config.eta)
        return draw(predict, self.schedule, keys, self.sample_shape, *way, guide, self.device)

    def predict_step(self, batch: SampleBatch, batch_idx: int, dataloader_idx: int = 0) -> dict[str, Any]:
        """Make pictures.

        Returns:
            ``image`` uint8 ``(B, 3, S, S)``; ``index``, ``label`` and ``valid`` of the batch.
        """
        keys = batch["noise_key"].cpu()
        with torch.inference_mode(False):  # a guide needs gradients
            shown = None if self.autoencoder is None else self.autoencoder.shown
            guide = None if self.guidance is None else self.guidance.guide(self.schedule, keys, shown)
            labels = self.labels_for(batch["index"], batch["label"]).clone()
            made = self.sample(keys.clone(), labels, guide)
        return {"image": made, "index": batch["index"], "label": labels, "valid": batch["valid"]}


def _started(config: DiffusionSettings, class_path: str) -> Started:
    """Network, noise and autoencoder to begin from: those of ``weights``, or new ones as the configuration says."""
    named = None if config.autoencoder is None else load_autoencoder(config.autoencoder)
    if config.weights is not None:
        started = load_model(config.weights, class_path)
        if named is not None and started.autoencoder is not None:
            raise ConfigurationError(
                f"weights {config.weights} brings its own autoencoder; leave autoencoder {config.autoencoder} out"
            )
        started = started._replace(autoencoder=started.autoencoder or named)
    else:
        autoencoder = Autoencoder(config.autoencoder_config) if config.autoencoder_config is not None else named
        factor, signal = (1, 3) if autoencoder is None else (autoencoder.factor, autoencoder.channels)
        if config.image_size % factor:
            raise ConfigurationError(
                f"image_size is {config.image_size}, and the autoencoder makes one latent of {factor} pixels: it must "
                f"be a multiple of {factor}"
            )
        unet = config.unet or unet_config(
            config.image_size // factor,
            config.channels,
            config.layers_per_level,
            config.attention_levels,
            None if config.class_names is None else len(config.class_names),
            signal=signal,
        )
        noise = config.noise_schedule or schedule_config(
            config.prediction_type, config.beta_schedule, config.noise_steps, clip_sample=autoencoder is None
        )
        side_of(unet, autoencoder, "the configuration")  # refused before it is built
        started = Started(unet, noise, build_unet(unet), autoencoder)
    if started.autoencoder is None:
        return started
    return started._replace(schedule=without_clipping(started.schedule))
