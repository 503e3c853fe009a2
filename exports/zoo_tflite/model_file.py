"""Reads the FlatBuffer of a TFLite file as objects, and writes it as bytes."""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from zoo import ExportError

IDENTIFIER = b"TFL3"

#: Alignment in bytes. ``schema.fbs`` requires ``force_align`` for every buffer, but the generated Python ignores it.
ALIGNMENT = 16

#: Types of the constants that are added to a model.
_TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "int32": schema.TensorType.INT32,
}


class _AlignedBuffer(schema.BufferT):  # type: ignore[misc]
    def Pack(self, builder: Any) -> Any:  # noqa: N802
        builder.Prep(ALIGNMENT, len(self.data))
        return super().Pack(builder)


class _Builder(flatbuffers.Builder):  # type: ignore[misc]
    """Writes equal vectors of zero points once. They have eight bytes per channel, a tenth of an int8 file."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self._zero_points: dict[bytes, Any] = {}

    def CreateNumpyVector(self, x: Any) -> Any:  # noqa: N802
        if x.dtype != np.int64:
            return super().CreateNumpyVector(x)
        content = x.tobytes()
        if content not in self._zero_points:
            self._zero_points[content] = super().CreateNumpyVector(x)
        return self._zero_points[content]


def read(path: Path) -> tuple[Any, bytes]:
    """Reads the model, a ``ModelT``, and all bytes of the file, which may continue after the model.

    Raises:
        ExportError: The file does not exist, is damaged, or has another format.
    """
    from ai_edge_litert.interpreter import Interpreter

    try:
        content = path.read_bytes()
    except OSError as error:
        raise ExportError(f"Could not read {path}: {error.strerror or error}.") from error
    try:
        # FlatBuffers in Python does not check offsets, so LiteRT verifies them first. It treats empty content as
        # missing.
        Interpreter(model_content=content or b"empty")
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise ExportError(
            f"{path} is damaged or not a TFLite file that LiteRT can read: {reason}", "Export the model again."
        ) from error
    return parse(content), content


def parse(content: bytes) -> Any:
    """The ``ModelT`` of bytes that are known to be valid."""
    return schema.ModelT.InitFromPackedBuf(content, 0)


def pack(model: Any) -> bytes:
    """The bytes of a model, always the same for the same model: ``pack(parse(x)) == x`` for every result ``x``."""
    model.buffers = [
        buffer if buffer.data is None else _AlignedBuffer(buffer.data, buffer.offset, buffer.size)
        for buffer in model.buffers
    ]
    builder = _Builder(sum(0 if buffer.data is None else len(buffer.data) for buffer in model.buffers))
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def constant(model: Any, tensor: int, dtype: str) -> np.ndarray[Any, Any] | None:
    """The values of a tensor, flattened. ``None`` if it is not a constant."""
    content = model.buffers[model.subgraphs[0].tensors[tensor].buffer].data
    return None if content is None else np.frombuffer(np.asarray(content, np.uint8).tobytes(), dtype)


def add_constant(
    model: Any, name: bytes, values: np.ndarray[Any, Any], scale: np.ndarray[Any, Any] | None = None
) -> int:
    """Adds a constant, and returns the number of its tensor.

    Args:
        model: The model to which it is added.
        name: Name of the tensor.
        values: float32, int8 or int32.
        scale: Scale of each channel along the first axis, if the values are quantised.
    """
    graph = model.subgraphs[0]
    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.buffer = name, list(values.shape), len(model.buffers)
    tensor.type = _TYPES[values.dtype.name]
    if scale is not None:
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = scale.astype(np.float32)
        tensor.quantization.zeroPoint = np.zeros(len(scale), np.int64)
    model.buffers.append(schema.BufferT(np.frombuffer(values.tobytes(), np.uint8)))
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def metadata_buffer(model: Any, name: bytes) -> bytes | None:
    """The content of the model's ``metadata`` with a name. ``None`` if there is none."""
    for entry in model.metadata or []:
        if entry.name == name:
            data = model.buffers[entry.buffer].data
            return b"" if data is None else bytes(data)
    return None


def set_metadata_buffer(model: Any, name: bytes, data: bytes) -> None:
    """Stores ``data`` under a name, and replaces existing data."""
    content = np.frombuffer(data, np.uint8)
    for entry in model.metadata or []:
        if entry.name == name:
            model.buffers[entry.buffer].data = content
            return
    model.metadata = [*(model.metadata or []), schema.MetadataT(name, len(model.buffers))]
    model.buffers.append(schema.BufferT(content))


def drop_metadata_buffer(model: Any, name: bytes) -> None:
    """Removes the metadata with a name. Its buffer remains, but empty, because tensors refer to buffers by number."""
    for entry in model.metadata or []:
        if entry.name == name:
            model.buffers[entry.buffer].data = None
    model.metadata = [entry for entry in model.metadata or [] if entry.name != name]


def stored(path: Path) -> dict[str, int]:
    """The number of elements in the constants, by the name of their type. A shared buffer counts once."""
    model, _ = read(path)
    names = {value: name.lower() for name, value in vars(schema.TensorType).items() if isinstance(value, int)}
    found: dict[str, int] = {}
    counted = set()
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            data = model.buffers[tensor.buffer].data
            if data is None or not len(data) or tensor.buffer in counted:
                continue
            counted.add(tensor.buffer)
            shape = [] if tensor.shape is None else list(map(int, tensor.shape))
            found[names[tensor.type]] = found.get(names[tensor.type], 0) + prod(shape)
    return found
