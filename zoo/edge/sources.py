"""Pictures to look at: named, in folders, or on standard input; one at a time, however many there are."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.images import ImageError, read_file
from zoo.images.signatures import SUFFIXES, is_something_else

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    #: A path, the bytes of a file, pixels, or why there is none of them.
    Picture = Path | bytes | NDArray[np.uint8] | ImageError


def listed(arguments: Sequence[str]) -> Iterator[tuple[str, Picture]]:
    """Name and picture of each argument; ``-`` is standard input, and of a folder all files below it are taken.

    Hidden files of a folder are left out, and those that are pictures neither by name nor by content.
    """
    for argument in arguments:
        path = Path(argument)
        if argument == "-":
            yield "-", sys.stdin.buffer.read()
        elif path.is_dir():
            yield from _below(path)
        else:
            yield argument, path


def _below(folder: Path) -> Iterator[tuple[str, Picture]]:
    unreadable: list[OSError] = []
    empty = True
    for root, folders, files in os.walk(folder, onerror=unreadable.append):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        files.sort()  # in place: a folder may hold a hundred thousand
        for name in files:
            if name.startswith("."):
                continue
            path = Path(root, name)
            if _is_something_else(path):
                continue
            empty = False
            yield str(path), path
    for error in unreadable:
        yield str(error.filename), ImageError(error.strerror or str(error), error.filename)
    if empty and not unreadable:
        yield str(folder), ImageError("a folder without pictures", folder)


def _is_something_else(path: Path) -> bool:
    """Whether a file of a folder is left out without a word, such as notes and licences."""
    if path.suffix.lower() in SUFFIXES:
        return False
    try:
        read_file(path)
    except ImageError as error:
        return is_something_else(path.name, error.reason)
    return False
