"""``fit``, ``validate``, ``test`` and ``predict``: LightningCLI with its traps closed."""

from __future__ import annotations

import inspect
import logging
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightning as L
import yaml
from jsonargparse import Namespace
from lightning.fabric.plugins.environments.cluster_environment import ClusterEnvironment
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch.callbacks import Callback, ModelSummary, ProgressBar
from lightning.pytorch.cli import LightningArgumentParser, LightningCLI, _InstantiatorFn
from lightning.pytorch.plugins import CheckpointIO
from omegaconf.errors import OmegaConfBaseException

import callbacks
import datamodules
import lightning_modules
from callbacks.training.plain_progress import PlainProgress
from callbacks.training.run_record import RunRecord
from callbacks.training.saving.checkpoint_files import CheckpointFiles
from callbacks.training.saving.epoch_means import EpochMeans
from callbacks.training.saving.stop_at_signal import StopAtSignal, StoppedBySignal
from callbacks.training.terminal_progress import TerminalProgress
from datamodules.common.errors import AppraiseError
from lightning_modules.base import Method
from lightning_modules.commands.front import checkpoint, diagnosis, loggers, resume, slurm
from lightning_modules.commands.front.config_files import ConfigFile, run_name
from lightning_modules.commands.front.console import RESULTS, set_up_console
from lightning_modules.commands.front.early.start import begin
from lightning_modules.commands.front.early.words import value_of
from lightning_modules.commands.front.errors import CommandLineError
from lightning_modules.commands.front.links import LINKED, Claim, linked_value
from lightning_modules.commands.front.parser import PARSER_OPTIONS, AppraiseParser, parse_explicit, prepare_parsing
from lightning_modules.commands.front.report import (
    best_checkpoint,
    end_of_training,
    metric_lines,
    newest_checkpoint,
    next_commands,
)
from lightning_modules.commands.front.run_folder import claim_run_folder, discard_attempt, is_numbered, remove_empty
from lightning_modules.nn.torch_file import allow_numpy_scalars

log = logging.getLogger("appraise")
results = logging.getLogger(RESULTS)


def launch(command: str, arguments: Sequence[str]) -> AppraiseCLI:
    """Run ``fit``, ``validate``, ``test`` or ``predict``, for callers that go on with its trainer and data.

    Raises:
        CommandLineError: If the arguments cannot work.
    """
    return launch_checked(command, *begin(command, arguments))


def launch_checked(command: str, resolved: Sequence[str], configs: Sequence[ConfigFile]) -> AppraiseCLI:
    """Run a command whose options and files are known to exist, as `begin` gives it."""
    set_up_console()  # again: Lightning has brought handlers of its own
    allow_numpy_scalars()
    import_public_classes()
    prepare_parsing()
    if command == "fit":
        resolved = resume.with_newest(resolved)
    try:
        plain = ["--help" if argument == "--help-all" else argument for argument in resolved]
        return AppraiseCLI(command, plain, configs)
    except MisconfigurationException as error:  # Lightning's word for options that do not go together
        raise CommandLineError(" ".join(str(error).split())) from error


def import_public_classes() -> None:
    """Import every public class, so that the command line finds it by its bare name."""
    for package in (lightning_modules, datamodules, callbacks):
        for name in package.PUBLIC:
            try:
                getattr(package, name)
            except ImportError as error:  # one broken part leaves the others usable; `doctor` names it too
                log.warning("warning: %s.%s cannot be used: %s", package.__name__, name, error)


class AppraiseCLI(LightningCLI):
    """LightningCLI in subclass mode that never overrules the user in silence.

    Args:
        command: The subcommand.
        arguments: What follows it, with configuration files as absolute paths.
        configs: The configuration files, in order.
    """

    def __init__(self, command: str, arguments: Sequence[str], configs: Sequence[ConfigFile]) -> None:
        self.command = command
        self.configs = list(configs)
        self.claims: dict[str, Claim] = {}
        self.folder = Path()
        self.recorded: Namespace
        self.resumed_at: int | None = None
        super().__init__(
            model_class=L.LightningModule,
            datamodule_class=L.LightningDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            parser_class=AppraiseParser,
            parser_kwargs={**PARSER_OPTIONS, **{name: dict(PARSER_OPTIONS) for name in self.subcommands()}},
            save_config_callback=RunRecord,
            save_config_kwargs={"save_to_log_dir": False},
            seed_everything_default=0,
            auto_configure_optimizers=False,
            args=[command, *arguments],
        )

    # Parsing

    def _prepare_subcommand_parser(
        self,
        klass: type,
        subcommand: str,
        **kwargs: Any,  # noqa: ANN401  # as inherited
    ) -> LightningArgumentParser:
        parser = super()._prepare_subcommand_parser(klass, subcommand, **kwargs)
        parser.set_defaults({"weights_only": True})  # a checkpoint from elsewhere runs no code
        if subcommand == "predict":
            parser.set_defaults({"return_predictions": False})  # writers keep them, memory does not
        parser.add_argument(
            "--output",
            type=str | None,
            default=None,
            help="Folder of the run (default: runs/<name of the config>); `fit` adds the next free version_N.",
        )
        # Known to all, so that one configuration file serves them all.
        parser.add_argument(
            "--test_after_fit",
            type=bool,
            default=False,
            help="Test the best checkpoint when training has ended; says nothing to other commands than `fit`.",
        )
        return parser

    def add_arguments_to_parser(self, parser: LightningArgumentParser) -> None:
        """Link the facts that the data owns to the model's arguments of the same names."""
        for name in LINKED:
            function = linked_value(name, lambda: self.claims, self._model_argument)
            parser.link_arguments("data", f"model.init_args.{name}", compute_fn=function, apply_on="instantiate")

    def parse_arguments(self, parser: LightningArgumentParser, args: Any) -> None:  # noqa: ANN401  # as inherited
        """Parse, with a checkpoint's hyper-parameters below what the user states, and never against it."""
        try:
            given = value_of("--ckpt_path", args)
            saved = checkpoint.read_saved_model(given) if given else None
            stated = parse_explicit(parser, _insert(args, _class_of(saved)))[self.command]
            if saved is None and stated.get("ckpt_path"):  # named in a configuration file
                saved = checkpoint.read_saved_model(str(stated.ckpt_path))
            self.config = parser.parse_args(_with_saved(args, stated, saved))
        except CommandLineError as error:
            options = [option for action in self._parser(self.command)._actions for option in action.option_strings]
            raise CommandLineError(diagnosis.explain(str(error), self.command, options, self.configs)) from error
        except OmegaConfBaseException as error:  # ${...} that leads nowhere
            raise CommandLineError(diagnosis.explain_reference(error, self.command)) from error
        model = self._plain_config("model")
        stated_names = _names_of(stated, "model")
        stated_values = {name: value for name, value in _init_args(model).items() if name in stated_names}
        if saved is not None:
            checkpoint.check_agreement(saved, str(model["class_path"]), stated_values, self.command)
            self.claims = {name: Claim(value, str(saved.path)) for name, value in saved.arguments.items()}
            self._take_from(saved)
        self.claims |= {name: Claim(value, f"--model.init_args.{name}") for name, value in stated_values.items()}

    def _parse_ckpt_path(self) -> None:
        """Do nothing: :meth:`parse_arguments` has read the checkpoint, and lets no value of it win in silence."""

    def _take_from(self, saved: checkpoint.SavedModel) -> None:
        """Complete mappings from a checkpoint; the files that its weights once began from are not read."""
        arguments = self.config[self.command].model.init_args
        for name, value in vars(arguments).items():
            if checkpoint.names_weights(name) and value is not None:
                log.info("%s is not read: %s holds all weights", value, saved.path)
                arguments[name] = None
            elif isinstance(saved.arguments.get(name), dict) and name not in saved.free:
                arguments[name] = saved.arguments[name]

    def _model_argument(self, name: str) -> object:
        arguments = self.config[self.command].model.get("init_args")
        return arguments.get(name) if arguments else None

    def _plain_config(self, key: str) -> dict[str, Any]:
        text = self.parser.dump(self.config, skip_link_targets=False, skip_unset=False)
        return dict(yaml.safe_load(text)[self.command][key])

    # Building

    def before_instantiate_classes(self) -> None:
        """Decide the run's folder and fill the gaps of the loggers."""
        config = self.config[self.command]
        enough = (*checkpoint.WHOLE, *checkpoint.UNTAUGHT)
        untrained = not config.ckpt_path and all(self._model_argument(name) is None for name in enough)
        if self.command == "predict" and untrained:
            raise CommandLineError(
                "predict needs trained weights: add --run FOLDER or --ckpt_path FILE (`fit` names both at its end), or "
                f"name weights with --model.init_args.{checkpoint.WEIGHTS} FILE where the model has that option"
            )
        if self.command in ("validate", "test") and untrained:
            log.warning("warning: neither --run nor --ckpt_path is given, so a model with random weights is measured")
        used = loggers.logger_settings(config.trainer.logger)
        loggers.check_wandb(used)
        self.folder = self._claim_folder(config)
        self.recorded = config.clone()  # the record does not tie the next run to this one's folder
        for logger in used:
            loggers.complete_logger(logger, self.folder)

    def _claim_folder(self, config: Namespace) -> Path:
        given = config.output or config.trainer.default_root_dir
        name = run_name(self.configs, str(config.model.class_path).rpartition(".")[2])
        base = Path(given) if given else Path("runs", name, *(() if self.command == "fit" else (self.command,)))
        config["output"] = str(base)
        if config.trainer.fast_dev_run:
            return base / "fast_dev_run"  # Lightning writes nothing then
        return claim_run_folder(base, numbered=self.command == "fit")

    def _add_instantiators(self) -> None:
        self.parser.add_instantiator(_Builder(self, "model"), L.LightningModule, subclasses=True)
        self.parser.add_instantiator(_Builder(self, "data"), L.LightningDataModule, subclasses=True)

    def instantiate_classes(self) -> None:
        """Build data, model and trainer; give the run's folder back if that fails."""
        try:
            super().instantiate_classes()
            _check_kinds(self.model, self.datamodule)
        except BaseException as error:
            discard_attempt(self.folder, whole=True)
            remove_empty(self.folder)
            if isinstance(error.__cause__, AppraiseError):  # a link's own error, inside the parser's
                raise error.__cause__ from None
            missing = diagnosis.missing_package(error)
            if missing is not None:
                raise CommandLineError(missing) from error
            raise

    def instantiate_trainer(self, **kwargs: Any) -> L.Trainer:  # noqa: ANN401  # as inherited
        """Build the trainer in the run's folder."""
        self.config[self.command] = self.recorded
        kwargs["default_root_dir"] = str(self.folder)
        trainer_config = self.config_init[self.command].trainer
        if trainer_config.logger in (None, True):
            kwargs["logger"] = False if trainer_config.fast_dev_run else loggers.default_loggers(self.folder)
        try:
            trainer = super().instantiate_trainer(**kwargs)
        except ValueError as error:  # Lightning's other way to say it
            raise CommandLineError(" ".join(str(error).split())) from error
        if trainer_config.fast_dev_run:
            steps = int(trainer_config.fast_dev_run)
            log.info("a trial run of a few steps (fast_dev_run %d): nothing is written", steps)
        loggers.quieten(trainer.loggers)
        given = self.config[self.command].ckpt_path
        if self.command == "fit" and given and not trainer_config.fast_dev_run:
            step = self.resumed_at = resume.step_of(Path(given))
            if step is not None:
                log.info("goes on from step %d: %s", step, given)
                loggers.go_on(trainer.loggers, Path(given).parent.parent, step)
        for saver in trainer.checkpoint_callbacks:
            if getattr(saver, "dirpath", "") is None:
                setattr(saver, "dirpath", str(self.folder / "checkpoints"))  # noqa: B010  # known to ModelCheckpoint only
        return trainer

    def _instantiate_trainer(self, config: dict[str, Any], callbacks: list[Callback]) -> L.Trainer:
        if getattr(self.datamodule, "brings_sampler", False):
            config["use_distributed_sampler"] = False
        terminal = sys.stdout.isatty()
        own = config["callbacks"] or []
        config["callbacks"] = own if isinstance(own, list) else [own]
        given = [*config["callbacks"], *callbacks]
        if config["enable_progress_bar"] is not False and not any(isinstance(c, ProgressBar) for c in given):
            callbacks = [*callbacks, TerminalProgress() if terminal else PlainProgress()]
        summarised = any(isinstance(c, ModelSummary) for c in given)
        if not summarised and config["enable_model_summary"] is None:
            config["enable_model_summary"] = False  # the progress has a line for it
        plugins = config["plugins"] or []
        plugins = plugins if isinstance(plugins, list) else [plugins]
        files = [] if any(isinstance(one, CheckpointIO) for one in plugins) else [CheckpointFiles()]
        queued = [] if any(isinstance(one, ClusterEnvironment) for one in plugins) else slurm.environment()
        config["plugins"] = [*plugins, *files, *queued]
        if self.command == "fit":
            callbacks = [*callbacks, EpochMeans(), StopAtSignal(slurm.requeue if queued else None)]
        return super()._instantiate_trainer(config, callbacks)

    # Running

    def fit(self, **kwargs: Any) -> None:  # noqa: ANN401  # as inherited
        """Train; then test the best checkpoint if asked, and say where it is and what to do next."""
        if isinstance(self.model, Method) and not kwargs.get("ckpt_path"):
            self.model.warn_of_random()
        self.trainer.fit(**kwargs)
        if self.trainer.num_training_batches == 0:
            raise CommandLineError("there is nothing to train on: the data module's training loader has no batch")
        for line in end_of_training(self.trainer, self.resumed_at):
            log.info("%s", line)
        if self.trainer.global_step == self.resumed_at and is_numbered(self.folder):
            self._name_former(Path(self.config.fit.ckpt_path))
            return
        # Of a fast_dev_run Lightning names a checkpoint that it did not write.
        best = None if getattr(self.trainer, "fast_dev_run", False) else best_checkpoint(self.trainer)
        if self.config.fit.test_after_fit:
            if best:
                log.info("test with the weights of %s", best)
            self.test(model=self.model, datamodule=self.datamodule, ckpt_path=best, weights_only=True)
        if best:
            results.info("checkpoint %s", best)
            tested = bool(self.config.fit.test_after_fit)
            source = getattr(self.datamodule, "example_source", None)
            for line in next_commands(self.folder, type(self.datamodule).__name__, tested, source):
                results.info("%s", line)

    def _name_former(self, given: Path) -> None:
        """End a training without a step as the one before ended: this one's folder is not kept."""
        best = given.with_name("best.ckpt")
        results.info("checkpoint %s", best if best.is_file() else given)
        former = given.absolute().parent.parent
        if (former / "config.yaml").is_file():
            for line in next_commands(former, type(self.datamodule).__name__, tested=False):
                results.info("%s", line)

    def _run_subcommand(self, subcommand: str) -> None:
        saved = False
        given = self.config[subcommand].ckpt_path
        if given and subcommand != "fit":
            log.info("weights of %s", given)
        try:
            super()._run_subcommand(subcommand)
        except StoppedBySignal:
            saved = True
            raise
        except SystemExit:  # Lightning's answer to Ctrl-C, after it has closed everything
            if not self.trainer.interrupted:
                raise
            stands = self.resumed_at is not None and self.trainer.global_step in (0, self.resumed_at)
            path = given if stands else newest_checkpoint(self.trainer)
            if path:
                log.info("checkpoint so far: %s; the same command with --ckpt_path resumes from it", path)
            else:
                log.info("no checkpoint was written yet; the same command begins again")
            raise KeyboardInterrupt from None
        finally:
            loggers.finish(self.trainer.loggers)
            if subcommand == "fit" and not saved and self.trainer.global_step in (0, self.resumed_at):
                discard_attempt(self.folder, whole=self.resumed_at is not None)

    def validate(self, **kwargs: Any) -> None:  # noqa: ANN401  # as inherited
        """Measure on the validation split, a metric a line."""
        self._report(self.trainer.validate(**{**kwargs, "verbose": False}))

    def test(self, **kwargs: Any) -> None:  # noqa: ANN401  # as inherited
        """Measure on the test split, a metric a line."""
        self._report(self.trainer.test(**{**kwargs, "verbose": False}))

    def _report(self, metrics: Sequence[Mapping[str, float]]) -> None:
        for line in metric_lines(metrics):
            results.info("%s", line)


class _Builder(_InstantiatorFn):
    """Builds a class; its saved hyper-parameters hold the linked facts that it takes, and no others."""

    def __call__(  # type: ignore[override]  # Lightning's is generic in the class
        self,
        class_type: type,
        *args: object,
        applied_instantiation_links: dict[str, object],
        **kwargs: object,
    ) -> object:
        accepted = inspect.signature(class_type).parameters
        own = {key: value for key, value in applied_instantiation_links.items() if key.rpartition(".")[2] in accepted}
        return super().__call__(class_type, *args, applied_instantiation_links=own, **kwargs)


def _check_kinds(model: L.LightningModule, data: L.LightningDataModule | None) -> None:
    """Refuse a method of the package with another method's data; classes of one's own may go with any."""
    method, source = type(model), type(data)
    (package, kind, *_), (other, held, *_) = (f"{one.__module__}..".split(".") for one in (method, source))
    if (package, other) == (lightning_modules.__name__, datamodules.__name__) and kind != held:
        raise CommandLineError(
            f"{method.__name__} cannot work on the data of {source.__name__}: take a configuration of {kind}, as"
            " `appraise list configs` shows them, or --run with the folder of the model's own run"
        )


def _insert(args: Sequence[str], early: Sequence[str]) -> list[str]:
    """Put arguments right after the subcommand, so that all others overrule them."""
    return [args[0], *early, *args[1:]]


def _class_of(saved: checkpoint.SavedModel | None) -> list[str]:
    return ["--model", saved.class_path] if saved is not None and saved.class_path else []


def _with_saved(args: Sequence[str], stated: Namespace, saved: checkpoint.SavedModel | None) -> list[str]:
    """Command line with what a checkpoint holds: the model before, facts about the data after the user's."""
    facts = saved or _read_part(stated)
    after: list[str] = []
    if facts is not None:
        after = checkpoint.data_arguments(facts, _names_of(stated, "data"), _accepted_arguments(stated.get("data")))
    if saved is None:
        return [*args, *after]
    return [*_insert(args, checkpoint.model_arguments(saved, _class_path(stated.get("model")))), *after]


def _read_part(stated: Namespace) -> checkpoint.SavedModel | None:
    """The checkpoint of another model that the stated one is built on; its facts about the data hold for both."""
    part = stated.get(f"model.init_args.{checkpoint.PART}")
    return checkpoint.read_saved_model(str(part)) if part else None


def _class_path(setting: object) -> str | None:
    return str(setting["class_path"]) if isinstance(setting, Namespace) and setting.get("class_path") else None


def _init_args(setting: Mapping[str, Any]) -> Mapping[str, Any]:
    return setting.get("init_args") or {}


def _names_of(stated: Namespace, key: str) -> set[str]:
    """Names of the arguments of ``model`` or ``data`` that the user states."""
    setting = stated.get(key)
    arguments = setting.get("init_args") if isinstance(setting, Namespace) else None
    return set(vars(arguments)) if isinstance(arguments, Namespace) else set()


def _accepted_arguments(setting: object) -> set[str]:
    """Names of the arguments that the class named in a setting takes."""
    class_path = _class_path(setting)
    if class_path is None:
        return set()
    module, _, name = class_path.rpartition(".")
    return set(inspect.signature(getattr(sys.modules[module], name)).parameters)
