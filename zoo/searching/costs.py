"""Costs of all candidates of a search: measured once on this machine, and converted to the device."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from zoo.image_spec import ImageSpec
from zoo.machine import core_count
from zoo.registry import architectures
from zoo.reporter import Reporter
from zoo.searching.candidate import Candidate, Cost, failure_of
from zoo.searching.cost import Form, kept_cost, measure_cost
from zoo.searching.device import Device, read_device
from zoo.searching.waiting import patiently_locked

#: Minimum load per core that indicates other work. A search alone stays below.
_BUSY = 2.0


class Costs:
    """Looks up costs, and measures missing ones.

    Args:
        form: The form of the export.
        folder: The folder of the search.
        benchmark: JSON of ``zoo bench`` on the device. ``None``: this machine.
        note: Receives notes for the reader.
        reporter: Receives the progress.
    """

    def __init__(
        self,
        form: Form,
        folder: Path,
        benchmark: Mapping[str, Any] | None,
        note: Callable[[str], None],
        reporter: Reporter,
    ) -> None:
        self.form = form
        self._folder = folder
        self._note = note
        self._reporter = reporter
        self._known: dict[tuple[str, int, int], Cost | None] = {}
        self._told_busy = False
        self.device: Device | None = None
        if benchmark is not None:
            self.device = read_device(benchmark, form.exporter.name, form.precision, self._of_installed)
            note(self.device.note())

    def __call__(self, candidate: Candidate) -> Cost | None:
        """Cost of a candidate's file on the device. ``None`` if the file cannot be written."""
        here = self._here(candidate.architecture, candidate.image)
        return None if here is None else self.on_device(candidate, here)

    def on_device(self, candidate: Candidate, here: Cost) -> Cost:
        """Converts the cost of a candidate's file on this machine to the cost on the device."""
        return self.device.cost(candidate.architecture, candidate.image, here) if self.device else here

    def _of_installed(self, name: str, image: ImageSpec) -> Cost | None:
        known = architectures()
        return self._here(name, image) if name in known and not known.contested(name) else None

    def _here(self, name: str, image: ImageSpec) -> Cost | None:
        place = (name, image.width_px, image.height_px)
        if place not in self._known:
            self._known[place] = self._kept_or_measured(name, image)
        return self._known[place]

    def _kept_or_measured(self, name: str, image: ImageSpec) -> Cost | None:
        file = self._folder / "costs" / f"{name}-{image.width_px}x{image.height_px}.json"
        what = f"{name} at {image.width_px}x{image.height_px}, {self.form}"
        if (kept := kept_cost(file)) is not None:
            return kept
        # One at a time, because two measurements would disturb each other.
        told = "Waiting for another process that measures latencies"
        with patiently_locked(self._folder / "costs.lock", self._reporter, told):
            if (kept := kept_cost(file)) is not None:
                return kept
            self._reporter.stage(f"Latency and size of {what}")
            self._tell_busy()
            try:
                return measure_cost(name, image, self.form, file)
            except Exception as error:  # a network that a backend cannot build must not prevent the others
                self._note(f"{what} is left out, because it cannot be exported: {failure_of(error)}")
                return None

    def _tell_busy(self) -> None:
        """Notes once if other processes use the machine, because measured latencies are then too high."""
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        if load > _BUSY * core_count() and not self._told_busy:
            self._told_busy = True
            self._note(
                f"This machine is busy (a load of {load:.1f} on {core_count()} core(s)), so measured latencies are"
                " too high."
            )
