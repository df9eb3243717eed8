"""The table methods x {two processes = one, kill and resume, kill while writing}, from what the tests found."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pytest

COLUMNS = {
    "test_two_processes.py": "two processes = one",
    "test_gradients.py": "two processes = one",
    "test_killed.py": "kill and resume",
    "test_killed_while_writing.py": "kill while writing",
}


class Outcomes:
    """Counts passed, failed and skipped tests by method and column.

    Args:
        methods: Names of the rows, which stand in the brackets of a test's name.
    """

    def __init__(self, methods: Sequence[str]) -> None:
        self.methods = list(methods)
        self._counts: dict[tuple[str, str], Counter[str]] = {}

    def take(self, report: pytest.TestReport) -> None:
        """Count a test, once: when it ran, or when it failed or was skipped before."""
        if report.when != "call" and report.outcome == "passed":
            return
        file, _, rest = report.nodeid.partition("::")
        column = COLUMNS.get(file.rpartition("/")[2])
        words = rest.partition("[")[2].rstrip("]").split("-")
        method = next((name for name in self.methods if name in words), None)
        if column is not None and method is not None:
            self._counts.setdefault((method, column), Counter())[report.outcome] += 1

    def lines(self) -> list[str]:
        """The table, a method a line; nothing where no test ran."""
        if not self._counts:
            return []
        columns = list(dict.fromkeys(COLUMNS.values()))
        width = max(map(len, columns)) + 12
        rows = ["".join([f"{'method':<12}", *(f"{column:<{width}}" for column in columns)])]
        for method in self.methods:
            cells = [self._cell(self._counts.get((method, column), Counter())) for column in columns]
            rows.append("".join([f"{method:<12}", *(f"{cell:<{width}}" for cell in cells)]))
        return ["", *rows]

    @staticmethod
    def _cell(counts: Counter[str]) -> str:
        return ", ".join(f"{number} {outcome}" for outcome, number in sorted(counts.items())) or "not run"
