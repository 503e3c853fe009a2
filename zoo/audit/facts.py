"""Facts about an image file: format, size, mode, orientation, and a digest of its pixels."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.audit.records import Records
from zoo.data.reading import DECODER, Observe
from zoo.images import probe
from zoo.images.formats import bmp, tiff
from zoo.images.formats.header import ImageHeader
from zoo.records import read_object, read_record

Mode = Literal["gray", "RGB", "palette", "CMYK"]

#: Increased whenever the facts of the same content change.
FACTS_KIND = f"facts-3-{DECODER}"

#: Number of contents after which facts are stored, so that a command that is killed loses few.
_STORE_EVERY = 1000

#: Standard deviation of the pixels, in gray levels of 255, below which a picture is blank.
_BLANK_BELOW = 2.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """Facts about one file content.

    Args:
        format: ``JPEG``, ``PNG``, ``BMP``, ``GIF``, ``WebP``, ``TIFF``, ``AVIF`` or ``HEIC``.
        width_px, height_px: Size of the upright image.
        mode: Mode as stored.
        bits: Bits per sample as stored.
        alpha: Whether the file stores transparency.
        orientation: EXIF orientation that was applied. 1 if none.
        blank: Whether all pixels have one colour.
        remark: Description of a problem. Empty if there is none.
        pixels_sha256: SHA-256 of size and decoded pixels, equal for files that show exactly the same image.
    """

    format: str
    width_px: int
    height_px: int
    mode: Mode
    bits: int
    alpha: bool
    orientation: int
    blank: bool
    remark: str
    pixels_sha256: str


def facts_of(data: bytes, pixels: NDArray[np.uint8], remark: str) -> Facts:
    """The facts of a file that was decoded.

    Args:
        data: The bytes of the file.
        pixels: ``(height, width, 3)`` RGB, as ``zoo.images.decode`` returned them.
        remark: Description of a problem. Empty if there is none.
    """
    header = probe(data)
    mode, bits, alpha = _stored_as(data, header)
    height, width = pixels.shape[:2]
    digest = hashlib.sha256(f"{height}x{width}:".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    small = cv2.resize(pixels, (min(width, 256), min(height, 256)), interpolation=cv2.INTER_AREA)
    return Facts(
        format=header.format,
        width_px=width,
        height_px=height,
        mode=mode,
        bits=bits,
        alpha=alpha,
        orientation=header.orientation,
        blank=float(cv2.meanStdDev(small)[1].max()) < _BLANK_BELOW,
        remark=remark,
        pixels_sha256=digest.hexdigest(),
    )


def _stored_as(data: bytes, header: ImageHeader) -> tuple[Mode, int, bool]:
    """Mode, bits of a sample, and whether there is alpha."""
    if header.format == "JPEG":
        return _JPEG_MODES.get(_jpeg_components(data), "RGB"), 8, False
    if header.format == "PNG":
        bits, color_type = data[24], data[25]
        alpha = color_type in (4, 6) or b"tRNS" in data[: data.find(b"IDAT")]
        return _PNG_MODES.get(color_type, "RGB"), bits, alpha
    if header.format == "GIF":
        return "palette", 8, False
    if header.format == "BMP":
        return "palette" if bmp.has_palette(data) else "RGB", 8, header.alpha != "none"
    if header.format == "TIFF":
        layout = tiff.read_layout(data)
        return _TIFF_MODES.get(layout.color_space, "RGB"), layout.bits, layout.alpha != "none"
    if header.format == "HEIC":
        return "RGB", header.bits, header.alpha != "none"
    # WebP and AVIF are rare, so decoding the file again is acceptable.
    stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if stored is None:
        return "RGB", 8, False
    channels = 1 if stored.ndim == 2 else stored.shape[2]
    return "gray" if channels < 3 else "RGB", header.bits, channels == 4 and header.alpha != "none"


_JPEG_MODES: Mapping[int, Mode] = {1: "gray", 3: "RGB", 4: "CMYK"}
_PNG_MODES: Mapping[int, Mode] = {0: "gray", 2: "RGB", 3: "palette", 4: "gray", 6: "RGB"}
_TIFF_MODES: Mapping[int, Mode] = {
    tiff.WHITE_IS_ZERO: "gray",
    tiff.BLACK_IS_ZERO: "gray",
    tiff.PALETTE: "palette",
    tiff.CMYK: "CMYK",
}
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}


def _jpeg_components(data: bytes) -> int:
    """Number of components that the frame header of a JPEG declares. ``probe`` has checked that it is complete."""
    at = 2
    while at + 10 <= len(data):
        at = data.find(b"\xff", at)
        if at < 0 or at + 10 > len(data):
            break
        marker = data[at + 1]
        if marker in _FRAMES:
            return data[at + 9]
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD9:
            at += 1
        else:
            at += 2 + max(int.from_bytes(data[at + 2 : at + 4], "big"), 2)
    return 3


class FactFinder:
    """Observes an ingest and collects the facts of every content, including those known from earlier runs."""

    def __init__(self, records: Records, contents: set[str]) -> None:
        """
        Args:
            records: Facts from earlier runs.
            contents: SHA-256 of the expected contents. The facts of others are collected when they are decoded.
        """
        self._records = records
        self._known = _read(records, contents)
        self._found: dict[str, Facts] = {}
        self._unstored: dict[str, Facts] = {}

    @property
    def observe(self) -> Observe:
        return facts_of

    def wants(self, sha256: str) -> bool:
        return sha256 not in self._known and sha256 not in self._found

    def keep(self, sha256: str, observed: Facts) -> None:
        self._found[sha256] = observed
        self._unstored[sha256] = observed
        if len(self._unstored) >= _STORE_EVERY:
            self._store()

    def settle(self) -> dict[str, Facts]:
        """Stores the last facts for the next run, and returns all by content."""
        self._store()
        return self._known | self._found

    def _store(self) -> None:
        values = {sha256: json.dumps(asdict(facts)) for sha256, facts in self._unstored.items()}
        self._records.write(FACTS_KIND, values)
        self._unstored.clear()


def _read(records: Records, contents: set[str]) -> dict[str, Facts]:
    return {
        sha256: read_record(Facts, read_object(text)) for sha256, text in records.read(FACTS_KIND, contents).items()
    }
