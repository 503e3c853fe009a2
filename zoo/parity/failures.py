"""Why a file fails, in sentences that name the figure and the limit."""

from __future__ import annotations

from collections.abc import Iterator

from zoo.figures import percent, points
from zoo.images import printable_path
from zoo.parity.ask import TensorError
from zoo.parity.contract import Contract
from zoo.parity.gates import GateResult
from zoo.parity.values import Values


def failures(
    contract: Contract,
    tensor: TensorError | None,
    values: Values | None,
    gates: tuple[GateResult, ...],
    precision: str,
    n: int,
) -> tuple[str, ...]:
    """In the order to mend them: contract, pixels, answers."""
    found = list(contract.problems)
    if tensor and tensor.images:
        found.append(_tensor(tensor, n))
    if values:
        found += _outputs(values, n)
        found += (_gate(gate, values, precision, n) for gate in gates if not gate.passed)
    return tuple(found)


def _tensor(tensor: TensorError, n: int) -> str:
    if tensor.max_difference is None:
        return "The file's image rule makes pictures of another size than the model's."
    return (
        f"The pixels made for the file differ from those Keras was given on {tensor.images} of {n} images, by up to "
        f"{tensor.max_difference} of 255 ({printable_path(tensor.worst)}): the way from file to pixels is off."
    )


def _outputs(values: Values, n: int) -> Iterator[str]:
    if values.not_finite:
        first = printable_path(values.not_finite[0])
        yield f"The file's answer is not finite on {len(values.not_finite)} of {n} images ({first})."
    if values.lowest is not None and not values.probabilities:
        yield (
            f"The file's outputs are no probabilities: they go from {values.lowest:.4g} to {values.highest:.4g}, and "
            f"the sum of an answer is up to {values.row_sum_error:.2g} away from 1."
        )


def _gate(gate: GateResult, values: Values, precision: str, n: int) -> str:
    if gate.name == "max_difference":
        if values.difference is None:
            return "Not one probability can be compared with Keras's."
        return (
            f"A probability of the {precision} model differs by {gate.value:.3g} from Keras's "
            f"({printable_path(values.difference.worst)}); {gate.limit:g} is allowed."
        )
    if gate.name == "max_flip_margin":
        flip = values.flips[0]
        count = sum(flip.margin > gate.limit for flip in values.flips)
        return (
            f"{count} of {n} images are answered differently though Keras's answer leads by more than {gate.limit:g}: "
            f"{printable_path(flip.file)} is '{flip.keras}' for Keras and '{flip.answered}' for the file, "
            f"margin {flip.margin:.3g}."
        )
    if gate.name == "min_agreement":
        return (
            f"The {precision} model answers {values.agreeing} of {n} images like Keras "
            f"({percent(values.agreement)}); at least {percent(gate.limit)} is required."
        )
    return (
        f"The {precision} model is right on {percent(values.file.accuracy)} of {n} images, Keras on "
        f"{percent(values.keras.accuracy)}: {points(-values.accuracy_difference, signed=False)} points are lost, "
        f"{points(gate.limit, signed=False)} are allowed."
    )
