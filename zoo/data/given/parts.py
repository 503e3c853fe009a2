"""The common form of all given data: parts that yield images or files, each with its label and split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Item:
    """One image.

    Args:
        image: Pixels, uint8 ``(height, width, 3)`` or ``(height, width)``, or the absolute path of the file.
        label: Class name.
        split: ``train``, ``val``, ``test``, or ``None`` if no split is given.
    """

    image: NDArray[np.uint8] | str
    label: str
    split: str | None = None


@dataclass(frozen=True)
class Part:
    """Images of one kind of source.

    Args:
        items: Returns an iterator over the images.
        count: Number of images. ``None`` if it is unknown until the end.
        again: Whether ``items`` can be called again with the same result. An iterable may be exhausted or reshuffled.
    """

    items: Callable[[], Iterator[Item]]
    count: int | None
    again: bool = True
