"""The part of Google's ``metadata_schema.fbs`` ("TFLite Metadata", identifier ``M001``) that image classifiers need.

The schema is in MediaPipe's repository, ``mediapipe/tasks/metadata/metadata_schema.fbs``. The only library that writes
it requires all of MediaPipe.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any, TypeAlias

import flatbuffers

IDENTIFIER = b"M001"

#: A table: values by slot.
Table: TypeAlias = "dict[int, str | IntEnum | Sequence[float] | Table | Sequence[Table]]"

#: Fields in the order of their slots. A union takes two slots, the first for its type. Later fields are not used.
_FIELDS = {
    "AssociatedFile": ("name", "description", "type"),
    "Content": ("content_properties_type", "content_properties"),
    "FeatureProperties": (),
    "ImageProperties": ("color_space",),
    "ModelMetadata": (
        "name",
        "description",
        "version",
        "subgraph_metadata",
        "author",
        "license",
        "associated_files",
        "min_parser_version",
    ),
    "NormalizationOptions": ("mean", "std"),
    "ProcessUnit": ("options_type", "options"),
    "Stats": ("max", "min"),
    "SubGraphMetadata": ("name", "description", "input_tensor_metadata", "output_tensor_metadata"),
    "TensorMetadata": (
        "name",
        "description",
        "dimension_names",
        "content",
        "process_units",
        "stats",
        "associated_files",
    ),
}


class AssociatedFileType(IntEnum):
    DESCRIPTIONS = 1
    TENSOR_AXIS_LABELS = 2


class ColorSpaceType(IntEnum):
    RGB = 1


class ContentProperties(IntEnum):
    FEATURE = 1
    IMAGE = 2


class ProcessUnitOptions(IntEnum):
    NORMALIZATION = 1


def table(kind: str, **fields: Any) -> Table:
    """Creates a table, such as ``table("Stats", max=[255.0], min=[0.0])``."""
    return {_FIELDS[kind].index(name): value for name, value in fields.items()}


def pack(model_metadata: Table) -> bytes:
    """The FlatBuffer of a ``ModelMetadata``. The same content results in the same bytes."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(_table(builder, model_metadata), IDENTIFIER)
    return bytes(builder.Output())


def _table(builder: Any, fields: Table) -> int:
    # Referenced objects must be written before the table.
    offsets = {slot: _offset(builder, value) for slot, value in fields.items() if not isinstance(value, IntEnum)}
    builder.StartObject(max(fields, default=-1) + 1)
    for slot, value in fields.items():
        if isinstance(value, IntEnum):
            builder.PrependUint8Slot(slot, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, offsets[slot], 0)
    return int(builder.EndObject())


def _offset(builder: Any, value: str | Sequence[float] | Table | Sequence[Table]) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value.encode("utf-8", "replace")))
    if isinstance(value, dict):
        return _table(builder, value)
    items = [_table(builder, item) if isinstance(item, dict) else item for item in value]
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        if isinstance(item, float):
            builder.PrependFloat32(item)
        else:
            builder.PrependUOffsetTRelative(item)
    return int(builder.EndVector())
