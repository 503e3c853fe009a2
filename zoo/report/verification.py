"""The page of a verification. It needs no network, no script and no other file."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.images import ImageError, load_image
from zoo.parity import Verification
from zoo.parity.contract import shape_text
from zoo.parity.gates import GateResult
from zoo.parity.text import float_operators_text, gate_figures, gate_interval, gate_name, thin_evidence
from zoo.parity.values import DECADES, Flip, Values
from zoo.report.grids import Picture
from zoo.report.page import write_page
from zoo.report.text import capital

#: Maximum number of flipped images on the page, those with the largest margins.
MOST_FLIPS = 48
#: Maximum number of tensors on the page, those with the most rounding noise.
MOST_TENSORS = 20


def write_verification_page(
    verification: Verification, root: Path | None, path: Path, quantization: Mapping[str, Any] | None = None
) -> Path:
    """Writes the page on a verification.

    Args:
        verification: The result.
        root: The folder to which the names of the images are relative. ``None``: no picture may be shown. For a
            missing picture, a placeholder is shown.
        path: Path of the page.
        quantization: The content of ``quantization.json``, for an int8 file.

    Returns:
        ``path``.

    Raises:
        TrainingError: The disk is full, or the folder cannot be written.
    """
    values, contract = verification.values, verification.contract
    return write_page(
        path,
        "verification",
        found=verification,
        values=values,
        metadata=verification.metadata,
        gates=[_gate(gate) for gate in verification.gates],
        thin=thin_evidence(verification),
        flips=[(flip, _picture(verification, root, flip)) for flip in values.flips[:MOST_FLIPS]] if values else [],
        most_flips=MOST_FLIPS,
        differences=_differences(values) if values else [],
        tensors=[
            (kind, tensor)
            for kind, tensors in (("Input", contract.inputs), ("Output", contract.outputs))
            for tensor in tensors
        ],
        shape_text=shape_text,
        eight_bits=_eight_bits(quantization) if quantization else None,
    )


def _differences(values: Values) -> list[tuple[str, int]]:
    """Number of images whose largest difference is in each decade."""
    ends = ["none at all", *(f"up to {end:g}" for end in DECADES[1:-1]), f"more than {DECADES[-2]:g}"]
    counts = values.difference.counts if values.difference else ()
    return [(end, count) for end, count in zip(ends, counts, strict=False) if count]


@dataclass(frozen=True)
class _TensorNoise:
    """Standard deviation of the noise that the rounding of a tensor adds to a logit, and its share of the variance."""

    name: str
    before: float
    after: float
    share: float


@dataclass(frozen=True)
class _EightBits:
    """How a model was quantised."""

    tensors: tuple[_TensorNoise, ...]
    left_out: int
    before: float
    after: float
    calibrated: Mapping[str, float]
    distilled: Mapping[str, Any] | None
    in_float: tuple[Mapping[str, Any], ...]
    float_operators: str


def _eight_bits(quantization: Mapping[str, Any]) -> _EightBits:
    # Files of earlier versions do not have the noise of their tensors.
    noise = sorted(quantization.get("noise", ()), key=lambda tensor: -tensor["after"])
    before, after = (sum(tensor[when] for tensor in noise) for when in ("before", "after"))
    return _EightBits(
        tensors=tuple(
            _TensorNoise(
                tensor["name"],
                math.sqrt(tensor["before"]),
                math.sqrt(tensor["after"]),
                tensor["after"] / after if after else 0.0,
            )
            for tensor in noise[:MOST_TENSORS]
        ),
        left_out=max(0, len(noise) - MOST_TENSORS),
        before=math.sqrt(before),
        after=math.sqrt(after),
        calibrated=quantization["calibrated"],
        distilled=quantization["distilled"],
        in_float=tuple(quantization["in_float"]),
        float_operators=float_operators_text(quantization),
    )


@dataclass(frozen=True)
class _Gate:
    """A gate as text."""

    title: str
    passed: bool
    thin: bool
    value: str
    interval: str
    limit: str


def _gate(gate: GateResult) -> _Gate:
    value, limit = gate_figures(gate)
    limit = limit.replace("<=", "≤").replace(">=", "≥")
    return _Gate(capital(gate_name(gate)), gate.passed, gate.thin, value, gate_interval(gate), limit)


def _picture(found: Verification, root: Path | None, flip: Flip) -> Picture:
    if root is None:
        return None
    try:
        return load_image(root / flip.file, found.image)
    except ImageError:
        return None
