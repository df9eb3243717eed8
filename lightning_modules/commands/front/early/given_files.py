"""Files and folders that a command line names and that are not there, said before anything heavy is imported."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from lightning_modules.commands.front.early.stated import Statement
from lightning_modules.commands.front.errors import CommandLineError

KEYWORDS = ("best", "last", "hpc")  # names of checkpoints that Lightning resolves itself
# Arguments of data modules whose value is a place on the disk and nothing else, and those that may be much else.
_PLACES = (
    "root",
    "new_root",
    "labels",
    "new_labels",
    "train_labels",
    "val_labels",
    "test_labels",
    "rank_pairs",
    "store",
)
_SOURCES = ("path",)
_SEARCHED = 2000  # files looked at for a name that is like the given one


def check_files(stated: Sequence[Statement]) -> None:
    """Refuse the first place that is not there; what may be an address, a camera or a pattern is left alone.

    Raises:
        CommandLineError: With the nearest names.
    """
    last = {one.option: one for one in stated}
    for option, one in last.items():
        if option == "ckpt_path":
            check_checkpoint(one.value, runs=True)
    root = last.get("data.init_args.root")
    for name in (*_PLACES, *_SOURCES):
        given = last.get(f"data.init_args.{name}")
        if given is not None and isinstance(given.value, str) and not _is_there(given.value, root):
            _refuse(given, name, given.value)


def check_checkpoint(value: object, *, runs: bool = False) -> None:
    """Refuse a checkpoint that is not there.

    Args:
        value: As it was given.
        runs: Whether the command takes a run's folder too.

    Raises:
        CommandLineError: With the nearest names.
    """
    if not isinstance(value, str) or value in KEYWORDS or value == "null" or "://" in value:
        return
    if value.startswith("registry") or Path(value).expanduser().is_file():
        return
    file = Path(value).expanduser()
    text = missing_checkpoint(file)
    if runs and file.is_dir():
        text += f"{'' if text.endswith('?') else '.'} --run takes the folder of a run"
    raise CommandLineError(text)


def missing_checkpoint(file: Path) -> str:
    """Sentence on a checkpoint that is not there, with the nearest ones that are."""
    folder = next((parent for parent in file.parents if parent.is_dir()), Path())
    known = _checkpoints(folder) if folder not in (Path(), Path("/")) else []
    known = known or _checkpoints(Path("runs"))
    near = get_close_matches(str(file), known, n=2, cutoff=0.3)
    hint = f"did you mean {' or '.join(near)}?" if near else "a run writes them to <its folder>/checkpoints"
    if file.is_dir():
        return f"{file} is a folder, but a checkpoint is a file in one: {hint}"
    return f"there is no checkpoint {file}: {hint}"


def _checkpoints(folder: Path) -> list[str]:
    return [str(path) for path in sorted(islice(folder.rglob("*.ckpt"), _SEARCHED))]


def _is_there(value: str, root: Statement | None) -> bool:
    text = value.strip()
    if not text or text in ("null", "-") or "://" in text or text.startswith(("camera:", "[", "{", "${")):
        return True
    if any(sign in text for sign in "*?%"):
        return True  # a pattern, which its reader resolves
    places = [Path(text).expanduser()]
    if root is not None and isinstance(root.value, str):
        places.append(Path(root.value).expanduser() / text)
    return any(place.exists() for place in places)


def check_place(value: str, option: str = "") -> None:
    """Refuse one place that is not there, given behind an option or as a word of its own.

    Raises:
        CommandLineError: With the nearest names beside it.
    """
    if not _is_there(value, None):
        given = f"{option} {value}" if option else value
        raise CommandLineError(f"{given}: there is no such file or folder: {_nearest(value)}")


def _nearest(value: str) -> str:
    """What else is there, where a place is not."""
    place = Path(value).expanduser()
    parent = next((one for one in place.parents if one.is_dir()), Path())
    missing = place.relative_to(parent).parts[0] if place.is_relative_to(parent) else place.name
    names = list(_names(parent))
    near = get_close_matches(missing, names, n=3, cutoff=0.6)
    if cut := [one for one in names if one.startswith(f"{missing} ")]:
        return f'did you mean "{parent / min(cut)}"? A name with spaces needs quotes'
    shown = [f'"{parent / one}"' if " " in one else str(parent / one) for one in near]
    return f"did you mean {' or '.join(shown)}?" if near else f"{parent}/ has no {missing}"


def _refuse(option: Statement, name: str, value: str) -> None:
    if option.place.startswith("-"):
        raise CommandLineError(f"{option.place} {value}: there is no such file or folder: {_nearest(value)}")
    raise CommandLineError(
        f"there is no {value}, which {option.place} names as data.init_args.{name}: give yours with "
        f"--data.init_args.{name}"
    )


def _names(folder: Path) -> Iterable[str]:
    try:
        return [path.name for path in islice(folder.iterdir(), _SEARCHED)]
    except OSError:
        return []
