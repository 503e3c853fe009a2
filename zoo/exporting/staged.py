"""Copies a bundle to a temporary folder with the runner of this installation, so that no code of the bundle is run.

A bundle may come from an untrusted source. Its ``run.py`` and ``runner/`` are not copied. Its model, images and figures
are copied after their checksums were verified.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.machinery import all_suffixes
from pathlib import Path
from typing import Any

from zoo.edge.bundle import BUNDLE_VERSION, SPEC, fingerprint, is_bundle, read_bundle, seal
from zoo.edge.selftest import GOLDEN
from zoo.errors import ExportError, UsageError, VerificationError
from zoo.exporting.golden import draw_samples
from zoo.exporting.runner import requirements, runner_files
from zoo.exporting.unpack import unpacked
from zoo.interfaces import Exporter
from zoo.parity import exporter_of
from zoo.registry import exporters


@contextmanager
def staged(path: Path) -> Iterator[Path]:
    """Yields a folder whose ``run.py`` predicts with the model of a bundle, a bundle's archive, or a lone file.

    For a lone exported file, synthetic images are used instead of photos.

    Raises:
        UsageError: The path does not exist, it is a folder but no bundle, it is a file without zoo metadata, or its
            format has no runner.
        VerificationError: A file of the bundle has changed.
        ExportError: A lone file is damaged.
    """
    if path.is_dir():
        if not is_bundle(path):
            raise UsageError(f"The folder '{path}' is not a bundle.", "Give a folder written by zoo export.")
        with _staged_bundle(path, path) as folder:
            yield folder
    elif path.suffix.lower() == ".zip":
        with unpacked(path) as bundle, _staged_bundle(bundle, path) as folder:
            yield folder
    else:
        with _staged_file(path) as folder:
            yield folder


@contextmanager
def _staged_bundle(source: Path, named: Path) -> Iterator[Path]:
    bundle = read_bundle(source)
    if altered := bundle.altered():
        raise VerificationError(
            f"The bundle {named} is damaged: {' '.join(altered)}", "Copy it again, or export the model again."
        )
    exporter = exporters().get(str(bundle.values["format"]))
    runner = _runner(exporter)
    # The suffix is checked, because a file named `numpy.py` next to `run.py` would be imported.
    if not bundle.model.endswith(exporter.suffix):
        raise VerificationError(
            f"The bundle {named} is refused: its model '{bundle.model}' is not a {exporter.suffix} file.",
            "Export the model again.",
        )
    if strange := [name for name in bundle.parts if "/" in name or name.endswith(tuple(all_suffixes()))]:
        raise VerificationError(
            f"The bundle {named} is refused: its model has a part '{strange[0]}'.", "Export the model again."
        )
    with tempfile.TemporaryDirectory(prefix="zoo-bench-") as folder:
        for name in bundle.files:
            if name in (bundle.model, *bundle.parts) or name.startswith("golden/"):
                _copy(source / name, Path(folder, name))
        _write(Path(folder), bundle.values, exporter, runner)
        yield Path(folder)


@contextmanager
def _staged_file(path: Path) -> Iterator[Path]:
    exporter = exporter_of(path)
    runner = _runner(exporter)
    metadata = exporter.read_metadata(path)
    if metadata is None:
        raise UsageError(
            f"'{path}' has no zoo metadata, so its precision and preprocessing are unknown.",
            "Give a file written by 'zoo export', or its bundle.",
        )
    files = exporter.files(path)
    values = metadata.as_dict() | {
        "version": BUNDLE_VERSION,
        "model": path.name,
        "parts": [part.name for part in files[1:]],
        "format": exporter.name,
    }
    samples = draw_samples(metadata.image)
    golden = {"images": [{"file": sample.name, "origin": "drawn"} for sample in samples]}
    with tempfile.TemporaryDirectory(prefix="zoo-bench-") as folder:
        place = Path(folder, GOLDEN)
        place.parent.mkdir()
        place.write_text(json.dumps(golden))
        for sample in samples:
            (place.parent / sample.name).write_bytes(sample.content)
        for file in files:
            _copy(file, Path(folder, file.name))
        _write(Path(folder), values, exporter, runner)
        yield Path(folder)


def _copy(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
    except OSError as error:
        raise ExportError(f"Could not copy {source} to {target}: {error.strerror or error}.") from error


def _runner(exporter: Exporter) -> dict[str, str]:
    runner = runner_files(exporter)
    if not runner:
        raise UsageError(f"The format {exporter.name} has no runner for devices, so there is nothing to time.")
    return runner


def _write(folder: Path, values: Mapping[str, Any], exporter: Exporter, runner: Mapping[str, str]) -> None:
    for name, source in runner.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source, "utf-8")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    made = {path.relative_to(folder).as_posix(): fingerprint(path) for path in files}
    values = dict(values) | {"runtime": {"requires": list(requirements(exporter))}, "files": made}
    (folder / SPEC).write_text(json.dumps(seal(values)), "utf-8")
