"""Sentences on why a file fails, with the figure and the limit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from zoo.figures import percent, points
from zoo.parity.ask import TensorError
from zoo.parity.contract import Contract
from zoo.parity.evidence import most_flips
from zoo.parity.gates import Agreed, GateResult, Gates, Paired
from zoo.parity.text import gate_interval, images_text
from zoo.parity.values import Values
from zoo.terminal import readable

if TYPE_CHECKING:
    from zoo.parity.result import Verification

_OPTIONS = {"min_agreement": "--min-agreement", "max_accuracy_drop": "--max-accuracy-drop"}


def failures(
    contract: Contract,
    tensor: TensorError | None,
    values: Values | None,
    gates: tuple[GateResult, ...],
    precision: str,
    n: int,
    pixels_allowed: int = 0,
) -> tuple[str, ...]:
    """The failures in the order in which they should be fixed: contract, pixels, predictions.

    Pixels may differ by ``pixels_allowed`` levels of 255.
    """
    found = list(contract.problems)
    if tensor and tensor.images and (tensor.max_difference is None or tensor.max_difference > pixels_allowed):
        found.append(_tensor(tensor, n))
    if values:
        found += _outputs(values, n)
        found += (_gate(gate, values, precision, n) for gate in gates if not gate.passed)
    return tuple(found)


def _tensor(tensor: TensorError, n: int) -> str:
    if tensor.max_difference is None:
        return "The preprocessing of the file results in another image size than that of the model."
    return (
        f"The input pixels of the file and of Keras differ on {tensor.images} of {n} images, by up to "
        f"{tensor.max_difference} of 255 ({readable(tensor.worst)}). The preprocessing is not the same."
    )


def _outputs(values: Values, n: int) -> Iterator[str]:
    if values.not_finite:
        first = readable(values.not_finite[0])
        yield f"The outputs of the file are not finite on {len(values.not_finite)} of {n} images ({first})."
    if values.lowest is not None and not values.probabilities:
        yield (
            f"The outputs of the file are not probabilities: they range from {values.lowest:.4g} to "
            f"{values.highest:.4g}, and their sum differs from 1 by up to {values.row_sum_error:.2g}."
        )


def _gate(gate: GateResult, values: Values, precision: str, n: int) -> str:
    if gate.name == "max_difference":
        if values.difference is None:
            return "No probability can be compared with Keras."
        return (
            f"A probability of the {precision} model differs from Keras by {gate.value:.3g} "
            f"({readable(values.difference.worst)}); {gate.limit:g} is allowed."
        )
    if gate.name == "max_flip_margin":
        flip = values.flips[0]
        count = sum(flip.margin > gate.limit for flip in values.flips)
        return (
            f"The prediction changes on {count} of {n} images although its margin in Keras is more than "
            f"{gate.limit:g}: {readable(flip.file)} is '{flip.keras}' for Keras and '{flip.answered}' for the file, "
            f"margin {flip.margin:.3g}."
        )
    if gate.name == "min_agreement":
        agreeing = round((gate.value or 0) * gate.images)
        least = gate.images - most_flips(gate.images, gate.limit)
        return (
            f"The {precision} model predicts the same class as Keras on {agreeing} of {images_text(gate)} "
            f"({percent(gate.value or 0)}, 95 % interval {gate_interval(gate)}). At least {percent(gate.limit)} is "
            f"required, which for this number of images means at least {least} of them."
        )
    return (
        f"The accuracy of the {precision} model on {n} images is {percent(values.file.accuracy)}, that of Keras is "
        f"{percent(values.keras.accuracy)}: {points(-values.accuracy_difference, signed=False)} points are lost "
        f"(95 % interval {gate_interval(gate)}). A significant loss of more than {points(gate.limit, signed=False)} "
        "points is not allowed."
    )


def acceptance(verification: Verification) -> str | None:
    """The options with which a file that fails only in agreement or accuracy would be kept. ``None`` otherwise.

    Each limit is the strictest, in steps of half a point, that this file meets. It is determined by trying.
    """
    failed = [gate for gate in verification.gates if not gate.passed]
    if len(failed) != len(verification.failures) or any(gate.name not in _OPTIONS for gate in failed):
        return None
    values = verification.values
    assert values is not None
    paired = Paired(images=verification.n, only_keras=values.only_keras, only_file=values.only_file)
    found: dict[str, float] = {}
    for gate in failed:
        agreed = Agreed(splits=gate.splits or {}, agreeing=round((gate.value or 0) * gate.images))
        for step in range(1, 201):
            change = step * 0.005
            limit = gate.limit - change if gate.name == "min_agreement" else gate.limit + change
            limit = round(min(max(limit, 0.0), 1.0), 4)
            tried = Gates(**{gate.name: limit}).judge(difference=None, flip_margin=0, agreed=[agreed], paired=paired)
            if tried[0].passed:
                stricter = max if gate.name == "max_accuracy_drop" else min
                found[gate.name] = stricter(limit, found.get(gate.name, limit))
                break
    return " ".join(f"{_OPTIONS[name]} {limit:g}" for name, limit in found.items())
