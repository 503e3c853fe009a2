"""What every kind of given data becomes: parts that yield images or files, each with its label and its split."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Item:
    """One image.

    Args:
        image: Its pixels, uint8 ``(height, width, 3)`` or ``(height, width)``; or the absolute path of its file.
        label: Name of its class.
        split: ``train``, ``val``, ``test``, or ``None`` where nothing was said.
    """

    image: NDArray[np.uint8] | str
    label: str
    split: str | None = None


@dataclass(frozen=True)
class Part:
    """Images of one kind of source.

    Args:
        items: Begins to yield them, one at a time.
        count: How many there are; ``None`` where only the end will tell.
        again: Whether ``items`` yields the same once more. An iterable may be exhausted, or shuffled anew.
    """

    items: Callable[[], Iterator[Item]]
    count: int | None
    again: bool = True
