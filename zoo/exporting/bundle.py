"""The bundle of an exported file for a device: golden vectors, the runner, and a model card.

    <architecture>.onnx ...   the exported file, labels.txt, verify.json, ... from ``zoo.exporting.export``
    golden/                   images with the expected pixels and predictions
    run.py, runner/           the runner, if the exporter has a runtime for devices; or the files of its app
    requirements.txt          requirements of the runner
    Dockerfile, *.service     files that run the runner as a service
    README.md                 model card
    LICENSE, NOTICE           licences of the runner and of weights that are included in zoo
    spec.json                 all metadata for programs, and the digest of every other file

The same inputs give the same bytes, where Keras predicts the same bits: no file contains a date or a path.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from zoo.atomic import make_folder, write_bytes, write_text
from zoo.edge.bundle import BUNDLE_VERSION, SPEC, fingerprint, read_bundle, seal
from zoo.errors import PluginError, ZooError
from zoo.evaluation.trained import TrainedModel
from zoo.exported import Metadata, Runtime, has_map
from zoo.exporting.card import write_card
from zoo.exporting.golden import Sample, draw_samples, json_bytes, write_golden
from zoo.exporting.runner import DEPLOYMENT, requirements, runner_files
from zoo.interfaces import Exporter
from zoo.parity import Verification

#: Reports next to the exported file. They are kept even if the file is refused.
_REPORTS = {"verify.json", "verify.html", "labels.txt", "calibration.csv", "quantization.json"}
#: Files that are written after the program, which must not contain files with these names.
_LAST = {"LICENSE", "NOTICE", "README.md", SPEC}
#: Names that no part of an exported file may have.
OF_THE_BUNDLE = {*_REPORTS, *_LAST, *DEPLOYMENT, "golden", "run.py", "runner", "requirements.txt"}


@dataclass(frozen=True, kw_only=True)
class Contents:
    """The parts of a bundle.

    Args:
        exporter: The exporter of the format.
        file: The exported file, in the bundle's folder.
        metadata: Metadata of the file.
        trained: The Keras model from which it was exported.
        photos: Photos to include.
        verification: The verification. ``None`` if the file was not verified.
        quantization: The content of ``quantization.json``, for an int8 file.
    """

    exporter: Exporter
    file: Path
    metadata: Metadata
    trained: TrainedModel
    photos: list[Sample]
    verification: Verification | None
    quantization: Mapping[str, Any] | None = None


def complete_bundle(contents: Contents) -> None:
    """Adds everything except the exported file and its reports to the folder of the file.

    Raises:
        PluginError: The exporter's runtime module cannot run on a device, or a file of its app has the same name as a
            file of the bundle.
        ExportError: A requirement of the app is missing.
        TrainingError: The disk is full, or the folder cannot be written.
    """
    folder, exporter = contents.file.parent, contents.exporter
    runtime = exporter.load(contents.file, 1)
    samples = [*contents.photos, *draw_samples(contents.metadata.image)]
    write_golden(folder, samples, contents.metadata, runtime, contents.trained.load())
    _write_program(folder, exporter)
    for name in ("LICENSE", "NOTICE"):
        if text := _licence(name):
            write_text(folder / name, text)
    write_card(folder / "README.md", contents)
    write_bytes(folder / SPEC, json_bytes(seal(_spec(contents, runtime))))


def _write_program(folder: Path, exporter: Exporter) -> None:
    """Writes the program that runs the model: the runner, or the exporter's app."""
    program = {name: source.encode() for name, source in runner_files(exporter).items()}
    if program:
        program["requirements.txt"] = "".join(f"{line}\n" for line in requirements(exporter)).encode()
    if exporter.app:
        program = dict(exporter.app.files())
    for name, content in program.items():
        path = folder / name
        if path.exists() or name in _LAST:
            raise PluginError(
                f"The app of exporter '{exporter.name}' has a file '{name}', which is also a file of the bundle."
            )
        make_folder(path.parent)
        write_bytes(path, content)


def made_by_us(folder: Path) -> set[str]:
    """Names in a folder that an export may have created.

    A subfolder is included only if an export may have created all its files.
    """
    try:
        recorded = set(read_bundle(folder).values["files"])
    except ZooError:
        return _REPORTS  # of a refused file, whose folder contains no model
    try:
        strange = {
            path.relative_to(folder).parts[0]
            for path in folder.rglob("*")
            if path.is_file()
            and path.parent.name != "__pycache__"
            and path.relative_to(folder).as_posix() not in recorded
        }
    except (RecursionError, OSError):  # no export has so many levels
        strange = {path.name for path in folder.iterdir() if path.is_dir()}
    return _REPORTS | ({SPEC} | {name.split("/")[0] for name in recorded} | {"__pycache__"}) - (strange - {SPEC})


def _spec(contents: Contents, runtime: Runtime) -> dict[str, Any]:
    folder, exporter, metadata = contents.file.parent, contents.exporter, contents.metadata
    values = contents.verification.values if contents.verification else None
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != SPEC)
    return {
        "version": BUNDLE_VERSION,
        "model": contents.file.name,
        "parts": [path.name for path in exporter.files(contents.file)[1:]],
        "format": exporter.name,
        "precision": metadata.precision,
        "runtime": {"requires": list(requirements(exporter))},
        "image": metadata.image.as_dict(),
        "image_digest": metadata.image.digest,
        "labels": list(metadata.labels),
        "input": _tensor(runtime.inputs[0]),
        "output": _tensor(runtime.outputs[0]),
        **({"map": _tensor(runtime.outputs[1])} if has_map(runtime) else {}),
        "architecture": metadata.architecture,
        "source": metadata.source,
        "model_digest": metadata.model_digest,
        "data_digest": metadata.data_digest,
        "calibration_digest": metadata.calibration_digest,
        "verification": dict(metadata.verification),
        "min_confidence": values.file.min_confidence if values else None,
        "versions": dict(metadata.versions),
        "files": {path.relative_to(folder).as_posix(): fingerprint(path) for path in files},
    }


def _tensor(info: Any) -> dict[str, Any]:
    # A runtime for devices does not import zoo, so its record has the same fields but another class.
    values = {name: getattr(info, name) for name in ("name", "shape", "dtype", "scale", "zero_point")}
    return values | {"shape": list(info.shape)}


def _licence(name: str) -> str | None:
    """The text of a licence, from the installation or from the source folder."""
    try:
        text = distribution("keras-edge-zoo").read_text(f"licenses/{name}")
    except PackageNotFoundError:
        text = None
    beside = Path(__file__).parents[2] / name
    return text or (beside.read_text("utf-8") if beside.is_file() else None)
