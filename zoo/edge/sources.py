"""Yields images to predict, one at a time: by path, in folders, or from standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from zoo.images import ImageError, look, read_file
from zoo.images.signatures import SUFFIXES, is_something_else

if TYPE_CHECKING:
    from numpy.typing import NDArray

    #: A path, the bytes of a file, pixels, or the reason why none can be read.
    Picture = Path | bytes | NDArray[np.uint8] | ImageError


def listed(arguments: Sequence[str]) -> Iterator[tuple[str, Picture]]:
    """Yields name and image of each argument. ``-`` is standard input. For a folder, all files below it are used.

    In folders, hidden files are ignored, and files that are images neither by name nor by content.
    """
    for argument in arguments:
        path = Path(argument)
        if argument == "-":
            yield "-", sys.stdin.buffer.read()
        elif is_folder(path):
            yield from below(path)
        else:
            yield argument, path


def below(folder: Path) -> Iterator[tuple[str, Picture]]:
    """Path and image of all files below a folder, followed by errors of folders that cannot be listed."""
    unreadable: list[OSError] = []
    empty = True
    waiting = [str(folder)]
    while waiting:  # not os.walk, which is recursive before Python 3.12
        try:
            with os.scandir(waiting.pop()) as found:
                entries = sorted((entry for entry in found if entry.name[0] != "."), key=lambda entry: entry.name)
        except OSError as refused:
            unreadable.append(refused)
            continue
        waiting += [entry.path for entry in reversed(entries) if is_folder(entry) and not entry.is_symlink()]
        for entry in entries:
            path = Path(entry.path)
            if is_folder(entry) or _is_something_else(path):
                continue
            empty = False
            yield str(path), path
    for error in unreadable:
        yield str(error.filename), ImageError(error.strerror or str(error), error.filename)
    if empty and not unreadable:
        yield str(folder), ImageError("a folder without pictures", folder)


def is_folder(path: Path | os.DirEntry[str]) -> bool:
    """Whether a path is a folder. ``False`` if that cannot be determined, as for a name that is too long."""
    try:
        return path.is_dir()
    except OSError:
        return False


def _is_something_else(path: Path) -> bool:
    """Whether a file of a folder is ignored silently, such as notes and licences."""
    if path.suffix.lower() in SUFFIXES:
        return False
    try:
        read_file(path)
    except ImageError as error:
        return is_something_else(path.name, error.reason)
    return False


def upright(picture: str | os.PathLike[str] | bytes | NDArray[np.uint8]) -> tuple[NDArray[np.uint8], str]:
    """All pixels of the upright image, and a remark on it."""
    if isinstance(picture, np.ndarray):
        return picture, ""
    if isinstance(picture, bytes):
        return look(picture)
    try:
        return look(read_file(picture))
    except ImageError as error:
        raise type(error)(error.reason, Path(picture)) from None
