"""Compares predictions of exported bundles on emulated processors with those of this machine and of Keras.

    python benchmarks/arm64.py RUN/exports/mobilenetv2-*-int8 --run RUN --photos 60 --processors cortex-a72 max
    python benchmarks/arm64.py BUNDLE --run RUN --x86 qemu-x86_64 --processors Nehalem Haswell

The second command emulates x86-64 processors instead of ARM, with QEMU's emulator for them (in Debian's package ``qemu-
user``) and this Python. Emulation does not show the speed of a processor.

The bundle's own runner reads and predicts each photo file, on each processor in an emulator (``zoo verify --processor``
shows what this needs; ``--fetch`` downloads it). Photos are taken evenly from the test split of the run, or from
``--data``. The table has a row for each file and processor, with the share of photos for which it predicts the class of
Keras and of this machine; the largest difference of a probability from Keras, from this machine, and from this machine
if both predict the pixels that were computed here; and the number of photos for which the runner computes other pixels
there, with the largest difference in levels.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.edge.bundle import Bundle, read_bundle
from zoo.emulation import EmulatedDevice, fetch_emulator, find_emulator
from zoo.figures import percent
from zoo.images import load_image
from zoo.parity import exporter_of, keras_predictions, verification_images
from zoo.progress import make_reporter
from zoo.reporter import Reporter
from zoo.run_folder import DEFAULT_ROOT
from zoo.workflows.finding import find_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--run", required=True, help="the run of the bundles, as for zoo verify --against")
    parser.add_argument("--data", help="other photos than the run's test photos")
    parser.add_argument("--photos", type=int, default=60)
    parser.add_argument("--processors", nargs="+", default=["cortex-a72", "cortex-a76", "max"])
    parser.add_argument("--x86", metavar="PROGRAM", help="emulate x86-64 with this program")
    parser.add_argument("--fetch", action="store_true", help="download the emulator and the wheels first")
    arguments = parser.parse_args()
    bundles = [read_bundle(folder) for folder in arguments.bundles]
    if arguments.fetch:
        for bundle in bundles:
            fetch_emulator(bundle.requires, make_reporter())
    reference = find_model(arguments.run, DEFAULT_ROOT, None, None)
    images, split = verification_images(reference, arguments.data, Reporter().counter("decoding"))
    expected = keras_predictions(reference, images, split)
    rows = np.unique(np.linspace(0, len(expected) - 1, arguments.photos).astype(int))
    paths = [str(images.root / images.names[images.indices(split)[row]]) for row in rows]
    print(f"{len(paths)} {split} photos of {Path(images.source).name}\n")
    print("| file | processor | as Keras | as here | from Keras | from here | on the same pixels | other pixels |")
    print("|---|---|---|---|---|---|---|---|")
    for bundle in bundles:
        here, pixels = _here(bundle, paths)
        _row(bundle, "this machine", expected[rows], here, None)
        for processor in arguments.processors:
            if arguments.x86:
                there = _there_x86([arguments.x86, "-cpu", processor], bundle, paths, pixels)
            else:
                there = _there(bundle, processor, paths, pixels)
            _row(bundle, processor, expected[rows], here, there)


def _here(bundle: Bundle, paths: list[str]) -> tuple[np.ndarray, list[np.ndarray]]:
    runtime = exporter_of(bundle.model_path).load(bundle.model_path, 1)
    pixels = [load_image(path, bundle.image) for path in paths]
    return np.stack([runtime.predict(each[None])[0] for each in pixels]), pixels


@dataclass(frozen=True)
class There:
    """Probabilities on another processor, of photo files and of pixels computed here, and differences of its pixels."""

    photos: np.ndarray
    pixels: np.ndarray
    differences: list[int]

    @property
    def other(self) -> str:
        count = sum(difference > 0 for difference in self.differences)
        return f"{count}, up to {max(self.differences)}" if count else "none"


def _there(bundle: Bundle, processor: str, paths: list[str], pixels: list[np.ndarray]) -> There:
    emulator = find_emulator(bundle.requires, "the same command with --fetch")
    of_photos, of_pixels, differences = [], [], []
    start = time.monotonic()
    with EmulatedDevice(emulator, processor, bundle) as device:
        for place, path in enumerate(paths):
            seen = device.look(path)
            differences.append(int(np.abs(seen.astype(np.int16) - pixels[place]).max()))
            of_photos.append(device.predict(seen[None])[0])
            of_pixels.append(device.predict(pixels[place][None])[0] if differences[-1] else of_photos[-1])
            print(f"\r{processor} {place + 1}/{len(paths)}", end="", file=sys.stderr, flush=True)
    print(f" {time.monotonic() - start:.0f} s", file=sys.stderr)
    return There(np.stack(of_photos), np.stack(of_pixels), differences)


def _there_x86(emulator: list[str], bundle: Bundle, paths: list[str], pixels: list[np.ndarray]) -> There:
    """Runs this file as the worker, which reads the photos as ``_here`` does and also predicts the given pixels."""
    with tempfile.TemporaryDirectory() as folder:
        request, reply = Path(folder, "request.npz"), Path(folder, "reply.npz")
        np.savez(request, paths=paths, pixels=np.stack(pixels))
        subprocess.run(
            [*emulator, sys.executable, __file__, "--worker", str(bundle.folder), str(request), str(reply)], check=True
        )
        with np.load(reply) as arrays:
            seen = arrays["seen"].astype(np.int16)
            differences = np.abs(seen - np.stack(pixels)).max(axis=(1, 2, 3)).tolist()
            return There(arrays["photos"], arrays["pixels"], differences)


def work(folder: Path, request: Path, reply: Path) -> None:
    """Runs on a processor: predicts photo files and given pixels."""
    bundle = read_bundle(folder)
    with np.load(request) as arrays:
        photos, seen = _here(bundle, arrays["paths"].tolist())
        runtime = exporter_of(bundle.model_path).load(bundle.model_path, 1)
        given = np.stack([runtime.predict(each[None])[0] for each in arrays["pixels"]])
    np.savez(reply, photos=photos, seen=np.stack(seen), pixels=given)


def _row(bundle: Bundle, processor: str, keras: np.ndarray, here: np.ndarray, there: There | None) -> None:
    found = there.photos if there else here
    cells = [f"{bundle.values['format']} {bundle.values['precision']}", processor]
    cells += [percent(float((found.argmax(1) == side.argmax(1)).mean())) for side in (keras, here)]
    differences = [(found, keras), (found, here), *([(there.pixels, here)] if there else [])]
    cells += [f"{np.abs(one - other).max():.2g}" for one, other in differences]
    cells += [there.other] if there else ["-", "-"]
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(*map(Path, sys.argv[2:]))
    else:
        main()
