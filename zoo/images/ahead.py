"""Work on many pictures in threads, a bounded number of them ahead of whoever uses what comes of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def ahead(
    function: Callable[[_Item], _Result], items: Iterable[_Item], workers: int, most: int | None = None
) -> Iterator[_Result]:
    """What ``function`` makes of each item, in their order; OpenCV works outside the interpreter lock.

    Items are taken one after the other as they are needed, by the caller's thread, so that there may be any number.

    Args:
        function: Called in a thread.
        items: What it is called with.
        workers: Threads.
        most: Results that wait or are being made; four for each thread where nothing is said.
    """
    most = most or 4 * workers
    before = cv2.getNumThreads()
    with ThreadPoolExecutor(workers, "zoo-decode", initializer=cv2.setNumThreads, initargs=(1,)) as pool:
        pending: deque[Future[_Result]] = deque()
        try:
            for item in items:
                pending.append(pool.submit(function, item))
                if len(pending) >= most:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        finally:
            for future in pending:
                future.cancel()
            cv2.setNumThreads(before)
