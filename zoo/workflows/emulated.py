"""Prepares the verification of a bundle on an emulated processor."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.edge.bundle import SPEC, Bundle, read_bundle
from zoo.emulation import EmulatedDevice, fetch_emulator, find_emulator
from zoo.errors import UsageError, VerificationError
from zoo.reporter import Reporter
from zoo.run_folder import DEFAULT_ROOT

if TYPE_CHECKING:
    from zoo.workflows.verify import VerifyRequest


def bundle_of(path: Path) -> Bundle:
    """The bundle of a path, which is its folder or its model file. All files of the bundle must be unchanged.

    Raises:
        UsageError: The path is neither, the bundle has no ``run.py``, or its folder cannot be written.
        VerificationError: A file of the bundle has been changed.
    """
    folder = path if path.is_dir() else path.parent
    if not path.exists():
        raise UsageError(f"The exported file '{path}' does not exist.")
    if not (folder / SPEC).is_file():
        raise UsageError(
            f"'{path}' is not in a bundle. --processor needs the run.py of a bundle.",
            "Give a folder written by zoo export.",
        )
    bundle = read_bundle(folder)
    if folder != path and bundle.model != path.name:
        raise UsageError(f"'{path}' is not the model of its bundle. That model is {bundle.model}.")
    if "run.py" not in bundle.files:
        raise UsageError(f"The bundle {folder} has no run.py, so no processor can be emulated for it.")
    if not os.access(folder.resolve().parent, os.W_OK):
        raise UsageError(f"'{folder}' cannot be replaced, so it could not record the result.", "Copy it elsewhere.")
    if altered := bundle.altered():
        raise VerificationError(f"The bundle {folder} is damaged: {' '.join(altered)}", "Export the model again.")
    return bundle


@contextmanager
def emulated(bundle: Bundle, request: VerifyRequest, reporter: Reporter) -> Iterator[EmulatedDevice]:
    """The bundle on the processor of the request, ready to predict.

    Raises:
        UsageError: A part of the emulation is missing and ``fetch`` is false, or the processor is unknown.
        ExportError: The bundle does not run on the processor.
    """
    assert request.processor is not None
    if request.fetch:
        fetch_emulator(bundle.requires, reporter)
    emulator = find_emulator(bundle.requires, _fetching(request))
    emulator.check(request.processor)
    reporter.stage(f"Starting {bundle.model} on {request.processor}")
    with EmulatedDevice(emulator, request.processor, bundle, request.threads) as device:
        yield device


def _fetching(request: VerifyRequest) -> str:
    """The same command with ``--fetch``."""
    words = ["zoo", "verify", str(request.file), "--against", request.against, "--processor", str(request.processor)]
    given = {name: getattr(request, name) for name in ("weights", "pixels", "data", "report")} | dict(request.gates)
    if isinstance(request.labels, str | Path):
        given["labels"] = request.labels
    if request.runs != DEFAULT_ROOT:
        given["runs"] = request.runs
    if request.threads != 1:
        given["threads"] = request.threads
    for name, value in given.items():
        if value is not None:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join([*words, "--fetch"])
