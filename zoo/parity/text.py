"""A verification as text for a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from zoo.figures import percent, points
from zoo.parity.ask import TensorError
from zoo.parity.evidence import BAD, bad_agreement
from zoo.parity.gates import GateResult
from zoo.parity.result import Verification
from zoo.parity.values import Values
from zoo.table import Column, prose, table
from zoo.terminal import readable

_GATES = {
    "max_difference": "maximum difference of a probability",
    "max_flip_margin": "maximum margin of a changed prediction",
    "min_agreement": "agreement with Keras",
    "max_accuracy_drop": "accuracy lost",
}
_SPLITS = {"val": "validation", "train": "training"}
_MOST_FLIPS = 10


_SIDES = (Column("", "name"), Column("accuracy"), Column("log loss", rank=1), Column("calibration error", rank=2))
_FLIPS = (
    Column("changed predictions", "name"),
    Column("is", "name", 1),
    Column("Keras", "name"),
    Column("file", "name"),
    Column("margin", rank=2),
)


def render(verification: Verification, width: int | None = None) -> str:
    """The tables of ``zoo verify`` with at most ``width`` columns. The verdict and its reasons are not included."""
    found = verification
    said = (
        f"{found.file} ({found.format}, {found.precision}) against {found.reference} "
        f"on {found.n} {found.split} images of {found.data}"
    )
    if found.processor:
        said += f", on {found.processor}"
    blocks = [prose([said], width)]
    problems = len(found.contract.problems)
    rows = [("contract", f"{problems} problem{'s' if problems > 1 else ''}" if problems else "kept")]
    if found.tensor:
        rows.append(("pixels", _pixels(found.tensor, found.n)))
    if found.values:
        rows += _answers(found.values)
    if found.map:
        rows.append(("map", found.map.summary))
    blocks.append(table((Column("", "name"), Column("", "text")), rows, width))
    if found.values:
        blocks.append(_sides(found.values, width))
        if found.values.flips:
            blocks.append(_flips(found.values, width))
    if found.gates:
        blocks.append(_gates(found.gates, width))
    if found.warnings:
        blocks.append(prose((f"WARNING: {readable(sentence)}" for sentence in found.warnings), width))
    if thin := thin_evidence(found):
        blocks.append(prose(thin, width))
    if found.contract.notes:
        blocks.append(prose(found.contract.notes, width))
    return "\n\n".join(blocks)


def gate_name(gate: GateResult) -> str:
    """The name of a gate, and the images if the result depends on their number."""
    return _GATES[gate.name] + (f", {images_text(gate)}" if gate.splits else "")


def images_text(gate: GateResult) -> str:
    """``150 test images``, or ``500 images (150 test, 75 validation, 275 training)``."""
    counts = gate.splits or {}
    named = [f"{count} {_SPLITS.get(split, split)}" for split, count in counts.items()]
    noun = "image" if gate.images == 1 else "images"
    return f"{named[0]} {noun}" if len(named) == 1 else f"{gate.images} {noun} ({', '.join(named)})"


def gate_interval(gate: GateResult) -> str:
    """The 95 % interval of the true value, in the unit of the value. Empty if there is none."""
    if gate.interval is None:
        return ""
    low, high = gate.interval
    if gate.name == "min_agreement":
        return f"{percent(low)} to {percent(high)}"
    return f"{points(low, signed=False)} to {points(high, signed=False)} points"


def thin_evidence(verification: Verification) -> tuple[str, ...]:
    """What a passed verification could not exclude, one sentence per gate. Empty with enough images."""
    if not verification.thin:
        return ()
    return tuple(_thin(gate) for gate in verification.gates if gate.thin)


def _thin(gate: GateResult) -> str:
    seen = f"(95 % interval {gate_interval(gate)})"
    if gate.name == "min_agreement":
        bad = bad_agreement(gate.limit)
        same = round((gate.value or 0) * gate.images)
        return (
            f"Agreement passed on thin evidence: {same} of {images_text(gate)} cannot distinguish "
            f"{percent(gate.limit)} from {percent(bad)} {seen}."
        )
    if gate.limit == 0:
        return (
            f"Accuracy passed on thin evidence: {images_text(gate)} cannot distinguish a small loss from none {seen}."
        )
    allowed, bad_loss = points(gate.limit, signed=False), points(min(1.0, BAD * gate.limit), signed=False)
    return (
        f"Accuracy passed on thin evidence: {images_text(gate)} cannot distinguish a loss of {allowed} points from one "
        f"of {bad_loss} points {seen}."
    )


def float_operators_text(quantization: Mapping[str, Any] | None) -> str:
    """A sentence that names the operators of an int8 file that run in float32. Empty if there are none.

    Args:
        quantization: The content of ``quantization.json``. ``None`` for other precisions. Files of earlier versions do
            not list operators.
    """
    if not quantization or not (counts := quantization.get("float_operators")):
        return ""
    number = sum(counts.values())
    verb, them = ("operator runs", "it") if number == 1 else ("operators run", "them")
    named = [f"{name} ({count})" for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0]))]
    spared = ", or because 8 bits would change too many predictions" if quantization["in_float"] else ""
    return (
        f"{number} {verb} in float32, because the runtime or the quantisation does not support {them} in 8 bits"
        f"{spared}: {', '.join(named)}."
    )


def gate_figures(gate: GateResult) -> tuple[str, str]:
    """Value and limit, with the direction of the comparison."""
    if gate.name == "min_agreement":
        return _share(gate.value), f">= {percent(gate.limit)}"
    if gate.name == "max_accuracy_drop":
        return (
            "-" if gate.value is None else f"{points(gate.value, signed=False)} points",
            f"<= {points(gate.limit, signed=False)} points",
        )
    return "-" if gate.value is None else f"{gate.value:.3g}", f"<= {gate.limit:g}"


def _gate_row(gate: GateResult) -> tuple[str, ...]:
    value, limit = gate_figures(gate)
    return (gate_name(gate), value, gate_interval(gate), limit, gate_verdict(gate))


def _gates(gates: Sequence[GateResult], width: int | None) -> str:
    rows = [_gate_row(gate) for gate in gates]
    shown = [column for column in range(5) if column != 2 or any(gate.interval for gate in gates)]
    return table([_GATE[column] for column in shown], [[row[column] for column in shown] for row in rows], width)


_GATE = (Column("gate", "text"), Column("value"), Column("95 % interval", rank=2), Column("limit", rank=1), Column(""))


def gate_verdict(gate: GateResult) -> str:
    if not gate.passed:
        return "FAILED"
    return "thin evidence" if gate.thin else "passed"


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
        return [("agreement", share)]
    shown = values.difference
    apart = f"difference {shown.max:.3g} at most, {shown.mean:.3g} on average, p99 {shown.p99:.3g}"
    return [("agreement", share), ("probabilities", apart)]


def _sides(values: Values, width: int | None) -> str:
    low, high = map(points, values.accuracy_difference_interval)
    rows = [
        (name, percent(side.accuracy), _number(side.log_loss), _number(side.calibration_error))
        for name, side in (("Keras", values.keras), ("file", values.file))
    ]
    change = f"accuracy {points(values.accuracy_difference)} points (95 % interval {low} to {high})"
    return table(_SIDES, rows, width) + f"\n{prose([change + _worst_recall(values)], width)}"


def _worst_recall(values: Values) -> str:
    worst = min(values.recalls, key=lambda recall: recall.change)
    if worst.change >= 0:
        return "; no class loses recall"
    return f"; recall of '{worst.label}' {points(worst.change)} points, the largest loss of a class"


def _flips(values: Values, width: int | None) -> str:
    rows = [
        (
            flip.file,
            flip.label,
            f"{flip.keras} {percent(flip.keras_confidence)}",
            f"{flip.answered} {percent(flip.confidence)}",
            f"{flip.margin:.3g}",
        )
        for flip in values.flips[:_MOST_FLIPS]
    ]
    left = len(values.flips) - len(rows)
    more = f"\nand {left} more" if left else ""
    return table(_FLIPS, rows, width) + more


def _share(value: float | None) -> str:
    return "-" if value is None else percent(value)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
