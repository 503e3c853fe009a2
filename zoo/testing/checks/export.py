"""Exported files agree with Keras, and verification detects if they do not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from zoo.data import TEST
from zoo.errors import ExportError
from zoo.evaluation.predict import predict_inputs
from zoo.interfaces import Exporter
from zoo.parity import default_gates, keras_predictions, verify
from zoo.registry import exporters
from zoo.testing.result import CheckError, NothingToCheckError
from zoo.testing.subject import Subject

#: Factor for one weight. A truncated tensor or a wrong scale causes much larger differences.
NUDGE = 1.5

#: Ten times the limit of the verification for a float32 file. A weight that changes the predictions by less is not
#: used. Several weights are tried, because a channel may be inactive.
NOTICED, TRIED = 1e-3, 8


def check_export(subject: Subject, name: str, precision: str) -> str:
    _need_tensorflow()
    exporter = exporters().get(name)
    about = f"{name} {precision}"
    try:
        found = subject.exported.verify(exporter, precision)
    except ExportError as error:
        raise CheckError(
            f"the model converts to {about} with the format's own operators",
            error.message,
            error.hint or "Use layers that the format has operators for.",
        ) from error
    if found.contract.problems:
        raise CheckError(
            f"the {about} file keeps the contract: names, shapes, types, labels",
            " ".join(found.contract.problems),
            "docs/reference/exported-files.md has the contract; sizes are fixed, and the batch is free or 1.",
        )
    if found.failures:
        raise CheckError(f"the {about} file agrees with Keras", " ".join(found.failures), _mend(precision))
    assert found.values is not None
    assert found.values.difference is not None
    return (
        f"{found.file_bytes / 1e6:.2f} MB; a probability differs from Keras by {found.values.difference.max:.2g} at "
        f"most, {found.values.agreeing} of {found.n} predictions agree"
    )


def _mend(precision: str) -> str:
    if precision == "int8":
        return (
            "Activations with few very large values do not fit 8 bits: prefer ReLU6 to unbounded ones, normalise "
            "before sums, or declare the expected failure."
        )
    if precision == "float16":
        return "Weights or their products exceed the range of float16: are some above 65504, or below 6e-8?"
    return "A layer is computed differently: resizing, padding, or the order of operations. Find it by bisection."


def check_nudged_weight(subject: Subject) -> str:
    _need_tensorflow()
    fitted = subject.fitted
    formats = [
        offer.record for offer in exporters() if "float32" in offer.record.precisions and not offer.record.variant_of
    ]
    if not formats:
        raise NothingToCheckError("no installed exporter writes float32")
    files = {exporter.name: subject.exported.path(exporter, "float32") for exporter in formats}  # before the change
    with fitted.kept() as model:
        weight = _nudge(model, fitted.pixels)
        told = [_check_teeth(subject, exporter, files[exporter.name], weight) for exporter in formats]
    return f"{weight} times {NUDGE:g}: {'; '.join(told)}"


def _check_teeth(subject: Subject, exporter: Exporter, file: Path, weight: str) -> str:
    """Verifies a float32 file against a model with one changed weight. The metadata claims that the file was exported
    from that model, so that only the predictions reveal the difference."""
    exported = subject.exported
    reference = exported.reference_for(subject.fitted.model)
    claiming = exported.claim(exporter, file, subject.fitted.model)
    expected = keras_predictions(reference, subject.photos, TEST)
    found = verify(exporter, claiming, reference, subject.photos, TEST, expected=expected)
    difference = found.values.difference.max if found.values and found.values.difference else float("nan")
    if found.passed or found.contract.problems:
        limit = default_gates("float32").max_difference
        raise CheckError(
            f"verification refuses the {exporter.name} file if {weight} of the model is multiplied by {NUDGE:g}",
            " ".join(found.contract.problems) or f"a probability differs by {difference:.2g}, {limit:g} is allowed",
            "The outputs of the file must depend on the weights of the model. Check how the exporter stores them.",
        )
    return f"{exporter.name} is off by {difference:.2g}"


def _nudge(model: keras.Model, pixels: NDArray[np.uint8]) -> str:
    """Multiplies one weight of the first kernel that affects the outputs, and returns its name.

    Raises:
        CheckError: The outputs depend on none of the tested weights.
    """
    kernel = next((weight for weight in model.trainable_weights if len(weight.shape) >= 2), None)
    if kernel is None:
        raise NothingToCheckError("there is no kernel to change")
    before = np.array(keras.ops.convert_to_numpy(kernel))
    unchanged = predict_inputs(model, pixels, len(pixels))
    largest = 0.0
    for place in _largest_of_channels(before):
        after = before.copy()
        after[place] = after[place] * NUDGE
        kernel.assign(after)
        difference = float(np.abs(predict_inputs(model, pixels, len(pixels)) - unchanged).max())
        if difference >= NOTICED:
            return f"{kernel.path}[{', '.join(map(str, place))}]"
        largest = max(largest, difference)
    raise CheckError(
        f"a weight of the first kernel, multiplied by {NUDGE:g}, changes a probability by {NOTICED:g} or more",
        f"{kernel.path}: by at most {largest:.2g}, for each of {min(before.shape[-1], TRIED)} channels",
        "Predictions that hardly depend on the weights cannot be verified: is the signal lost in a saturated "
        "activation, a tiny scale or a branch that is multiplied by zero?",
    )


def _largest_of_channels(kernel: NDArray[np.floating[Any]]) -> list[tuple[int, ...]]:
    """Position of the largest weight of each output channel, the largest first."""
    size = np.abs(kernel).reshape(-1, kernel.shape[-1])
    rows, channels = size.argmax(axis=0), np.argsort(-size.max(axis=0))[:TRIED]
    flat = np.ravel_multi_index((rows[channels], channels), size.shape)
    return [tuple(int(index) for index in place) for place in zip(*np.unravel_index(flat, kernel.shape), strict=True)]


def _need_tensorflow() -> None:
    if keras.backend.backend() != "tensorflow":
        raise NothingToCheckError(
            f"files are exported on the TensorFlow backend; the current backend is {keras.backend.backend()}"
        )
