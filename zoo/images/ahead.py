"""Processes many images in threads, at most a limited number of images ahead of the consumer."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import cv2

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def ahead(
    function: Callable[[_Item], _Result], items: Iterable[_Item], workers: int, most: int | None = None
) -> Generator[_Result, None, None]:
    """Yields the result of ``function`` for each item, in order.

    The calls run in parallel, because OpenCV releases the interpreter lock.
    Items are read one by one as needed, in the caller's thread, so that their number is not limited.

    Args:
        function: Called in a thread.
        items: Arguments of the calls.
        workers: Number of threads.
        most: Maximum number of calls that are running, or whose results the consumer has not read yet. The default is
            four per thread.
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
