"""A verification for a terminal."""

from __future__ import annotations

from zoo.evaluation.table import table
from zoo.figures import percent, points
from zoo.images import printable_path
from zoo.parity.ask import TensorError
from zoo.parity.gates import GateResult
from zoo.parity.result import Verification
from zoo.parity.values import Values

_GATES = {
    "max_difference": "largest difference of a probability",
    "max_flip_margin": "largest margin of a flipped answer",
    "min_agreement": "same answer as Keras",
    "max_accuracy_drop": "accuracy lost",
}
_MOST_FLIPS = 10


def render(verification: Verification) -> str:
    """Tables, as ``zoo verify`` prints them; the verdict and its reasons are not among them."""
    found = verification
    blocks = [
        f"{found.file} ({found.format}, {found.precision}) against {found.reference} "
        f"on {found.n} {found.split} images of {found.data}"
    ]
    problems = len(found.contract.problems)
    rows = [("contract", f"{problems} problem{'s' if problems > 1 else ''}" if problems else "kept")]
    if found.tensor:
        rows.append(("pixels", _pixels(found.tensor, found.n)))
    if found.values:
        rows += _answers(found.values)
    blocks.append("\n".join(f"{name:<13}  {text}" for name, text in rows))
    if found.values:
        blocks.append(_sides(found.values))
        if found.values.flips:
            blocks.append(_flips(found.values))
    if found.gates:
        blocks.append(table(("gate", "value", "limit", ""), [_gate_row(gate) for gate in found.gates]))
    if found.contract.notes:
        blocks.append("\n".join(found.contract.notes))
    return "\n\n".join(blocks)


def gate_name(gate: GateResult) -> str:
    """What a gate looks at, in words."""
    return _GATES[gate.name]


def gate_figures(gate: GateResult) -> tuple[str, str]:
    """Value and limit, with the sense of the comparison."""
    if gate.name == "min_agreement":
        return _share(gate.value), f">= {percent(gate.limit)}"
    if gate.name == "max_accuracy_drop":
        return (
            "-" if gate.value is None else f"{points(gate.value, signed=False)} points",
            f"<= {points(gate.limit, signed=False)} points",
        )
    return "-" if gate.value is None else f"{gate.value:.3g}", f"<= {gate.limit:g}"


def _gate_row(gate: GateResult) -> tuple[str, ...]:
    return (gate_name(gate), *gate_figures(gate), "passed" if gate.passed else "FAILED")


def _pixels(tensor: TensorError, n: int) -> str:
    if tensor.max_difference is None:
        return "of another size"
    if not tensor.images:
        return f"the same on all {n} images"
    return f"differ on {tensor.images} of {n} images, by up to {tensor.max_difference} of 255"


def _answers(values: Values) -> list[tuple[str, str]]:
    low, high = values.agreement_interval
    share = f"{percent(values.agreement)} of the images (95 % interval {percent(low)} to {percent(high)})"
    if values.difference is None:
        return [("same answer", share)]
    shown = values.difference
    apart = f"differ by {shown.max:.3g} at most, {shown.mean:.3g} on average, p99 {shown.p99:.3g}"
    return [("same answer", share), ("probabilities", apart)]


def _sides(values: Values) -> str:
    low, high = map(points, values.accuracy_difference_interval)
    rows = [
        (name, percent(side.accuracy), _number(side.log_loss), _number(side.calibration_error))
        for name, side in (("Keras", values.keras), ("file", values.file))
    ]
    change = f"accuracy {points(values.accuracy_difference)} points (95 % interval {low} to {high})"
    return table(("", "accuracy", "log loss", "calibration error"), rows) + f"\n{change}{_worst_recall(values)}"


def _worst_recall(values: Values) -> str:
    worst = min(values.recalls, key=lambda recall: recall.change)
    if worst.change >= 0:
        return "; no class loses recall"
    return f"; recall of '{worst.label}' {points(worst.change)} points, the most of a class"


def _flips(values: Values) -> str:
    rows = [
        (
            printable_path(flip.file),
            flip.label,
            f"{flip.keras} {percent(flip.keras_confidence)}",
            f"{flip.answered} {percent(flip.confidence)}",
            f"{flip.margin:.3g}",
        )
        for flip in values.flips[:_MOST_FLIPS]
    ]
    left = len(values.flips) - len(rows)
    more = f"\nand {left} more" if left else ""
    return table(("answered differently", "is", "Keras", "file", "margin"), rows, left=4) + more


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
