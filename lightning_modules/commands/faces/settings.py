"""What `appraise evaluate-faces` reads from its configuration file and its command line."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.face_attributes.generator.pipeline import GeneratorMode
from lightning_modules.face_attributes.inversion.settings import InversionSettings
from lightning_modules.face_attributes.targets.completion import Completion


@dataclass
class EvaluationSettings:
    """Which faces are made, and who judges them.

    Args:
        ckpt_path: A generator's checkpoint, or a classifier's with ``statistics``.
        judges: Checkpoints of classifiers that had no part in making the faces; best two of different architectures.
            Refused is a judge whose weights descend from those of the inverted network or of another judge (the same
            file, a copy, another epoch, a copy that was trained further, the same start), one of the architecture of
            the inverted network, and one that learnt from the people of the requests or from those that the faces are
            made from, where its checkpoint says from whom; a generator that learnt from people of the requests, too.
            Two judges of one architecture are named.
        statistics: ``statistics.safetensors`` of the classifier.
        same_architecture: Take judges of the architecture of the inverted network, too; it is said beside the numbers.
        same_people: Take judges and generators that learnt from such people, too, as where the names of two lists agree
            by chance; it is said likewise.
        modes: How targets are made, a row of the table each; all are inverted with the same settings.
        candidates: Those of them of which the best on validation requests is chosen.
        requests: Faces a mode and kind of request: full label sets, and requests of a few attributes.
        validation_requests: The same, to choose the mode with.
        asked: Attributes of a short request.
        reference: Real training faces that made ones are compared with, and real test faces that judges are tested on.
        seed: Of requests and of the faces' own noise.
        known: Balanced accuracy on real faces from which a judge knows an attribute.
        batch_size: Faces that are made together.
        sheet_faces: Requests that the sheets show.
        device: Where faces are made and judged; ``auto`` takes a GPU where there is one.
        layers: Layers that are matched, of those that the statistics hold; None takes the checkpoint's.
        contrast: Factor of the distance of a target from the mean, of ``regression``, ``centred``, ``product`` and
            ``sample``; the targets of the paper and of ``nearest`` are what they are. None takes the checkpoint's.
        ridge: Penalty of the fits; None takes the checkpoint's.
        completion: What attributes are taken to be that a request says nothing of; None takes the checkpoint's.
        inversion: How pictures are looked for, the same for all modes; None takes the checkpoint's.
        output: Folder of table, figure, sheets and page; the same command goes on with what is missing there.
    """

    ckpt_path: str = ""
    judges: list[str] = field(default_factory=list)
    statistics: str | None = None
    same_architecture: bool = False
    same_people: bool = False
    modes: list[GeneratorMode] = field(
        default_factory=lambda: [
            "regression", "centred", "product", "sample", "nearest", "paper", "paper_equal", "class_visualisation",
            "heads", "pixel_regression", "mean_face",
        ]
    )  # fmt: skip
    candidates: list[GeneratorMode] = field(default_factory=lambda: ["regression", "centred", "product", "sample"])
    requests: int = 200
    validation_requests: int = 64
    asked: int = 5
    reference: int = 1000
    seed: int = 0
    known: float = 0.90
    batch_size: int = 16
    sheet_faces: int = 12
    device: Literal["auto", "cpu", "cuda"] = "auto"
    layers: list[str] | None = None
    contrast: float | None = None
    ridge: float | Literal["cv"] | None = None
    completion: Completion | None = None
    inversion: InversionSettings | None = None
    output: str = "runs/face_attributes/evaluate"

    def __post_init__(self) -> None:
        if not self.ckpt_path:
            raise CommandLineError(
                "evaluate-faces needs a generator: name the generator.ckpt that `validate --config "
                "face_attributes/statistics` wrote as --ckpt_path FILE"
            )
        if not self.judges:
            raise CommandLineError(
                "evaluate-faces needs a judge: train one with `appraise fit --config face_attributes/judge_a` and name "
                "its checkpoint as --judges FILE"
            )
        least = {"requests": 2, "validation_requests": 2, "asked": 1, "reference": 2, "batch_size": 1, "sheet_faces": 1}
        for name, low in least.items():
            if getattr(self, name) < low:
                raise CommandLineError(f"{name} is {getattr(self, name)}, but must be at least {low}: correct it")
        if not 0.5 <= self.known <= 1:
            raise CommandLineError(f"known is {self.known}, but must lie in 0.5..1: 0.5 is what a guess has")
        if "reconstruct" in self.modes:
            raise CommandLineError(
                "the mode reconstruct makes faces from faces, not from requests, so that there is nothing to judge: "
                "take it out of the modes"
            )
        outside = [name for name in self.candidates if name not in self.modes]
        if outside or not self.candidates:
            raise CommandLineError(
                f"the candidates {', '.join(outside) or '(none)'} are not among the modes {', '.join(self.modes)}: "
                "add them there, or take them out"
            )
        if "nearest" in self.candidates:
            raise CommandLineError("nearest copies real faces, so it is a baseline: take it out of the candidates")

    def stated(self) -> dict[str, object]:
        """Arguments of the generator that are stated here."""
        names = ("layers", "contrast", "ridge", "completion", "inversion")
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}
