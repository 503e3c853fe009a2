"""Checksums of downloaded files."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from zoo.fetch.disk import using


def differs(path: Path, md5: str, sha256: str) -> bool:
    """Whether the checksum of a file differs from the expected one.

    Args:
        path: Path of the file.
        md5: Expected MD5 in hexadecimal digits. Empty if unknown.
        sha256: Expected SHA-256, likewise.
    """
    wanted = {"md5": md5.lower(), "sha256": sha256.lower()}
    return any(digest and _digest(path, name) != digest for name, digest in wanted.items())


def _digest(path: Path, name: str) -> str:
    with using(path), path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.new, name, usedforsecurity=False)).hexdigest()


def google_md5(headers: Mapping[str, str]) -> str:
    """The MD5 of the whole object, which Google Cloud Storage sends in base64. Empty for other servers."""
    for entry in headers.get("x-goog-hash", "").split(","):
        name, _, value = entry.strip().partition("=")
        if name == "md5":
            return md5_from_base64(value)
    return ""


def md5_from_base64(text: str) -> str:
    """Converts to hexadecimal. Empty if the text is not an MD5."""
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return digest.hex() if len(digest) == 16 else ""
