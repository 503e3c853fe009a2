"""Loads an image file as the tensor of an ``ImageSpec``."""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from zoo.image_spec import ImageSpec
from zoo.images.errors import ImageError, ImageMemoryError
from zoo.images.listen import look
from zoo.images.resize import resize
from zoo.images.signatures import HEAD_BYTES, identify

_Path = TypeVar("_Path")
_Result = TypeVar("_Result")

#: Maximum size of a file, 1 GiB.
MAX_FILE_BYTES = 2**30

#: Errors of network disks that are often temporary, and the seconds after which a file is read again.
_TEMPORARY = (errno.EIO, errno.ETIMEDOUT, getattr(errno, "ESTALE", errno.EIO))
_READ_AGAIN_AFTER_S = (0.2, 1.0, 4.0)

#: Number of files in a row that may fail before files are read only once, because the disk is probably lost.
_MOST_FAILURES = 16
_failed = 0

_SPECIAL_FILES = (
    (stat.S_ISDIR, "folder"),
    (stat.S_ISFIFO, "named pipe"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)
_REASONS = {
    errno.ENOENT: "no such file",
    errno.EACCES: "no permission to read it",
    errno.EPERM: "no permission to read it",
    errno.ELOOP: "symbolic link to itself",
    errno.ENAMETOOLONG: "file name too long",
    errno.ENOTDIR: "no such file",
}


def load_image(path: str | os.PathLike[str], spec: ImageSpec) -> npt.NDArray[np.uint8]:
    """Loads an image file as model input: read, decode, resize.

    Training, evaluation, calibration, verification and the runner on the device all call this function. Thread-safe.

    Args:
        path: The file. Its name and extension are ignored.
        spec: Size, resize rule and interpolation.

    Returns:
        ``(spec.height_px, spec.width_px, 3)`` uint8 RGB, 0 to 255, contiguous.

    Raises:
        ImageError: The file cannot be read or is not a usable image. The error contains the path and the reason.
    """
    return load_with_remark(path, spec)[0]


def load_with_remark(path: str | os.PathLike[str], spec: ImageSpec) -> tuple[npt.NDArray[np.uint8], str]:
    """Loads an image like ``load_image``, and also returns a remark for the user.

    Args:
        path, spec: As in ``load_image``.

    Returns:
        The pixels, and a remark of a few words without a full stop, such as ``the decoder warns: Premature end of JPEG
        file``, or an empty string.

    Raises:
        ImageError: In the same cases as ``load_image``.
    """
    data = read_file(path)
    try:
        pixels, remark = look(data)
        return resize(pixels, spec), remark
    except ImageError as error:
        raise type(error)(error.reason, path) from None


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Reads the bytes of an image file. It never blocks, even if ``path`` is a named pipe.

    A file without the signature of an image is refused before the rest of it is read. After a temporary error of a
    network disk, the file is read again, as in ``patiently``.

    Args:
        path: The file. A symbolic link is followed.

    Returns:
        All its bytes, at most ``MAX_FILE_BYTES``.

    Raises:
        ImageError: The file is missing, not readable, not a regular file, empty, too large, or not an image.
    """
    try:
        return patiently(_read, path)
    except ImageError as error:
        raise ImageError(error.reason, path) from None
    except OSError as error:
        raise ImageError(_reason(error, path), path) from None
    except ValueError:
        raise ImageError("file name with a null byte", path) from None
    except MemoryError:
        raise ImageMemoryError("does not fit in memory", path) from None


def patiently(read: Callable[[_Path], _Result], path: _Path) -> _Result:
    """Returns ``read(path)``. It is called again, up to three times within about five seconds, after an error that is
    often temporary on network disks (``EIO``, ``ESTALE``, ``ETIMEDOUT``). After many such files in a row, each is read
    only once, until one can be read.

    Raises:
        OSError: Another error, or such an error again.
    """
    global _failed
    for pause_s in _READ_AGAIN_AFTER_S if _failed < _MOST_FAILURES else ():
        try:
            return read(path)
        except OSError as error:
            if error.errno not in _TEMPORARY:
                raise
            time.sleep(pause_s)
    try:
        result = read(path)
    except OSError as error:
        _failed += error.errno in _TEMPORARY
        raise
    _failed = 0
    return result


def _read(path: str | os.PathLike[str]) -> bytes:
    # Opening a device may have side effects, so the type of the file is checked before it is opened, and again
    # afterwards in case the file was replaced.
    _refuse_special(Path(path).stat())
    # Without O_NONBLOCK, opening a pipe would wait for its writer. On a regular file, the flag has no effect. Windows
    # has neither such pipes nor the flag.
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    with os.fdopen(descriptor, "rb") as file:
        _refuse_special(os.fstat(descriptor))
        identify(file.read(HEAD_BYTES))
        file.seek(0)
        return file.read()


def _refuse_special(status: os.stat_result) -> None:
    for is_kind, kind in _SPECIAL_FILES:
        if is_kind(status.st_mode):
            raise ImageError(kind)
    if status.st_size > MAX_FILE_BYTES:
        raise ImageError(f"file of {status.st_size / 2**30:.1f} GiB, more than {MAX_FILE_BYTES // 2**30} GiB")


def _reason(error: OSError, path: str | os.PathLike[str]) -> str:
    if error.errno == errno.ENOENT and Path(path).is_symlink():
        return "broken symbolic link"
    return _REASONS.get(error.errno or 0) or error.strerror or str(error)
