"""The interface of another processor that predicts instead of this machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zoo.exported import Runtime

#: OpenCV may round a resized value differently on another processor, by one level of 255.
PIXELS_TOLERANCE = 1


@dataclass(frozen=True, kw_only=True)
class Processor:
    """A processor other than that of this machine.

    Args:
        name: Name in the emulator, such as ``cortex-a72``.
        emulator: Name and version of the emulator, such as ``qemu-aarch64 10.0.13``.
        machine: Architecture, such as ``aarch64``.
        versions: Versions of Python and of the packages there, by name.
    """

    name: str
    emulator: str
    machine: str
    versions: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.name}, emulated by {self.emulator}"


class Device(Runtime, Protocol):
    """An exported file on another processor, which also decodes and resizes the images."""

    @property
    def processor(self) -> Processor: ...

    def look(self, path: str) -> NDArray[np.uint8]:
        """Pixels of an image file, preprocessed for the model: RGB, uint8 ``(height, width, 3)``."""
        ...

    def selftest(self) -> list[str]:
        """Runs the self-test of the bundle there, and returns a sentence for each failed check."""
        ...
