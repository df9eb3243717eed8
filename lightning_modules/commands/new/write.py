"""``appraise new method NAME`` and ``appraise new data NAME``: files of one's own that work as they are."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from importlib.metadata import packages_distributions
from importlib.resources import files
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path

from datamodules.common.atomic_write import write_text
from lightning_modules.commands.front.bare_options import SentenceParser
from lightning_modules.commands.front.early.class_arguments import PUBLIC
from lightning_modules.commands.front.early.words import program
from lightning_modules.commands.front.errors import CommandLineError

_PACKAGE = "lightning_modules.commands.new"
_CONFIG = """\
# {program} fit --config {file}
model:
  class_path: {method}
  init_args:
    learning_rate: 1.0e-3
data:
  class_path: {data}
trainer:
  accelerator: auto
  max_epochs: 5
  callbacks:
    - class_path: callbacks.BestAndLast
      init_args:
        monitor: val/accuracy
        mode: max
"""


def run(command: str, arguments: Sequence[str]) -> int:
    """Write the files; 0.

    Raises:
        CommandLineError: If the name cannot be a class's, or a file is there already.
    """
    parser = SentenceParser(prog="appraise new", description="Write a method or a kind of data of your own.")
    parser.add_argument("kind", choices=("method", "data"))
    parser.add_argument("name", metavar="NAME", help="name of the class, such as ScratchFinder")
    parser.add_argument("--data", metavar="CLASS", help="data module of the method (default: a new one beside it)")
    parser.add_argument("--output", type=Path, default=Path(), metavar="DIR", help="folder of the files")
    options = parser.parse_args(list(arguments))
    name, folder = _checked(options.name), options.output.expanduser()
    if options.kind == "data":
        written = _data_files(name)
        following = []
    else:
        written = _method_files(name, options.data)
        following = [f"{program()} fit --config {module_of(name)}.yaml"]
    taken = [file for file in written if (folder / file).exists()]
    if taken:
        raise CommandLineError(f"{folder / taken[0]} is there already and is left alone: take another NAME or --output")
    for file, text in written.items():
        write_text(folder / file, text)
        sys.stdout.write(f"{folder / file}\n")
    tests = " ".join(file for file in written if file.startswith("test_"))
    before = "" if folder == Path() else f"cd {shlex.quote(str(folder))} && "
    install = "" if find_spec("pytest") else "pip install pytest && "
    for line in (*following, f"{install}python -m pytest {tests}"):
        sys.stdout.write(f"next: {before}{line}\n")
    return 0


def module_of(name: str) -> str:
    """Name of the file for a class.

    Example:
        >>> module_of("ScratchFinder"), module_of("HDRData")
        ('scratch_finder', 'hdr_data')
    """
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name).lower()


def _checked(name: str) -> str:
    if not name.isidentifier() or not name.isascii() or iskeyword(name) or not name[0].isupper():
        raise CommandLineError(
            f'"{name}" can be no class: take letters and digits, a capital first, as in ScratchFinder'
        )
    if any(name in table for table in PUBLIC.values()):
        raise CommandLineError(f'"{name}" is a class of appraise: take another name, so that both can be asked for')
    module = module_of(name)
    if module in sys.stdlib_module_names or module in PUBLIC or module in packages_distributions():
        raise CommandLineError(f'"{module}" is a module of Python, appraise or another package: take another name')
    return name


def _method_files(name: str, data: str | None) -> dict[str, str]:
    module = module_of(name)
    texts = _renamed("method", name)
    if data is None:
        texts |= _data_files(f"{name}Data")
        data = f"{module_of(f'{name}Data')}.{name}Data"
    method = f"{module}.{name}"
    texts[f"{module}.yaml"] = _CONFIG.format(program=program(), file=f"{module}.yaml", method=method, data=data)
    return texts


def _data_files(name: str) -> dict[str, str]:
    return _renamed("data", name)


def _renamed(kind: str, name: str) -> dict[str, str]:
    module, template = module_of(name), {"method": "OwnMethod", "data": "OwnData"}[kind]
    texts = {}
    for file, source in ((f"{module}.py", kind), (f"test_{module}.py", f"check_{kind}")):
        text = (files(_PACKAGE) / f"{source}.py").read_text(encoding="utf-8")
        texts[file] = text.replace(f"{_PACKAGE}.{kind}", module).replace(template, name)
    return texts
