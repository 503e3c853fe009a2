"""Frames of a camera, or of a video file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from zoo.errors import DataError


def frames(source: str) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Yields ``frame 1``, ``frame 2``, ... with RGB pixels, uint8 ``(height, width, 3)``.

    Args:
        source: The number of a camera, from 0, or the path of a video.

    Raises:
        DataError: The camera or video does not exist, returns no image, or stops.
    """
    is_camera = source.isascii() and source.isdigit()
    what = f"camera {source}" if is_camera else f"'{source}'"
    if not is_camera and not _is_file(Path(source)):
        raise DataError(
            f"Cannot open {what}: no such file.", "--camera must be the number of a camera, from 0, or a video file."
        )
    # OpenCV numbers cameras with 31 bits.
    capture = cv2.VideoCapture(min(int(source), 2**31 - 1) if is_camera else source)
    try:
        if not capture.isOpened():
            hint = "Is it connected, and may this user read it (group 'video')?" if is_camera else None
            raise DataError(f"Cannot open {what}.", hint)
        capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)  # the newest frame instead of the oldest one in the queue
        number = 0
        while True:
            taken, frame = capture.read()
            if not taken:
                break
            number += 1
            yield f"frame {number}", np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
        if is_camera or number == 0:
            raise DataError(f"{what[0].upper()}{what[1:]} returns no {'further ' if number else ''}image.")
    finally:
        capture.release()


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # such as a name that is too long
        return False
