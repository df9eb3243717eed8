"""The fixture `speed`, which holds each ratio to its bound, tells all of them and keeps those of a whole run."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.common.atomic_write import write_text
from tests.benchmarks.measuring import PAIRS, Figures
from tests.benchmarks.table import FILE, ROWS, Measured, Report, caption, markdown

PACKAGES = ("torch", "lightning", "numpy", "av", "decord", "timm")


class Speed:
    """Ratios of this session."""

    def __init__(self) -> None:
        self._began, self._load = time.monotonic(), os.getloadavg()[0]
        self._measured: dict[str, Measured] = {}

    def add(self, name: str, ratios: Figures, limit: float, unit: str) -> None:
        """Keep a row of the table and hold it to its bound.

        Args:
            name: Its key in ``ROWS``.
            ratios: One of each pair.
            limit: The bare limit, as measured.
            unit: Of the limit.
        """
        assert len(ratios) >= PAIRS
        row, ratio = ROWS[name], float(np.median(ratios))
        self._measured[name] = {
            "domain": row.domain,
            "what": row.what,
            "beside": row.beside,
            "bound": row.bound,
            "ratio": rounded(ratio),
            "least": rounded(ratios.min()),
            "greatest": rounded(ratios.max()),
            "pairs": len(ratios),
            "limit": rounded(limit),
            "unit": unit,
        }
        assert row.holds(ratio), f"{row.what}, beside {row.beside}, is {ratio:.3g}; it must be {row.bound}"

    def report(self) -> Report:
        """What was measured so far, in the order of the table."""
        return {
            "machine": machine(),
            "versions": {"python": platform.python_version(), **dict(map(installed, PACKAGES))},
            "minutes": round((time.monotonic() - self._began) / 60, 1),
            "load": round(self._load, 1),
            "rows": [self._measured[name] for name in ROWS if name in self._measured],
        }

    @property
    def whole(self) -> bool:
        """Whether each row that any machine can measure was measured, and all hold their bounds."""
        wanted = {name for name, row in ROWS.items() if row.everywhere} <= set(self._measured)
        return wanted and all(ROWS[name].holds(of["ratio"]) for name, of in self._measured.items())


def rounded(value: float) -> float:
    return float(f"{value:.4g}")


def installed(package: str) -> tuple[str, str]:
    try:
        return package, version(package)
    except PackageNotFoundError:  # decord has no wheel for every machine
        return package, "none"


def machine() -> dict[str, str | int | float]:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor(),
        "cores": os.cpu_count() or 1,
        "threads": torch.get_num_threads(),
        "memory_gb": round(memory / 2**30),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
    }


def processor() -> str:
    known = Path("/proc/cpuinfo")
    lines = known.read_text().splitlines() if known.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


KEPT = pytest.StashKey[Speed]()


@pytest.fixture(scope="session")
def speed(request: pytest.FixtureRequest) -> Iterator[Speed]:
    """Where each benchmark puts its ratio."""
    kept = request.config.stash[KEPT] = Speed()
    yield kept
    if kept.whole:
        write_text(FILE, json.dumps(kept.report(), indent=2, ensure_ascii=False) + "\n")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Tell the table."""
    kept = config.stash.get(KEPT, None)
    if kept is not None:
        report = kept.report()
        terminalreporter.write_sep("=", "ratios" if kept.whole else "ratios of a part, not kept")
        terminalreporter.write_line(f"{markdown(report['rows'])}\n{caption(report)}")
