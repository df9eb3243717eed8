"""Questions a minute beside the processor and `generate` alone on the same pictures and batches."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import lightning as L
import numpy as np
import pytest
import torch
from PIL import Image

from callbacks import AnswerWriter
from datamodules import FaceXBenchDataModule
from datamodules.face_benchmark.batch import QuestionBatch
from lightning_modules import FaceXBenchEvaluator
from lightning_modules.face_benchmark.asking.network import Network
from lightning_modules.face_benchmark.asking.tiny import TinySettings
from lightning_modules.face_benchmark.prompts import prompt_of
from tests.benchmarks.conftest import Speed
from tests.benchmarks.measuring import in_turns
from tests.datamodules.face_benchmark.benchmark_files import write_benchmark
from tests.running import threads

pytestmark = [pytest.mark.benchmark, pytest.mark.face_benchmark]

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
BATCHES, BATCH, NEW_TOKENS = 5, 4, 8  # the first batch warms up
# 62 million random weights.
LARGE = TinySettings(width=512, layers=14, heads=8, vision_width=512, vision_layers=12, image_size=112)


class Clock(L.Callback):
    """Seconds from the end of the first batch to the end of the last."""

    def __init__(self) -> None:
        self.began = self.seconds = 0.0

    def on_test_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if batch_idx == 0:
            self.began = time.perf_counter()
        self.seconds = time.perf_counter() - self.began


def asked(model: FaceXBenchEvaluator, questions: Path, output: Path) -> float:
    """Seconds of a whole test: pictures read, answers extracted and written."""
    clock = Clock()
    trainer = L.Trainer(
        accelerator=DEVICE.type, devices=1, logger=False, enable_progress_bar=False, enable_checkpointing=False,
        callbacks=[AnswerWriter(str(output)), clock], default_root_dir=output,
    )  # fmt: skip
    (output / "answers.jsonl").unlink(missing_ok=True)
    trainer.test(model, FaceXBenchDataModule(questions=str(questions), batch_size=BATCH), verbose=False)
    return clock.seconds


def bare(network: Network, batches: Sequence[QuestionBatch]) -> float:
    """Seconds of the same batches, already decoded, by the processor and `generate`."""
    processor, model = cast(Any, network.processor), cast(Any, network.network)
    began = time.perf_counter()
    for batch in batches:
        talks = [
            [{"role": "user", "content": [
                *({"type": "image", "image": Image.fromarray(np.asarray(one.permute(1, 2, 0)))} for one in images),
                {"type": "text", "text": prompt_of(question)},
            ]}]
            for question, images in zip(batch["question"], batch["image"], strict=True)
        ]  # fmt: skip
        inputs = processor.apply_chat_template(
            talks, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
            processor_kwargs={"padding": True},
        )  # fmt: skip
        with torch.inference_mode():
            made = model.generate(**inputs.to(DEVICE), max_new_tokens=NEW_TOKENS, do_sample=False)
        processor.batch_decode(made.cpu())
    return time.perf_counter() - began


def test_questions_a_minute(tmp_path: Path, speed: Speed) -> None:
    questions = write_benchmark(tmp_path / "questions", files=1, questions=BATCHES * BATCH)
    model = FaceXBenchEvaluator(tiny=LARGE, max_new_tokens=NEW_TOKENS).to(DEVICE)
    assert isinstance(model.answerer, Network)
    assert sum(value.numel() for value in model.parameters()) > 50e6
    batches = list(FaceXBenchDataModule(questions=str(questions), batch_size=BATCH).test_dataloader())[1:]
    network = model.answerer
    with threads(1):
        taken = in_turns(
            {
                "ours": lambda: asked(model, questions, tmp_path / "out"),
                "bare": lambda: bare(network.to(DEVICE), batches),
            },
            clock=lambda work: work(),
        )
    rate = 60 * (BATCHES - 1) * BATCH / float(np.median(taken["bare"]))
    speed.add("questions", taken["bare"] / taken["ours"], rate, "questions/min")
