"""A graph in whole numbers of 8 bits: matrix products as they come, convolutions by ranges seen on training files."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from datamodules.common.atomic_write import write_bytes
from datamodules.common.errors import ExportError
from lightning_modules.commands.exported.session import Array, Arrays

_PRODUCTS = ["MatMul", "Gemm"]


class _Rows:
    """Training rows, one after the other, as onnxruntime's calibration takes them."""

    def __init__(self, rows: Sequence[Arrays]) -> None:
        self._rows: Iterator[Arrays] = iter(rows)

    def get_next(self) -> dict[str, Array] | None:
        """The next row; None after the last."""
        row = next(self._rows, None)
        return None if row is None else {name: np.ascontiguousarray(value) for name, value in row.items()}


def quantise(graph: Path, target: Path, rows: Sequence[Arrays]) -> None:
    """Write a quantised copy of a graph.

    Weights of matrix products become int8 and their inputs are quantised as they come. Convolutions would turn into
    ``ConvInteger`` so, which onnxruntime's CPU lacks for these types: theirs are quantised per channel, and their
    inputs by ranges that are seen on training files.

    Args:
        graph: The float32 graph.
        target: The copy.
        rows: Inputs of training files, batches of one.

    Raises:
        ExportError: If there are none, or onnxruntime cannot quantise the graph.
    """
    if not rows:
        raise ExportError("--int8 names no file that can be read, but ranges must be seen: give training files")
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_dynamic, quantize_static

    kinds = {node.op_type for node in onnx.load(graph, load_external_data=False).graph.node}
    chatter = logging.getLogger()
    level = chatter.level
    chatter.setLevel(logging.ERROR)  # advice to preprocess, on the root logger
    try:
        with TemporaryDirectory(dir=target.parent) as folder:
            static, done = Path(folder, "static.onnx"), Path(folder, "done.onnx")
            if "Conv" in kinds:
                quantize_static(
                    graph,
                    static,
                    _Rows(rows),
                    quant_format=QuantFormat.QDQ,
                    op_types_to_quantize=["Conv"],
                    per_channel=True,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                )
            source = static if "Conv" in kinds else graph
            if kinds & set(_PRODUCTS):
                quantize_dynamic(source, done, op_types_to_quantize=_PRODUCTS, weight_type=QuantType.QInt8)
                source = done
            write_bytes(target, source.read_bytes())
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ExportError(f"onnxruntime cannot quantise the graph ({reason}): export without --int8") from error
    finally:
        chatter.setLevel(level)
