"""ONNX: for ONNX Runtime on servers, boards, phones and in the browser, and for everything else that reads it.

This module is what the plugin manager imports, so it needs neither onnx nor a runtime.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from zoo import Exporter, ExportError, Metadata, Runtime, hookimpl

if TYPE_CHECKING:
    import keras


def convert(model: keras.Model, path: Path, precision: str) -> None:
    """See ``zoo_onnx.translate.convert``."""
    from zoo_onnx.translate import convert

    convert(model, path, precision)


def write_metadata(path: Path, metadata: Metadata) -> None:
    """See ``zoo_onnx.metadata.write_metadata``."""
    from zoo_onnx.metadata import write_metadata

    write_metadata(path, metadata)


def read_metadata(path: Path) -> Metadata | None:
    """See ``zoo_onnx.metadata.read_metadata``."""
    from zoo_onnx.metadata import read_metadata

    return read_metadata(path)


def load(path: Path, threads: int) -> Runtime:
    """See ``zoo_onnx.runtime.OnnxRuntime``."""
    from zoo_onnx import runtime

    try:
        return runtime.load(path, threads)
    except ValueError as error:
        raise ExportError(str(error), "Export the model again.") from error


def stored(path: Path) -> Mapping[str, int]:
    """Numbers in the initializers, by type."""
    from zoo_onnx.metadata import stored

    return stored(path)


EXPORTER = Exporter(
    name="onnx",
    summary="ONNX, opset 17, for ONNX Runtime 1.13 or later, OpenCV and browsers",
    suffix=".onnx",
    precisions=("float32", "float16", "int8"),
    convert=convert,
    write_metadata=write_metadata,
    read_metadata=read_metadata,
    load=load,
    versions=("tensorflow", "tf2onnx", "onnx", "onnxruntime"),
    stored=stored,
    runtime_module="zoo_onnx.runtime",
    requires=("onnxruntime>=1.23",),
    notes={
        "int8": "On x86 processors without VNNI, the 8-bit kernels of ONNX Runtime overflow and predictions change. "
        "Programs other than zoo and its runner must set the session option session.x64quantprecision to 1 there. "
        "WebAssembly does not overflow."
    },
)


@hookimpl
def zoo_exporters() -> Iterable[Exporter]:
    return [EXPORTER]
