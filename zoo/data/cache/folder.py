"""Location and maximum size of the cache."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from zoo.errors import DataError, UsageError

DEFAULT_BOUND_GB = 20.0


def cache_folder() -> Path:
    """``ZOO_CACHE_DIR``. The default is ``zoo`` in the user's cache folder (``XDG_CACHE_HOME``, ``~/.cache``)."""
    chosen = os.environ.get("ZOO_CACHE_DIR")
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "zoo"


def bound_bytes() -> int:
    """The maximum size of the cache in bytes: ``ZOO_CACHE_GB`` (default 20)."""
    text = os.environ.get("ZOO_CACHE_GB", "")
    try:
        bound = float(text or DEFAULT_BOUND_GB)
        if not bound > 0:
            raise ValueError
    except ValueError:
        raise UsageError(f"ZOO_CACHE_GB must be a number of gigabytes above 0. Received: {text!r}.") from None
    return int(bound * 1e9)


def images_folder(folder: Path) -> Path:
    """The folder of the segments, in the folder of the cache."""
    return folder / "images"


def segment_path(folder: Path, name: str) -> Path:
    """The file of a segment."""
    return images_folder(folder) / f"{name}.u8"


def unusable(folder: Path, error: Exception) -> DataError:
    """The error for a cache that cannot be read or written."""
    reason = getattr(error, "strerror", None) or error
    return DataError(f"Could not use the image cache in {folder}: {reason}.", "Set ZOO_CACHE_DIR to another folder.")


def size_bytes(path: Path) -> int:
    """Size of a file, or -1 if it does not exist."""
    try:
        return path.stat().st_size
    except OSError:
        return -1


def remove(path: Path) -> None:
    """Removes a file. Windows keeps a file that a process has mapped; a later call removes it."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        path.unlink()


def remove_segments(folder: Path) -> None:
    """Removes every segment and every temporary file."""
    for pattern in ("*.u8", "*.tmp"):
        for path in images_folder(folder).glob(pattern):
            remove(path)
