"""Another processor that is asked in place of this one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from zoo.exported import Runtime

#: Between processors OpenCV may round a resized value differently, by one level of 255.
PIXELS_TOLERANCE = 1


@dataclass(frozen=True, kw_only=True)
class Processor:
    """The processor that predicted, where it was not this machine's.

    Args:
        name: As the emulator calls it, such as ``cortex-a72``.
        emulator: Name and version, such as ``qemu-aarch64 10.0.13``.
        machine: What the system on it says of itself, such as ``aarch64``.
        versions: Package name to version, of what predicted there; Python's too.
    """

    name: str
    emulator: str
    machine: str
    versions: Mapping[str, str]

    def __str__(self) -> str:
        return f"{self.name}, emulated by {self.emulator}"


class Device(Runtime, Protocol):
    """An exported file on another processor: it decodes and resizes as well as predicts."""

    @property
    def processor(self) -> Processor: ...

    def look(self, path: str) -> NDArray[np.uint8]:
        """The pixels that the image rule of the file makes of an image file, RGB, uint8 ``(height, width, 3)``."""
        ...

    def selftest(self) -> list[str]:
        """Runs the self-test of the bundle there; a sentence for every check that failed."""
        ...
