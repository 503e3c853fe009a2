"""TFLite files: what LiteRT, MediaPipe Tasks and ML Kit run.

This module is what the plugin manager imports, so it needs no TensorFlow: the conversion is in ``convert.py``, what a
file says about itself in ``metadata.py``, and ``runtime.py``, which needs NumPy and LiteRT alone, also goes onto the
device.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, cast

from zoo import Exporter, ExportError, Metadata, Runtime, hookimpl
from zoo.quiet import stderr_aside

if TYPE_CHECKING:
    import keras


def convert_model(model: keras.Model, path: Path, precision: str) -> None:
    """See ``zoo_tflite.convert.convert``."""
    from zoo_tflite import convert

    convert.convert(model, path, precision)


def write_metadata(path: Path, metadata: Metadata) -> None:
    """See ``zoo_tflite.metadata.write_metadata``."""
    from zoo_tflite import metadata as inside

    inside.write_metadata(path, metadata)


def read_metadata(path: Path) -> Metadata | None:
    """See ``zoo_tflite.metadata.read_metadata``."""
    from zoo_tflite import metadata

    return metadata.read_metadata(path)


def load_file(path: Path, threads: int) -> Runtime:
    """See ``zoo_tflite.runtime.load``; what it cannot read is an ``ExportError`` here."""
    from zoo_tflite import runtime

    try:
        # runtime.py knows nothing of zoo: its TensorInfo has the same fields and is another class.
        with stderr_aside(only=b"INFO: "):  # LiteRT tells how it computes
            return cast(Runtime, runtime.load(path, threads))
    except ValueError as error:
        raise ExportError(str(error), "Export the model again.") from error


def stored(path: Path) -> Mapping[str, int]:
    """Numbers in the constant tensors, by type."""
    from zoo_tflite import model_file

    return model_file.stored(path)


EXPORTER = Exporter(
    name="tflite",
    summary="TFLite for LiteRT, MediaPipe Tasks and ML Kit; built-in operators only",
    suffix=".tflite",
    precisions=("float32", "float16", "int8"),
    convert=convert_model,
    write_metadata=write_metadata,
    read_metadata=read_metadata,
    load=load_file,
    versions=("tensorflow", "ai-edge-litert"),
    stored=stored,
    runtime_module="zoo_tflite.runtime",
    requires=("ai-edge-litert>=2.3",),
)


@hookimpl
def zoo_exporters() -> Iterable[Exporter]:
    return [EXPORTER]
