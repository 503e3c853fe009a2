"""The metadata of a TFLite file: Google's metadata for MediaPipe Tasks, ML Kit and Android Studio, and that of zoo.

Google's metadata is a FlatBuffer in the model's ``metadata`` with the name ``TFLITE_METADATA``. The files that it names
follow the model as a ZIP archive (``unzip -l model.tflite`` lists them): ``labels.txt``, which its schema defines, and
``zoo.json``, which contains the metadata of zoo.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from zoo import ExportError, Metadata, atomic
from zoo.exported import INPUT, MAP, OUTPUT, label_lines
from zoo_tflite import metadata_schema as standard
from zoo_tflite import model_file
from zoo_tflite.metadata_schema import table

FIELD = b"TFLITE_METADATA"
LABELS, OURS = "labels.txt", "zoo.json"

#: Version of the schema that added the last field that is used.
MIN_PARSER_VERSION = "1.0.0"

#: Maximum size of a file in the archive, far above the labels of any classifier.
_LARGEST_BYTES = 16 * 2**20


def write_metadata(path: Path, metadata: Metadata) -> None:
    """Stores the metadata in a file, and replaces existing metadata. The same metadata gives the same bytes.

    Raises:
        ExportError: The file does not exist, is damaged, or its number of outputs differs from the number of labels.
    """
    model, _ = model_file.read(path)
    graph = model.subgraphs[0]
    classes = int(graph.tensors[graph.outputs[0]].shape[-1])
    if classes != len(metadata.labels):
        raise ExportError(f"{path} has {classes} outputs. Received: {len(metadata.labels)} labels.")
    model_file.set_metadata_buffer(model, FIELD, _standard(metadata, len(graph.outputs) > 1))
    files = {LABELS: _label_file(metadata.labels), OURS: metadata.to_json().encode("utf-8", "surrogateescape")}
    atomic.write_bytes(path, _with_files(model_file.pack(model), files))


def read_metadata(path: Path) -> Metadata | None:
    """The metadata of a file. ``None`` if it has no zoo metadata.

    Raises:
        ExportError: The file does not exist, is damaged, or was written by a newer zoo.
    """
    model, content = model_file.read(path)
    text = _file(content, OURS, path)
    if text is not None:
        metadata = Metadata.from_json(text.decode("utf-8", "surrogateescape"))
        if _file(content, LABELS, path) != _label_file(metadata.labels):
            # Phones read the label file, and a difference would not be noticed.
            raise _damaged(path, f"the labels in its {LABELS} and its {OURS} differ")
        return metadata
    if OURS.encode() in (model_file.metadata_buffer(model, FIELD) or b""):
        raise _damaged(path, f"its {OURS} is missing")
    return None


def _label_file(labels: tuple[str, ...]) -> bytes:
    return label_lines(labels).encode("utf-8", "replace")


def _standard(metadata: Metadata, has_map: bool) -> bytes:
    pixels = f"RGB, 0 to 255, {metadata.image}"
    image = table(
        "TensorMetadata",
        name=INPUT,
        description=f"Pixels of one picture: {pixels}.",
        content=table(
            "Content",
            content_properties_type=standard.ContentProperties.IMAGE,
            content_properties=table("ImageProperties", color_space=standard.ColorSpaceType.RGB),
        ),
        # Pixels are not normalised. MediaPipe refuses a float model without this statement. For uint8 it is not needed,
        # but a reader that normalises first and quantises afterwards, as the schema requires, gets the same result.
        process_units=[
            table(
                "ProcessUnit",
                options_type=standard.ProcessUnitOptions.NORMALIZATION,
                options=table("NormalizationOptions", mean=[0.0], std=[1.0]),
            )
        ],
        stats=table("Stats", max=[255.0], min=[0.0]),
    )
    probabilities = table(
        "TensorMetadata",
        name=OUTPUT,
        description=f"Probabilities of {len(metadata.labels)} classes, which sum to 1.",
        content=table(
            "Content",
            content_properties_type=standard.ContentProperties.FEATURE,
            content_properties=table("FeatureProperties"),
        ),
        stats=table("Stats", max=[1.0], min=[0.0]),
        associated_files=[
            table(
                "AssociatedFile",
                name=LABELS,
                description="One class per line, in the order of the outputs.",
                type=standard.AssociatedFileType.TENSOR_AXIS_LABELS,
            )
        ],
    )
    outputs = [probabilities]
    if has_map:
        outputs.append(
            table("TensorMetadata", name=MAP, description="Contribution of each position to the logit of each class.")
        )
    verified = "verified against Keras" if metadata.verified else "not verified"
    return standard.pack(
        table(
            "ModelMetadata",
            name=metadata.architecture,
            description=f"Image classifier from {metadata.source}; {metadata.precision}, {verified}.",
            version=metadata.model_digest[:12],
            subgraph_metadata=[
                table("SubGraphMetadata", input_tensor_metadata=[image], output_tensor_metadata=outputs)
            ],
            associated_files=[
                table(
                    "AssociatedFile",
                    name=OURS,
                    description="Origin of the model, and preprocessing of its input.",
                    type=standard.AssociatedFileType.DESCRIPTIONS,
                )
            ],
            min_parser_version=MIN_PARSER_VERSION,
        )
    )


def _with_files(model: bytes, files: Mapping[str, bytes]) -> bytes:
    whole = io.BytesIO()
    whole.write(model)
    # Not compressed, because MediaPipe cannot read compressed entries. A ZipInfo with only a name has the date
    # 1980-01-01.
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            entry = zipfile.ZipInfo(name)
            entry.create_system = 3
            archive.writestr(entry, data)
    return whole.getvalue()


def _file(content: bytes, name: str, path: Path) -> bytes | None:
    if not zipfile.is_zipfile(io.BytesIO(content)):
        return None
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if name not in archive.namelist():
                return None
            if archive.getinfo(name).file_size > _LARGEST_BYTES:
                raise _damaged(path, f"its {name} has {archive.getinfo(name).file_size} bytes")
            return archive.read(name)
    except (zipfile.BadZipFile, ValueError, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise _damaged(path, str(error)) from error


def _damaged(path: Path, reason: str) -> ExportError:
    return ExportError(f"{path} is damaged: {reason}.", "Export the model again.")
