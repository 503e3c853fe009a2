"""OpenVINO IR, a format of two files: the graph as XML, and its weights. Models are converted from ONNX."""

from __future__ import annotations

import tempfile
import xml.etree.ElementTree as ET
from pathlib import Path

from zoo import Exporter, ExportError, Metadata, Runtime, hookimpl
from zoo.atomic import write_bytes


def parts(path: Path) -> tuple[Path, ...]:
    return (path.with_suffix(".bin"),)


def convert(model, path: Path, precision: str) -> None:
    import openvino
    from zoo_onnx import EXPORTER

    with tempfile.TemporaryDirectory() as folder:
        onnx, made = Path(folder, "model.onnx"), Path(folder, "model.xml")
        EXPORTER.convert(model, onnx, precision)
        openvino.save_model(openvino.convert_model(onnx), made, compress_to_fp16=precision == "float16")
        net = ET.fromstring(made.read_bytes())
        for layer in net.iter("layer"):  # OpenVINO numbers layers across the whole process
            if layer.get("type") != "Parameter":
                layer.set("name", f"{layer.get('type')}_{layer.get('id')}")
        net.remove(net.find("rt_info"))  # contains names of files
        write_bytes(path.with_suffix(".bin"), made.with_suffix(".bin").read_bytes())
        write_bytes(path, ET.tostring(net))


def write_metadata(path: Path, metadata: Metadata) -> None:
    net = _net(path)
    (last,) = (layer for layer in net.iter("layer") if layer.get("type") == "Result")
    classes = int([dim.text for dim in last.iter("dim")][-1])
    if classes != len(metadata.labels):
        raise ExportError(f"{path} has {classes} outputs. Received: {len(metadata.labels)} labels.")
    for old in net.findall("rt_info"):
        net.remove(old)
    # Escaped, because XML cannot contain every character of a label.
    value = metadata.to_json().encode("unicode_escape").decode("ascii")
    ET.SubElement(ET.SubElement(net, "rt_info"), "zoo", value=value)
    write_bytes(path, ET.tostring(net))


def read_metadata(path: Path) -> Metadata | None:
    said = _net(path).find("rt_info/zoo")
    return None if said is None else Metadata.from_json(said.get("value", "").encode("ascii").decode("unicode_escape"))


def stored(path: Path) -> dict[str, int]:
    kinds = {"f32": ("float32", 4), "f16": ("float16", 2), "i8": ("int8", 1), "u8": ("uint8", 1)}
    found = dict.fromkeys((name for name, _ in kinds.values()), 0)
    for data in (layer.find("data") for layer in _net(path).iter("layer") if layer.get("type") == "Const"):
        if kind := kinds.get(data.get("element_type")):
            found[kind[0]] += int(data.get("size")) // kind[1]
    return found


def load(path: Path, threads: int) -> Runtime:
    from zoo_openvino import runtime

    try:
        return runtime.load(path, threads)
    except ValueError as error:
        raise ExportError(str(error), "Export the model again.") from error


def _net(path: Path) -> ET.Element:
    try:
        return ET.fromstring(path.read_bytes())
    except (OSError, ET.ParseError) as error:
        raise ExportError(f"{path} cannot be read as OpenVINO IR: {error}", "Export the model again.") from error


EXPORTER = Exporter(
    name="openvino",
    summary="OpenVINO IR, for Intel processors",
    suffix=".xml",
    precisions=("float32", "float16", "int8"),
    convert=convert,
    write_metadata=write_metadata,
    read_metadata=read_metadata,
    load=load,
    parts=parts,
    stored=stored,
    versions=("openvino", "tensorflow", "tf2onnx"),
    runtime_module="zoo_openvino.runtime",
    requires=("openvino>=2026.4",),
)


@hookimpl
def zoo_exporters():
    return [EXPORTER]
