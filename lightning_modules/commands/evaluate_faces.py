"""``appraise evaluate-faces``: make faces in every mode with equal settings, and let judges look at them."""

from __future__ import annotations

import json
import logging
import math
import time
from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal, NamedTuple, cast

import numpy as np
import torch
from jsonargparse import ArgumentParser
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from callbacks.face_sheet import Picture, SheetFace, draw_grid, draw_sheet
from callbacks.face_writer import caption_of
from datamodules.common.atomic_write import atomic_path, write_text
from datamodules.common.errors import AppraiseError
from datamodules.common.fingerprint import config_digest, file_sha256, tensors_digest
from datamodules.common.progress import file_progress
from datamodules.face_attributes.datamodule import FaceAttributeDataModule
from datamodules.face_attributes.schema import ABSENT, PRESENT, AttributeSchema
from lightning_modules.commands.config_files import resolve_config_options
from lightning_modules.commands.console import RESULTS, set_up_console
from lightning_modules.commands.errors import CommandLineError
from lightning_modules.commands.face_measures import Bench, Values, agreement_alone, is_realistic, measure, seat
from lightning_modules.commands.face_networks import load_generator, load_judge
from lightning_modules.commands.face_requests import KINDS, Kind, RealFaces, RequestSet, draw_requests, real_faces
from lightning_modules.commands.face_settings import EvaluationSettings
from lightning_modules.commands.face_tables import comparison, csv_text, draw_evaluation, markdown
from lightning_modules.face_attributes.agreement import chance_decisions
from lightning_modules.face_attributes.generator import FaceGenerator, GeneratorMode
from lightning_modules.face_attributes.generator_module import AttributeFaceGenerator

log = logging.getLogger("appraise")
results = logging.getLogger(RESULTS)

_LISTS = ("judges", "modes", "candidates", "layers")  # options that take several words
REAL, CHANCE = "real faces", "chance"
_SHEET_COLUMNS = 8


def run(command: str, arguments: Sequence[str]) -> int:
    """Make and judge faces, or go on with what the folder lacks.

    Args:
        command: ``evaluate-faces``.
        arguments: ``--config FILE`` and options that overrule it.

    Returns:
        0; everything else is an exception.
    """
    set_up_console()
    resolved, _ = resolve_config_options(join_lists(arguments))
    evaluation = Evaluation(*parse(resolved))
    evaluation.report(evaluation.choose())
    return 0


def join_lists(arguments: Sequence[str]) -> list[str]:
    """Turn ``--judges A B`` into one argument.

    Example:
        >>> join_lists(["--judges", "a.ckpt", "b.ckpt", "--requests", "20"])
        ['--judges=["a.ckpt", "b.ckpt"]', '--requests', '20']
    """
    joined: list[str] = []
    words = list(arguments)
    while words:
        word = words.pop(0)
        if word.removeprefix("--") in _LISTS:
            values = []
            while words and not words[0].startswith("--"):
                values.append(words.pop(0))
            whole = len(values) == 1 and values[0].startswith("[")
            joined.append(f"{word}={values[0] if whole else json.dumps(values)}")
        else:
            joined.append(word)
    return joined


def parse(arguments: Sequence[str]) -> tuple[EvaluationSettings, AttributeFaceGenerator, FaceAttributeDataModule]:
    """Read the settings, and build the generator and the data that it was made for.

    Raises:
        CommandLineError: If a file or an option cannot work.
    """
    parser = ArgumentParser(prog="appraise evaluate-faces", exit_on_error=False)
    parser.add_argument("--config", action="config", help="configuration file")
    parser.add_class_arguments(EvaluationSettings, as_group=False)
    parser.add_class_arguments(FaceAttributeDataModule, "data")
    try:
        parsed = parser.parse_args(list(arguments))
        stated = vars(parser.instantiate_classes(parsed.clone(with_meta=False)))
        settings = EvaluationSettings(**{n: value for n, value in stated.items() if n not in ("config", "data")})
        generator = load_generator(settings.ckpt_path, settings.statistics, settings.stated())
        parsed.data.attribute_schema = generator.schema.plain()
        parsed.data.image_size = generator.preprocess.side
        data = parser.instantiate_classes(parsed).data
    except AppraiseError:
        raise
    except (ArgumentError, TypeError, KeyError, ValueError) as error:  # jsonargparse, by the kind of mistake
        raise CommandLineError(" ".join(str(error).split())) from error
    return settings, generator, data


class Made(NamedTuple):
    """Faces of one mode and set of requests.

    Attributes:
        images: uint8 ``(N, 3, S, S)``.
        facts: Plain values: seconds a face, and where there was a target how far it lies from the mean and how well it
            was met, by layer.
    """

    images: Tensor
    facts: dict[str, Any]


class Evaluation:
    """One evaluation in one folder.

    Args:
        settings: What to do.
        model: Makes the faces.
        data: Real faces.
    """

    def __init__(
        self, settings: EvaluationSettings, model: AttributeFaceGenerator, data: FaceAttributeDataModule
    ) -> None:
        self.settings = settings
        self.folder = Path(settings.output).expanduser().absolute()
        device = settings.device if settings.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.to(device)
        self._generator: FaceGenerator = self._model.generator
        self._data = data
        self._schema: AttributeSchema = model.schema
        self._run = self._digest()
        # A data module reads its lists in `setup`; so that errors come before any work.
        data.setup("test")
        self._real: RealFaces = real_faces(data, settings.reference, settings.seed)
        self._benches = self._seat_judges(device)

    def _digest(self) -> str:
        """Name of everything that decides a face beside its request."""
        settings, model = self.settings, self._model
        files = [settings.ckpt_path, *([settings.statistics] if settings.statistics else [])]
        arguments = {
            name: model.hparams[name] for name in ("layers", "contrast", "ridge", "completion", "neighbours", "psi")
        }
        inversion = {**asdict(model.config.inversion), "strip": 0}  # the strip changes no face
        return config_digest(
            {
                "files": [file_sha256(Path(file).expanduser()) for file in files],
                "arguments": arguments,
                "inversion": inversion,
            }
        )

    def _seat_judges(self, device: str) -> list[Bench]:
        benches = []
        for number, path in enumerate(self.settings.judges):
            judge = load_judge(path, f"judge {chr(ord('A') + number)}", self._schema, self._model)
            judge.model.to(device)
            bench = seat(judge, self._real, self._schema.attributes, self.settings.known)
            benches.append(bench)
            known = int(bench.knowledge.known.sum())
            unknown = ", ".join(bench.knowledge.unknown_names()) or "none"
            results.info("%s (%s) knows %d of %d attributes", judge.name, judge.backbone, known, len(judge.columns))
            results.info("%s does not know: %s", judge.name, unknown)
        return benches

    # Choosing and reporting.

    def choose(self) -> GeneratorMode:
        """The candidate with the best agreement on validation requests, among those that look like faces."""
        candidates = self.settings.candidates
        if len(candidates) == 1:
            return candidates[0]
        sets = {kind: self._requests("val", kind) for kind in KINDS}
        rows: dict[str, dict[str, Values]] = {}
        for mode in candidates:
            rows[mode] = {kind: self._measured(mode, requests, "val") for kind, requests in sets.items()}
        realistic = [mode for mode in candidates if all(is_realistic(values) for values in rows[mode].values())]
        if not realistic:
            log.warning("warning: no candidate keeps within the bounds of realism on the validation requests")
        scores = {mode: _score(rows[mode]) for mode in realistic or candidates}
        chosen = max(scores, key=lambda mode: scores[mode])
        write_text(self.folder / "validation.csv", csv_text(rows))
        for mode, score in scores.items():
            log.info("validation: %s agrees %.3f", mode, score)
        results.info("chosen on validation requests: %s", chosen)
        return chosen

    def report(self, chosen: GeneratorMode) -> None:
        """Measure all modes on the test requests, and write table, figure and sheets."""
        sets = {kind: self._requests("test", kind) for kind in KINDS}
        rows: dict[str, dict[str, Values]] = {
            REAL: {kind: self._of_real(requests) for kind, requests in sets.items()},
            CHANCE: {kind: self._of_chance(requests) for kind, requests in sets.items()},
        }
        for mode in self.settings.modes:
            rows[mode] = {kind: self._measured(mode, requests, "test") for kind, requests in sets.items()}
        text = markdown(rows, chosen)
        write_text(self.folder / "evaluation.csv", csv_text(rows))
        write_text(self.folder / "evaluation.md", self._page(text, rows, chosen))
        write_text(self.folder / "evaluation.json", json.dumps(self._plain(rows, chosen), indent=1) + "\n")
        with atomic_path(self.folder / "evaluation.png") as temporary:
            draw_evaluation(rows, chosen).savefig(temporary, dpi=150, format="png")
        for kind, requests in sets.items():
            self._draw_sheets(kind, requests, chosen)
        results.info("%s", text.rstrip())
        for line in _sentences(rows, chosen):
            results.info("%s", line)
        results.info("table, figure and sheets: %s", self.folder)

    def _requests(self, split: Literal["val", "test"], kind: Kind) -> RequestSet:
        settings = self.settings
        number = settings.requests if split == "test" else settings.validation_requests
        return draw_requests(self._data, split, kind, number, settings.asked, settings.reference, settings.seed)

    def _of_real(self, requests: RequestSet) -> Values:
        return measure(
            requests.sources, requests, self._real, self._benches, self._generator.decisions(requests.sources)
        )

    def _of_chance(self, requests: RequestSet) -> Values:
        labels = self._real.training_labels
        return agreement_alone(
            chance_decisions(labels, len(requests.asked), self.settings.seed), requests, self._benches
        )

    def _measured(self, mode: GeneratorMode, requests: RequestSet, split: str) -> Values:
        made = self._made(mode, requests, split)
        own = self._generator.decisions(made.images).cpu()
        return {**measure(made.images, requests, self._real, self._benches, own), **made.facts}

    # Making.

    def _made(self, mode: GeneratorMode, requests: RequestSet, split: str) -> Made:
        """Faces of a mode; those that the folder holds already are read."""
        asked = {"attributes": requests.attributes, "seeds": requests.seeds}
        key = config_digest({"run": self._run, "mode": mode, "requests": tensors_digest(asked)})
        file = self.folder / "faces" / f"{mode}_{requests.kind}_{split}.safetensors"
        held = _read_made(file, key)
        if held is not None:
            return held
        made = self._make(mode, requests)
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as temporary:
            save_file({"images": made.images}, temporary, {"key": key, "facts": json.dumps(made.facts)})
        return made

    def _make(self, mode: GeneratorMode, requests: RequestSet) -> Made:
        options = self._model.target_options
        number, size = len(requests.seeds), self.settings.batch_size
        images, distances, errors = [], [], []
        began = time.perf_counter()
        with file_progress(f"{mode}, {requests.kind} requests", -(-number // size)) as advance:
            for rows in torch.split(torch.arange(number), size):
                made = self._generator(requests.attributes[rows], requests.seeds[rows], mode, options)
                images.append(made.image)
                distances.append(made.target_distances)
                errors.append(made.target_errors)
                advance()
        facts: dict[str, Any] = {"seconds_a_face": (time.perf_counter() - began) / number}
        facts["target_distance"] = _mean_by_layer(distances)
        facts["target_error"] = _mean_by_layer(errors)
        return Made(torch.cat(images), facts)

    # Writing.

    def _page(self, table: str, rows: Mapping[str, Mapping[str, Values]], chosen: str) -> str:
        how = "chosen on other requests" if len(self.settings.candidates) > 1 else "the only candidate"
        parts = [f"# Faces from attributes: {chosen} was {how}", table]
        parts += ["\n".join(f"- {line}" for line in _sentences(rows, chosen)) + "\n"]
        for bench in self._benches:
            known = int(bench.knowledge.known.sum())
            unknown = ", ".join(bench.knowledge.unknown_names()) or "none"
            parts.append(f"{bench.judge.name} ({bench.judge.backbone}) knows {known} attributes; not: {unknown}.\n")
        return "\n".join(parts)

    def _plain(self, rows: Mapping[str, Mapping[str, Values]], chosen: str) -> dict[str, Any]:
        judges = {
            bench.judge.name: {
                "file": bench.judge.path,
                "backbone": bench.judge.backbone,
                "knows": int(bench.knowledge.known.sum()),
                "does_not_know": bench.knowledge.unknown_names(),
            }
            for bench in self._benches
        }
        settings = {name: value for name, value in asdict(self.settings).items() if name != "output"}
        content = {
            "chosen": chosen,
            "ahead_of": comparison(rows, chosen),
            "modes": rows,
            "judges": judges,
            "settings": settings,
            "inversion": asdict(self._model.config.inversion),
            "layers": list(self._model.config.layers),
        }
        return cast(dict[str, Any], _without_nan(content))

    def _draw_sheets(self, kind: Kind, requests: RequestSet, chosen: str) -> None:
        """All modes side by side for some requests, and a sheet of its own for each mode."""
        captions = [_caption(request, self._schema, kind) for request in requests.asked]
        columns: dict[str, Tensor] = {"real face": requests.sources}
        for mode in self.settings.modes:
            columns[mode] = self._made(mode, requests, "test").images
        count = min(self.settings.sheet_faces, len(captions))
        grid = [[_picture(images[row]) for images in columns.values()] for row in range(count)]
        titles = [f"{name} (chosen)" if name == chosen else name for name in columns]
        titles = [title.replace("_", " ") for title in titles]  # where a long name may be broken
        sheet = draw_grid(grid, captions[:count], titles, f"the same {kind} requests in every mode")
        _save(sheet, self.folder / f"modes_{kind}.png")
        for name, images in list(columns.items())[1:]:
            shown = range(min(4 * count, len(captions)))
            faces = [SheetFace((_picture(images[row]),), captions[row]) for row in shown]
            own = draw_sheet(faces, _SHEET_COLUMNS, f"{name}, {kind} requests")
            _save(own, self.folder / "sheets" / f"{name}_{kind}.png")


def _score(kinds: Mapping[str, Values]) -> float:
    return math.fsum(values["agreement"] for values in kinds.values()) / len(kinds)


def _sentences(rows: Mapping[str, Mapping[str, Values]], chosen: str) -> list[str]:
    """What the table says of the chosen mode."""
    lines = []
    for kind, ahead in comparison(rows, chosen).items():
        own = rows[chosen][kind]
        others = ", ".join(f"{mode} {value:+.3f}" for mode, value in ahead.items())
        lines.append(f"{chosen}, {kind} requests: agreement {own['agreement']:.3f}; ahead of {others}")
        verdict = "within" if is_realistic(own) else "outside"
        lines.append(
            f"{chosen}, {kind} requests: total variation {own['variation_ratio']:.2f}, distance to the nearest real "
            f"face {own['nearest_ratio']:.2f} of real ones: {verdict} the bounds"
        )
    return lines


def _caption(request: Tensor, schema: AttributeSchema, kind: Kind) -> str:
    values = request.tolist()
    asked = [name for name, value in zip(schema.attributes, values, strict=True) if value == PRESENT]
    absent = [name for name, value in zip(schema.attributes, values, strict=True) if value == ABSENT]
    return caption_of({"asked_for": asked, "asked_to_be_absent": absent if kind == "short" else []})


def _mean_by_layer(parts: Sequence[Mapping[str, Tensor]]) -> dict[str, float]:
    return {layer: torch.cat([part[layer] for part in parts]).mean().item() for layer in (parts[0] if parts else {})}


def _read_made(file: Path, key: str) -> Made | None:
    if not file.is_file():
        return None
    with safe_open(file, framework="pt") as content:
        facts = content.metadata() or {}
        if facts.get("key") != key:
            return None
        return Made(content.get_tensor("images"), json.loads(facts["facts"]))


def _without_nan(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(name): _without_nan(entry) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(entry) for entry in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _picture(image: Tensor) -> Picture:
    return np.ascontiguousarray(image.permute(1, 2, 0).numpy())


def _save(image: Image.Image, path: Path) -> None:
    with atomic_path(path) as temporary:
        image.save(temporary, format="PNG")
