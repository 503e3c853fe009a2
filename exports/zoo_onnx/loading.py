"""The runtime of the device, with the errors of zoo."""

from __future__ import annotations

from pathlib import Path

from zoo import ExportError, Runtime
from zoo_onnx import runtime


def load(path: Path, threads: int) -> Runtime:
    """See ``zoo_onnx.runtime.load``; what it cannot read is an ``ExportError`` here."""
    try:
        return runtime.load(path, threads)
    except ValueError as error:
        raise ExportError(str(error), "Export the model again.") from error
