"""The methods as the tests of this room run them: each one on generated data, at its smallest."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from tests.configs.shipped import CONFIGS
from tests.methods.data import FACES as FACE_COUNTS
from tests.methods.data import PARTS

KSVQE_NETWORK = {"embed_dim": 8, "swin_heads": [1, 2], "content_width": 16, "content_layers": 1, "content_heads": 2}
KSVQE_NETWORK |= {"distortion_width": 4, "distortion_dim": 8, "head_hidden": 4}


@dataclass(frozen=True)
class Method:
    """One row of the table.

    Attributes:
        name: In the names of the tests.
        config: That trains it.
        fit: Further options of training and test, ``{data}`` stands for the folder of the generated data.
        data: Options of the data, in training and test alike.
        predict: Command and options of a prediction; ``{checkpoint}`` stands for the best one of the training.
        noiseless: Options that turn off the noise inside the network.
        samples: Of a training epoch.
        predicted: The files that a prediction is made for.
        rounds: Options of `RewardRounds` in place of the configuration's.
        refuses: What two processes are told where a prediction needs one.
    """

    name: str
    config: str
    fit: tuple[str, ...]
    data: tuple[str, ...]
    predict: tuple[str, ...]
    predicted: tuple[str, ...]
    samples: int
    noiseless: tuple[str, ...] = ()
    rounds: dict[str, object] = field(default_factory=dict, hash=False)
    refuses: str = ""

    def training(self, data: Path) -> list[str]:
        """Words of ``fit``, without a folder."""
        words = ["fit", f"--config={self.config}", f"--config={self.often(data)}"]
        words += ["--trainer.accelerator=cpu", "--trainer.devices=1"]
        words += ["--trainer.max_epochs=3", "--trainer.check_val_every_n_epoch=1", *self.data, *self.fit]
        return [word.replace("{data}", str(data)) for word in words]

    def often(self, data: Path) -> Path:
        """The callbacks of the method's own configuration, with a ``last.ckpt`` after almost every step."""
        file = data / f"{self.name}.yaml"
        if not file.is_file():
            callbacks = yaml.safe_load((CONFIGS / f"{self.config}.yaml").read_text())["trainer"]["callbacks"]
            saver = next(one for one in callbacks if one["class_path"] == "callbacks.BestAndLast")
            saver.setdefault("init_args", {})["every_minutes"] = 1e-4
            for one in callbacks:
                if one["class_path"] == "callbacks.RewardRounds":
                    one["init_args"] |= self.rounds
            callbacks.append({"class_path": "tests.cluster.pace.Pace"})
            file.write_text(yaml.safe_dump({"trainer": {"callbacks": callbacks}}))
        return file

    def test(self, data: Path, checkpoint: Path) -> list[str]:
        """Words of ``test``, without a folder."""
        words = ["test", f"--config={self.config}", f"--ckpt_path={checkpoint}", "--trainer.accelerator=cpu"]
        return [word.replace("{data}", str(data)) for word in (*words, *self.data, *self.fit)]

    def prediction(self, data: Path, checkpoint: Path) -> list[str]:
        """Words of ``predict``, without a folder."""
        words = [*self.predict, f"--ckpt_path={checkpoint}", "--trainer.accelerator=cpu"]
        return [word.replace("{data}", str(data)) for word in words]


def _options(prefix: str, **values: object) -> tuple[str, ...]:
    return tuple(f"--{prefix}.{name}={value}" for name, value in values.items())


def _model(**values: object) -> tuple[str, ...]:
    return _options("model.init_args", **values)


def _data(**values: object) -> tuple[str, ...]:
    return _options("data.init_args", **values)


_PARTS = _options("data.init_args.demo", **PARTS)

KSVQE = Method(
    name="ksvqe",
    config="video_quality/demo",
    data=(
        *_data(root="{data}/videos", label_format="manifest", batch_size=2, clip_length=8, frame_interval=1),
        *(f"--data.init_args.{split}_labels={{data}}/{split}.csv" for split in ("train", "val", "test")),
    ),
    fit=_model(preset="tiny", network=json.dumps(KSVQE_NETWORK), tuning_stage=0, num_samples=4, contrastive_tokens=64),
    predict=(
        *("predict", "--config=video_quality/score", "--data.init_args.path={data}/to_score"),
        *_data(eval_clips=1, frame_interval=1),
    ),
    predicted=("scores.csv", "scores.jsonl"),
    noiseless=_model(dropout=0, drop_path=0, contrastive_tokens="null"),
    samples=13,
)
SEGMENTER = Method(
    name="segmenter",
    config="inspection/demo",
    data=(*_PARTS, *_data(batch_size=4)),
    fit=(
        *_model(width=4, backbone="small", healthy_knowledge="true"),
        *_data(new_training="mentored", store="{data}/mined/feedback.sqlite"),
    ),
    predict=(
        *("predict", "--config=inspection/mine", "--data.init_args.path={data}/to_mine"),
        *_model(threshold=0.0001),
    ),
    predicted=("feedback.sqlite",),
    samples=24,
)
DETECTOR = Method(
    name="detector",
    config="inspection/detector",
    data=(*_PARTS, *_data(batch_size=4, crop_size="null")),
    fit=_model(width=4, backbone="small"),
    predict=SEGMENTER.predict,
    predicted=("feedback.sqlite",),
    samples=12,
)
FRAMES = Method(
    name="frames",
    config="action/demo",
    data=_data(root="{data}/clips", frames_per_video=3, frame_size=32, batch_size=4, split="[0.6,0.2,0.2]"),
    fit=_model(backbone="test_efficientnet", pretrained="false"),
    predict=("annotate", "{data}/to_annotate", "--seconds=0.3", "--enter=0.01"),
    predicted=("summary.csv", "segments.json"),
    refuses="SegmentWriter writes in one process",
    noiseless=_model(dropout=0),
    samples=27,
)
FACES = Method(
    name="faces",
    config="face_attributes/demo",
    data=(
        *_options("data.init_args.demo", **FACE_COUNTS),
        *_data(image_size=32, batch_size=4, num_workers=0),
    ),
    fit=(),
    predict=("predict", "--config=face_attributes/predict", "--data.init_args.path={data}/faces"),
    predicted=("attributes.csv", "probabilities.csv"),
    samples=39,
)
DIFFUSION = Method(
    name="diffusion",
    config="face_diffusion/tune",
    data=(
        *_options("data.init_args.demo", **FACE_COUNTS),
        *_data(batch_size=4),
    ),
    fit=_model(channels="[8,16]", attention_levels="[1]", sampling_steps=3, eta=0.5),
    predict=("predict", "--config=face_diffusion/sample", *_data(samples=9, batch_size=4)),
    predicted=("samples.csv",),
    samples=39,
    rounds={
        "samples": 10,
        "every": 7,
        "batch_size": 4,
        "reward": {"class_path": "tests.lightning_modules.face_diffusion.bright.Bright"},
    },
)
METHODS = (KSVQE, SEGMENTER, DETECTOR, FRAMES, FACES, DIFFUSION)
