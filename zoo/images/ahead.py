"""Work on many pictures in threads, a bounded number of them ahead of whoever uses what comes of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")

#: Results that wait or are being made, for each thread.
_AHEAD = 4


def ahead(function: Callable[[_Item], _Result], items: Iterable[_Item], workers: int) -> Iterator[_Result]:
    """What ``function`` makes of each item, in their order; OpenCV works outside the interpreter lock.

    Items are taken one after the other as they are needed, by the caller's thread, so that there may be any number.
    """
    with ThreadPoolExecutor(workers, "zoo-decode", initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        pending: deque[Future[_Result]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= _AHEAD * workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
