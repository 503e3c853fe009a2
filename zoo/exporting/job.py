"""The job of ``zoo export``, and the result for each file."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
#: Writes the page of a verification, with the content of quantization.json for an int8 file. It is an argument, because
#: zoo.report cannot be imported here.
Draw = Callable[[Verification, Path, Mapping[str, Any] | None], Any]


@dataclass(frozen=True)
class Target:
    """A file to export."""

    exporter: Exporter
    precision: str

    def __str__(self) -> str:
        return f"{self.exporter.name} {self.precision}"


@dataclass(frozen=True)
class Exported:
    """A file that was kept, was refused, or could not be written.

    Args:
        target: Format and precision.
        path: Path of the file; for a refused file, of its report; for a failed one, of its folder.
        size_bytes: Size of the file.
        verification: The verification. ``None`` if it was not requested.
        latency_ms: Median latency of one image on one thread of this machine.
        error: The error because of which the file could not be written.
        quantization: The content of ``quantization.json``, for an int8 file.
    """

    target: Target
    path: Path
    size_bytes: int
    verification: Verification | None
    latency_ms: float
    error: ZooError | None = None
    quantization: Mapping[str, Any] | None = None

    @property
    def refused(self) -> bool:
        return self.verification is not None and not self.verification.passed

    @property
    def kept(self) -> bool:
        """Whether the file was kept."""
        return self.error is None and not self.refused


@dataclass(frozen=True, kw_only=True)
class Job:
    """What to export.

    Args:
        trained: The model.
        folder: Folder in which each file gets its own folder.
        data: Images to verify on. ``None``: the files are not verified, and are marked as not verified.
        split: Split of the data.
        calibration: Images to calibrate on. ``None`` if no precision needs calibration.
        gates: Limits by precision that replace the defaults.
        photos: Whether to include a few of the images in the bundle.
        unused: Further images on which the agreement of 8-bit files is counted. ``None`` if there are none.
        with_map: Whether to add a second output with the evidence map.
        steps: Number of steps of the distillation of an 8-bit model.
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
    steps: int = 0
