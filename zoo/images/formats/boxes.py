"""The container that AVIF and HEIC share: boxes within boxes."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

from zoo.images.errors import ImageError


class Box(NamedTuple):
    kind: bytes
    start: int  # position of the body
    end: int


class Container:
    """What the ``meta`` box says about the pictures of a file.

    Args:
        data: The whole file.
        name: Name of the format, for messages.

    Raises:
        ImageError: A box is missing, or ends beyond the file.
    """

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._name = data, name
        top = list(self._boxes(Box(b"", 0, len(data))))
        kinds = {box.kind for box in top}
        if b"meta" not in kinds and b"moov" in kinds:
            raise ImageError(f"{name} sequence without a still picture is not supported")
        meta = self._children(self._first(b"meta", top), after_version=True)
        self.properties = self._children(self._first(b"ipco", self._children(self._first(b"iprp", meta))))
        found = [box for box in meta if box.kind == b"iref"]
        self.references = {box.kind for one in found for box in self._children(one, after_version=True)}

    def largest_size(self) -> tuple[int, int]:
        """Width and height of the largest picture. Colour, alpha, tiles and thumbnails have different sizes."""
        sizes = [struct.unpack_from(">II", self._data, box.start + 4) for box in self.properties if box.kind == b"ispe"]
        return max(sizes, key=lambda size: size[0] * size[1], default=(0, 0))

    def _first(self, kind: bytes, boxes: list[Box]) -> Box:
        for box in boxes:
            if box.kind == kind:
                return box
        raise ImageError(f"damaged {self._name}")

    def _children(self, box: Box, *, after_version: bool = False) -> list[Box]:
        return list(self._boxes(box._replace(start=box.start + 4) if after_version else box))

    def _boxes(self, parent: Box) -> Iterator[Box]:
        at = parent.start
        while at + 8 <= parent.end:
            size, kind = struct.unpack_from(">I4s", self._data, at)
            body = at + 8
            if size == 1:
                (size,) = struct.unpack_from(">Q", self._data, body)
                body += 8
            end = parent.end if size == 0 else at + size
            if end > len(self._data):
                raise ImageError(f"truncated {self._name}")
            if end < body:
                raise ImageError(f"damaged {self._name}")
            yield Box(kind, body, end)
            at = end


def brands(head: bytes) -> set[bytes]:
    """The brands of a file, including the major brand."""
    size = min(struct.unpack_from(">I", head)[0], len(head))
    return {head[8:12]} | {head[at : at + 4] for at in range(16, size - 3, 4)}
