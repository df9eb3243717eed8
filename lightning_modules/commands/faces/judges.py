"""The judges of made faces: classifiers, from their checkpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.common.errors import CheckpointError
from datamodules.faces.schema import AttributeSchema
from lightning_modules.commands.faces.independence import check_apart, check_judges
from lightning_modules.commands.faces.networks import rebuild
from lightning_modules.face_attributes.classifier.module import FaceAttributeClassifier
from lightning_modules.face_attributes.classifier.network import FaceAttributeNetwork

_BATCH = 128  # faces that a judge looks at together


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
        notes: What makes it less independent than it could be.
    """

    name: str
    path: str
    backbone: str
    model: FaceAttributeClassifier
    columns: tuple[int, ...]
    notes: tuple[str, ...] = ()

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


def load_judges(
    paths: Sequence[str], schema: AttributeSchema, inverted: FaceAttributeNetwork, same_architecture: bool = False
) -> list[Judge]:
    """Build judges, when each is independent of the inverted network and of the others as far as weights tell.

    Raises:
        CheckpointError: If a file is no classifier's, shares no attribute, or is no independent judge.
    """
    judges: list[Judge] = []
    for number, path in enumerate(paths):
        judge = _load(path, f"judge {chr(ord('A') + number)}", schema)
        notes = [check_apart(path, judge.model.network, inverted, same_architecture)]
        for other in judges:
            notes.append(check_judges((other.path, other.model.network), (path, judge.model.network)))
        judges.append(replace(judge, notes=tuple(note for note in notes if note)))
    return judges


def _load(path: str, name: str, schema: AttributeSchema) -> Judge:
    model = rebuild(FaceAttributeClassifier, path)
    own = model.schema.attributes
    columns = tuple(own.index(attribute) if attribute in own else -1 for attribute in schema.attributes)
    if max(columns) < 0:
        raise CheckpointError(f"The judge {path} shares no attribute with the generator: train it on the same schema.")
    return Judge(name, path, str(model.hparams["backbone"]), model, columns)
