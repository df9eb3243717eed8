"""``appraise evaluate-faces``: make faces in every mode with equal settings, and let judges look at them."""

from __future__ import annotations

import json
from collections.abc import Sequence

from jsonargparse import ArgumentParser

from datamodules.face_attributes.datamodule import FaceAttributeDataModule
from lightning_modules.commands.faces.evaluation import Evaluation
from lightning_modules.commands.faces.networks import load_generator
from lightning_modules.commands.faces.settings import EvaluationSettings
from lightning_modules.commands.front.config_files import resolve_config_options
from lightning_modules.commands.front.console import set_up_console
from lightning_modules.commands.front.parser import errors_in_one_sentence, namespace_at_home
from lightning_modules.face_attributes.generator.module import AttributeFaceGenerator

_LISTS = ("judges", "modes", "candidates", "layers")  # options that take several words


def run(command: str, arguments: Sequence[str]) -> int:
    """Make and judge faces, or go on with what the folder lacks; 0, since everything else is an exception."""
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
    with errors_in_one_sentence():
        parsed = namespace_at_home(parser.parse_args(list(arguments)))
        stated = vars(parser.instantiate_classes(parsed.clone(with_meta=False)))
        settings = EvaluationSettings(**{n: value for n, value in stated.items() if n not in ("config", "data")})
        generator = load_generator(settings.ckpt_path, settings.statistics, settings.stated())
        parsed.data.attribute_schema = generator.schema.plain()
        parsed.data.image_size = generator.preprocess.side
        data = parser.instantiate_classes(parsed).data
    return settings, generator, data
