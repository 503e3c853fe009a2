"""The errors of this package: files that are not usable images."""

from __future__ import annotations

import os
from typing import Any

from zoo.errors import DataError
from zoo.terminal import readable


class ImageError(DataError):
    """A file or a block of bytes that cannot be used as an image.

    Args:
        reason: A few words without a full stop, for use in a list: ``"empty file"``, ``"truncated JPEG"``.
        path: The file, if known.
    """

    def __init__(self, reason: str, path: str | os.PathLike[str] | None = None) -> None:
        subject = "image" if path is None else f"'{readable(os.fsdecode(path))}'"
        super().__init__(f"Cannot read {subject}: {reason}.")
        self.reason = reason
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        # Pickle rebuilds exceptions from `args`, which only contains the message. A worker process must pass on the
        # reason too.
        return type(self), (self.reason, self.path)


class MissingDecoderError(ImageError):
    """An image whose decoder is not installed. After installation, the same file can be read."""


class ImageMemoryError(ImageError):
    """An image that does not fit into the memory that is free at that moment. Later, the same file may be read."""


class ImageTooLargeError(ImageError):
    """An image that declares more pixels than the maximum number that is decoded."""
