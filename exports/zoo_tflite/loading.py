"""The runtime of the device, with the errors of zoo."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from zoo import ExportError, Runtime
from zoo.quiet import stderr_aside
from zoo_tflite import runtime


def load(path: Path, threads: int) -> Runtime:
    """See ``zoo_tflite.runtime.load``; what it cannot read is an ``ExportError`` here."""
    try:
        # runtime.py does not import zoo, so its TensorInfo has the same fields but is another class.
        with stderr_aside(only=b"INFO: "):  # LiteRT prints how it computes
            return cast(Runtime, runtime.load(path, threads))
    except ValueError as error:
        raise ExportError(str(error), "Export the model again.") from error
