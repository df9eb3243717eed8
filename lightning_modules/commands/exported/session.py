"""An ONNX graph that runs: names in, names out, in NumPy."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datamodules.common.errors import ExportError

Array = NDArray[Any]
Arrays = Mapping[str, Array]

INSTALL = 'pip install -c constraints.txt -e ".[export]"'


class Graph:
    """A graph in onnxruntime, on the CPU.

    Args:
        path: The file.
        threads: Threads of one product; 0 takes all processors.

    Raises:
        ExportError: If onnxruntime is not installed, or cannot run the file.
    """

    def __init__(self, path: Path, threads: int = 0) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ExportError(f"onnxruntime is not installed: {INSTALL}") from error
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3  # errors alone
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a class of its own for each status, below no common one
            raise ExportError(
                f"onnxruntime {onnxruntime.__version__} cannot run {path} ({_first_line(error)}): update it, or export "
                "again"
            ) from error
        self.names = [one.name for one in self._session.get_outputs()]

    def __call__(self, inputs: Arrays) -> dict[str, Array]:
        """Outputs by name.

        Args:
            inputs: By name, of the graph's dtypes and shapes.
        """
        found = self._session.run(self.names, {name: np.ascontiguousarray(value) for name, value in inputs.items()})
        return dict(zip(self.names, found, strict=True))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
