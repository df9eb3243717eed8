"""Draw rounds of samples while a diffusion model is tuned, and value them."""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, cast

import lightning as L
import torch
from torch import Tensor

from callbacks.training.parameter_ema import ParameterEMA, averages_of
from datamodules.common.errors import ConfigurationError
from datamodules.common.fingerprint import config_digest, tensors_digest
from datamodules.common.progress import duration, file_progress
from datamodules.common.seeded_draws import key_of
from lightning_modules import RewardTunedDiffusion
from lightning_modules.face_diffusion.losses import check_rewards, check_values
from lightning_modules.face_diffusion.rewards.contract import Reward
from lightning_modules.face_diffusion.rewards.shaping import Normalise, Shaping
from lightning_modules.face_diffusion.rounds import Round, RoundFolder, remove_rounds_before, round_folder

log = logging.getLogger(__name__)

Source = Literal["frozen", "on_policy"]
_FOLDER = "rounds"  # of a run
_SAID = 5.0  # seconds of a round that are announced


class RewardRounds(L.Callback):
    """Give a `RewardTunedDiffusion` the samples that its loss takes, with their rewards.

    ``frozen`` draws one round from the starting weights: a single tilt of the distribution by the reward. ``on_policy``
    draws another one every so many steps, from the averaged weights where `ParameterEMA` keeps some, and values it
    anew. A sample's noise follows from seed, round and its number, so that any number of processes draws the same
    round, of which each draws its part. Samples (pictures, or the latents of a latent model), rewards and what the
    reward noted lie in ``rounds`` of the run's folder: a run that was killed while it drew goes on with the samples
    that are missing.

    Args:
        reward: Values samples.
        source: ``frozen`` or ``on_policy``.
        samples: Of a round.
        every: Steps of a round of ``on_policy``.
        batch_size: Samples that are drawn at a time.
        normalise: ``mean`` divides the rewards by the mean of the round; ``none`` leaves them.
        clip: Largest reward; None knows none.
        temperature: r becomes r^(1 / temperature).
        seed: Of the samples' noise.
        folder: Of the rounds; None takes ``rounds`` in the run's folder.

    Attributes:
        history: What was measured of each round, newest last.

    Raises:
        ConfigurationError: If a number is out of its range.
    """

    def __init__(
        self,
        reward: Reward,
        source: Source = "on_policy",
        samples: int = 640,
        every: int = 200,
        batch_size: int = 128,
        normalise: Normalise = "none",
        clip: float | None = None,
        temperature: float = 1.0,
        seed: int = 0,
        folder: str | None = None,
    ) -> None:
        super().__init__()
        for name, value in (("samples", samples), ("every", every), ("batch_size", batch_size)):
            if value < 1:
                raise ConfigurationError(f"{name} is {value}; it must be 1 or more")
        self.reward = reward
        self.source: Source = source
        self.samples = samples
        self.every = every
        self.batch_size = batch_size
        self.shaping = Shaping(temperature, clip, normalise)
        self.seed = seed
        self.place = folder
        self.history: list[dict[str, float]] = []
        self._told = False  # that a reward prefers nothing
        self._held: tuple[int, dict[str, Any]] | None = None  # the round that a checkpoint was in

    # Lightning.

    def setup(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Read the reward's networks, where something is to be tuned."""
        if stage == "fit" and isinstance(pl_module, RewardTunedDiffusion) and pl_module.config.is_tuned:
            self.reward.load()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Let the reward look at the training pictures, and draw the first round, or take that of the checkpoint."""
        if not isinstance(pl_module, RewardTunedDiffusion):
            raise ConfigurationError(f"RewardRounds tunes a RewardTunedDiffusion, not a {type(pl_module).__name__}")
        if pl_module.config.gamma is None:
            raise ConfigurationError(
                "the model has no gamma, so that rewards would count nothing: give it one of 0 or more, or leave "
                "RewardRounds out"
            )
        if not pl_module.config.is_tuned:
            log.info("gamma is inf, so that real pictures alone count: no samples are drawn")
            return
        self.reward.to(pl_module.device).eval()
        training = getattr(getattr(trainer, "datamodule", None), "training_pictures", None)
        if training is not None and self.reward.compares:
            self.reward.begin(training())
        if self._held is None:
            self._draw(trainer, pl_module, 0)
        else:
            self._go_on(trainer, pl_module, *self._held)

    def on_train_batch_start(
        self, trainer: L.Trainer, pl_module: L.LightningModule, batch: Mapping[str, Tensor], batch_idx: int
    ) -> None:
        """Begin the next round when it is due."""
        module = cast(RewardTunedDiffusion, pl_module)
        if not module.config.is_tuned:
            return
        due = self.due(trainer.global_step)
        if module.round is None or module.round.number != due:
            self._draw(trainer, module, due)

    def due(self, step: int) -> int:
        """Number of the round that a step takes."""
        return 0 if self.source == "frozen" else step // self.every

    def state_dict(self) -> dict[str, Any]:
        """Which round the training is in, and what was measured of those before."""
        return {"held": None if self._held is None else list(self._held), "history": self.history}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Remember both."""
        held = state_dict.get("held")
        self._held = None if held is None else (int(held[0]), dict(held[1]))
        self.history = list(state_dict.get("history", []))

    def on_save_checkpoint(self, trainer: L.Trainer, pl_module: L.LightningModule, checkpoint: dict[str, Any]) -> None:
        """Remove rounds that no checkpoint from here on goes on with."""
        if self._held is not None and trainer.is_global_zero:
            remove_rounds_before(self._folder(trainer), self._held[0] - 1)

    # A round.

    def _folder(self, trainer: L.Trainer) -> Path:
        return Path(self.place).expanduser() if self.place else Path(trainer.default_root_dir) / _FOLDER

    def _round(self, trainer: L.Trainer, number: int, facts: dict[str, Any]) -> RoundFolder:
        samples = min(self.samples, self.batch_size) if getattr(trainer, "fast_dev_run", False) else self.samples
        return RoundFolder(round_folder(self._folder(trainer), number), facts, samples, self.batch_size)

    def _of_checkpoint(self, trainer: L.Trainer, number: int, facts: dict[str, Any]) -> RoundFolder | None:
        """The same round in the folder of the run that the checkpoint is of."""
        if not trainer.ckpt_path:
            return None
        folder = Path(str(trainer.ckpt_path)).absolute().parents[1] / _FOLDER
        return RoundFolder(round_folder(folder, number), facts, self.samples, self.batch_size)

    def _go_on(self, trainer: L.Trainer, module: RewardTunedDiffusion, number: int, facts: dict[str, Any]) -> None:
        """Take the round that the checkpoint was in; the weights that drew it are gone."""
        folder = self._round(trainer, number, facts)
        before = self._of_checkpoint(trainer, number, facts)
        if before is not None and not folder.is_whole() and before.is_whole() and trainer.is_global_zero:
            shutil.copytree(before.folder, folder.folder, dirs_exist_ok=True)
        trainer.strategy.barrier()
        if not folder.is_whole():
            raise ConfigurationError(
                f"the training goes on inside round {number}, whose samples are not in {folder.folder}, and the "
                "weights that drew them are gone: resume in the run's own folder, or tune anew from its weights"
            )
        self._take(module, folder, number)

    def _draw(self, trainer: L.Trainer, module: RewardTunedDiffusion, number: int) -> None:
        with averaged_weights(trainer, module):
            facts = self._facts(module, number)
            folder = self._round(trainer, number, facts)
            if trainer.is_global_zero:
                folder.begin()
            trainer.strategy.barrier()
            missing = folder.missing()[trainer.global_rank :: trainer.world_size]
            self._draw_parts(module, folder, number, missing)
            trainer.strategy.barrier()
        self._held = number, facts
        self._take(module, folder, number)

    def _facts(self, module: RewardTunedDiffusion, number: int) -> dict[str, Any]:
        config = module.config
        return {
            "round": number,
            "seed": self.seed,
            "steps": config.sampling_steps,
            "sampler": config.own_sampler,
            "eta": config.eta,
            "schedule": config_digest({k: v for k, v in module.schedule.config.items() if not k.startswith("_")}),
            "weights": tensors_digest(module.unet.state_dict()),
            "autoencoder": None if module.autoencoder is None else module.autoencoder.identity,
            "reward": self.reward.digest(),
        }

    def _draw_parts(self, module: RewardTunedDiffusion, folder: RoundFolder, number: int, parts: list[int]) -> None:
        mode = module.training
        module.eval()
        self._announce(module, number, [len(folder.rows(part)) for part in parts])
        with file_progress(f"Drawing round {number}", sum(len(folder.rows(part)) for part in parts)) as done:
            for part in parts:
                rows = torch.tensor(list(folder.rows(part)))
                labels = module.labels_for(rows)
                samples = module.drawn(key_of(self.seed, number, rows), labels)
                with torch.no_grad():
                    scored = self.reward.score(module.pictures(samples))
                check_values(scored.reward, len(rows), type(self.reward).__name__)
                folder.write(part, samples, labels, scored)
                done(len(rows))
        module.train(mode)

    def _announce(self, module: RewardTunedDiffusion, number: int, sizes: list[int]) -> None:
        """Say what a round will cost, by one pass of the network."""
        if not sizes:
            return
        labels = module.labels_for(torch.arange(sizes[0])).to(module.device)
        noisy = torch.zeros(sizes[0], *module.sample_shape, device=module.device)
        began = time.monotonic()
        with torch.no_grad():
            module.predictor(labels)(noisy, torch.zeros(sizes[0], dtype=torch.int64, device=module.device)).cpu()
        cost = (time.monotonic() - began) / sizes[0] * sum(sizes) * module.config.sampling_steps
        if cost > _SAID:
            steps = module.config.sampling_steps
            log.info("round %d: %d samples of %d steps, about %s", number, sum(sizes), steps, duration(cost))

    def _take(self, module: RewardTunedDiffusion, folder: RoundFolder, number: int) -> None:
        samples, labels, scored = folder.read()
        settled = self.reward.settle(scored)
        name = type(self.reward).__name__
        check_values(settled, len(samples), name)
        check_rewards(settled, name)
        if not self._told and bool((settled == settled[0]).all()):
            self._told = True
            log.info(
                "round %d: %s finds all %d samples worth the same (%.4g): this is plain training on own samples",
                number, name, len(samples), settled[0].item(),
            )  # fmt: skip
        rewards = self.shaping(settled)
        check_rewards(rewards, f"{name}, by temperature, clip and normalise,")
        module.round = Round(number, samples, rewards, scored, labels)
        facts = {"round": float(number), "reward": settled.mean().item(), "least": settled.min().item()}
        facts |= {"greatest": settled.max().item(), **self.reward.measures(scored)}
        if not self.history or self.history[-1]["round"] != number:
            self.history.append(facts)
        log.info("round %d: %s", number, _told(facts))


def _told(facts: Mapping[str, float]) -> str:
    """Facts of a round in a line, intervals in brackets.

    Example:
        >>> _told({"round": 0.0, "share": 0.5, "share low": 0.4, "share high": 0.6})
        'share 0.5 (0.4..0.6)'
    """
    words = []
    for name, value in facts.items():
        ends = [f"{facts[f'{name} {end}']:.3g}" for end in ("low", "high") if f"{name} {end}" in facts]
        interval = f" ({'..'.join(ends)})" if ends else ""
        if name != "round" and name.rpartition(" ")[0] not in facts:
            words.append(f"{name} {value:.4g}{interval}")
    return ", ".join(words)


@contextmanager
def averaged_weights(trainer: L.Trainer, module: L.LightningModule) -> Iterator[None]:
    """The averaged weights in the module, where `ParameterEMA` keeps some; the trained ones come back."""
    average = next((one for one in averages_of(trainer) if isinstance(one, ParameterEMA)), None)
    if average is None:
        yield
        return
    with average.in_place(module):
        yield
