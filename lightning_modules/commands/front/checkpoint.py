"""Hyper-parameters that a checkpoint holds, and whether the command line contradicts them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from datamodules.common.errors import CheckpointError
from lightning_modules.commands.front.early.given_files import KEYWORDS, missing_checkpoint
from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.front.links import LINKED, same
from lightning_modules.nn.torch_file import read_torch_file

WEIGHTS = "weights"  # argument of a model that names a file of weights to begin from
PART = "classifier_weights"  # argument of a model that names the checkpoint of another, which it is built on
WHOLE = (WEIGHTS, PART)  # those that bring all that the model needs; others, such as backbone_weights, bring less
UNTAUGHT = ("server", "script")  # arguments that put somebody in a model's place who needs no weights


_FOREIGN = (
    f"name a method and give it as --model.init_args.{WEIGHTS} {{file}}, or as --model.init_args.backbone_weights "
    "where it is a timm network"
)


@dataclass(frozen=True)
class SavedModel:
    """What a checkpoint says about the model that wrote it.

    Attributes:
        path: The checkpoint.
        class_path: Class of the model; None when it was not trained through the command line.
        arguments: Its hyper-parameters, plain values.
        free: Names of those that say how the model is asked, not what it is; a command may state others.
    """

    path: Path
    class_path: str | None
    arguments: dict[str, object]
    free: tuple[str, ...] = ()


def read_saved_model(path: str) -> SavedModel | None:
    """Read the hyper-parameters of a checkpoint, without running any code that it may hold.

    Of a keyword or address that Lightning resolves later the answer is None.

    Raises:
        CommandLineError: If there is no such file.
        CheckpointError: If it is no checkpoint, or holds more than tensors and plain values.
    """
    if path == "best":
        raise CommandLineError("--ckpt_path best is known only while a run lasts: name the file, in <run>/checkpoints")
    if path in KEYWORDS or "://" in path or path.startswith("registry"):
        return None
    file = Path(path).expanduser()
    if not file.is_file():
        raise CommandLineError(missing_checkpoint(file))
    content = read_torch_file(file, "a checkpoint", mapped=True)  # only the hyper-parameters are wanted
    if not isinstance(content, Mapping) or ("hyper_parameters" not in content and "state_dict" not in content):
        raise CheckpointError(f"{file} holds bare weights, not a checkpoint of a run: {_FOREIGN.format(file=file)}")
    if "pytorch-lightning_version" not in content and "hyper_parameters" not in content:
        keys = ", ".join(list(map(str, content["state_dict"]))[:3])
        raise CheckpointError(
            f"{file} holds weights of another program ({keys}, ...), not a checkpoint of a run: "
            f"{_FOREIGN.format(file=file)}"
        )
    arguments = dict(content.get("hyper_parameters") or {})
    arguments.pop("_instantiator", None)  # code that the file names is never called
    class_path = arguments.pop("_class_path", None)
    free = tuple(arguments.pop("_free", ()))
    return SavedModel(file, str(class_path) if class_path else None, arguments, free)


def check_agreement(saved: SavedModel, model_class: str, stated: Mapping[str, object], command: str) -> None:
    """Stop when the command line or a configuration file contradicts a checkpoint.

    ``stated`` are the arguments of the model that the user states, with their final values.

    Raises:
        CommandLineError: Naming both values of the first argument that differs.
    """
    if saved.class_path and model_class != saved.class_path:
        raise CommandLineError(
            f"the model is {model_class}, but {saved.path} was written by {saved.class_path}: leave --model out"
        )
    for name, value in stated.items():
        if names_weights(name) or name in saved.free or name not in saved.arguments or value is None:
            continue
        if agree(value, saved.arguments[name]):
            continue
        way_out = "leave the option out"
        if command == "fit":
            way_out += f", or begin a new training from these weights with --model.init_args.{WEIGHTS} {saved.path}"
        raise CommandLineError(
            f"{name} is {value} on the command line or in a configuration file, but {saved.path} holds "
            f"{name} = {saved.arguments[name]}: {way_out}"
        )


def model_arguments(saved: SavedModel, stated_class: str | None) -> list[str]:
    """Command-line arguments that carry a checkpoint's hyper-parameters; they go before the user's own.

    Raises:
        CommandLineError: If neither the checkpoint nor the user names the class.
    """
    class_path = saved.class_path or stated_class
    if class_path is None:
        raise CommandLineError(
            f"{saved.path} was written by Lightning, but not by `appraise fit`: it does not name the class of its "
            "model; add --model CLASS, or give its weights to a method as --model.init_args.weights"
        )
    # The checkpoint holds all weights, so that the file they once began from is not asked for again.
    arguments = {name: value for name, value in saved.arguments.items() if not names_weights(name)}
    return ["--model", json.dumps({"class_path": class_path, "init_args": arguments})]


def data_arguments(saved: SavedModel, stated_names: Collection[str], accepted: Collection[str]) -> list[str]:
    """Command-line arguments that give the data the facts on which a checkpoint's model was trained.

    Those that the user states are left alone, and so are those that the data module's class does not accept.
    """
    facts = {name: saved.arguments.get(name) for name in LINKED if name in accepted and name not in stated_names}
    texts = {name: value if isinstance(value, str) else json.dumps(value) for name, value in facts.items()}
    return [f"--data.init_args.{name}={text}" for name, text in texts.items() if facts[name] is not None]


def names_weights(name: str) -> bool:
    """Whether an argument of a model names a file of weights to begin from.

    Example:
        >>> [names_weights(name) for name in ("weights", "content_weights", "rank_weight")]
        [True, True, False]
    """
    return name == WEIGHTS or name.endswith(f"_{WEIGHTS}")


def agree(stated: object, saved: object) -> bool:
    """Whether a stated value says what the saved one does; of a mapping, only the stated keys are compared.

    Example:
        >>> agree({"a": 1}, {"a": 1, "b": 2}), agree({"a": 1}, {"a": 3}), agree([1], (1,))
        (True, False, True)
    """
    if isinstance(stated, Mapping) and isinstance(saved, Mapping):
        return all(key in saved and agree(value, saved[key]) for key, value in stated.items())
    return same(stated, saved)
