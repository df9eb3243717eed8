"""Values that the data's settings refuse, such as a list without its format, told before PyTorch is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields
from importlib import import_module

import yaml

from datamodules.common.errors import ConfigurationError
from lightning_modules.commands.front.bare_options import at_home
from lightning_modules.commands.front.early.class_arguments import full_name
from lightning_modules.commands.front.early.stated import Statement, class_named
from lightning_modules.commands.front.errors import CommandLineError

# Data module -> settings behind its arguments, or behind those that say where its labels are; none imports torch.
SETTINGS = {
    "datamodules.InspectionDataModule": "datamodules.inspection.settings.InspectionDataSettings",
    "datamodules.ActionDataModule": "datamodules.action.lists.settings.ActionListSettings",
    "datamodules.FaceAttributeDataModule": "datamodules.faces.lists.settings.FaceListSettings",
    "datamodules.VideoQualityDataModule": "datamodules.video_quality.settings.VideoQualityDataSettings",
}
_PREFIX = "data.init_args."


def check_data_values(stated: Sequence[Statement]) -> None:
    """Refuse what the settings of the data refuse.

    Raises:
        CommandLineError: With the full name of the option.
    """
    named = class_named("data", stated)
    place = SETTINGS.get(full_name(named, "datamodules")) if named else None
    if place is None:
        return
    module, _, name = place.rpartition(".")
    kind = getattr(import_module(module), name)
    last = {one.option.removeprefix(_PREFIX): one for one in stated if one.option.startswith(_PREFIX)}
    values = {one.name: _value(last[one.name]) for one in fields(kind) if one.name in last}
    try:
        kind(**{name: value for name, value in values.items() if not _is_reference(value)})
    except ConfigurationError as error:
        said = str(error).rstrip(".")
        more = "" if f"--{_PREFIX}" in said else f" (each is an option: --{_PREFIX}NAME)"
        raise CommandLineError(f"{said}{more}") from error
    except (TypeError, AttributeError, ValueError, LookupError):
        return  # of a type that the parser refuses


def _value(one: Statement) -> object:
    """A value as the parser reads it: that of a file as it is, a word of the command line as YAML."""
    if not isinstance(one.value, str):
        return one.value
    if "/" in one.value or not one.place.startswith("-"):
        return at_home(one.value)
    try:
        return yaml.safe_load(one.value)
    except yaml.YAMLError:
        return one.value


def _is_reference(value: object) -> bool:
    """Whether the value stands elsewhere, ``${...}``, or is a file with settings of its own."""
    return isinstance(value, Mapping) or (isinstance(value, str) and "${" in value)
