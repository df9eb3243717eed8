"""The short help of each command: what it does, its few usual options, and commands that work. No heavy import."""

from __future__ import annotations

_MODEL_OPTIONS = (
    ("--config FILE", "a file, or the name of a shipped one (`appraise list configs`); later files win"),
    ("--model CLASS", "the method; --model.help CLASS explains its arguments, --model.NAME VALUE sets one"),
    ("--data CLASS", "the data module; --data.help CLASS, --data.NAME VALUE likewise"),
    ("--trainer.NAME VALUE", "any argument of Lightning's Trainer, such as --trainer.max_epochs 5"),
    ("--ckpt_path FILE", "a checkpoint; the model's arguments come from it, and one that differs is an error"),
    ("--output DIR", "folder of the run (default: runs/<name of the config>)"),
    ("--print_config", "print the effective configuration and stop; =skip_default leaves defaults out"),
    ("--help-all", "every option"),
)

_FIT_OPTIONS = (
    ("--test_after_fit true", "test the best checkpoint at the end"),
    ("--trainer _parts/trainer/gpu", "a shipped group of settings: cpu, gpu, ddp_cpu"),
    ("--trainer.logger _parts/logger/wandb", "a shipped choice of loggers: default, wandb, none"),
)

_USAGE = {
    "list": "[methods | data | callbacks | configs | parts]",
    "doctor": "",
}

_EXAMPLES = {
    "fit": (
        "--config video_quality/demo",
        "--config video_quality/demo --trainer.max_epochs 1 --output runs/try",
        "--model.help KSVQE",
    ),
    "validate": (
        "--config video_quality/demo --ckpt_path FILE",
        "--config video_quality/demo --ckpt_path FILE --trainer _parts/trainer/ddp_cpu",
        "--data.help VideoQualityDataModule",
    ),
    "test": (
        "--config video_quality/demo --ckpt_path FILE",
        "--config video_quality/demo --ckpt_path FILE --output DIR",
        "--data.help VideoQualityDataModule",
    ),
    "predict": (
        "--config video_quality/score --ckpt_path FILE --data.init_args.path FOLDER_OR_FILE --output DIR",
        "--config video_quality/score --print_config=skip_default",
        "--data.help VideoQualityDataModule",
    ),
    "list": ("", "methods", "configs"),
    "doctor": ("",),
}


def command_help(command: str, summary: str) -> str:
    """Text of ``appraise COMMAND --help``.

    Args:
        command: The command.
        summary: Its line in the table of commands.

    Example:
        >>> command_help("doctor", "check this machine").splitlines()[0]
        'usage: appraise doctor'
    """
    usage = _USAGE.get(command, "[--config FILE] [--NAME VALUE ...]")
    lines = [f"usage: appraise {command} {usage}".rstrip(), "", f"{summary[0].upper()}{summary[1:]}.", ""]
    if command not in _USAGE:
        options = [*_MODEL_OPTIONS[:-2], *(_FIT_OPTIONS if command == "fit" else ()), *_MODEL_OPTIONS[-2:]]
        width = max(len(name) for name, _ in options) + 2
        lines += ["options:", *(f"  {name:<{width}}{line}" for name, line in options), ""]
    lines += ["commands that work:" if len(_EXAMPLES[command]) > 1 else "the command:"]
    lines += [f"  appraise {command} {example}".rstrip() for example in _EXAMPLES[command]]
    return "\n".join(lines) + "\n"
