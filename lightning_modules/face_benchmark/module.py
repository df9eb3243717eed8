"""FaceXBench as a LightningModule: a model asked about faces, or taught to answer."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import MeanMetric, MetricCollection

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import takes
from datamodules.face_benchmark.batch import LETTERS, QuestionBatch
from lightning_modules.base import Method
from lightning_modules.face_benchmark.answerer import answerer_of
from lightning_modules.face_benchmark.asking.contract import Answerer
from lightning_modules.face_benchmark.asking.network import Network
from lightning_modules.face_benchmark.extraction.strict import strict_letter
from lightning_modules.face_benchmark.prompts import Asked, prompt_key, prompt_of, right_answer
from lightning_modules.face_benchmark.results.outcome import Outcome, outcome_of
from lightning_modules.face_benchmark.settings import EvaluatorSettings
from lightning_modules.nn.adapters import learn_only


class FaceXBenchEvaluator(Method):
    """A multimodal language model that is asked questions about faces, each with options.

    ``test`` and ``predict`` ask; the callback `AnswerWriter` keeps the answers and makes the tables. ``fit`` teaches
    the right answers, and asks held-out questions as they do.

    Attributes:
        answerer: Who is asked.

    References:
        Narayan, VS and Patel, "FaceXBench: Evaluating Multimodal LLMs on Face Understanding" (IEEE T-BIOM 8(3), 2026).
    """

    @takes(EvaluatorSettings)
    def __init__(self, settings: EvaluatorSettings) -> None:
        super().__init__(*settings.optimisation)
        self.config = settings
        self.answerer: Answerer = answerer_of(settings)
        self._frozen: tuple[str, ...] = ()
        if isinstance(self.answerer, Network):
            self._frozen = learn_only(self.answerer.network, settings.train_only, settings.adapters)
            self.keep(settings, network_files=self.answerer.files)
        else:
            self.keep(settings)
        self.val_metrics = MetricCollection({"loss": MeanMetric(), "accuracy": MeanMetric()})

    def default_optimizer(self, parameters: list[torch.nn.Parameter]) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(parameters, lr=self.config.learning_rate, weight_decay=self.config.weight_decay)

    def asked(self, batch: QuestionBatch) -> list[tuple[int, Asked]]:
        """Questions of a batch that are not padding, in words, with their places in it."""
        return [
            (place, Asked(question, prompt_of(question, self.config.setting), batch["image"][place]))
            for place, question in enumerate(batch["question"])
            if bool(batch["valid"][place])
        ]

    # Teaching.

    def setup(self, stage: str) -> None:
        """Refuse to teach what does not learn.

        Raises:
            ConfigurationError: If a server or a script is asked.
        """
        if stage != "fit":
            return
        if not isinstance(self.answerer, Network):
            raise ConfigurationError("fit teaches a network, and a server or a script learns nothing: name weights")
        self.expect_frozen(self.answerer)

    def training_step(self, batch: QuestionBatch, batch_idx: int) -> Tensor:
        """Cross entropy of the right answers."""
        assert isinstance(self.answerer, Network)  # setup has looked
        asked = [one for _, one in self.asked(batch)]
        if not asked:  # nothing is learnt, but other processes wait for gradients
            return 0 * self.answerer.loss([Asked(batch["question"][0], "", [])], [LETTERS[0]])
        loss = self.answerer.loss(asked, self._right(asked))
        self.log_stage("train", {"loss": loss}, batch_size=len(asked))
        return loss

    def validation_step(self, batch: QuestionBatch, batch_idx: int) -> None:
        """Loss and accuracy on held-out questions, asked as they are in a test."""
        assert isinstance(self.answerer, Network)  # setup has looked
        asked = [one for _, one in self.asked(batch)]
        if not asked:
            return
        answers = self.answerer.answer(asked, self.config.scoring, self.config.max_new_tokens)
        letters = [
            strict_letter(said.text, one.question.options).letter for said, one in zip(answers, asked, strict=True)
        ]
        right = [letter == one.question.letter for letter, one in zip(letters, asked, strict=True)]
        self.val_metrics["loss"].update(self.answerer.loss(asked, self._right(asked)), len(asked))
        self.val_metrics["accuracy"].update(torch.tensor(right, dtype=torch.float32))

    def on_validation_epoch_end(self) -> None:
        """Log both."""
        self.log_metrics("val", self.val_metrics)

    def _right(self, asked: Sequence[Asked]) -> list[str]:
        return [right_answer(one.question, self.config.taught) for one in asked]

    # Asking.

    def test_step(self, batch: QuestionBatch, batch_idx: int) -> dict[str, Any]:
        """Ask the questions of a batch, as `predict_step` does."""
        return self.predict_step(batch, batch_idx)

    def predict_step(self, batch: QuestionBatch, batch_idx: int) -> dict[str, Any]:
        """Ask the questions of a batch.

        Returns:
            ``outcome``: an `Outcome` for each valid question that was answered; ``failed``: why others were not.
        """
        placed = self.asked(batch)
        started = time.perf_counter()
        asked = [one for _, one in placed]
        answers = self.answerer.answer(asked, self.config.scoring, self.config.max_new_tokens) if asked else []
        seconds = (time.perf_counter() - started) / max(1, len(asked))
        outcomes: list[Outcome] = [
            outcome_of(
                one.question,
                int(batch["rotation"][place]),
                batch["image_hash"][place],
                prompt_key(one),
                answer,
                seconds,
            )
            for (place, one), answer in zip(placed, answers, strict=True)
            if not answer.failed
        ]
        failed = {one.question.key: answer.failed for one, answer in zip(asked, answers, strict=True) if answer.failed}
        return {"outcome": outcomes, "failed": failed}
