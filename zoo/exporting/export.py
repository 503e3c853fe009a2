"""Exports one model in several formats and precisions:

each file is converted, verified, stamped and moved into place.
"""

from __future__ import annotations

import shutil
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from zoo.atomic import make_folder, whole_file, write_csv, write_json, write_text
from zoo.atomic_folders import folder_aside
from zoo.errors import ExportError, PluginError, UsageError
from zoo.evaluation.trained import model_digest
from zoo.exported import Metadata, Runtime, label_lines
from zoo.exporting.bundle import OF_THE_BUNDLE, Contents, complete_bundle
from zoo.exporting.evidence import LinearHead, keras_maps
from zoo.exporting.golden import choose_photos
from zoo.exporting.graph import Graph
from zoo.exporting.job import Draw, Exported, Job, Progress, Stage, Target
from zoo.exporting.map_output import MEASURED_IMAGES, add_map, head_for_map
from zoo.exporting.outcome import stored_error
from zoo.exporting.place import archive_of, folder_of, put, refuse_foreign, refused_folder, replacing, write_archive
from zoo.machine import installed, versions
from zoo.parity import (
    ExpectedMaps,
    Unused,
    Verification,
    ask_unused,
    default_gates,
    keras_predictions,
    stored_problem,
    verify,
)
from zoo.parity.result import size_bytes

if TYPE_CHECKING:
    import keras

_WARM_UP, _TIMED = 5, 40


def export(
    job: Job, targets: Sequence[Target], draw: Draw, stage: Stage, progress: Callable[[str], Progress]
) -> list[Exported]:
    """Exports every target in turn. A target that is refused or fails does not stop the others.

    The complete bundle with file and report is moved to ``job.folder / "<architecture>-<format>-<precision>"`` in one
    step, and then written as an archive next to it. Until then, an earlier export remains in place.

    Args:
        job: What to export.
        targets: Formats and precisions.
        draw: Writes the page of a verification.
        stage: Receives the name of each stage.
        progress: Creates a progress counter for a stage.

    Raises:
        ExportError: A folder cannot be written. A failed conversion is stored as the ``error`` of its target instead.
    """
    for target in targets:
        for folder in (folder_of(job, target), refused_folder(folder_of(job, target))):
            refuse_foreign(folder)  # fails before the work instead of after it
    model = job.trained.load()
    digest = model_digest(model)
    head = None
    if job.with_map:
        head = head_for_map(Graph(model))  # raises before the work instead of after it
    expected = maps = None
    if job.data is not None:
        stage(f"Predicting with Keras: {job.trained.name}")
        expected = keras_predictions(job.trained, job.data, job.split, progress("predicting with Keras"))
        if head is not None:
            indices = job.data.indices(job.split)
            maps = keras_maps(model, job.data, indices, expected.argmax(axis=1), progress("mapping the evidence"))
    unused = None
    if job.data is not None and any(target.precision == "int8" for target in targets):
        unused = ask_unused(job.trained, job.unused, progress("predicting with Keras"))
    make_folder(job.folder)
    prepared: dict[bool, _Prepared | ExportError] = {}  # prepared once for all formats, even if it failed
    made = []
    for target in targets:
        in_8_bits = target.precision == "int8"
        try:
            if in_8_bits not in prepared:
                prepared[in_8_bits] = _prepare(model, job, in_8_bits, head, stage, progress)
            ready = prepared[in_8_bits]
            if isinstance(ready, ExportError):
                raise ready
            asked = _Asked(expected, unused if in_8_bits else None, maps)
            made.append(_export_one(job, target, ready, digest, asked, draw, stage, progress))
        except (ExportError, PluginError, UsageError) as error:
            made.append(Exported(target, folder_of(job, target), 0, None, 0.0, error))
    return made


def _prepare(
    model: keras.Model,
    job: Job,
    in_8_bits: bool,
    head: LinearHead | None,
    stage: Stage,
    progress: Callable[[str], Progress],
) -> _Prepared | ExportError:
    try:
        ready = _quantize(model, job, stage, progress) if in_8_bits else _fold(model, stage)
        if head is None:
            return ready
        stage("Adding the evidence map")
        images = job.calibration.pixels[:MEASURED_IMAGES] if in_8_bits and job.calibration else None
        return replace(ready, model=add_map(ready.model, head.bias, images))
    except ExportError as error:
        return error


@dataclass(frozen=True)
class _Prepared:
    """A model ready to convert, and the content of ``quantization.json`` that is the same in every format."""

    model: keras.Model
    quantization: dict[str, Any] | None = None


@dataclass(frozen=True)
class _Asked:
    """Predictions of Keras on the verification images and on further images for agreement, and its evidence maps."""

    expected: NDArray[np.float32] | None
    unused: Unused | None
    maps: ExpectedMaps | None


def _fold(model: keras.Model, stage: Stage) -> _Prepared:
    from zoo.exporting.fold import fold

    stage("Folding normalisation into convolutions")
    return _Prepared(fold(model))


def _quantize(model: keras.Model, job: Job, stage: Stage, progress: Callable[[str], Progress]) -> _Prepared:
    from zoo.exporting.fold import fold
    from zoo.exporting.quantize import quantize

    assert job.calibration is not None
    # A lower gate of the user does not lower the goal, so that the file does not depend on it.
    limits = [default_gates("int8"), *([job.gates["int8"]] if "int8" in job.gates else [])]
    wanted = max(limit.min_agreement or 0.0 for limit in limits)
    images = len(job.calibration.rows)

    def tell(text: str) -> None:
        stage(f"8 bits: {text} ({images} images)")

    found = quantize(fold(model), job.calibration.pixels, wanted, tell, progress, job.steps)
    return _Prepared(found.model, found.as_dict())


def _export_one(
    job: Job,
    target: Target,
    prepared: _Prepared,
    digest: str,
    asked: _Asked,
    draw: Draw,
    stage: Stage,
    progress: Callable[[str], Progress],
) -> Exported:
    kept = folder_of(job, target)
    rejected = refused_folder(kept)
    with folder_aside(kept) as aside:
        file = aside / f"{job.trained.architecture}{target.exporter.suffix}"
        stage(f"Converting to {target}")
        target.exporter.convert(prepared.model, file, target.precision)
        files = _written(target, file)
        if problem := stored_problem(target.exporter, file, target.precision, prepared.model):
            raise stored_error(problem, target.precision, prepared.model)
        metadata = _metadata(job, target, digest)
        target.exporter.write_metadata(file, metadata)
        quantization = _with_float_operators(target, file, prepared.quantization)
        verification = None
        if job.data is not None:
            stage(f"Verifying {target} on {len(job.data.indices(job.split))} {job.split} images")
            verification = verify(
                target.exporter,
                file,
                job.trained,
                job.data,
                job.split,
                gates=job.gates.get(target.precision),
                progress=progress("predicting with the file"),
                expected=asked.expected,
                unused=asked.unused,
                maps=asked.maps,
            )
            verification = _stamp(target, file, metadata, verification)
            write_json(aside / "verify.json", verification.as_dict())
            draw(verification, aside / "verify.html", quantization)
        refused = verification is not None and not verification.passed
        size = size_bytes(files)
        latency = 0.0 if refused else _latency_ms(target.exporter.load(file, 1), job.trained.image.input_shape)
        write_text(aside / "labels.txt", label_lines(job.trained.labels))
        if job.calibration and target.precision == "int8":
            write_csv(aside / "calibration.csv", ("path", "label", "sha256"), job.calibration.rows)
            write_json(aside / "quantization.json", quantization)
        if refused:
            for path in files:
                path.unlink()
        else:
            stage(f"Bundling {target}")
            _complete(job, target, file, asked.expected, verification, quantization)
        final = rejected if refused else kept
        if refused:
            put(aside, final)
        else:
            with replacing(kept), whole_file(archive_of(kept)) as archive:
                write_archive(aside, archive, kept.name)
                put(aside, final)
            shutil.rmtree(rejected, ignore_errors=True)  # its reports do not describe the new file
    path = final / ("verify.html" if refused else file.name)
    return Exported(target, path, size, verification, latency, quantization=quantization)


def _with_float_operators(target: Target, file: Path, quantization: dict[str, Any] | None) -> dict[str, Any] | None:
    """The content of ``quantization.json``, with the operators of the file that compute in float32."""
    count = target.exporter.float_operators
    return quantization | {"float_operators": dict(count(file))} if quantization and count else quantization


def _written(target: Target, file: Path) -> tuple[Path, ...]:
    """The file and its parts.

    Raises:
        PluginError: No file was written, or an unexpected file was written, or a part has the name of another file of
            the bundle.
        ExportError: A part is missing.
    """
    who = f"The exporter '{target.exporter.name}'"
    if not file.is_file():
        raise PluginError(f"{who} did not write the requested file {file.name}.")
    files = target.exporter.files(file)
    strange = sorted(path.name for path in file.parent.iterdir() if path not in files)
    if strange:
        hint = "The author of the exporter must list it in `parts`, or remove it."
        raise PluginError(
            f"{who} wrote '{strange[0]}', which is neither the requested file nor one of its parts.", hint
        )
    if taken := sorted({path.name for path in files} & OF_THE_BUNDLE):
        raise PluginError(f"{who} wrote a part '{taken[0]}', but another file of the bundle has that name.")
    return files


def _complete(
    job: Job,
    target: Target,
    file: Path,
    expected: NDArray[np.float32] | None,
    verification: Verification | None,
    quantization: dict[str, Any] | None,
) -> None:
    metadata = target.exporter.read_metadata(file)
    if metadata is None:
        raise ExportError(f"The metadata read from the {target} file differs from the metadata written to it.")
    photos = []
    if job.photos and job.data is not None and expected is not None:
        photos = choose_photos(job.data, job.split, expected, metadata.image)
    complete_bundle(
        Contents(
            exporter=target.exporter,
            file=file,
            metadata=metadata,
            trained=job.trained,
            photos=photos,
            verification=verification,
            quantization=quantization,
        )
    )


def _metadata(job: Job, target: Target, digest: str) -> Metadata:
    trained = job.trained
    int8 = target.precision == "int8"
    return Metadata(
        labels=trained.labels,
        image=trained.image,
        precision=target.precision,
        architecture=trained.architecture,
        source=trained.run.name if trained.run else trained.name,
        model_digest=digest,
        data_digest=trained.run.info.data.digest if trained.run else "",
        calibration_digest=job.calibration.digest if job.calibration and int8 else "",
        versions=versions() | installed(target.exporter.versions),
    )


def _stamp(target: Target, file: Path, metadata: Metadata, verification: Verification) -> Verification:
    """Writes the result of the verification into the file, and checks that only its metadata changed."""
    shape = (1, *metadata.image.input_shape)
    pixels = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    before = target.exporter.load(file, 1).predict(pixels)
    stamped = replace(metadata, verification=verification.summary())
    target.exporter.write_metadata(file, stamped)
    if not np.array_equal(before, target.exporter.load(file, 1).predict(pixels), equal_nan=True):
        raise ExportError(
            f"Writing metadata into the {target} file changed its predictions.",
            "This is a bug in the exporter. Please report it.",
        )
    return replace(verification, metadata=stamped).of_files(target.exporter.files(file))


def _latency_ms(runtime: Runtime, shape: tuple[int, int, int]) -> float:
    pixels = np.zeros((1, *shape), np.uint8)
    times = []
    for _ in range(_WARM_UP + _TIMED):
        start = time.perf_counter()
        runtime.predict(pixels)
        times.append(time.perf_counter() - start)
    return statistics.median(times[_WARM_UP:]) * 1000
