"""Choosing a mode on validation requests, and reporting all modes on others."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from callbacks.figures.pictures import write_figure
from callbacks.figures.plain import without_nan
from datamodules.common.atomic_write import write_text
from datamodules.face_attributes.datamodule import FaceAttributeDataModule
from lightning_modules.commands.faces.independence import NOBODY, check_people
from lightning_modules.commands.faces.judges import Judge, load_judges
from lightning_modules.commands.faces.making import FaceMaker
from lightning_modules.commands.faces.measures import Bench, Values, agreement_alone, is_realistic, measure, seat
from lightning_modules.commands.faces.pages import draw_sheets, html_page, markdown_page, plain_judges, sentences
from lightning_modules.commands.faces.requests import KINDS, Kind, RequestSet, draw_requests, real_faces
from lightning_modules.commands.faces.settings import EvaluationSettings
from lightning_modules.commands.faces.tables import comparison, draw_evaluation, markdown, measures_csv
from lightning_modules.commands.front.console import RESULTS
from lightning_modules.face_attributes.generator.module import AttributeFaceGenerator
from lightning_modules.face_attributes.generator.pipeline import GeneratorMode
from lightning_modules.face_attributes.judging.short_requests import chance_decisions

log = logging.getLogger("appraise")
results = logging.getLogger(RESULTS)

REAL, CHANCE = "real faces", "chance"
Split = Literal["val", "test"]
_Rows = dict[str, dict[str, Values]]


class Evaluation:
    """One evaluation in one folder.

    Args:
        settings: What to do.
        model: Makes the faces.
        data: Real faces.

    Raises:
        CheckpointError: If a judge is no independent one.
        ConfigurationError: If there are too few faces, or a judge knows no attribute.
    """

    def __init__(
        self, settings: EvaluationSettings, model: AttributeFaceGenerator, data: FaceAttributeDataModule
    ) -> None:
        self.settings = settings
        self.folder = Path(settings.output).expanduser().absolute()
        device = settings.device if settings.device != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
        self._model = model.to(device)
        self._data = data
        # A data module reads its lists in `setup`; so that errors come before any work.
        data.setup("test")
        judges = load_judges(settings.judges, model.schema, model.network, settings.same_architecture)
        self._independence = self._checked(judges)
        kept = model.statistics.kept.thumbnails if model.statistics is not None else None
        self._real = real_faces(data, settings.reference, settings.seed, kept)
        self._benches = [self._seated(judge, device) for judge in judges]
        for name, note in self._independence.items():
            if note not in NOBODY:
                log.warning("warning: %s %s", name, note)
        self._maker = FaceMaker(settings, model, self.folder)

    def _checked(self, judges: Sequence[Judge]) -> dict[str, str]:
        """How independent generator and judges are, by name; an error where a judge is not."""
        settings = self.settings
        found = check_people(
            {judge.name: judge.path for judge in judges},
            settings.ckpt_path,
            self._data,
            ("val", "test") if self._chooses else ("test",),
            settings.same_people,
        )
        return found | {judge.name: "; ".join([*judge.notes, found[judge.name]]) for judge in judges}

    def _seated(self, judge: Judge, device: str) -> Bench:
        judge.model.to(device)
        bench = seat(judge, self._real, self._model.schema.attributes, self.settings.known)
        known, unknown = int(bench.knowledge.known.sum()), ", ".join(bench.knowledge.unknown_names()) or "none"
        results.info("%s (%s) knows %d of %d attributes", judge.name, judge.backbone, known, len(judge.columns))
        results.info("%s does not know: %s", judge.name, unknown)
        return bench

    @property
    def _chooses(self) -> bool:
        return len(self.settings.candidates) > 1

    def choose(self) -> GeneratorMode:
        """The candidate with the best agreement on validation requests, among those that look like faces."""
        candidates = self.settings.candidates
        if not self._chooses:
            return candidates[0]
        sets = {kind: self._requests("val", kind) for kind in KINDS}
        rows: _Rows = {
            mode: {kind: self._measured(mode, requests, "val") for kind, requests in sets.items()}
            for mode in candidates
        }
        realistic = [mode for mode in candidates if all(is_realistic(values) for values in rows[mode].values())]
        if not realistic:
            log.warning("warning: no candidate keeps within the bounds of realism on the validation requests")
        scores = {mode: _score(rows[mode]) for mode in realistic or candidates}
        chosen = max(scores, key=lambda mode: scores[mode])
        write_text(self.folder / "validation.csv", measures_csv(rows))
        for mode, score in scores.items():
            log.info("validation: %s agrees %.3f", mode, score)
        results.info("chosen on validation requests: %s", chosen)
        return chosen

    def report(self, chosen: GeneratorMode) -> None:
        """Measure all modes on the test requests, and write table, figure, sheets and page."""
        sets = {kind: self._requests("test", kind) for kind in KINDS}
        rows: _Rows = {
            REAL: {kind: self._of_real(requests) for kind, requests in sets.items()},
            CHANCE: {kind: self._of_chance(requests) for kind, requests in sets.items()},
        }
        for mode in self.settings.modes:
            rows[mode] = {kind: self._measured(mode, requests, "test") for kind, requests in sets.items()}
        self._write(rows, chosen)
        for requests in sets.values():
            made: dict[str, Tensor] = {
                mode: self._maker.made(mode, requests, "test").images for mode in self.settings.modes
            }
            draw_sheets(self.folder, requests, made, chosen, self._model.schema, self.settings.sheet_faces)
        pictures = {"all modes": self.folder / "evaluation.png"}
        for kind in KINDS:
            pictures[f"the same {kind} requests in every mode"] = self.folder / f"modes_{kind}.png"
            pictures[f"{chosen}, {kind} requests"] = self.folder / "sheets" / f"{chosen}_{kind}.png"
        html_page(*self._told(rows, chosen), pictures).write(self.folder / "page.html")
        results.info("table, figure, sheets and page: %s", self.folder)

    def _requests(self, split: Split, kind: Kind) -> RequestSet:
        settings = self.settings
        number = settings.requests if split == "test" else settings.validation_requests
        return draw_requests(self._data, split, kind, number, settings.asked, settings.reference, settings.seed)

    def _of_real(self, requests: RequestSet) -> Values:
        own = self._maker.opinion(requests.sources)
        return measure(requests.sources, requests, self._real, self._benches, own)

    def _of_chance(self, requests: RequestSet) -> Values:
        labels = self._real.training_labels
        return agreement_alone(
            chance_decisions(labels, len(requests.asked), self.settings.seed), requests, self._benches
        )

    def _measured(self, mode: GeneratorMode, requests: RequestSet, split: Split) -> Values:
        made = self._maker.made(mode, requests, split)
        own = self._maker.opinion(made.images)
        return {**measure(made.images, requests, self._real, self._benches, own), **made.facts}

    def _write(self, rows: _Rows, chosen: str) -> None:
        write_text(self.folder / "evaluation.csv", measures_csv(rows))
        write_text(self.folder / "evaluation.md", markdown_page(*self._told(rows, chosen)))
        write_text(self.folder / "evaluation.json", json.dumps(self._plain(rows, chosen), indent=1) + "\n")
        write_figure(draw_evaluation(rows, chosen), self.folder / "evaluation.png")
        results.info("%s", markdown(rows, chosen).rstrip())
        for line in sentences(rows, chosen):
            results.info("%s", line)

    def _told(self, rows: _Rows, chosen: str) -> tuple[_Rows, str, str, Sequence[Bench], Mapping[str, str]]:
        """What both pages tell."""
        how = "chosen on other requests" if self._chooses else "the only candidate"
        return rows, chosen, how, self._benches, self._independence

    def _plain(self, rows: _Rows, chosen: str) -> dict[str, Any]:
        settings = {name: value for name, value in asdict(self.settings).items() if name != "output"}
        return without_nan(
            {
                "chosen": chosen,
                "ahead_of": comparison(rows, chosen),
                "modes": rows,
                "judges": plain_judges(self._benches),
                "independence": self._independence,
                "settings": settings,
                "inversion": asdict(self._model.config.inversion),
                "layers": list(self._model.config.layers),
            }
        )


def _score(kinds: Mapping[str, Values]) -> float:
    return math.fsum(values["agreement"] for values in kinds.values()) / len(kinds)
