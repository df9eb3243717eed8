"""What the exchange formats share: detections with their answers, by image, and entries that cannot be taken over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from datamodules.common.errors import LabelError
from datamodules.inspection.store.agreement import majority
from datamodules.inspection.store.rows import Box

Said = Literal["confirm", "reject", "reclass"]
OnError = Literal["fail", "skip"]
WHOEVER_IMPORTS = ""  # annotator of formats that name nobody
DECIMALS = 3  # of the pixels that are written and read, so that what was read is written alike
_SHOWN = 20  # bad entries that are named


@dataclass(frozen=True)
class ExchangedDetection:
    """A detection and what is there.

    Attributes:
        name: Unique within its image.
        shown_class: Class that it was shown as; for a drawn one its class.
        box: x1, y1, x2, y2 in pixels of the upright image, x2 and y2 exclusive.
        score: 0..1; None where no model found it: then it was drawn.
        votes: For each annotator the class that is there; None: no defect is.
        rle: Region as a compressed run-length string of the COCO format.
        is_unknown: Drawn, and nothing is known inside it.
    """

    name: str
    shown_class: str
    box: Box
    score: float | None
    votes: Mapping[str, str | None] = field(default_factory=dict)
    rle: str | None = None
    is_unknown: bool = False

    @property
    def verdict(self) -> Said | None:
        """What most annotators say; None where nobody answered, or without a majority."""
        decided, truth = majority(self.votes.values())
        return said(self.shown_class, truth) if decided else None

    @property
    def truth(self) -> str | None:
        """Class that is there according to most; None where no defect is, or nothing is decided."""
        return majority(self.votes.values())[1]


@dataclass
class ExchangedImage:
    """An image with its detections.

    Attributes:
        path: Absolute path.
        width: Pixels of the upright image.
        height: Likewise.
        domain: 0 original, 1 new.
        healthy_by: Annotators who flagged it free of defects.
        detections: All of them.
    """

    path: Path
    width: int = 0
    height: int = 0
    domain: int = 1
    healthy_by: tuple[str, ...] = ()
    detections: list[ExchangedDetection] = field(default_factory=list)

    @property
    def is_answered(self) -> bool:
        """Whether every detection is decided and there is one, or the whole image was flagged."""
        known = [one.is_unknown or one.verdict is not None for one in self.detections]
        return bool(self.healthy_by) or (bool(known) and all(known))


def said(shown: str, truth: str | None) -> Said:
    """The answer to a detection, from the class that it was shown as and the one that is there."""
    return "reject" if truth is None else "confirm" if truth == shown else "reclass"


def rounded(box: Sequence[float]) -> Box:
    """Four numbers as a box, in pixels of three decimals."""
    x1, y1, x2, y2 = (round(float(value), DECIMALS) for value in box)
    return (x1, y1, x2, y2)


def named_in_order(image: ExchangedImage) -> ExchangedImage:
    """The image with its detections in an order that a store does not decide, named by it."""
    ordered = sorted(
        image.detections, key=lambda one: (one.score is None, rounded(one.box), one.shown_class, -(one.score or 0.0))
    )
    named = [replace(one, name=f"d{place}", box=rounded(one.box)) for place, one in enumerate(ordered, 1)]
    return replace(image, detections=named)


class BadEntries:
    """Entries of a file that cannot be taken over: all are named together, and left out where that was asked for.

    Args:
        source: The file.
        on_error: ``fail`` takes nothing over where one is bad; ``skip`` leaves them out.

    Attributes:
        found: Entries that cannot be taken over.
        mended: Entries of which something can, and what of them is taken.
        notes: Lines that are said whether entries are bad or not.
    """

    def __init__(self, source: Path, on_error: OnError) -> None:
        self.source = source
        self.on_error = on_error
        self.found: list[str] = []
        self.mended: list[tuple[str, str]] = []
        self.notes: list[str] = []

    @contextmanager
    def entry(self, place: str) -> Iterator[None]:
        """Keep what is wrong with an entry, and go on after it."""
        try:
            yield
        except (LabelError, LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            reason = f"it has no {error}" if isinstance(error, KeyError) else str(error)
            self.found.append(f"{place}: {reason}".replace(f"{self.source}, ", ""))

    def settle(self) -> list[str]:
        """Lines that say what was left out.

        Raises:
            LabelError: If entries are bad and none may be left out.
        """
        if self.on_error == "skip":
            taken = [f"{text} ({instead})" for text, instead in self.mended]
            said = {"left out": self.found, "taken in another way": taken}
            return self.notes + [
                f"{self.source}: {_count(bad)} {how}: {_some(bad)}" for how, bad in said.items() if bad
            ]
        if bad := self.found + [text for text, _ in self.mended]:
            raise LabelError(
                f"{self.source}: {_count(bad)} cannot be taken over, so nothing was: {_some(bad)}; mend them, or take "
                "over what can be with --on-error skip"
            )
        return self.notes


def _count(bad: Sequence[str]) -> str:
    return f"{len(bad)} {'entry' if len(bad) == 1 else 'entries'}"


def _some(bad: Sequence[str]) -> str:
    return "; ".join(bad[:_SHOWN]) + ("; ..." if len(bad) > _SHOWN else "")


@contextmanager
def well_formed(source: Path, problem: str) -> Iterator[None]:
    """Say what a file lacks where reading its JSON stumbles: ``problem``, with ``{}`` for the reason.

    Raises:
        LabelError: If it stumbles.
    """
    try:
        yield
    except LabelError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        raise LabelError(f"{source} {problem.format(repr(error))}") from error
