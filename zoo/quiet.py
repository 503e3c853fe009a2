"""Keeping what compiled libraries write to stderr, file descriptor 2."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO


@contextmanager
def stderr_aside(
    told: type[BaseException] | tuple[type[BaseException], ...] = (), only: bytes | None = None
) -> Iterator[None]:
    """Turns the descriptor aside. What was written comes out with an error, or with ``TF_CPP_MIN_LOG_LEVEL=0``.

    The descriptor is the process's: no other thread may write to it, or turn it aside, in the meantime.

    Args:
        told: Errors that say all there is to say, so that nothing comes out with them.
        only: Lines that begin so are kept back, and all others come out in any case.
    """
    if sys.__stderr__ is None:  # the process was started without one
        yield
        return
    show = os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0"
    sys.stderr.flush()
    with _unnamed_file() as aside:
        kept = {descriptor: os.dup(descriptor) for descriptor in stderr_descriptors()}
        for descriptor in kept:
            os.dup2(aside.fileno(), descriptor)
        try:
            yield
        except BaseException as error:
            show |= not isinstance(error, told)
            raise
        finally:
            sys.stderr.flush()
            for descriptor, copy in kept.items():
                os.dup2(copy, descriptor)
                os.close(copy)
            if show or only is not None:
                aside.seek(0)
                lines = aside.read().splitlines(keepends=True)
                os.write(2, b"".join(line for line in lines if show or only is None or not line.startswith(only)))


class Messages:
    """What compiled libraries have written to stderr since it was turned aside.

    Args:
        file: Where it goes now; ``None`` where it cannot be told apart from what Python writes.
    """

    def __init__(self, file: BinaryIO | None) -> None:
        self._descriptor = None if file is None else file.fileno()

    def size(self) -> int:
        """Number of bytes so far."""
        return 0 if self._descriptor is None else os.fstat(self._descriptor).st_size

    def since(self, size: int) -> str:
        """The text that was written after so many bytes, on one line."""
        if self._descriptor is None:
            return ""
        written = os.pread(self._descriptor, self.size() - size, size)
        return " ".join(written.decode("utf-8", "replace").split())


@contextmanager
def messages_aside() -> Iterator[Messages]:
    """Turns descriptor 2 aside; what Python writes goes on to where it went.

    Where Python's stderr has no descriptor of its own, as in a program that did not call ``guard_terminal``, nothing is
    turned aside.
    """
    if len(stderr_descriptors()) == 1:
        yield Messages(None)
        return
    with _unnamed_file() as aside:
        kept = os.dup(2)
        os.dup2(aside.fileno(), 2)
        try:
            yield Messages(aside)
        finally:
            os.dup2(kept, 2)
            os.close(kept)


def stderr_descriptors() -> set[int]:
    """Descriptor 2, and the one of its own that Python's stderr may have: ``zoo.terminal``."""
    return {2} if sys.__stderr__ is None else {2, sys.__stderr__.fileno()}


def _unnamed_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    import tempfile  # loads OpenSSL: too slow for the runner on a device where there is another way

    return tempfile.TemporaryFile()
