"""Errors of the disk, and checksums of files."""

from __future__ import annotations

import base64
import binascii
import errno
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from zoo.errors import DataError


def unwritable(path: Path, error: OSError) -> DataError:
    """The error for a file that cannot be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DataError(
            f"The disk with {path.parent} is full.",
            "The files that are present are complete. Free some space, then run the same command to continue.",
        )
    return DataError(
        f"Could not write in {path.parent}: {error.strerror or error}.",
        "Fix this, then run the same command to continue.",
    )


def busy(folder: Path) -> DataError:
    """The error for a folder that another process is filling."""
    return DataError(f"Another command is writing to {folder}.", "Wait until it is finished.")


@contextmanager
def using(path: Path) -> Iterator[None]:
    """Converts an ``OSError`` in the block to the error of ``unwritable``."""
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


def remove_file(path: Path) -> None:
    with using(path):
        path.unlink(missing_ok=True)


def differs(path: Path, md5: str, sha256: str) -> bool:
    """Whether the checksum of a file differs from the expected one.

    Args:
        path: Path of the file.
        md5: Expected MD5 in hexadecimal digits. Empty if unknown.
        sha256: Expected SHA-256 in hexadecimal digits. Empty if unknown.
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
