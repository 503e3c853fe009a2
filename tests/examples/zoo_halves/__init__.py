"""A format of two files that needs no other packages than zoo: an ONNX file that is cut in two halves."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zoo_onnx import EXPORTER as ONNX

from zoo import Exporter, ExportError, Metadata, Runtime, hookimpl
from zoo.atomic import write_bytes


def parts(path: Path) -> tuple[Path, ...]:
    return (path.with_suffix(".tail"),)


def convert(model: Any, path: Path, precision: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "whole.onnx")
        ONNX.convert(model, whole, precision)
        _write(path, whole.read_bytes())


def write_metadata(path: Path, metadata: Metadata) -> None:
    def write(whole: Path) -> None:
        ONNX.write_metadata(whole, metadata)
        _write(path, whole.read_bytes())

    _whole(path, write)


def read_metadata(path: Path) -> Metadata | None:
    found: Metadata | None = _whole(path, ONNX.read_metadata)
    return found


def stored(path: Path) -> Mapping[str, int]:
    assert ONNX.stored is not None
    found: Mapping[str, int] = _whole(path, ONNX.stored)
    return found


def load(path: Path, threads: int) -> Runtime:
    from zoo_halves import runtime

    try:
        return runtime.load(path, threads)
    except ValueError as error:
        raise ExportError(str(error), "Export the model again.") from error


def _write(path: Path, content: bytes) -> None:
    middle = len(content) // 2
    write_bytes(path.with_suffix(".tail"), content[middle:])
    write_bytes(path, content[:middle])


def _whole(path: Path, use: Callable[[Path], Any]) -> Any:
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, f"{path.stem}.onnx")
        try:
            whole.write_bytes(path.read_bytes() + path.with_suffix(".tail").read_bytes())
        except OSError as error:
            raise ExportError(f"Could not read {path}: {error}.") from error
        return use(whole)


EXPORTER = Exporter(
    name="halves",
    summary="ONNX in two files, for tests",
    suffix=".head",
    precisions=("float32", "int8"),
    convert=convert,
    write_metadata=write_metadata,
    read_metadata=read_metadata,
    load=load,
    parts=parts,
    stored=stored,
    versions=("tf2onnx",),
    runtime_module="zoo_halves.runtime",
    requires=("onnxruntime>=1.23",),
)


@hookimpl
def zoo_exporters() -> list[Exporter]:
    return [EXPORTER]
