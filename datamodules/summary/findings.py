"""What is wrong or odd in data, collected, so that all of it is said at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from datamodules.common.errors import LabelError

Status = Literal["ok", "note", "warning", "fault"]
OnError = Literal["raise", "skip"]
_SHOWN: Final = 10  # findings that an error tells
_LEFT_OUT: Final = "left out"


class Finding(NamedTuple):
    """One thing that was found.

    Attributes:
        status: ``ok``, ``note`` (good to know), ``warning`` (likely wrong, but it can be used) or ``fault``.
        topic: One word.
        text: What was found.
        hint: What to do about it; empty where there is nothing to do.
    """

    status: Status
    topic: str
    text: str
    hint: str = ""


class Findings:
    """Collects what readers of labels find.

    Args:
        on_error: "skip" leaves an entry that cannot be used out, with a warning; "raise" makes it a fault.
        at_once: Raise at the first fault, for readers that are called alone.
    """

    def __init__(self, on_error: OnError = "raise", *, at_once: bool = False) -> None:
        self.on_error = on_error
        self.found: list[Finding] = []
        self._at_once = at_once
        self._known: set[Finding] = set()

    def fault(self, text: str, topic: str = "labels") -> None:
        """Add what no training may begin with.

        Raises:
            LabelError: If faults are raised at once.
        """
        if self._at_once:
            raise LabelError(text)
        self._add("fault", text, topic)

    def warn(self, text: str, topic: str = "labels") -> None:
        """Add what is likely wrong."""
        self._add("warning", text, topic)

    def note(self, text: str, topic: str = "labels") -> None:
        """Add what is good to know."""
        self._add("note", text, topic)

    def entry(self, text: str, instead: str = _LEFT_OUT) -> None:
        """Add an entry of a list that cannot be used, and what happens to it where it is skipped.

        Raises:
            LabelError: If faults are raised at once, and entries are not skipped.
        """
        if self.on_error == "skip":
            self.warn(f"{text} ({instead})", "entry")
        elif self._at_once:
            raise LabelError(text)
        else:
            skipped = "such entries are left out" if instead == _LEFT_OUT else instead
            self._add("fault", text, "entry", f"mend it; with on_error skip {skipped}")

    def stop(self) -> None:
        """Stop if there is a fault.

        Raises:
            LabelError: Naming all faults.
        """
        stop_at_faults(self.found)

    def _add(self, status: Status, text: str, topic: str, hint: str = "") -> None:
        finding = Finding(status, topic, text, hint)
        if finding not in self._known:  # lists that are read again find the same
            self._known.add(finding)
            self.found.append(finding)


def stop_at_faults(found: Sequence[Finding]) -> None:
    """Raise if there is a fault.

    Raises:
        LabelError: Naming all of them; of many, the first and how many more.
    """
    faults = [finding for finding in found if finding.status == "fault"]
    if not faults:
        return
    hints = "".join(f"; {hint}" for hint in dict.fromkeys(finding.hint for finding in faults) if hint)
    if len(faults) == 1:
        raise LabelError(faults[0].text + hints)
    more = len(faults) - _SHOWN
    rest = f"; and {more} more, which `appraise doctor` with the same data lists" if more > 0 else ""
    shown = "; ".join(finding.text for finding in faults[:_SHOWN])
    raise LabelError(f"{len(faults)} faults: {shown}{rest}{hints}")


def some(names: Sequence[str], shown: int = 5) -> str:
    """The first of some names, and how many more there are.

    Example:
        >>> some(["a", "b", "c"], 2)
        'a, b and 1 more'
    """
    return ", ".join(names[:shown]) + (f" and {len(names) - shown} more" if len(names) > shown else "")
