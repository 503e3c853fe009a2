"""Golden vectors: a few images with their expected pixels and predictions.

With them, a device or a port to another language can prove that it decodes, resizes and computes correctly.
"""

from __future__ import annotations

import io
import json
import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.atomic import make_folder, write_bytes
from zoo.data import ImageData
from zoo.edge.selftest import GOLDEN, GOLDEN_VERSION
from zoo.evaluation.predict import predict_inputs
from zoo.exported import MAP, MappingRuntime, Metadata, Runtime, has_map
from zoo.image_spec import ImageSpec
from zoo.images import ImageError, load_image, look, read_file
from zoo.images.signatures import HEAD_BYTES, identify
from zoo.parity.device import PIXELS_TOLERANCE

if TYPE_CHECKING:
    import keras

#: Allowed difference of a probability on another processor, by precision. ONNX Runtime with and without its
#: optimisations differed by 0.09 for the same int8 MobileNetV2 on 25 photos.
PROBABILITIES_TOLERANCE = {"float32": 1e-4, "float16": 1e-3, "int8": 0.15}

#: Allowed difference of a value of the map on another processor, as a share of the strongest evidence in the picture.
MAP_TOLERANCE = {"float32": 1e-3, "float16": 1e-2, "int8": 0.25}

#: Formats that every decoder can read, including those of browsers.
_PLAIN_FORMATS = {"JPEG": "jpg", "PNG": "png", "WebP": "webp", "GIF": "gif", "BMP": "bmp"}

_PHOTOS = 3
_LARGEST_PHOTO_BYTES = 2**20
_MOST_PIXEL_BYTES = 16 * 2**20

#: Photos that Keras predicts correctly are preferred if the two largest probabilities differ by at least this much,
#: because they prove more.
_CLEAR_MARGIN = 0.2


@dataclass(frozen=True)
class Sample:
    """An image for ``golden/``.

    Args:
        name: Name of the file.
        content: Content of the file.
        label: Its class. ``None`` for a synthetic image.
    """

    name: str
    content: bytes
    label: str | None = None


def choose_photos(data: ImageData, split: str, expected: NDArray[np.float32], image: ImageSpec) -> list[Sample]:
    """Chooses small photos of different classes from the verification images. The files are copied unchanged.

    Args:
        data: Images with their files.
        split: The split that is used.
        expected: Predictions of Keras on that split.
        image: The image specification. For large images, fewer photos are chosen.
    """
    indices = data.indices(split)
    if expected.shape[1] > 1:
        second, first = np.sort(expected, 1)[:, -2:].T
        unclear = (expected.argmax(1) != data.classes[indices]) | (first - second < _CLEAR_MARGIN)
    else:
        unclear = np.zeros(len(indices), bool)
    ranked = []
    for index, doubtful in zip(indices.tolist(), unclear.tolist(), strict=True):
        path = os.path.join(data.root, data.names[index])  # noqa: PTH118
        size_bytes = _size_bytes(path)
        if 0 < size_bytes <= _LARGEST_PHOTO_BYTES:
            ranked.append((doubtful, size_bytes, data.contents[index], int(data.classes[index]), path))
    ranked.sort()
    # The first photo of every class comes before the second photo of any class.
    seen: dict[int, int] = {}
    queued = []
    for place, (_, _, _, label, _) in enumerate(ranked):
        seen[label] = seen.get(label, 0) + 1
        queued.append((seen[label], place))
    wanted = min(_PHOTOS, max(1, _MOST_PIXEL_BYTES // int(np.prod(image.input_shape))))
    chosen: dict[str, Sample] = {}
    for _, place in sorted(queued):
        if len(chosen) == wanted:
            break
        _, _, sha256, label, path = ranked[place]
        suffix = _PLAIN_FORMATS.get(_format(path))
        content = _read(path) if suffix and sha256 not in chosen else b""
        if content:
            chosen[sha256] = Sample(f"photo-{len(chosen) + 1}.{suffix}", content, data.labels[label])
    return list(chosen.values())


def draw_samples(image: ImageSpec) -> list[Sample]:
    """Synthetic images for every bundle: a PNG with transparent areas and a JPEG with EXIF rotation."""
    height, width = (min(max(side * 3 // 2, 48), 480) + 1 for side in (image.height_px, image.width_px))
    drawn = _draw(height, width)
    opacity = np.full((height, width), 255, np.uint8)
    opacity[: height // 4, : width // 4] = np.linspace(0, 255, width // 4).astype(np.uint8)
    _, png = cv2.imencode(".png", np.dstack([drawn, opacity]))
    _, jpg = cv2.imencode(".jpg", cv2.rotate(drawn, cv2.ROTATE_90_COUNTERCLOCKWISE), [cv2.IMWRITE_JPEG_QUALITY, 90])
    return [Sample("drawn.png", png.tobytes()), Sample("drawn.jpg", _on_its_side(jpg.tobytes()))]


def write_golden(
    folder: Path, samples: list[Sample], metadata: Metadata, runtime: Runtime, model: keras.Model
) -> list[str]:
    """Writes ``golden/`` in a bundle, and returns the names of its files, relative to the bundle.

    Args:
        folder: The bundle.
        samples: The pictures.
        metadata: Metadata of the exported file.
        runtime: The exported file, on one thread.
        model: The Keras model from which it was exported.
    """
    path = folder / GOLDEN
    make_folder(path.parent)
    for sample in samples:
        write_bytes(path.parent / sample.name, sample.content)
    pixels = np.stack([load_image(path.parent / sample.name, metadata.image) for sample in samples])
    probabilities = np.concatenate([np.asarray(runtime.predict(one[None]), np.float32) for one in pixels])
    arrays = {
        "pixels": pixels,
        "probabilities": probabilities,
        # One at a time, as on the device, because a batch may be computed in another order.
        "keras": np.concatenate([predict_inputs(model, one[None], 1) for one in pixels]),
    }
    tolerance = {"pixels": PIXELS_TOLERANCE, "probabilities": PROBABILITIES_TOLERANCE[metadata.precision]}
    if has_map(runtime):
        assert isinstance(runtime, MappingRuntime)
        rows = zip(pixels, probabilities, strict=True)
        arrays[MAP] = np.stack([runtime.explain(one[None])[1][0, :, :, int(row.argmax())] for one, row in rows])
        tolerance[MAP] = MAP_TOLERANCE[metadata.precision]
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        write_bytes(path.parent / f"{name}.npy", buffer.getvalue())
    values = {
        "version": GOLDEN_VERSION,
        "arrays": {name: f"{name}.npy" for name in arrays},
        "tolerance": tolerance,
        "images": [
            _described(sample, answer, metadata.labels) for sample, answer in zip(samples, probabilities, strict=True)
        ],
    }
    write_bytes(path, json_bytes(values))
    files = [GOLDEN, *(f"golden/{sample.name}" for sample in samples), *(f"golden/{name}.npy" for name in arrays)]
    return sorted(files)


def json_bytes(values: Any) -> bytes:
    """JSON for other programs, in UTF-8. Bytes of a folder name that are not valid UTF-8 are written as escapes."""
    return (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


def _described(sample: Sample, answer: NDArray[np.float32], labels: tuple[str, ...]) -> dict[str, Any]:
    best = int(answer.argmax())
    return {
        "file": sample.name,
        "origin": "drawn" if sample.label is None else "photo",
        "label": sample.label,
        "answer": labels[best],
        "probability": float(answer[best]),
    }


def _size_bytes(path: str) -> int:
    try:
        return os.stat(path).st_size  # noqa: PTH116
    except OSError:
        return 0


def _format(path: str) -> str:
    try:
        with open(path, "rb") as file:  # noqa: PTH123
            return identify(file.read(HEAD_BYTES))
    except (OSError, ImageError):
        return ""


def _read(path: str) -> bytes:
    """Reads a file. Returns nothing if it is unusable, or if decoders may decode it differently."""
    try:
        content = read_file(path)
        return b"" if look(content)[1] else content
    except ImageError:
        return b""


def _draw(height: int, width: int) -> NDArray[np.uint8]:
    """Gradients, waves of increasing frequency and sharp edges, in BGR. Resize rules change them differently."""
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    waves = 127.5 + 127.5 * np.sin(x * x / (2 * width) + y / 9)
    drawn = np.stack([255 * x / width, waves, 255 * y / height], -1).astype(np.uint8)
    cv2.circle(drawn, (width * 2 // 3, height // 2), min(height, width) // 5, (30, 200, 250), -1)
    cv2.rectangle(drawn, (width // 8, height * 5 // 8), (width // 3, height * 7 // 8), (250, 240, 20), -1)
    return drawn


def _on_its_side(jpg: bytes) -> bytes:
    """Adds an EXIF block with a clockwise rotation by 90 degrees."""
    orientation = struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + orientation + b"\0\0\0\0"
    return jpg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpg[2:]
