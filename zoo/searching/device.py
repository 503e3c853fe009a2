"""Costs on another device: values measured by ``zoo bench``, and estimates from latency ratios."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from zoo.errors import UsageError
from zoo.image_spec import ImageSpec
from zoo.searching.candidate import Cost


@dataclass(frozen=True)
class Timed:
    """A file that was timed on the device, on one thread."""

    architecture: str
    image: ImageSpec
    latency_ms: float


@dataclass(frozen=True)
class Device:
    """The measurements on a device.

    Args:
        name: Name of the device.
        files: Timed files of the requested format and precision.
        ratios: For each file, its latency on the device divided by its latency on this machine.
    """

    name: str
    files: tuple[Timed, ...]
    ratios: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """Geometric mean of all ratios."""
        return math.exp(sum(map(math.log, self.ratios)) / len(self.ratios))

    def cost(self, architecture: str, image: ImageSpec, here: Cost) -> Cost:
        """The cost of a file on the device.

        Args:
            architecture, image: Architecture and image specification of the file.
            here: Its cost on this machine.
        """
        here = replace(here, float_ms=here.float_here_ms)
        own = [(file, ratio) for file, ratio in zip(self.files, self.ratios, strict=True)]
        own = [pair for pair in own if pair[0].architecture == architecture]
        for file, _ in own:
            if file.image.input_shape == image.input_shape:
                return replace(here, latency_ms=file.latency_ms, source="device")
        ratio = own[0][1] if own else self.ratio
        return replace(here, latency_ms=here.latency_ms * ratio, source="estimated")

    def note(self) -> str:
        """How latencies are estimated, and the range of the ratios."""
        said = (
            f"For files that are not in the benchmark of {self.name}, latency is estimated: the latency on this machine"
            " is multiplied by"
        )
        if len(self.ratios) == 1:
            return f"{said} {self.ratio:.2f}, the ratio of the one file that was timed on both."
        return (
            f"{said} the ratio of the same architecture, if it was timed on both machines, or else by {self.ratio:.2f},"
            f" the geometric mean over the {len(self.ratios)} files that were timed on both"
            f" ({min(self.ratios):.2f} to {max(self.ratios):.2f})."
        )


def read_device(
    values: Mapping[str, Any],
    format: str,
    precision: str,
    here: Callable[[str, ImageSpec], Cost | None],
) -> Device:
    """The device of a benchmark that has already been validated.

    Args:
        values: The JSON of ``zoo bench``.
        format, precision: Format and precision of the files to use.
        here: Returns the cost of an architecture and image specification on this machine. ``None`` if it cannot be
            measured.

    Raises:
        UsageError: The benchmark has no file of that format and precision that was timed on one thread and can also be
            timed here.
    """
    models = [(result["model"], result["threads"]) for result in values["results"]]
    asked = [pair for pair in models if pair[0]["format"] == format and pair[0]["precision"] == precision]
    name = str(values["device"]["name"])
    if not asked:
        held = sorted({f"{model['format']} {model['precision']}" for model, _ in models})
        raise UsageError(
            f"The benchmark of {name} contains no {format} {precision} file; it contains {', '.join(held)}.",
            f"Export a {format} {precision} file, and time it on the device: python run.py --bench --json > board.json",
        )
    files = [_timed(model, speed) for model, speeds in asked for speed in speeds if speed["threads"] == 1]
    if not files:
        raise UsageError(
            f"The benchmark of {name} times no {format} {precision} file on one thread, to which the limits refer.",
            "Time it on the device: python run.py --bench --threads 1 --json > board.json",
        )
    compared = [(file, cost) for file in files if (cost := here(file.architecture, file.image)) is not None]
    if not compared:
        named = ", ".join(sorted({file.architecture for file in files}))
        raise UsageError(
            f"The benchmark of {name} times {named}, which cannot be built on this machine, so the latency ratio is"
            " unknown.",
            "Install the plugin, or time a file of an architecture that `zoo list` shows.",
        )
    return Device(
        name, tuple(file for file, _ in compared), tuple(file.latency_ms / cost.latency_ms for file, cost in compared)
    )


def _timed(model: dict[str, Any], speed: dict[str, Any]) -> Timed:
    return Timed(str(model["architecture"]), ImageSpec.from_dict(model["image"]), float(speed["model"]["p50_ms"]))
