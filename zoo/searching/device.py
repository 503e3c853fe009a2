"""Costs on another device: those that its ``zoo bench`` measured, and estimates by how much slower it is."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from zoo.errors import UsageError
from zoo.image_spec import ImageSpec
from zoo.searching.candidate import Cost


@dataclass(frozen=True)
class Timed:
    """A file that the device timed."""

    architecture: str
    image: ImageSpec
    latency_ms: float
    threads: int


@dataclass(frozen=True)
class Device:
    """What is known of a device.

    Args:
        name: Of the device.
        files: Those of the wanted format and precision that it timed.
        ratios: Latency of each on the device over its latency here.
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
            architecture, image: Of the file.
            here: What it costs on this machine.
        """
        own = [(file, ratio) for file, ratio in zip(self.files, self.ratios, strict=True)]
        own = [pair for pair in own if pair[0].architecture == architecture]
        for file, _ in own:
            if file.image.input_shape == image.input_shape:
                return replace(here, latency_ms=file.latency_ms, source="device")
        ratio = own[0][1] if own else self.ratio
        return replace(here, latency_ms=here.latency_ms * ratio, source="estimated")

    def note(self) -> str:
        """How estimates are made, and how far the device's files disagree about them."""
        said = f"Latencies on {self.name} that its benchmark does not hold are estimated: this machine's times"
        if len(self.ratios) == 1:
            return f"{said} {self.ratio:.2f}, as the one file that both timed suggests."
        return (
            f"{said} {self.ratio:.2f}, the geometric mean over {len(self.ratios)} files that both timed"
            f" ({min(self.ratios):.2f} to {max(self.ratios):.2f}), or the ratio of the same architecture."
        )


def read_device(
    values: Mapping[str, Any],
    format: str,
    precision: str,
    here: Callable[[str, ImageSpec], Cost | None],
) -> Device:
    """The device of a benchmark that was checked before.

    Args:
        values: The JSON of ``zoo bench``.
        format, precision: Of the files that count.
        here: Cost of an architecture at an image size on this machine; ``None`` where it cannot be measured.

    Raises:
        UsageError: It timed no file of that format and precision that can be timed here too.
    """
    models = [(result["model"], result["threads"]) for result in values["results"]]
    files = [
        _timed(model, speeds)
        for model, speeds in models
        if model["format"] == format and model["precision"] == precision
    ]
    name = str(values["device"]["name"])
    if not files:
        held = sorted({f"{model['format']} {model['precision']}" for model, _ in models})
        raise UsageError(
            f"The benchmark of {name} holds no {format} {precision} file; it holds {', '.join(held)}.",
            f"Export a {format} {precision} file, and time it there: python run.py --bench --json > board.json",
        )
    compared = [(file, cost) for file in files if (cost := here(file.architecture, file.image)) is not None]
    if not compared:
        named = ", ".join(sorted({file.architecture for file in files}))
        raise UsageError(
            f"The benchmark of {name} times {named}, which cannot be built here: nothing says how much slower it is.",
            "Install the plugin, or time a file of an architecture that `zoo list` shows.",
        )
    return Device(
        name, tuple(file for file, _ in compared), tuple(file.latency_ms / cost.latency_ms for file, cost in compared)
    )


def _timed(model: dict[str, Any], speeds: Sequence[dict[str, Any]]) -> Timed:
    fewest = min(speeds, key=lambda speed: speed["threads"])
    return Timed(
        str(model["architecture"]),
        ImageSpec.from_dict(model["image"]),
        float(fewest["model"]["p50_ms"]),
        int(fewest["threads"]),
    )
