"""What an evaluation of faces cannot do without is asked for in a sentence."""

from __future__ import annotations

import pytest

from lightning_modules.commands.faces.evaluate import parse
from lightning_modules.commands.faces.settings import EvaluationSettings
from lightning_modules.commands.front.errors import CommandLineError


def test_a_file_that_is_not_named_is_asked_for() -> None:
    with pytest.raises(CommandLineError, match=r"needs a generator: name the generator\.ckpt"):
        parse([])
    with pytest.raises(CommandLineError, match="evaluate-faces needs a judge"):
        parse(["--ckpt_path", "generator.ckpt"])
    with pytest.raises(CommandLineError, match="evaluate-faces needs a judge"):
        EvaluationSettings("generator.ckpt")
    with pytest.raises(CommandLineError, match=r"known is 0\.4, but must lie in 0\.5\.\.1"):
        EvaluationSettings("generator.ckpt", ["judge.ckpt"], known=0.4)
