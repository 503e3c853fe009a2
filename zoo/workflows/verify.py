"""Verification: compares the predictions of an exported file and of its Keras model on the same image files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.atomic import make_folder, writable
from zoo.edge.bundle import is_bundle, read_bundle
from zoo.errors import UsageError, VerificationError
from zoo.exported import has_map
from zoo.reporter import Reporter
from zoo.run_folder import DEFAULT_ROOT
from zoo.workflows.finding import Labels, described, find_model
from zoo.workflows.host import host_kept
from zoo.workflows.notes import calibrating_images, tell_files, tell_overlap, tell_pixels

if TYPE_CHECKING:
    from zoo.parity import Verification
    from zoo.parity.device import Device


@dataclass(frozen=True, kw_only=True)
class VerifyRequest:
    """What to verify.

    Args:
        file: An exported file, or the folder of a bundle.
        against: The reference model: a run, an architecture, or a ``.keras`` file.
        weights: Name of pretrained weights. ``against`` must then be an architecture.
        labels, pixels: Class names and pixel range of a ``.keras`` file without a run.
        data: Images to compare on. ``None``: the test images of the run.
        runs: Folder of runs.
        threads: Number of threads of the file's runtime.
        gates: Fields of ``Gates`` that replace the defaults of the precision.
        report: Path of an HTML report to write.
        processor: Name of a processor to emulate. The bundle's own ``run.py`` predicts on it, and the bundle records
            the result. ``None``: this machine predicts.
        fetch: Whether to download what the emulation needs.
    """

    file: Path
    against: str
    weights: str | None = None
    labels: Labels | None = None
    pixels: str | None = None
    data: str | None = None
    runs: Path = DEFAULT_ROOT
    threads: int = 1
    gates: Mapping[str, float] = field(default_factory=dict)
    report: Path | None = None
    processor: str | None = None
    fetch: bool = False


@dataclass(frozen=True)
class Verified:
    """Result of a verification.

    Args:
        file: The verified file.
        reference: Name of the reference model.
        verification: All figures, and whether the gates are met.
        report: Path of the report, if one was requested.
    """

    file: Path
    reference: str
    verification: Verification
    report: Path | None = None

    @property
    def where(self) -> str:
        """`` on cortex-a72``, if another processor predicted."""
        processor = self.verification.processor
        return f" on {processor.name}" if processor else ""

    def refuse(self) -> None:
        """Raises ``VerificationError`` if the predictions differ by more than the file's precision allows."""
        from zoo.parity import acceptance

        if self.verification.passed:
            return
        options = acceptance(self.verification)
        hints = [f"The file would pass with {options}."] if options else []
        raise VerificationError(
            f"{self.file} does not agree with {self.reference}{self.where}.",
            "\n  ".join([*self.verification.failures, *hints]),
        )


def verify(request: VerifyRequest, reporter: Reporter) -> Verified:
    """Compares the predictions of the file and of its reference model on the same image files.

    Raises:
        UsageError: The file or the model does not exist.
        DataError: The images cannot be used, or all of them calibrated the file.
        ExportError: The file cannot be read or executed, the emulator ended early, or the bundle was changed during an
            emulation. Then nothing is recorded.
    """
    if request.processor is None:
        if request.fetch:
            raise UsageError("--fetch requires --processor.")
        with host_kept():
            return _verify(request, reporter, None)
    from zoo.exporting.processors import record_processor
    from zoo.workflows.emulated import bundle_of, emulated

    bundle = bundle_of(request.file)
    with host_kept(), emulated(bundle, request, reporter) as device:
        verified = _verify(request, reporter, device)
    record_processor(bundle, verified.verification)
    return verified


def _verify(request: VerifyRequest, reporter: Reporter, device: Device | None) -> Verified:
    from zoo.exporting.calibration import keep_apart
    from zoo.parity import (
        ask_unused,
        default_gates,
        exporter_of,
        keras_predictions,
        precision_of,
        unused_images,
        verification_images,
    )
    from zoo.parity import verify as compare

    file = request.file
    if file.is_dir():
        if not is_bundle(file):
            raise UsageError(
                f"The folder '{file}' is not a bundle.", "Give an exported file, or a folder written by zoo export."
            )
        file = read_bundle(file).model_path
    report = None
    if request.report is not None:
        make_folder(request.report.parent)
        report = writable(request.report)
    exporter = exporter_of(file)
    metadata = exporter.read_metadata(file)
    runtime = device or exporter.load(file, request.threads)  # an error is raised before the long work
    precision = precision_of(metadata, runtime.inputs)
    reference = find_model(request.against, request.runs, request.weights, request.labels, request.pixels)
    for note in reference.notes:
        reporter.note(note)
    images, split = verification_images(reference, request.data, reporter.counter("decoding"))
    tell_files(images, reporter)
    calibrating = calibrating_images(file)
    tell_overlap(reference, images, split, reporter, calibrating or ())
    unused = None
    if precision == "int8":
        images = keep_apart(images, split, calibrating or ())
        if request.data is None and device is None:  # in an emulation, hundreds of further images would take too long
            judged = {images.contents[index] for index in images.indices(split)}
            unused = unused_images(reference, judged, calibrating, reporter.counter("decoding"))
    if request.data is None and split != "test":
        reporter.note(
            f"The run has no test images. Its {split} images are used, although they were used to choose the model."
        )
    from zoo.backend import start_keras

    start_keras()
    tell_pixels(reference, images, split, request.pixels, reporter)
    reporter.stage(f"Predicting with Keras: {described(request.against, reference)}")
    expected = keras_predictions(reference, images, split, reporter.counter("predicting with Keras"))
    maps = None
    if has_map(runtime):
        from zoo.exporting.evidence import keras_maps

        counter = reporter.counter("mapping the evidence")
        maps = keras_maps(reference.load(), images, images.indices(split), expected.argmax(axis=1), counter)
    reporter.stage(f"Predicting with {file}" + (f" on {device.processor}" if device else ""))
    found = compare(
        exporter,
        file,
        reference,
        images,
        split,
        gates=replace(default_gates(precision), **request.gates),
        threads=request.threads,
        progress=reporter.counter("predicting with the file"),
        expected=expected,
        unused=ask_unused(reference, unused, reporter.counter("predicting with Keras")),
        maps=maps,
        device=device,
    )
    if device:
        reporter.stage(f"Running the self-test on {device.processor.name}")
        found = replace(found, failures=(*found.failures, *device.selftest()))
    if report is not None:
        from zoo.report.verification import write_verification_page

        write_verification_page(found, images.root, report)
    return Verified(file, reference.name, found, report)
