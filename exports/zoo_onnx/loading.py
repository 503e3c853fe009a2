"""Loads the runtime for devices, and converts its errors to those of zoo."""

from __future__ import annotations

from pathlib import Path

from zoo import ExportError, Runtime
from zoo_onnx import runtime


def load(path: Path, threads: int) -> Runtime:
    """Like ``zoo_onnx.runtime.load``, but raises ``ExportError`` if the file cannot be read."""
    try:
        return runtime.load(path, threads)
    except ValueError as error:
        raise ExportError(str(error), "Export the model again.") from error
