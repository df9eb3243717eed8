"""The generator that makes faces and the classifiers that judge them, from their checkpoints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor

from datamodules.common.errors import CheckpointError
from datamodules.face_attributes.schema import AttributeSchema
from lightning_modules.commands.checkpoint import read_saved_model
from lightning_modules.commands.errors import CommandLineError
from lightning_modules.face_attributes.generator_module import CLASS_PATH as GENERATOR
from lightning_modules.face_attributes.generator_module import AttributeFaceGenerator
from lightning_modules.face_attributes.module import CLASS_PATH as CLASSIFIER
from lightning_modules.face_attributes.module import FaceAttributeClassifier
from lightning_modules.face_attributes.transfer import read_checkpoint
from lightning_modules.nn.checkpoint_loading import load_strictly

_BATCH = 128  # faces that a judge looks at together


def load_generator(path: str, statistics: str | None, stated: Mapping[str, object]) -> AttributeFaceGenerator:
    """Build a generator.

    Args:
        path: A generator's checkpoint, or a classifier's.
        statistics: File of the classifier's statistics.
        stated: Arguments in place of the checkpoint's.

    Raises:
        CheckpointError: If a file is missing, unreadable or of another method, or statistics are another network's.
        CommandLineError: If a classifier has no statistics, or a generator is given some.
    """
    saved = read_saved_model(path)
    if saved is None:
        raise CommandLineError(f"{path} names no file: give the path of a checkpoint")
    extra = cast(dict[str, Any], dict(stated))
    if saved.class_path == CLASSIFIER:
        if statistics is None:
            raise CommandLineError(
                f"{path} is a classifier, which knows no statistics of activations: add --statistics FILE, the "
                "statistics.safetensors of `validate --config face_attributes/statistics`"
            )
        return AttributeFaceGenerator(classifier_weights=path, statistics_weights=statistics, **extra).eval()
    if statistics is not None:
        raise CommandLineError(f"{path} holds its own statistics: leave --statistics {statistics} out")
    arguments, state = read_checkpoint(path, GENERATOR)
    plain = {name: value for name, value in arguments.items() if not name.startswith("_")}
    generator = AttributeFaceGenerator(**cast(dict[str, Any], plain | extra))
    load_strictly(generator, state, generator.state_dict(), path)
    generator.on_load_checkpoint(torch.load(Path(path).expanduser(), map_location="cpu", weights_only=True))
    return generator.eval()


class Verdict(NamedTuple):
    """What a judge says of N faces.

    Attributes:
        decision: int8 ``(N, K)`` in the order of the generator's attributes; -1 for those that the judge has no head
            for.
        features: float32 ``(N, F)``, what its heads see.
    """

    decision: Tensor
    features: Tensor


@dataclass(frozen=True)
class Judge:
    """A classifier that looks at faces it had no part in making.

    Attributes:
        name: Short, unique among the judges.
        path: Its checkpoint.
        backbone: Its architecture.
        model: The classifier.
        columns: For each attribute of the generator its column here; -1 where there is none.
    """

    name: str
    path: str
    backbone: str
    model: FaceAttributeClassifier
    columns: tuple[int, ...]

    @torch.inference_mode()
    def look(self, images: Tensor) -> Verdict:
        """Judge pictures, uint8 ``(N, 3, S, S)``; another size is resized."""
        device = next(self.model.parameters()).device
        decisions, features = [], []
        for part in torch.split(images, _BATCH):
            seen = self.model.network.features(self.model.preprocess(part.to(device)))
            logits = self.model.network.classify(seen)
            decisions.append(self.model.answers(logits)["decision"].cpu())
            features.append(seen.float().cpu())
        decision = torch.cat(decisions)
        blind = torch.full_like(decision[:, :1], -1)
        return Verdict(torch.cat([decision, blind], dim=1)[:, list(self.columns)], torch.cat(features))


def load_judge(path: str, name: str, schema: AttributeSchema, generator: AttributeFaceGenerator) -> Judge:
    """Build a judge.

    Args:
        path: Its checkpoint.
        name: What it is called in the table.
        schema: Attributes of the generator.
        generator: Whose network must be another.

    Raises:
        CheckpointError: If the file is no classifier's, it shares no attribute, or it is the inverted network itself.
    """
    arguments, state = read_checkpoint(path, CLASSIFIER)
    plain = {key: value for key, value in arguments.items() if not key.startswith("_")}
    model = FaceAttributeClassifier(**cast(dict[str, Any], plain))
    load_strictly(model, state, model.state_dict(), path)
    own = model.schema.attributes
    columns = tuple(own.index(attribute) if attribute in own else -1 for attribute in schema.attributes)
    if max(columns) < 0:
        raise CheckpointError(f"The judge {path} shares no attribute with the generator: train it on the same schema.")
    if _is_same(model, generator):
        raise CheckpointError(
            f"The judge {path} is the very network that the faces are made with, which sees whatever it was shown: "
            "give one that was trained apart, such as `fit --config face_attributes/judge_a` makes."
        )
    return Judge(name, path, str(arguments["backbone"]), model.eval(), columns)


def _is_same(model: FaceAttributeClassifier, generator: AttributeFaceGenerator) -> bool:
    own, other = model.network.state_dict(), generator.network.state_dict()
    return own.keys() == other.keys() and all(torch.equal(own[key], other[key]) for key in own)
