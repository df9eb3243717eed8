"""Options that do not exist, told from the names of arguments before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_modules.commands.front.early.class_arguments import class_arguments, class_choices, null_arguments
from lightning_modules.commands.front.early.stated import PARTS, Statement, class_named
from lightning_modules.commands.front.errors import CommandLineError, did_you_mean

_NOTHING = ("none", "no", "off", "false")
TRAINER = "lightning.pytorch.trainer.trainer.Trainer"
# Options of all four commands, and of one alone; a test holds them against the parser's own.
COMMON = (
    "config", "seed_everything", "trainer", "model", "data", "ckpt_path", "weights_only", "output", "test_after_fit",
    "print_config", "help", "help-all", "run",
)  # fmt: skip
OF_COMMAND = {"validate": ("verbose",), "test": ("verbose",), "predict": ("return_predictions",)}


def check_options(command: str, stated: Sequence[Statement]) -> None:
    """Refuse the first option, or key of a file, that neither the command nor a class named for it has.

    Classes whose arguments cannot be read from their source are left to the parser.

    Raises:
        CommandLineError: With the nearest names.
    """
    known = (*COMMON, *OF_COMMAND.get(command, ()))
    classes = {part: class_named(part, stated) for part in PARTS}
    for one in stated:
        top, _, rest = one.option.partition(".")
        if top not in known and not any(top in names for names in OF_COMMAND.values()):
            raise CommandLineError(_unknown(one, top, [f"--{name}" for name in known]))
        if top == "trainer" and rest:
            _check_name(one, rest, class_arguments(TRAINER), "--trainer.", None)
            check_choice(one, rest, TRAINER)
        elif top in PARTS and rest.startswith("init_args."):
            named = classes[top]
            arguments = class_arguments(named) if named else None
            name = rest.removeprefix("init_args.")
            _check_name(one, name, arguments, f"--{top}.init_args.", named)
            if named:
                check_choice(one, name, named)


def check_choice(one: Statement, name: str, owner: str) -> None:
    """Refuse a text that is none of the few values of an argument of the class ``owner``.

    Raises:
        CommandLineError: With the nearest of them.
    """
    known = class_choices(owner).get(name, ())
    value = one.value
    if not known and name in null_arguments(owner) and isinstance(value, str) and value.lower() in _NOTHING:
        raise CommandLineError(f'{one.place}: "{value}" is no value of it: null leaves it out')
    if not known or not isinstance(value, str) or value in (*known, "null", "") or "${" in value:
        return
    word = value.strip("'\"")
    if word not in known:
        where = one.place if one.place.startswith("-") else f"{one.option} ({one.place})"
        raise CommandLineError(f'{where}: "{value}" is none of its values{did_you_mean(word, known)}')


def _check_name(one: Statement, rest: str, arguments: dict[str, object] | None, prefix: str, owner: str | None) -> None:
    name = rest.partition(".")[0].rstrip("+")
    if arguments is None or name in arguments or name in ("help", "init_args", "class_path", "dict_kwargs"):
        return
    if owner is None:
        raise CommandLineError(
            _unknown(one, f"{prefix.lstrip('-')}{name}", [f"{prefix}{other}" for other in arguments])
        )
    where = "" if one.place.startswith("-") else f" ({one.place})"
    raise CommandLineError(
        f'{prefix.lstrip("-")}{name}{where}: {owner.rpartition(".")[2]} has no argument "{name}"'
        f"{did_you_mean(name, arguments)}"
    )


def _unknown(one: Statement, name: str, known: Sequence[str]) -> str:
    if one.place.startswith("-"):
        return f"unknown option {one.place}{did_you_mean(f'--{name}', known)}"
    return f"{one.place} sets {name}, which is no option{did_you_mean(name, [option.lstrip('-') for option in known])}"
