"""Costs of all candidates of a search: measured once on this machine, and converted to the device."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from zoo.atomic import make_folder
from zoo.image_spec import ImageSpec
from zoo.machine import core_count
from zoo.registry import architectures
from zoo.reporter import Reporter
from zoo.searching.candidate import Candidate, Cost, failure_of
from zoo.searching.cost import Doubtful, Form, kept_cost, measure_cost
from zoo.searching.device import Device, read_device
from zoo.searching.waiting import patiently_locked

#: Minimum load per core that indicates other work. A search alone stays below.
_BUSY = 2.0

#: A latency above the limit is doubtful up to this multiple of it, because other processes may have slowed the file
#: down. It is measured at this number of different times, at least so many seconds apart. The lowest latency counts.
_DOUBTFUL, _TIMES, _APART_S = 1.5, 2, 30.0


class Costs:
    """Looks up costs, and measures missing ones.

    Args:
        form: The form of the export.
        folder: The folder of the search.
        benchmark: JSON of ``zoo bench`` on the device. ``None``: this machine.
        note: Receives notes for the reader.
        reporter: Receives the progress.
        max_latency_ms: Maximum latency on the device.
    """

    def __init__(
        self,
        form: Form,
        folder: Path,
        benchmark: Mapping[str, Any] | None,
        note: Callable[[str], None],
        reporter: Reporter,
        max_latency_ms: float | None = None,
    ) -> None:
        self.form = form
        self._max_latency_ms = max_latency_ms
        self._folder = folder
        self._lock = folder / "costs.lock"
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
        return self._on_device(candidate.architecture, candidate.image, here)

    def measure_doubtful_again(self, candidates: Iterable[Candidate]) -> None:
        """Makes later commands measure the files of these candidates again whose latency is doubtful."""
        for candidate in candidates:
            name, image = candidate.architecture, candidate.image
            here = self._here(name, image)
            if here is not None and self._is_doubtful(name, image, here):
                self._file(name, image).unlink(missing_ok=True)

    def _on_device(self, name: str, image: ImageSpec, here: Cost) -> Cost:
        return self.device.cost(name, image, here) if self.device else here

    def _of_installed(self, name: str, image: ImageSpec) -> Cost | None:
        known = architectures()
        if name not in known or known.contested(name):
            return None
        return self._here(name, image, lambda cost: True)  # always repeated, because all estimates depend on it

    def _here(self, name: str, image: ImageSpec, doubtful: Doubtful | None = None) -> Cost | None:
        place = (name, image.width_px, image.height_px)
        if place not in self._known or self._is_due(name, image, self._known[place]):
            self._known[place] = self._kept_or_measured(name, image, doubtful)
        return self._known[place]

    def _is_doubtful(self, name: str, image: ImageSpec, here: Cost) -> bool:
        """Whether a latency measured on this machine exceeds the limit, but not by much."""
        cost, most = self._on_device(name, image, here), self._max_latency_ms
        return most is not None and cost.source != "device" and most < cost.latency_ms <= _DOUBTFUL * most

    def _is_due(self, name: str, image: ImageSpec, here: Cost | None) -> bool:
        """Whether a doubtful latency is now measured again."""
        if here is None or here.measured >= _TIMES or not self._is_doubtful(name, image, here):
            return False
        try:
            return self._now() - self._file(name, image).stat().st_mtime >= _APART_S
        except FileNotFoundError:
            return True

    def _now(self) -> float:
        """The time of the disk, whose clock may differ from that of this machine."""
        self._lock.touch()
        return self._lock.stat().st_mtime

    def _file(self, name: str, image: ImageSpec) -> Path:
        return self._folder / "costs" / f"{name}-{image.width_px}x{image.height_px}.json"

    def _kept_or_measured(self, name: str, image: ImageSpec, doubtful: Doubtful | None) -> Cost | None:
        file = self._file(name, image)
        what = f"{name} at {image.width_px}x{image.height_px}, {self.form}"

        def kept() -> Cost | None:
            found = kept_cost(file)
            return None if self._is_due(name, image, found) else found

        if (found := kept()) is not None:
            return found
        make_folder(file.parent)
        told = f"Waiting for another process that exports {what}"
        with patiently_locked(file.with_suffix(".lock"), self._reporter, told, remove=True):
            if (found := kept()) is not None:
                return found
            before = kept_cost(file)
            self._reporter.stage(f"Latency and size of {what}{', again' if before else ''}")
            self._tell_busy()
            try:
                doubtful = doubtful or partial(self._is_doubtful, name, image)
                return measure_cost(name, image, self.form, file, doubtful, self._alone)
            except Exception as error:  # a network that a backend cannot build must not prevent the others
                reason = failure_of(error)
            if before is not None:
                return replace(before, measured=_TIMES)
            self._note(f"{what} is left out, because it cannot be exported: {reason}")
            return None

    def _alone(self) -> AbstractContextManager[None]:
        """Prevents other processes from measuring latencies, because two measurements would disturb each other."""
        told = "Waiting for another process that measures latencies"
        return patiently_locked(self._lock, self._reporter, told)

    def _tell_busy(self) -> None:
        """Notes once if other processes use the machine, because measured latencies are then too high."""
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
        if load > _BUSY * core_count() and not self._told_busy:
            self._told_busy = True
            self._note(
                f"This machine is busy (a load of {load:.1f} on {core_count()} core(s)), so measured latencies are"
                " too high."
            )
