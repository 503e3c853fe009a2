"""Whether ``letterbox`` pads any image of a dataset. If not, it gives the same pixels as ``squash``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from zoo.data import ImageData
from zoo.image_spec import ImageSpec
from zoo.images import ImageError, probe, read_file, seen


class Padding:
    """``padding(spec)`` returns whether ``letterbox`` would pad any of the images.

    Files are read only up to the first padded image. With more images than ``MOST``, the answer is always yes.

    Args:
        data: The images.
    """

    #: Maximum number of files to read.
    MOST = 5000

    def __init__(self, data: ImageData) -> None:
        self._read: set[tuple[int, int] | None] = set()
        self._unread = _sizes(data)

    def __call__(self, spec: ImageSpec) -> bool:
        if any(_pads(size, spec) for size in self._read):
            return True
        for size in self._unread:
            self._read.add(size)
            if _pads(size, spec):
                return True
        return False


def _sizes(data: ImageData) -> Iterator[tuple[int, int] | None]:
    """Height and width of each upright image. ``None`` if a file can no longer be read, or if there are too many."""
    paths = data.paths()
    if len(paths) > Padding.MOST:
        yield None
        return
    for path in paths:
        try:
            header = probe(read_file(path))
        except ImageError:
            yield None
            return
        size = header.height_px, header.width_px
        yield size[::-1] if header.orientation >= 5 else size


def _pads(size: tuple[int, int] | None, spec: ImageSpec) -> bool:
    if size is None:
        return True
    squashed, padded = (seen(*size, replace(spec, resize=rule)) for rule in ("squash", "letterbox"))
    return squashed != padded
