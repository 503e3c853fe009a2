"""The export of a trained model to files for other runtimes, each verified against Keras."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import UsageError, unknown_name
from zoo.interfaces import INT8_EFFORTS, PRECISIONS
from zoo.registry import exporters
from zoo.reporter import Reporter
from zoo.run_folder import DEFAULT_ROOT
from zoo.workflows.calibrating import calibrate_on
from zoo.workflows.finding import Labels, described, find_model
from zoo.workflows.host import host_kept
from zoo.workflows.notes import tell_files, tell_overlap, tell_pixels

if TYPE_CHECKING:
    from zoo.data import ImageData
    from zoo.evaluation.trained import TrainedModel
    from zoo.exporting.calibration import Calibration, Effort
    from zoo.exporting.job import Exported as ExportedTarget
    from zoo.exporting.job import Target
    from zoo.interfaces import Exporter
    from zoo.parity import Verification


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What to export.

    Args:
        model: A run, by folder or name; an architecture, which stands for its newest finished run or else its
            pretrained weights; or a ``.keras`` file.
        formats: Names of exporters. If empty, all that support every requested precision, except variants of other
            exporters.
        precisions: ``float32``, ``float16`` and ``int8``. If empty, ``float32``.
        data: Images to verify on. ``None``: the run's test images. int8 is calibrated on the run's training images, or,
            without a run, on half of these images.
        calibration: Folder of photos without labels. int8 is calibrated on them in addition to the run's training
            images, or, without a run, only on them.
        weights: Name of pretrained weights. ``model`` must then be an architecture.
        labels: A text file of class names, for a ``.keras`` file without a run.
        pixels: The pixel range that the model in a ``.keras`` file without a run expects.
        runs: Folder of runs.
        out: Folder for the files. ``None``: the folder ``exports`` of the run.
        verify: Whether to compare the files with Keras. If not, their metadata records that they are unverified.
        photos: Whether to include photos in the bundles and their reports.
        gates: Fields of ``Gates`` that replace the defaults of the precision.
        with_map: Whether to add a second output with the evidence map of each class.
        int8_effort: ``quick`` or ``best``. ``None``: ``best``.
    """

    model: str
    formats: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ()
    data: str | None = None
    calibration: Path | None = None
    weights: str | None = None
    labels: Labels | None = None
    pixels: str | None = None
    runs: Path = DEFAULT_ROOT
    out: Path | None = None
    verify: bool = True
    photos: bool = True
    gates: Mapping[str, float] = field(default_factory=dict)
    with_map: bool = False
    int8_effort: str | None = None

    @property
    def effort(self) -> Effort:
        """The effort of the quantisation."""
        from zoo.exporting.calibration import EFFORTS

        return EFFORTS[self.int8_effort or "best"]


@dataclass(frozen=True)
class Exported:
    """Result of an export.

    Args:
        model: The model that was exported.
        targets: One entry per requested file, in the requested order: the file was kept, was refused, or could not be
            written.
        quick: Whether int8 files were quantised with the effort ``quick``.
    """

    model: TrainedModel
    targets: tuple[ExportedTarget, ...]
    quick: bool = False

    def refuse(self) -> None:
        """Raises ``VerificationError`` or ``ExportError`` if a file was refused or could not be written."""
        from zoo.exporting.outcome import refuse

        refuse(self.targets, self.quick)


def export(request: ExportRequest, reporter: Reporter) -> Exported:
    """Exports a model to files and verifies each against Keras. A file that does not agree with Keras is not kept.

    A refused file raises no error here, so that the results of the other files are reported. Call
    ``Exported.refuse`` to raise it.

    Raises:
        UsageError: The model or format does not exist, or there are no images to verify on.
        DataError: The images cannot be used.
        ExportError: A folder cannot be written.
    """
    with host_kept():
        return _export(request, reporter)


def _export(request: ExportRequest, reporter: Reporter) -> Exported:
    targets = _targets(request.formats, request.precisions, request.with_map)
    for record in dict.fromkeys(target.exporter for target in targets):
        if record.app:
            record.app.files()  # raises now if a file for the bundle is missing, instead of after the work
    _refuse_idle(request, targets)
    os.environ["KERAS_BACKEND"] = (
        "tensorflow"  # the converters need this backend; a .keras file can be read on every backend
    )
    trained = find_model(request.model, request.runs, request.weights, request.labels, request.pixels)
    if not request.verify and request.data and trained.run is not None:
        raise UsageError("--data has no effect with --no-verify: a run is calibrated on its own training images.")
    reporter.stage(f"Exporting {described(request.model, trained)}")
    for note in trained.notes:
        reporter.note(note)
    images, split, calibration = _images(trained, request, targets, reporter)
    unused = _unused(trained, request.data, images, split, calibration, reporter)
    from zoo.backend import start_keras

    start_keras()
    if images is not None:
        tell_pixels(trained, images, split, request.pixels, reporter)
    from zoo.exporting.export import export as make
    from zoo.exporting.job import Job
    from zoo.parity import default_gates, float_operators_text
    from zoo.report.verification import write_verification_page

    job = Job(
        trained=trained,
        folder=request.out or (trained.run.path if trained.run else request.runs / trained.architecture) / "exports",
        data=images,
        split=split,
        calibration=calibration,
        gates={precision: replace(default_gates(precision), **request.gates) for precision in PRECISIONS},
        photos=request.photos,
        unused=unused,
        with_map=request.with_map,
        steps=request.effort.steps,
    )

    def draw(found: Verification, path: Path, quantization: Mapping[str, Any] | None) -> None:
        if images:
            # The page of a kept file is part of its bundle, so it shows no photos if the bundle may not contain any.
            hidden = not request.photos and found.passed
            write_verification_page(found, None if hidden else images.root, path, quantization)

    made = make(job, targets, draw, reporter.stage, reporter.counter)
    for sentence in dict.fromkeys(text for item in made if item.verification for text in item.verification.warnings):
        reporter.warning(sentence)
    for item in made:
        if text := float_operators_text(item.quantization):
            reporter.note(f"{item.target}: {text}")
    return Exported(trained, tuple(made), request.int8_effort == "quick")


def _refuse_idle(request: ExportRequest, targets: list[Target]) -> None:
    """Refuses options that would have no effect."""
    if request.calibration is not None and not _in_8_bits(targets):
        raise UsageError(f"--calibration {request.calibration} has no effect without --precision int8.")
    if request.int8_effort is not None:
        if request.int8_effort not in INT8_EFFORTS:
            raise unknown_name("int8 effort", request.int8_effort, INT8_EFFORTS)
        if not _in_8_bits(targets):
            raise UsageError(f"--int8-effort {request.int8_effort} has no effect without --precision int8.")
    calibrates = request.data and _in_8_bits(targets) and "max_difference" not in request.gates
    if not request.verify and (request.data or request.gates) and not calibrates:
        given = [*(["--data"] if request.data else []), *(f"--{name.replace('_', '-')}" for name in request.gates)]
        raise UsageError(f"{' and '.join(given)} {'has' if len(given) == 1 else 'have'} no effect with --no-verify.")


def _targets(formats: tuple[str, ...], precisions: tuple[str, ...], with_map: bool) -> list[Target]:
    """Every requested format in every requested precision, in the requested order."""
    from zoo.exporting.job import Target

    for option, values in (("--format", formats), ("--precision", precisions)):
        for value in values:
            if "," in value:
                again = " ".join(f"{option} {part.strip()}" for part in value.split(","))
                raise UsageError(f"{option} takes one value at a time. Received: '{value}'.", f"Repeat it: {again}")
    for precision in precisions:
        if precision not in PRECISIONS:
            raise unknown_name("precision", precision, PRECISIONS)
    wanted = set(precisions or ("float32",))
    records = [exporters().get(name) for name in formats] or _all_that_offer(wanted, with_map)
    if not records:
        raise UsageError(f"No installed exporter supports {', '.join(sorted(wanted))}.", "See `zoo list`.")
    targets = []
    for record in dict.fromkeys(records):
        if with_map and not record.maps:
            able = ", ".join(sorted(offer.record.name for offer in exporters() if offer.record.maps))
            raise UsageError(
                f"The format '{record.name}' does not support a second output for the map.", f"Formats that do: {able}."
            )
        for precision in dict.fromkeys(precisions or ("float32",)):
            if precision not in record.precisions:
                offered = ", ".join(record.precisions)
                raise UsageError(f"The format '{record.name}' does not support {precision}.", f"Supported: {offered}.")
            targets.append(Target(record, precision))
    return targets


def _all_that_offer(precisions: set[str], with_map: bool) -> list[Exporter]:
    """The file formats of an export without ``--format``. An exporter of a plugin that does not support the options is
    left out."""
    return [
        offer.record
        for offer in exporters()
        if not offer.record.variant_of
        and not exporters().contested(offer.record.name)
        and precisions <= set(offer.record.precisions)
        and (offer.record.maps or not with_map)
    ]


def _in_8_bits(targets: list[Target]) -> bool:
    return any(target.precision == "int8" for target in targets)


def _images(
    trained: TrainedModel, request: ExportRequest, targets: list[Target], reporter: Reporter
) -> tuple[ImageData | None, str, Calibration | None]:
    """The images to verify on and the images to calibrate on."""
    from zoo.parity import verification_images

    counter = reporter.counter("decoding")
    images, split = None, ""
    if request.verify or request.data:
        if request.data is None and trained.run is None:
            raise UsageError(
                f"There are no images to verify {trained.name} on.",
                "Give a folder of class folders with --data, or export unverified files with --no-verify.",
            )
        images, split = verification_images(trained, request.data, counter)
        tell_files(images, reporter)
        if request.data is not None:
            tell_overlap(trained, images, split, reporter)
        elif split != "test":
            reporter.note(
                f"The run has no test images; files are verified on its {split} images, which were used to choose"
                " the model."
            )
    calibration = None
    if _in_8_bits(targets):
        count = request.effort.images
        images, calibration = calibrate_on(trained, request.calibration, images, split, count, reporter)
    return (images if request.verify else None), split, calibration


def _unused(
    trained: TrainedModel,
    source: str | None,
    images: ImageData | None,
    split: str,
    calibration: Calibration | None,
    reporter: Reporter,
) -> ImageData | None:
    """Images of the run, in addition to its test images, on which the agreement of 8-bit files is counted."""
    if source is not None or images is None or calibration is None:
        return None
    from zoo.parity import unused_images

    judged = {images.contents[index] for index in images.indices(split)}
    calibrating = {sha256 for *_, sha256 in calibration.rows}
    return unused_images(trained, judged, calibrating, reporter.counter("decoding"))
