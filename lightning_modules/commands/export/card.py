"""The card of an exported network: what it is, what it learnt from, how it was measured, and what it is not for."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from callbacks.figures.plain import markdown_table
from lightning_modules.commands.export.checkpoint import run_config, run_folder
from lightning_modules.commands.exported.manifest import Manifest

NAME = "model_card.md"

_PURPOSE = {
    "KSVQE": "Says how good a short video looks, after Lu et al., CVPR 2024.",
    "MentoringSegmenter": "Finds defects of parts as regions of cells, after Cordier, Das and Gutierrez, QCAV 2021.",
    "MentoringDetector": "Finds defects of parts as boxes, after Cordier, Das and Gutierrez, QCAV 2021.",
    "FrameAveragingActionRecognizer": "Says what a person is doing in each frame of a video, after Gjorjian.",
    "FaceAttributeClassifier": "Says which attributes a cropped face shows, after Cate, Dalvi and Hussain, 2016.",
}
_LIMITS = {
    "KSVQE": (
        "A score ranks videos like those it learnt from; of other content, other processing or another screen it says "
        "little.",
        "`score_1_5` is the raw score on the scale of the opinions of the last validation, not an opinion itself.",
        "It looks at a few clips: what is wrong elsewhere in the video is not seen.",
    ),
    "MentoringSegmenter": (
        "It knows the classes it learnt and no others; a new kind of defect may be missed or named wrongly.",
        "Thresholds were tuned on the validation images of its own line; on another line, light or camera tune them "
        "anew.",
    ),
    "FrameAveragingActionRecognizer": (
        "It knows its classes alone, and gives one of them a probability in any picture.",
        "It sees single frames: what only motion tells apart it cannot tell apart.",
        "Not for watching people without their knowledge, nor for decisions about them.",
    ),
    "FaceAttributeClassifier": (
        "It sees one cropped face, upright; other pictures get an answer, too, and a worthless one.",
        "Not for finding, recognising or describing a real person, nor for any decision about one.",
        "Attributes that name origin, sex, age or health are what labellers called a picture, not what somebody is.",
    ),
}
_LIMITS["MentoringDetector"] = _LIMITS["MentoringSegmenter"]
_WEIGHTS = re.compile(r"(?:^|_)weights$")
_UNKNOWN = "unknown: ask those who made it before you give the network away"
# Licences by what a source is called; files of other names, and all others, are unknown here.
_LICENCES = {"openai/clip-vit": "MIT (OpenAI's CLIP)"}


def card_text(manifest: Manifest, checkpoint: Path) -> str:
    """The card in Markdown."""
    folder, config = run_folder(checkpoint), run_config(checkpoint)
    parts = [
        f"# {manifest.method}\n\n{_PURPOSE[manifest.method]}\n",
        _facts(manifest, folder),
        "## Data\n\n" + _data(config),
        "## Measures\n\n" + _measures(folder),
        "## Limits\n\n" + "".join(f"- {line}\n" for line in _LIMITS[manifest.method]),
        "## Weights that it began from\n\n" + _weights(config),
    ]
    own = folder / NAME if folder is not None else None
    if own is not None and own.is_file():
        parts.append("## From the test of its run\n\n" + _deeper(own.read_text(encoding="utf-8")))
    return "\n".join(parts)


def _facts(manifest: Manifest, folder: Path | None) -> str:
    rows = [
        ("checkpoint", f"{manifest.checkpoint['file']}, SHA-256 {manifest.checkpoint['sha256']}"),
        ("trained at commit", _commit(folder)),
        ("graph", f"{manifest.graph.file}, {manifest.graph.bytes / 1e6:.1f} MB, float32"),
        *((("quantised", f"{manifest.int8.file}, {manifest.int8.bytes / 1e6:.1f} MB, int8"),) if manifest.int8 else ()),
        ("opset", str(manifest.opset) if manifest.opset is not None else "none: a program of torch.export"),
        ("made with", ", ".join(f"{name} {number}" for name, number in manifest.versions.items())),
        ("largest difference from torch", _worst(manifest.parity)),
    ]
    return markdown_table(("fact", "value"), rows)


def _worst(parity: Mapping[str, Any]) -> str:
    worst = max(parity["differences"].values(), default=0.0)
    return f"{worst:.1e} of a tensor's scale, over {parity['inputs']} inputs of {parity['of']}"


def _commit(folder: Path | None) -> str:
    facts = _json(folder / "run.json") if folder is not None else {}
    state = facts.get("git")
    if not isinstance(state, Mapping):
        return "unknown"
    return f"{state.get('commit')}{', with changes that no commit holds' if state.get('dirty') else ''}"


def _data(config: Mapping[str, Any]) -> str:
    data = config.get("data")
    if not isinstance(data, Mapping):
        return "Unknown: the checkpoint lies without the `config.yaml` of its run.\n"
    options = data.get("init_args")
    shown = {name: value for name, value in (options or {}).items() if value is not None and value != {}}
    rows = [("data module", str(data.get("class_path")))]
    rows += [(name, value if isinstance(value, str) else json.dumps(value)) for name, value in shown.items()]
    named = any(name in shown for name in ("root", "labels", "train_labels", "path"))
    said = "" if named else "No list is named, so it learnt from the generated demo of this package.\n\n"
    return said + markdown_table(("option", "value"), rows)


def _measures(folder: Path | None) -> str:
    values = _last_values(folder / "metrics.csv") if folder is not None else {}
    tested = {name: value for name, value in values.items() if name.startswith("test/")}
    if not tested:
        validated = {name: value for name, value in values.items() if name.startswith("val/")}
        said = "It was not tested in its run"
        if not validated:
            return f"{said}, and nothing is known of its validation.\n"
        return f"{said}; these are of the last validation, on which it was chosen.\n\n" + _table(validated)
    said = "Of the test split of its run; `low` and `high` are ends of 95 % intervals where they are known."
    return f"{said}\n\n" + _table(tested)


def _table(values: Mapping[str, float]) -> str:
    ends = {name for name in values if name.endswith(("_low", "_high"))}
    rows = [
        (
            name,
            f"{value:.4g}",
            *(f"{values[f'{name}_{end}']:.4g}" if f"{name}_{end}" in values else "" for end in _ENDS),
        )
        for name, value in values.items()
        if name not in ends
    ]
    return markdown_table(("measure", "value", *_ENDS), rows)


_ENDS = ("low", "high")


def _last_values(file: Path) -> dict[str, float]:
    """Last value of each column of a ``metrics.csv``."""
    if not file.is_file():
        return {}
    values: dict[str, float] = {}
    with file.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            for name, text in row.items():
                if text and name.startswith(("val/", "test/")):
                    values[name] = float(text)
    return values


def _weights(config: Mapping[str, Any]) -> str:
    model = config.get("model")
    options = model.get("init_args") if isinstance(model, Mapping) else None
    if not isinstance(options, Mapping):
        return "Unknown: the checkpoint lies without the `config.yaml` of its run.\n"
    rows = [
        (name, str(value), _licence(str(value))) for name, value in options.items() if _WEIGHTS.search(name) and value
    ]
    if options.get("pretrained") and not options.get("backbone_weights"):
        rows.append(("pretrained", f"timm's {options.get('backbone')}", _timm_licence(str(options.get("backbone")))))
    if not rows:
        return "None: it began from random weights.\n"
    return markdown_table(("option", "source", "licence"), rows)


def _licence(source: str) -> str:
    return next((licence for name, licence in _LICENCES.items() if source.startswith(name)), _UNKNOWN)


def _timm_licence(backbone: str) -> str:
    """What timm says of its weights."""
    from timm.models import get_pretrained_cfg

    try:
        found = getattr(get_pretrained_cfg(backbone), "license", None)
    except RuntimeError:
        found = None
    return str(found) if found else _UNKNOWN


def _json(file: Path) -> Mapping[str, Any]:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _deeper(text: str) -> str:
    """Markdown with its headings a level further in, without its title."""
    lines = [line for line in text.splitlines() if not line.startswith("# ")]
    return "\n".join(f"#{line}" if line.startswith("## ") else line for line in lines) + "\n"
