"""Whether a judge of made faces is independent of the inverted network, of other judges, and of whom it judges."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from datamodules.common.errors import CheckpointError
from datamodules.face_attributes.datamodule import FaceAttributeDataModule
from datamodules.faces.lists.people import Overlap, joined, overlap
from datamodules.faces.lists.records import SplitName
from lightning_modules.face_attributes.classifier.transfer import learnt_in
from lightning_modules.face_attributes.judging.common_origin import are_equal, have_one_architecture, share_descent

GENERATOR = "the generator"
_TRAINING: SplitName = "train"
# What is said of a judge, and of the generator: an older file tells of its statistics and not of its classifier.
NOBODY = (
    "learnt from nobody of the requests or of the made faces",
    "learnt from nobody of the requests, as far as its file tells",
)
_UNSAID = "does not say on whom it was trained, so that this could not be checked"
_UNSAID_BEFORE = "does not say on whom its first weights were trained, so that they could not be checked"
_OTHER = "give one that was trained apart, such as `fit --config face_attributes/judge_a` makes"


def check_apart(path: str, judge: nn.Module, inverted: nn.Module, same_architecture: bool) -> str:
    """Refuse a judge that is, descends from, or is built like the network that faces are made with.

    One of the same architecture may be taken all the same.

    Returns:
        What has to be said beside its numbers; empty where there is nothing.

    Raises:
        CheckpointError: If it is refused.
    """
    if are_equal(judge, inverted):
        raise CheckpointError(
            f"The judge {path} is the very network that the faces are made with, which sees whatever it was shown: "
            f"{_OTHER}."
        )
    if share_descent(judge, inverted):
        raise CheckpointError(
            f"The judge {path} descends from the same weights as the network that the faces are made with (another "
            f"epoch, a copy trained further, or the same start), so that it sees what that one was shown: {_OTHER}."
        )
    if not have_one_architecture(judge, inverted):
        return ""
    if not same_architecture:
        raise CheckpointError(
            f"The judge {path} has the architecture of the network that the faces are made with, and what fools one "
            f"may fool the other: give a judge of another, such as `fit --config face_attributes/judge_a` makes, or "
            "take this one all the same with --same_architecture true."
        )
    return "has the architecture of the network that the faces are made with"


def check_judges(first: tuple[str, nn.Module], second: tuple[str, nn.Module]) -> str:
    """Refuse two judges, by checkpoint and network, that are one; two of one architecture are named.

    Returns:
        What has to be said beside the numbers of the second; empty where there is nothing.

    Raises:
        CheckpointError: If both descend from the same weights.
    """
    if are_equal(first[1], second[1]) or share_descent(first[1], second[1]):
        raise CheckpointError(
            f"The judges {first[0]} and {second[0]} descend from the same weights, so that they are one judge asked "
            "twice: leave one out, or give another that was trained apart, such as `fit --config "
            "face_attributes/judge_b` makes."
        )
    return f"has the architecture of {first[0]}" if have_one_architecture(first[1], second[1]) else ""


def check_people(
    judges: Mapping[str, str],
    generator: str,
    data: FaceAttributeDataModule,
    splits: Sequence[SplitName],
    allowed: bool = False,
) -> dict[str, str]:
    """Refuse judges that learnt from the people of the requests, or from those that the faces are made from.

    Args:
        judges: Checkpoint of each judge by its name.
        generator: Checkpoint of the generator, which says whose faces its statistics counted and its classifier learnt
            from, or of the classifier; of it, the people of the requests matter, and to judges its people do.
        data: The faces.
        splits: Those that make requests.
        allowed: Take them all the same.

    Returns:
        For the generator and each judge by its name, what is known of the people that it learnt from.

    Raises:
        CheckpointError: If a checkpoint says that it learnt from such people.
    """
    learnt = {name: learnt_from(path) for name, path in {GENERATOR: generator, **judges}.items()}
    asking: dict[str, set[str] | Tensor] = {split: set(data.people(split)) for split in splits}
    making: dict[str, set[str] | Tensor] = {_TRAINING: set(data.people(_TRAINING)), GENERATOR: learnt[GENERATOR].people}
    notes = {}
    for name, (people, whole) in learnt.items():
        sought = asking if name == GENERATOR else asking | making
        found = {whose: overlap(people, whom) for whose, whom in sought.items()}
        shared = {whose: one for whose, one in found.items() if one.shared}
        if shared:
            notes[name] = _shared(f"{name} ({judges.get(name, generator)})", shared, allowed)
        elif not whole:
            notes[name] = _UNSAID if len(people) == 0 else _UNSAID_BEFORE
        else:
            notes[name] = NOBODY[name == GENERATOR]
    return notes


class Learnt(NamedTuple):
    """Whom a checkpoint says that it learnt from.

    Attributes:
        people: Sketch of them, int64 ``(n,)``; empty where it says nothing.
        whole: Whether it says so of every training that made it.
    """

    people: Tensor
    whole: bool


def learnt_from(path: str) -> Learnt:
    """Whom a training learnt from, and those before it that its weights came from, as its checkpoint has it.

    Raises:
        CheckpointError: If the file cannot be read.
    """
    file = Path(path).expanduser()
    try:
        content = torch.load(file, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(file))
    except (OSError, EOFError, RuntimeError, ValueError, LookupError, pickle.UnpicklingError) as error:
        raise CheckpointError(f"{path} cannot be read as a checkpoint: give a file that a run wrote.") from error
    trainings = learnt_in(content)
    known = [people for people in trainings if people is not None]
    return Learnt(reduce(joined, known, torch.zeros(0, dtype=torch.int64)), len(known) == len(trainings))


def _shared(who: str, shared: Mapping[str, Overlap], allowed: bool) -> str:
    """What is said of people that a network should not have learnt from; an error unless that is allowed."""
    if _TRAINING in shared:  # most often the same people
        shared = {whose: one for whose, one in shared.items() if whose != GENERATOR}
    parts = [
        f"learnt from {one.shared} of {one.told} people "
        + ("that the generator learnt from" if whose == GENERATOR else f"of the split {whose}")
        for whose, one in shared.items()
    ]
    if not allowed:
        making = next(iter(shared)) in (_TRAINING, GENERATOR)
        why = "from whom the faces are made" if making else "who make the requests"
        raise CheckpointError(
            f"{who} {parts[0]}, {why}, so that it is not independent of them: give the data as in that training "
            "(--data.split_seed, --data.demo.seed), train a judge with fit_on judge and the same judge_share in the "
            "data of all, or take it all the same with --same_people true, as where names agree by chance."
        )
    return "; ".join(parts)
