"""Checks whether this device computes the expected results: the files, then decoding and resizing, then the model.

The input of each part is the expected output of the part before it, so that only the faulty part fails.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.edge.bundle import Bundle
from zoo.edge.classify import Classifier, Load, open_bundle
from zoo.errors import VerificationError, ZooError
from zoo.exported import MAP, MappingRuntime, has_map
from zoo.figures import percent
from zoo.images import ImageError, load_image
from zoo.records import read_object, read_record

#: Increased whenever programs that read ``golden.json`` must be changed.
GOLDEN_VERSION = 1

GOLDEN = "golden/golden.json"


@dataclass(frozen=True)
class Check:
    """One part of the self-test.

    Args:
        name: ``files``, ``decode and resize`` or ``model``.
        passed: Whether it passed.
        found: The result, in one or more sentences.
        difference: Maximum difference, in levels 0 to 255 or of a probability. ``None`` if nothing could be compared.
        allowed: Maximum allowed difference.
    """

    name: str
    passed: bool
    found: str
    difference: float | None = None
    allowed: float | None = None


@dataclass(frozen=True, kw_only=True)
class GoldenImage:
    """An image that ``golden.json`` lists."""

    file: str
    origin: str


@dataclass(frozen=True, kw_only=True)
class GoldenFile:
    """The content of ``golden.json``."""

    version: int
    images: tuple[GoldenImage, ...]
    arrays: Mapping[str, str]
    tolerance: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Golden:
    """Images with their expected results.

    Args:
        files: Files of the images.
        pixels: Expected pixels after decoding and resizing, uint8 ``(n, height, width, 3)``.
        probabilities: Outputs of this model file on the exporting machine, float32 ``(n, classes)``.
        keras: Outputs of the trained model, float32 ``(n, classes)``.
        maps: Evidence maps of this model file for its predictions, float32 ``(n, height, width)``. ``None`` for a file
            that was exported without a map.
        clear: Whether each image is a photo, bool ``(n,)``. The predicted class of a photo must be the same. A
            synthetic image has no correct class, and its two most probable classes may be so close that they change
            places within the tolerance.
        pixels_tolerance: Tolerance in levels, 0 to 255.
        probabilities_tolerance: Tolerance of a probability, 0 to 1.
        maps_tolerance: Tolerance as a share of the strongest evidence in an image.
    """

    files: tuple[Path, ...]
    pixels: NDArray[np.uint8]
    probabilities: NDArray[np.float32]
    keras: NDArray[np.float32]
    clear: NDArray[np.bool_]
    pixels_tolerance: float
    probabilities_tolerance: float
    maps: NDArray[np.float32] | None = None
    maps_tolerance: float = 0.0


def selftest(bundle: Bundle, load: Load, threads: int = 1) -> list[Check]:
    """Runs the parts in order. Stops after a failure that prevents the next part from running.

    Raises:
        UsageError: The runtime is not installed.
    """
    altered = bundle.altered()
    if altered:
        return [Check("files", False, " ".join(altered))]
    checks = [Check("files", True, f"All {len(bundle.files)} files are unchanged.")]
    golden = read_golden(bundle)
    checks.append(_check_pixels(bundle, golden))
    try:
        classifier = open_bundle(bundle, load, threads)
    except VerificationError as error:
        return [*checks, Check("model", False, error.message)]
    checks.append(_check_model(classifier, golden))
    return checks if golden.maps is None else [*checks, _check_map(classifier, golden, golden.maps)]


def read_golden(bundle: Bundle) -> Golden:
    """The golden vectors of a bundle.

    Raises:
        VerificationError: They cannot be read, or do not match the bundle.
    """
    path = bundle.folder / GOLDEN
    try:
        values = read_record(GoldenFile, read_object(path.read_bytes()))
        if values.version != GOLDEN_VERSION:
            raise ValueError(f"version {values.version}, this runner reads {GOLDEN_VERSION}")
        files = tuple(path.parent / Path(item.file).name for item in values.images)
        pixels, probabilities, keras = (
            _read_array(path.parent / Path(values.arrays[name]).name) for name in ("pixels", "probabilities", "keras")
        )
        maps = _read_array(path.parent / Path(values.arrays[MAP]).name) if MAP in values.arrays else None
        if maps is not None and (maps.ndim != 3 or len(maps) != len(files)):
            raise ValueError(f"maps of the shape {maps.shape} for {len(files)} pictures")
        shapes = ((len(files), *bundle.image.input_shape), *(((len(files), len(bundle.labels)),) * 2))
        if not files or (pixels.shape, probabilities.shape, keras.shape) != shapes:
            raise ValueError(f"shapes {pixels.shape}, {probabilities.shape}, {keras.shape} do not fit spec.json")
        return Golden(
            files=files,
            pixels=pixels,
            probabilities=probabilities,
            keras=keras,
            clear=np.array([item.origin == "photo" for item in values.images]),
            pixels_tolerance=float(values.tolerance["pixels"]),
            probabilities_tolerance=float(values.tolerance["probabilities"]),
            maps=maps,
            maps_tolerance=float(values.tolerance[MAP]) if maps is not None else 0.0,
        )
    except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
        raise VerificationError(f"The golden vectors in {path.parent} cannot be read: {error}.") from error


def _read_array(path: Path) -> NDArray[Any]:
    # Memory-mapped first, so that an array that declares more data than the file contains raises an error before memory
    # is allocated.
    return np.array(np.load(path, mmap_mode="r", allow_pickle=False))


def _check_pixels(bundle: Bundle, golden: Golden) -> Check:
    largest, worst, share = 0, "", 0.0
    for path, expected in zip(golden.files, golden.pixels, strict=True):
        try:
            made = load_image(path, bundle.image)
        except ImageError as error:
            return Check("decode and resize", False, f"{path.name}: {error.reason}.")
        difference = np.abs(made.astype(np.int16) - expected)
        if difference.max() > largest:
            largest, worst, share = int(difference.max()), path.name, float((difference > 0).mean())
    right = largest <= golden.pixels_tolerance
    found = f"{len(golden.files)} images, identical in every pixel."
    if largest:
        found = f"{worst} differs by {largest} of 255 levels, in {percent(share)} of its values."
    return Check("decode and resize", right, found, largest, golden.pixels_tolerance)


def _check_model(classifier: Classifier, golden: Golden) -> Check:
    try:
        made = np.stack([classifier.probabilities(pixels) for pixels in golden.pixels])
    except (ZooError, RuntimeError, ValueError) as error:
        return Check("model", False, f"The model cannot predict: {error}.")
    changed = golden.clear & (made.argmax(1) != golden.probabilities.argmax(1))
    if changed.any():
        place = int(changed.argmax())
        answers = (classifier.labels[int(row[place].argmax())] for row in (made, golden.probabilities))
        return Check(
            "model", False, "{} is predicted as {!r}, expected {!r}.".format(golden.files[place].name, *answers)
        )
    by_image = np.abs(made - golden.probabilities).max(1)
    largest = float(by_image.max())
    # Comparisons with NaN are false, so NaN never passes.
    right = bool(largest <= golden.probabilities_tolerance)
    worst = golden.files[int(by_image.argmax())].name
    found = f"Maximum difference of a probability: {largest:.2g}, on {worst}." if largest else "Identical."
    from_keras = float(np.abs(made - golden.keras).max())
    return Check(
        "model",
        right,
        f"{found} Maximum difference from Keras: {from_keras:.2g}.",
        largest,
        golden.probabilities_tolerance,
    )


def _check_map(classifier: Classifier, golden: Golden, expected: NDArray[np.float32]) -> Check:
    if not has_map(classifier.runtime):
        return Check(MAP, False, "The model has no second output with the evidence map.")
    assert isinstance(classifier.runtime, MappingRuntime)
    try:
        maps = [
            classifier.runtime.explain(pixels[None])[1][0, :, :, int(answer.argmax())]
            for pixels, answer in zip(golden.pixels, golden.probabilities, strict=True)
        ]
        difference = np.abs(np.stack(maps) - expected).max(axis=(1, 2)) / np.maximum(
            np.abs(expected).max(axis=(1, 2)), 1e-12
        )
    except (ZooError, RuntimeError, ValueError) as error:
        return Check(MAP, False, f"The model cannot compute the map: {error}.")
    largest, worst = float(difference.max()), golden.files[int(difference.argmax())].name
    right = bool(largest <= golden.maps_tolerance)
    found = f"Maximum difference, relative to the strongest evidence: {largest:.2g}, on {worst}."
    return Check(MAP, right, found if largest else "Identical.", largest, golden.maps_tolerance)
