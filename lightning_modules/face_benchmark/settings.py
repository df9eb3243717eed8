"""Arguments of `FaceXBenchEvaluator`."""

from __future__ import annotations

from datamodules.common.errors import ConfigurationError
from datamodules.common.settings import argument, settings
from lightning_modules.base import MethodSettings
from lightning_modules.face_benchmark.asking.contract import Scoring
from lightning_modules.face_benchmark.asking.loading import Precision, Quantisation
from lightning_modules.face_benchmark.asking.scripted import Script
from lightning_modules.face_benchmark.asking.served import ServerSettings
from lightning_modules.face_benchmark.asking.tiny import TinySettings
from lightning_modules.face_benchmark.prompts import Setting, Taught
from lightning_modules.nn.adapters import Adapters


@settings
class EvaluatorSettings(MethodSettings):
    """Arguments of `FaceXBenchEvaluator`."""

    weights: str | None = argument(
        default=None,
        help=(
            "Model that is asked: a folder that save_pretrained wrote, a folder of peft adapters, or a name on the "
            "Hugging Face Hub. None makes a small one with random weights."
        ),
        saved=False,
    )
    server: ServerSettings | None = argument(
        default=None, help="A server that speaks OpenAI's protocol, asked in the place of a model.", saved=False
    )
    script: Script | None = argument(
        default=None, help="Answers by rule in the place of a model: rightly (oracle), or the first letter (always_a)."
    )
    tiny: TinySettings | None = argument(
        default=None, help="Sizes of the small model, where none is named; None takes its defaults.", saved=False
    )
    network_files: dict[str, str] | None = argument(
        default=None, help="Configuration and processor as the texts of their files, as checkpoints hold them."
    )
    setting: Setting = argument(
        default="zero_shot",
        help=(
            "How a question is put: alone, behind the description of its task (the paper's in-context setting), or "
            "with a request for thoughts in words of our own."
        ),
        free=True,
    )
    scoring: Scoring = argument(
        default="generate",
        help="Read the words of an answer, as the paper does, or compare how likely each letter is.",
        free=True,
    )
    max_new_tokens: int = argument(
        default=32, help="Longest answer in words; thoughts need some hundred.", low=1, free=True
    )
    dtype: Precision = argument(default="auto", help="Of the weights; auto takes that of the files.", free=True)
    device_map: str | None = argument(
        default=None, help="Spread one model over several GPUs (auto); None: the device of the run.", free=True
    )
    quantisation: Quantisation | None = argument(
        default=None, help="Weights of fewer bits by bitsandbytes, where it is installed.", free=True
    )
    attention: str | None = argument(
        default=None, help="Its implementation by its name in transformers: sdpa, eager, flash_attention_2.", free=True
    )
    min_pixels: int | None = argument(
        default=None, help="Smaller pictures are enlarged to so many pixels.", low=1, free=True
    )
    max_pixels: int | None = argument(
        default=None, help="Larger pictures are made smaller, down to so many pixels.", low=1, free=True
    )
    train_only: list[str] | None = argument(
        default=None, help="Patterns of the parts that learn; None: all, or with adapters nothing but these."
    )
    adapter_rank: int | None = argument(
        default=None, help="Learn low-rank adapters of this rank beside frozen layers (LoRA).", low=1
    )
    adapter_targets: tuple[str, ...] = argument(
        default=("*language_model*_proj",), help="Patterns of the linear layers with an adapter."
    )
    adapter_alpha: float | None = argument(
        default=None, help="Scale of the adapters times their rank; None takes the rank, a scale of 1.", low=0
    )
    taught: Taught = argument(
        default="letter",
        help=(
            "What a training teaches to say: the right letter, or the words of its option and then the letter, by "
            "which a model of random weights learns first to see and then to choose; ask such a one by generate."
        ),
    )
    learning_rate: float = argument(default=1e-4, help="Of AdamW.", low=0)
    weight_decay: float = argument(default=0.0, help="Of AdamW.", low=0)

    @property
    def adapters(self) -> Adapters | None:
        """Adapters that learn; None for none."""
        if self.adapter_rank is None:
            return None
        return Adapters(self.adapter_rank, self.adapter_alpha, self.adapter_targets)

    def check(self) -> None:
        """Refuse two models at once, and likelihoods of letters where no answer begins with one."""
        named = [name for name in ("weights", "server", "script", "network_files") if getattr(self, name) is not None]
        if len(named) > 1:
            raise ConfigurationError(f"{' and '.join(named)} each name who is asked: keep one of them")
        if self.server is not None and self.scoring == "likelihood":
            raise ConfigurationError(
                "scoring is likelihood, and a server does not tell that of every letter: take generate"
            )
        if self.server is not None and self.min_pixels is not None:
            raise ConfigurationError(
                f"min_pixels is {self.min_pixels}, and a server is sent pictures as they are: leave it out"
            )
        if self.taught != "letter" and self.scoring == "likelihood":
            raise ConfigurationError(
                f"{self.taught} is taught, and likelihood compares letters as the first of an answer; take generate"
            )
        if self.min_pixels and self.max_pixels and self.min_pixels > self.max_pixels:
            raise ConfigurationError(f"min_pixels is {self.min_pixels}, more than max_pixels {self.max_pixels}")
