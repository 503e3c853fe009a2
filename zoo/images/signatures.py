"""Identifies a file by its first bytes. Its name and extension are ignored."""

from __future__ import annotations

import struct
from pathlib import PurePath

from zoo.images.errors import ImageError
from zoo.images.formats import avif, heif
from zoo.images.formats.boxes import brands

#: Format by suffix of the file name.
SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".jpe": "JPEG",
    ".jfif": "JPEG",
    ".mpo": "JPEG",
    ".png": "PNG",
    ".apng": "PNG",
    ".bmp": "BMP",
    ".dib": "BMP",
    ".gif": "GIF",
    ".webp": "WebP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
    ".avif": "AVIF",
    ".heic": "HEIC",
    ".heif": "HEIC",
    ".hif": "HEIC",
}

#: Number of bytes that ``identify`` needs.
HEAD_BYTES = 512

_NOT_AN_IMAGE = "not an image"
_IMAGES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
)
_UNSUPPORTED_IMAGES = (
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
    (b"\0\0\1\0", "icon"),
)
_NOT_IMAGES = (
    (b"%PDF", "PDF"),
    (b"PK\3\4", "ZIP archive"),
    (b"\x1f\x8b", "gzip archive"),
    (b"\x1a\x45\xdf\xa3", "Matroska or WebM video"),
    (b"\xd0\xcf\x11\xe0", "Microsoft compound file"),
    (b"\0\5\x16\7", "AppleDouble metadata"),
)
_BMP_HEADER_BYTES = {12, 40, 52, 56, 64, 108, 124}
# Raw formats of cameras. Most others are TIFF files, which `zoo.images.formats.tiff` distinguishes.
_RAW = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0", b"II\x1a\0\0\0HEAPCCDR", b"\0MRM", b"FOVb", b"ARRI")


def identify(head: bytes) -> str:
    """The format of an image: ``JPEG``, ``PNG``, ``BMP``, ``GIF``, ``WebP``, ``TIFF``, ``AVIF`` or ``HEIC``.

    Args:
        head: The first ``HEAD_BYTES`` bytes of the file, or more, or the whole file.

    Raises:
        ImageError: The file has another format. The reason names the format if it is known.
    """
    if not head:
        raise ImageError("empty file")
    if head.startswith(_RAW) or (head[8:10] == b"CR" and head.startswith(b"II*\0")):
        raise ImageError("camera RAW is not supported")
    for signature, name in _IMAGES:
        if head.startswith(signature):
            return name
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    # Two letters are not sufficient, because a text may start with "BM".
    if head.startswith(b"BM") and len(head) >= 18 and struct.unpack_from("<I", head, 14)[0] in _BMP_HEADER_BYTES:
        return "BMP"
    if head[4:8] == b"ftyp":
        return _identify_media_file(head)
    for signature, name in _UNSUPPORTED_IMAGES:
        if head.startswith(signature):
            raise ImageError(f"{name} is not supported")
    raise ImageError(f"{_NOT_AN_IMAGE}: {_describe(head)}")


def is_something_else(name: str, reason: str) -> bool:
    """Whether a refused file was never meant to be an image, such as a licence, notes or a list.

    Args:
        name: Name of the file.
        reason: Reason for the refusal.
    """
    return reason.startswith(_NOT_AN_IMAGE) and PurePath(name).suffix.lower() not in SUFFIXES


def _identify_media_file(head: bytes) -> str:
    """AVIF, HEIC and MP4 use the same container and differ in their brands."""
    found = brands(head)
    if found & avif.BRANDS:
        return "AVIF"
    if found & heif.BRANDS:
        return "HEIC"
    if b"crx " in found:
        raise ImageError("camera RAW is not supported")
    raise ImageError(f"{_NOT_AN_IMAGE}: MP4 or QuickTime video")


def _describe(head: bytes) -> str:
    for signature, name in _NOT_IMAGES:
        if head.startswith(signature):
            return name
    start = head[:HEAD_BYTES]
    if not start.strip(b"\0"):
        return "zero bytes"
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if text.startswith((b"<!doctype html", b"<html")):
        return "HTML text"
    if text.startswith((b"<?xml", b"<svg")):
        return "SVG or XML text"
    try:
        # `start` may end within a character, which has up to four bytes.
        start[: max(len(start) - 3, 1)].decode("utf-8")
    except UnicodeDecodeError:
        return "unknown content"
    return "unknown content" if b"\0" in start else "text"
