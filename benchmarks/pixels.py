"""Compares the pixels that a bundle's runner computes on emulated processors with those of this machine.

    python benchmarks/pixels.py --photos PHOTOS --processors cortex-a72 max
    python benchmarks/pixels.py --photos PHOTOS --x86 qemu-x86_64 --processors Nehalem Skylake-Client

The first command needs what ``zoo verify BUNDLE --processor cortex-a72 --fetch`` downloads. The second emulates x86-64
processors, with QEMU's emulator for them (in Debian's package ``qemu-user``) and this Python. The table has a row for
each operation: decoding each kind of file (photos, and the small valid files of the tests), ``zoo.images.resize`` with
every rule and interpolation, from many sizes, and the functions of OpenCV that could be used instead. HEIC is only
included with ``--packages``, a folder with ``pi-heif`` for the emulated processor.
"""

from __future__ import annotations

import argparse
import importlib
import io
import os
import pkgutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

HEIGHTS_WIDTHS = (
    *((1, 1), (1, 300), (700, 3), (2, 2), (8, 8), (40, 40), (96, 72), (223, 225), (224, 224), (256, 300)),
    *((337, 501), (448, 448), (480, 640), (672, 448), (768, 1024), (17, 3001)),
)
TARGETS = ((224, 224), (32, 32), (17, 31))
RULES = ("squash", "crop", "letterbox")
INTERPOLATIONS = ("area", "bilinear", "bicubic")
KINDS = {"jpg": "jpeg", "tif": "tiff"}
OPENCV = ("INTER_NEAREST_EXACT", "INTER_LINEAR", "INTER_LINEAR_EXACT", "INTER_AREA", "INTER_CUBIC", "INTER_LANCZOS4")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--photos", type=Path, required=True, help="a folder with photos, of which 24 are used")
    parser.add_argument("--processors", nargs="+", default=["cortex-a72", "max"])
    parser.add_argument("--packages", type=Path, nargs="*", default=[], help="packages for the emulated processor")
    parser.add_argument("--x86", metavar="PROGRAM", help="emulate x86-64 with this program")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        runner, files = Path(folder, "runner"), Path(folder, "files")
        requires = _write_runner(runner)
        _write_files(files, arguments.photos)
        here = _ask([sys.executable], {**os.environ, "PYTHONPATH": str(runner)}, files)
        print("| operation | cases | processor | cases that differ | values that differ | largest difference |")
        print("|---|---|---|---|---|---|")
        for processor in arguments.processors:
            if arguments.x86:
                program = [arguments.x86, "-cpu", processor, sys.executable]
                there = _ask(program, {**os.environ, "PYTHONPATH": str(runner)}, files)
            else:
                there = _ask(*_emulated(requires, processor, runner, arguments.packages), files)
            _print(processor, here, there)


def _write_runner(folder: Path) -> tuple[str, ...]:
    """Writes the runner of ONNX bundles, and returns its requirements."""
    from zoo.exporting.runner import requirements, runner_files
    from zoo.registry import exporters

    exporter = exporters().get("onnx")
    for name, source in runner_files(exporter).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source)
    return requirements(exporter)


def _write_files(folder: Path, photos: Path) -> None:
    """Writes photos, one of them in other formats and with all orientations, and the valid files of the tests."""
    from PIL import Image

    sys.path.insert(0, str(Path(__file__).parents[1]))
    from tests.images import valid

    found = sorted(path for path in photos.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = [found[place] for place in np.unique(np.linspace(0, len(found) - 1, 24).astype(int))]
    folder.mkdir()
    for number, path in enumerate(chosen):
        (folder / f"photo-{number:02d}{path.suffix}").write_bytes(path.read_bytes())
    with Image.open(chosen[0]) as opened:
        photo = opened.convert("RGB")
    photo.thumbnail((401, 401))
    alpha = photo.copy()
    alpha.putalpha(photo.convert("L"))
    wide = np.asarray(photo).astype(np.uint16) * 257 + np.arange(photo.width, dtype=np.uint16)[:, None] % 257
    for name, options in {
        **{f"jpeg{value}.jpg": {"subsampling": value} for value in (0, 1, 2)},
        "progressive.jpg": {"progressive": True},
        "lossy.webp": {"quality": 80},
        "lossless.webp": {"lossless": True},
        "lossy.avif": {"quality": 70},
        "lzw.tif": {"compression": "tiff_lzw"},
        "plain.bmp": {},
        "palette.gif": {},
    }.items():
        photo.save(folder / name, **options)
    alpha.save(folder / "alpha.png")
    alpha.save(folder / "alpha.webp", quality=80)
    photo.convert("CMYK").save(folder / "cmyk.jpg")
    photo.convert("L").save(folder / "gray.jpg")
    (folder / "16bit.png").write_bytes(cv2.imencode(".png", wide)[1].tobytes())
    for orientation in range(2, 9):
        exif = Image.Exif()
        exif[274] = orientation
        photo.save(folder / f"orientation{orientation}.jpg", exif=exif)
    for kind in pkgutil.iter_modules(valid.__path__):
        for name, made in importlib.import_module(f"{valid.__name__}.{kind.name}").files().items():
            (folder / f"valid {name.replace('/', ' ')}.{kind.name}").write_bytes(made[0])


def _emulated(
    requires: tuple[str, ...], processor: str, runner: Path, packages: list[Path]
) -> tuple[list[str], dict[str, str]]:
    from zoo.emulation.device import command, environment
    from zoo.emulation.place import find_emulator

    emulator = find_emulator(requires, "zoo verify BUNDLE --against RUN --processor cortex-a72 --fetch")
    emulator.check(processor)
    variables = environment(emulator)
    variables["PYTHONPATH"] = os.pathsep.join([variables["PYTHONPATH"], str(runner), *map(str, packages)])
    return command(emulator, processor), variables


def _ask(program: list[str], variables: dict[str, str], files: Path) -> dict[str, np.ndarray]:
    """Runs this file as the worker, and returns its arrays by name."""
    done = subprocess.run(
        [*program, __file__, "--worker", str(files)], env=variables, stdout=subprocess.PIPE, check=True
    )
    with np.load(io.BytesIO(done.stdout)) as arrays:
        return dict(arrays)


def _print(processor: str, here: dict[str, np.ndarray], there: dict[str, np.ndarray]) -> None:
    from zoo.figures import percent  # not imported above, because the worker cannot import it

    rows: dict[str, list[tuple[np.ndarray, np.ndarray]]] = defaultdict(list)
    for name in here.keys() & there.keys():
        rows[name.partition(":")[0]].append((here[name], there[name]))
    for operation, pairs in sorted(rows.items()):
        differences = [np.abs(one.astype(int) - other.astype(int)) for one, other in pairs]
        count = sum(int((found > 0).sum()) for found in differences)
        cases = sum(bool(found.any()) for found in differences)
        share = percent(count / sum(found.size for found in differences), 4) if count else "none"
        worst = max(int(found.max()) for found in differences)
        print(f"| {operation} | {len(pairs)} | {processor} | {cases or 'none'} | {share} | {worst} |")


def work(files: Path) -> None:
    """Runs on a processor: writes the arrays of all operations to stdout."""
    made: dict[str, Any] = {}
    for name, value in _operations(files):
        assert name not in made
        made[name] = value
        print(f"\r{len(made)}", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    content = io.BytesIO()
    np.savez(content, **made)
    sys.stdout.buffer.write(content.getvalue())


def _operations(files: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Yields the name of each operation with its case, and the result."""
    from runner.image_spec import ImageSpec  # type: ignore[import-not-found]
    from runner.images import MissingDecoderError, decode, read_file, resize  # type: ignore[import-not-found]

    cv2.setNumThreads(1)
    random = np.random.default_rng(0)
    images = {}
    for height, width in HEIGHTS_WIDTHS:
        images[f"noise {height} x {width}"] = random.integers(0, 256, (height, width, 3), np.uint8)
    for path in sorted(files.iterdir()):
        try:
            pixels = decode(read_file(path))
        except MissingDecoderError:
            continue
        kind = KINDS.get(path.suffix[1:].lower(), path.suffix[1:].lower())
        yield f"decode {kind}: {path.name}", pixels
        if path.name.startswith("photo-0"):
            images[path.name] = pixels
    for name, image in images.items():
        gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        for height, width in TARGETS:
            size = f"{name} to {height} x {width}"
            for interpolation in INTERPOLATIONS:
                for rule in RULES:
                    spec = ImageSpec(height_px=height, width_px=width, resize=rule, interpolation=interpolation)
                    yield f"resize, {interpolation}: {size}, {rule}", resize(image, spec)
            for function in OPENCV:
                for source, channels in ((image, "color"), (gray, "gray")):
                    made = cv2.resize(source, (width, height), interpolation=getattr(cv2, function))
                    yield f"cv2.{function}: {size}, {channels}", made


if __name__ == "__main__":
    if sys.argv[1:2] == ["--worker"]:
        work(Path(sys.argv[2]))
    else:
        main()
