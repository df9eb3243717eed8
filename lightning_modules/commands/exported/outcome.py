"""What came of the files that an exported network was run on."""

from __future__ import annotations

from typing import NamedTuple


class Outcome(NamedTuple):
    """Numbers of files.

    Attributes:
        read: Those of which something was read, in an earlier run too.
        failed: Those that cannot be read, or not to their end; each is named.
    """

    read: int
    failed: int
