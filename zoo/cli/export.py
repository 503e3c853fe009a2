"""``zoo export``."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from zoo.cli.options import chosen_gates, gate_options, lone_options, runs_option
from zoo.cli.overlap import tell_files, tell_overlap
from zoo.cli.ranges import tell_pixels
from zoo.errors import UsageError
from zoo.figures import percent
from zoo.interfaces import PRECISIONS
from zoo.registry import exporters

if TYPE_CHECKING:
    from zoo.data import ImageData
    from zoo.evaluation.trained import TrainedModel
    from zoo.exporting.calibration import Calibration
    from zoo.exporting.job import Exported, Target
    from zoo.interfaces import Exporter
    from zoo.parity import Verification
    from zoo.reporter import Reporter


@click.command("export")
@click.argument("model", metavar="RUN")
@click.option("--format", "formats", multiple=True, metavar="NAME", help="Such as tflite.  [default: all file formats]")
@click.option(
    "--precision",
    "precisions",
    multiple=True,
    metavar="|".join(PRECISIONS),
    help="Repeat for several.  [default: float32]",
)
@click.option("--data", help="Images to verify on: folder, CSV or name.  [default: the run's test images]")
@click.option("--weights", help="Export an architecture with pretrained weights instead: imagenet.")
@lone_options
@runs_option
@click.option("--out", type=click.Path(path_type=Path), help="Folder for the files.  [default: RUN/exports]")
@click.option("--no-verify", is_flag=True, help="Do not compare with Keras; the files say that they are unverified.")
@click.option("--no-photos", is_flag=True, help="No photo travels in the bundle, nor in its report.")
@gate_options
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    model: str,
    formats: tuple[str, ...],
    precisions: tuple[str, ...],
    data: str | None,
    weights: str | None,
    labels: Path | None,
    pixels: str | None,
    runs: Path,
    out: Path | None,
    no_verify: bool,
    no_photos: bool,
    min_agreement: float | None,
    max_accuracy_drop: float | None,
    max_difference: float | None,
    as_json: bool,
) -> None:
    """Write a trained model to files for other runtimes, each verified against Keras.

    RUN is a run folder; or an architecture: its newest finished run, and with none the architecture with its pretrained
    weights, which needs --data; or a .keras file. A file that does not answer like Keras is not kept (exit code 6).
    int8 is calibrated on the run's training images, or on half of --data where there is no run.
    """
    targets = _targets(formats, precisions)
    _gather_apps(targets)
    gates = chosen_gates(min_agreement, max_accuracy_drop, max_difference)
    calibrates = data and _in_8_bits(targets) and max_difference is None
    if no_verify and (data or gates) and not calibrates:
        options = "--data, --min-agreement, --max-accuracy-drop or --max-difference"
        raise UsageError(f"--no-verify leaves nothing for {options} to do.")
    os.environ["KERAS_BACKEND"] = "tensorflow"  # the converters read nothing else; a .keras file fits every backend
    from zoo.cli.runs import described, find_model

    trained = find_model(model, runs, weights, labels, pixels)
    if no_verify and data and trained.run is not None:
        raise UsageError("--no-verify leaves nothing for --data to do: a run is calibrated on its own training images.")
    from zoo.cli.backend import start_keras
    from zoo.progress import make_reporter

    reporter = make_reporter()
    reporter.stage(f"Exporting {described(model, trained)}")
    for note in trained.notes:
        reporter.note(note)
    images, split, calibration = _images(trained, data, targets, no_verify, reporter)
    unused = _unused(trained, data, images, split, calibration, reporter)
    start_keras()
    if images is not None:
        tell_pixels(trained, images, split, pixels, reporter)
    from dataclasses import replace

    from zoo.exporting.export import export
    from zoo.exporting.job import Job
    from zoo.exporting.outcome import refuse
    from zoo.parity import default_gates
    from zoo.report.verification import write_verification_page

    job = Job(
        trained=trained,
        folder=out or _default_folder(trained, runs),
        data=images,
        split=split,
        calibration=calibration,
        gates={precision: replace(default_gates(precision), **gates) for precision in PRECISIONS},
        photos=not no_photos,
        unused=unused,
    )

    def draw(found: Verification, path: Path) -> None:
        if images:
            # The page of a file that is kept travels with it.
            hidden = no_photos and found.passed
            write_verification_page(found, None if hidden else images.root, path)

    made = export(
        job,
        targets,
        draw,
        reporter.stage,
        reporter.counter,
    )
    if as_json:
        click.echo(json.dumps([_row(item) for item in made], indent=2))
    else:
        _print(made, _verify_options(model, trained, weights, labels, pixels, data, gates))
    from zoo.cli.summary import warn

    warn(dict.fromkeys(sentence for item in made if item.verification for sentence in item.verification.warnings))
    refuse(made)


def _targets(formats: tuple[str, ...], precisions: tuple[str, ...]) -> list[Target]:
    """Every format in every precision asked for, in the order asked."""
    from zoo.errors import unknown_name
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
    records = [exporters().get(name) for name in formats] or _all_that_offer(wanted)
    if not records:
        raise UsageError(f"No exporter is installed that offers {', '.join(sorted(wanted))}.", "See `zoo list`.")
    targets = []
    for record in dict.fromkeys(records):
        for precision in dict.fromkeys(precisions or ("float32",)):
            if precision not in record.precisions:
                offered = ", ".join(record.precisions)
                raise UsageError(f"The format '{record.name}' does not come in {precision}.", f"It offers: {offered}.")
            targets.append(Target(record, precision))
    return targets


def _all_that_offer(precisions: set[str]) -> list[Exporter]:
    """The file formats that nobody has to name. One of a plugin that cannot do it keeps nobody from the others."""
    return [
        offer.record
        for offer in exporters()
        if not offer.record.variant_of
        and not exporters().contested(offer.record.name)
        and precisions <= set(offer.record.precisions)
    ]


def _gather_apps(targets: list[Target]) -> None:
    """Raises where something that goes into a bundle is missing: now, and not after the work."""
    for record in dict.fromkeys(target.exporter for target in targets):
        if record.app:
            record.app.files()


def _in_8_bits(targets: list[Target]) -> bool:
    return any(target.precision == "int8" for target in targets)


def _default_folder(trained: TrainedModel, runs: Path) -> Path:
    return (trained.run.path if trained.run else runs / trained.architecture) / "exports"


def _images(
    trained: TrainedModel, source: str | None, targets: list[Target], no_verify: bool, reporter: Reporter
) -> tuple[ImageData | None, str, Calibration | None]:
    """What to verify on and what to calibrate on."""
    from zoo.data import TRAIN
    from zoo.evaluation.recorded import recorded_images
    from zoo.exporting.calibration import choose, halve, leave_out
    from zoo.parity import verification_images

    counter = reporter.counter("decoding")
    images, split = None, ""
    if not no_verify or source:
        if source is None and trained.run is None:
            raise UsageError(
                f"On which images should {trained.name} be verified?",
                "Give a folder of class folders with --data, or export unverified files with --no-verify.",
            )
        images, split = verification_images(trained, source, counter)
        tell_files(images, reporter)
        if source is not None:
            tell_overlap(trained, images, split, reporter)
        elif split != "test":
            reporter.note(f"The run has no test images; files are verified on its {split} images, which chose it.")
    calibration = None
    if _in_8_bits(targets):
        if trained.run is not None:
            training = recorded_images(trained.run, TRAIN, counter, partly=True)
            lost = sum(trained.run.info["data"]["counts"][TRAIN].values()) - len(training.names)
            if lost:
                reporter.note(f"{lost} training image(s) are gone or changed: int8 is calibrated on the others.")
            calibration = choose(training, trained.run.seed)
        elif images is not None:
            images = halve(images)
            calibration = choose(images)
            images = leave_out(images, calibration)
            verified = len(images.indices(split))
            reporter.note(f"Calibrating on {len(calibration.rows)} of these images, verifying on {verified} others.")
        else:
            raise UsageError(
                "int8 needs photos to measure the range of every tensor on; a model without a run has none.",
                "Give a folder of class folders with --data.",
            )
    return (None if no_verify else images), split, calibration


def _unused(
    trained: TrainedModel,
    source: str | None,
    images: ImageData | None,
    split: str,
    calibration: Calibration | None,
    reporter: Reporter,
) -> ImageData | None:
    """Images of the run beside its test images on which the agreement of 8-bit files counts."""
    if source is not None or images is None or calibration is None:
        return None
    from zoo.parity import unused_images

    judged = {images.contents[index] for index in images.indices(split)}
    calibrating = {sha256 for *_, sha256 in calibration.rows}
    return unused_images(trained, judged, calibrating, reporter.counter("decoding"))


def _row(item: Exported) -> dict[str, Any]:
    return {
        "file": str(item.path),
        "format": item.target.exporter.name,
        "precision": item.target.precision,
        "bytes": item.size_bytes,
        "status": _status(item),
        "verification": item.verification.summary() if item.verification else None,
        "latency_ms": item.latency_ms,
    } | ({"error": str(item.error)} if item.error else {})


def _status(item: Exported) -> str:
    if item.error is not None:
        return "failed"
    if item.verification is None:
        return "unverified"
    return "refused" if item.refused else "verified"


def _verdict(item: Exported) -> str:
    """The status for people: few images are never called a proof."""
    thin = item.verification is not None and item.verification.thin
    return "passed, thin evidence" if thin else _status(item)


def _verify_options(
    asked: str,
    trained: TrainedModel,
    weights: str | None,
    labels: Path | None,
    pixels: str | None,
    data: str | None,
    gates: dict[str, float],
) -> list[str]:
    """What to give ``zoo verify`` so that it asks the same once more."""
    options: dict[str, object] = {"--against": trained.run.path if trained.run else asked}
    options |= {"--weights": weights, "--labels": labels, "--pixels": pixels}
    options |= {"--data": data or (None if trained.run else "PHOTOS")}
    options |= {f"--{name.replace('_', '-')}": value for name, value in gates.items()}
    return [str(part) for option in options.items() if option[1] is not None for part in option]


def _print(made: list[Exported], verify_options: list[str]) -> None:
    from zoo.evaluation.table import table
    from zoo.parity import thin_evidence

    rows = []
    for item in made:
        values = item.verification.values if item.verification else None
        largest = values.difference.max if values and values.difference else None
        rows.append(
            (
                item.target.exporter.name,
                item.target.precision,
                "-" if item.error else f"{item.size_bytes / 1e6:.2f} MB",
                _verdict(item),
                "-" if values is None else percent(values.agreement),
                "-" if values is None else percent(values.file.accuracy),
                "-" if values is None else percent(values.keras.accuracy),
                "-" if largest is None else f"{largest:.2g}",
                f"{item.latency_ms:.3g} ms" if item.kept else "-",
            )
        )
    header = ("format", "precision", "size", "", "agreement", "accuracy", "of Keras", "max difference", "latency")
    click.echo("\n" + table(header, rows, left=2))
    thin = [(item, thin_evidence(item.verification)) for item in made if item.verification]
    for item, sentences in thin:
        for sentence in sentences:
            click.echo(f"{item.target}: {sentence}")
    kept = [item for item in made if item.kept]
    for item in kept:
        click.echo(f"  {item.path}")
    if kept:
        click.echo(f"To verify it again: {shlex.join(['zoo', 'verify', str(kept[0].path), *verify_options])}")
    for line in dict.fromkeys(_start(item, kept) for item in kept):
        click.echo(line)


def _start(item: Exported, kept: list[Exported]) -> str:
    """How to run a bundle; of those that are run alike, the first."""
    app = item.target.exporter.app
    first = next(other for other in kept if other.target.exporter.app == app)
    folder = first.path.parent
    if app:
        return app.start.format(folder=shlex.quote(str(folder)))
    return f"On a device: {shlex.quote(f'{folder}.zip')}, pip install -r requirements.txt, python run.py photo.jpg"
