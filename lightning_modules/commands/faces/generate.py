"""``appraise generate``: a thin name for ``predict`` with the configuration ``face_attributes/generate``."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

from callbacks.face_attributes.picture_writer import FaceWriter
from datamodules.common.errors import CheckpointError
from datamodules.face_attributes.request_datamodule import AttributeRequestDataModule
from lightning_modules.commands.front.bare_options import ASKING, BareOption, argument_of, option_words, split_options
from lightning_modules.commands.front.checkpoint import read_saved_model
from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.front.lightning_cli import launch
from lightning_modules.commands.front.links import LINKED
from lightning_modules.face_attributes.generator.module import AttributeFaceGenerator

CONFIG = "face_attributes/generate"
USAGE = 'appraise generate --ckpt_path FILE [--statistics FILE] --attributes "Smiling, Eyeglasses" --output DIR'
CLASSIFIER = "lightning_modules.FaceAttributeClassifier"
GENERATOR = "lightning_modules.AttributeFaceGenerator"

_NEAR = 0.85  # likeness of a misspelt option to the right one
_SWITCHES = ("force", "strips")
_REQUESTS = ("attributes", "from_image", "from_list", "requests")
# Arguments of the model that belong to a checkpoint, not to a request.
_NOT_MODEL = ("classifier_weights", "statistics_weights", "classifier", "attribute_schema", "image_size", "equal_seed")


def run(command: str, arguments: Sequence[str]) -> int:
    """Make faces.

    Raises:
        CommandLineError: If the arguments cannot work.
        CheckpointError: If the checkpoint is of another method.
    """
    launch("predict", predict_arguments(arguments))
    return 0


def predict_arguments(arguments: Sequence[str]) -> list[str]:
    """The same as arguments of ``predict``.

    Args:
        arguments: Options of ``predict``, and by their bare names those of ``AttributeRequestDataModule``,
            ``AttributeFaceGenerator`` and ``FaceWriter``; dashes may stand for underscores.

    Raises:
        CommandLineError: If no checkpoint or no request is named.
        CheckpointError: If the checkpoint is of another method.

    Example:
        >>> predict_arguments(["--config", "mine.yaml", "--from-image", "portrait.png", "--print_config"])[2:]
        ['--data.init_args.from_image=portrait.png', '--print_config']
    """
    options = _options(arguments)
    names = {option.name for option in options}
    asks_only = any(name.startswith(ASKING) for name in names)
    owners = _owners()
    configs = [option for option in options if option.name == "config"]
    given = [option for option in options if option.name in ("ckpt_path", "statistics")]
    rest = [option for option in options if option not in configs and option not in given]
    _check_names(names, owners)
    if not asks_only:
        _check_complete(names, bool(configs))
    return [
        f"--config={CONFIG}",
        *(f"--config={option.value}" for option in configs),
        *_weights({option.name: option.value or "" for option in given}),
        *option_words(argument_of(option, owners) for option in rest),
    ]


def _options(arguments: Sequence[str]) -> list[BareOption]:
    alone, options = split_options(arguments, _SWITCHES)
    if alone:
        raise CommandLineError(
            f'generate takes options alone, but "{alone[0]}" is none: put attributes in quotes behind --attributes, '
            f"as in {USAGE}"
        )
    return options


def _owners() -> dict[str, str]:
    """Where an option that is given by its bare name goes."""
    places: list[tuple[str, Iterable[str]]] = [
        ("trainer.callbacks", [name for name in inspect.signature(FaceWriter).parameters if name != "output"]),
        ("model", [name for name in inspect.signature(AttributeFaceGenerator).parameters if name not in _NOT_MODEL]),
        ("data", [name for name in inspect.signature(AttributeRequestDataModule).parameters if name not in LINKED]),
    ]
    return {name: place for place, names in places for name in names}


def _check_names(names: set[str], owners: Mapping[str, str]) -> None:
    """Name a misspelt option, which would otherwise be missed as if it were not there."""
    for name in sorted(names - owners.keys()):
        near = get_close_matches(name, owners, 1, _NEAR)
        if near:
            raise CommandLineError(f"generate has no option --{name}: did you mean --{near[0]}?")


def _check_complete(names: set[str], own_config: bool) -> None:
    bare = {name.rpartition(".")[2] for name in names}
    if not {"ckpt_path", "model", "classifier_weights"} & bare and not own_config:
        raise CommandLineError(
            "generate needs a trained network: add --ckpt_path FILE, a FaceAttributeClassifier's with --statistics "
            "FILE beside it, or the generator.ckpt that `validate --config face_attributes/statistics` wrote"
        )
    if not bare & set(_REQUESTS) and not own_config:
        raise CommandLineError(
            'generate needs to know what to make: add --attributes "Smiling, Eyeglasses, no Bangs", --from-image FILE '
            "or --from-list CSV"
        )


def _weights(given: Mapping[str, str]) -> list[str]:
    """Options of ``predict`` for a generator's own checkpoint, or for a classifier's with its statistics."""
    path, statistics = given.get("ckpt_path"), given.get("statistics")
    named = [f"--model.init_args.statistics_weights={statistics}"] if statistics else []
    if path is None:
        return named
    saved = read_saved_model(path)
    if saved is None or saved.class_path != CLASSIFIER:
        if saved is not None and saved.class_path not in (None, GENERATOR):
            raise CheckpointError(
                f"{path} was written by {saved.class_path}, which makes no faces: give the checkpoint of a "
                "FaceAttributeClassifier or of an AttributeFaceGenerator"
            )
        if statistics:
            raise CommandLineError(
                f"{path} holds its own statistics, so that --statistics {statistics} would not be used: leave it out"
            )
        return [f"--ckpt_path={path}"]
    if not statistics:
        raise CommandLineError(
            f"{path} is a classifier, which knows no statistics of activations: add --statistics FILE, the "
            f"statistics.safetensors that `validate --config face_attributes/statistics "
            f"--model.init_args.classifier_weights {path}` writes"
        )
    return ["--model=AttributeFaceGenerator", f"--model.init_args.classifier_weights={path}", *named]
