"""What ``zoo export`` is asked for, and what came of each file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zoo.data import ImageData
from zoo.errors import ZooError
from zoo.evaluation.trained import TrainedModel
from zoo.exporting.calibration import Calibration
from zoo.interfaces import Exporter
from zoo.parity import Gates, Verification

Stage = Callable[[str], None]
Progress = Callable[[int, int], None]
#: Writes the page of a verification; the part of the program that draws is above this one.
Draw = Callable[[Verification, Path], Any]


@dataclass(frozen=True)
class Target:
    """A file to make."""

    exporter: Exporter
    precision: str

    def __str__(self) -> str:
        return f"{self.exporter.name} {self.precision}"


@dataclass(frozen=True)
class Exported:
    """A file that was made, was refused, or could not be made.

    Args:
        target: Format and precision.
        path: Of the file; of a refused one, of its report; of one that could not be made, of its folder.
        size_bytes: Of the file.
        verification: ``None`` where none was wanted.
        latency_ms: Median time of one image, on one thread of this machine.
        error: Why the file could not be made.
    """

    target: Target
    path: Path
    size_bytes: int
    verification: Verification | None
    latency_ms: float
    error: ZooError | None = None

    @property
    def refused(self) -> bool:
        return self.verification is not None and not self.verification.passed

    @property
    def kept(self) -> bool:
        """Whether the file stands under its name."""
        return self.error is None and not self.refused


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to export.

    Args:
        trained: The model.
        folder: Where each file gets a folder of its own.
        data: Images to verify on; ``None`` leaves verification out, and marks the files.
        split: Of the data.
        calibration: Images to calibrate on; ``None`` where no precision needs any.
        gates: Limits by precision, where the default ones do not apply.
        photos: Whether a few of the images may travel in the bundle.
        unused: Further images on which the agreement of 8-bit files counts; ``None`` without any.
        with_map: Whether files get a second output with the evidence of every place.
    """

    trained: TrainedModel
    folder: Path
    data: ImageData | None
    split: str
    calibration: Calibration | None
    gates: dict[str, Gates]
    photos: bool = True
    unused: ImageData | None = None
    with_map: bool = False
