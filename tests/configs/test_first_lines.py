"""The first line of every shipped configuration is the command that runs it, and every value has a comment."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from tests.configs.shipped import CONFIGS, config_options, configs_of, name_of

COMMANDS = {
    "video_quality": "fit|predict",
    "action": "fit|annotate SOURCE",
    "inspection": "fit|predict|mentor-loop",
    "face_attributes": "fit|validate|predict|generate|evaluate-faces",
}
RUNNABLE = [path for domain in COMMANDS for path in configs_of(domain) if not path.name.startswith("kinetics")]
STRUCTURAL = ("model", "data", "trainer", "init_args", "callbacks", "class_path")


@pytest.mark.parametrize("path", RUNNABLE, ids=name_of)
def test_first_line_is_the_command_that_runs_it(path: Path) -> None:
    first = path.read_text().splitlines()[0]
    commands = COMMANDS[path.relative_to(CONFIGS).parts[0]]
    assert re.match(rf"# python cli\.py ({commands}) --", first), first
    assert name_of(path) in first or path.name.startswith("annotate") or path.name == "generate.yaml"
    for option in config_options(path)[1::2]:
        assert (CONFIGS.parent / option).is_file() or (CONFIGS / f"{option}.yaml").is_file(), option


@pytest.mark.parametrize("path", RUNNABLE, ids=name_of)
def test_every_key_has_a_comment(path: Path) -> None:
    for above, line in pairwise(path.read_text().splitlines()):
        key = line.strip()
        item = key.startswith("- ") and ":" not in key  # of a list whose key has the comment
        known = not key or item or key.startswith("#") or key.split(":")[0].lstrip("- ") in STRUCTURAL
        assert known or above.strip().startswith("#"), f"no comment above {line!r}"
