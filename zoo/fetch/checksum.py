"""Whether a file is the one that was meant."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from zoo.fetch.disk import using


def differs(path: Path, md5: str, sha256: str) -> bool:
    """Whether the file has another checksum than it should.

    Args:
        path: Of the file.
        md5: Hexadecimal digits; empty where it is not known.
        sha256: Likewise.
    """
    wanted = {"md5": md5.lower(), "sha256": sha256.lower()}
    return any(digest and _digest(path, name) != digest for name, digest in wanted.items())


def _digest(path: Path, name: str) -> str:
    with using(path), path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.new, name, usedforsecurity=False)).hexdigest()


def google_md5(headers: Mapping[str, str]) -> str:
    """Google Cloud Storage tells the MD5 of the whole object, in base64; empty where a server does not."""
    for entry in headers.get("x-goog-hash", "").split(","):
        name, _, value = entry.strip().partition("=")
        if name == "md5":
            return md5_from_base64(value)
    return ""


def md5_from_base64(text: str) -> str:
    """Hexadecimal; empty for a text that is no MD5."""
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return ""
    return digest.hex() if len(digest) == 16 else ""
