"""The metadata of a file: one entry of canonical JSON in ``metadata_props``."""

from __future__ import annotations

import re
from math import prod
from pathlib import Path

import onnx

from zoo import ExportError, Metadata
from zoo.atomic import write_bytes

KEY = "zoo"


def write_metadata(path: Path, metadata: Metadata) -> None:
    """Stores the metadata in the file, and replaces existing metadata.

    Raises:
        ExportError: The file is not an ONNX file, or its number of outputs differs from the number of labels.
    """
    model = read_model(path)
    classes = model.graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    if classes != len(metadata.labels):
        raise ExportError(f"{path} has {classes} outputs. Received: {len(metadata.labels)} labels.")
    kept = {entry.key: entry.value for entry in model.metadata_props} | {KEY: _unicode(metadata.to_json())}
    onnx.helper.set_model_props(model, dict(sorted(kept.items())))
    model.doc_string = f"{metadata.architecture}, {metadata.precision}, {metadata.verification['status']}"
    write_bytes(path, model.SerializeToString(deterministic=True))


def read_metadata(path: Path) -> Metadata | None:
    """The metadata of a file. ``None`` if it has no zoo metadata.

    Raises:
        ExportError: The file is not an ONNX file, or its metadata is damaged.
    """
    text = {entry.key: entry.value for entry in read_model(path).metadata_props}.get(KEY)
    return None if text is None else Metadata.from_json(text)


def stored(path: Path) -> dict[str, int]:
    """The number of elements in the initializers, by the NumPy name of their dtype.

    Raises:
        ExportError: The file is not an ONNX file.
    """
    found: dict[str, int] = {}
    for tensor in read_model(path).graph.initializer:
        dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).name
        found[dtype] = found.get(dtype, 0) + prod(tensor.dims)
    return found


def _unicode(text: str) -> str:
    """JSON in valid UTF-8, as protobuf requires. Bytes of a folder name that are not UTF-8 are written as escapes."""
    return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):04x}", text)


def read_model(path: Path) -> onnx.ModelProto:
    """Reads an ONNX file.

    Raises:
        ExportError: The file does not exist, or is not an ONNX model.
    """
    try:
        model = onnx.load(str(path))
        if not model.graph.node:
            raise ValueError("it contains no graph")
    except Exception as error:  # the decoder of protobuf raises its own exceptions
        raise ExportError(f"{path} cannot be read as ONNX: {error}", "Export the model again.") from error
    return model
