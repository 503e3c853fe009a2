"""Captures what compiled libraries write to stderr (file descriptor 2)."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def stderr_aside(
    told: type[BaseException] | tuple[type[BaseException], ...] = (), only: bytes | None = None
) -> Iterator[None]:
    """Captures all output to stderr. The text is printed after an error, or with ``TF_CPP_MIN_LOG_LEVEL=0``.

    The descriptor is shared by the process: no other thread may write to it or capture it at the same time.

    Args:
        told: Types of errors whose message is sufficient, so that the text is not printed with them.
        only: Prefix of the lines to suppress. All other lines are printed in any case.
    """
    if sys.__stderr__ is None:  # the process was started without stderr
        yield
        return
    show = os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0"
    sys.stderr.flush()
    with os.fdopen(_unnamed_file(), "w+b") as aside:
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
    """Captures what compiled libraries write to stderr between ``begin`` and ``end``.

    The output of Python is not captured. If ``sys.stderr`` itself writes to descriptor 2, as in a program that did not
    call ``zoo.terminal.guard_terminal``, it is replaced by another stream between the two calls. ``begin`` and ``end``
    take microseconds, so that they can be called for every image.
    """

    def __init__(self) -> None:
        self._process = 0
        self._file = -1  # the file that receives the output; stays open until the process ends
        self._own: TextIO | None = None  # replaces Python's stderr; stays open, because a reference to it may exist
        self._kept = -1  # duplicate of the original descriptor
        self._python: TextIO | None = None  # the original stderr of Python
        self._claimed: set[bytes] = set()

    def begin(self) -> None:
        """Captures the descriptor. It does nothing in a process without stderr."""
        try:
            self._kept = os.dup(2)
        except OSError:
            return
        if self._process != os.getpid():  # on first use, and after a fork, so that the file of the parent is not used
            self._process, self._file = os.getpid(), _unnamed_file()
        stream = sys.stderr
        if isinstance(stream, io.TextIOWrapper) and _is_descriptor_2(stream):
            stream.flush()
            if self._own is None:
                self._own = open(  # noqa: SIM115
                    os.dup(2), "w", buffering=1, encoding=stream.encoding, errors=stream.errors, closefd=False
                )
            else:
                os.dup2(2, self._own.fileno(), inheritable=False)
            self._python, sys.stderr = stream, self._own
        os.dup2(self._file, 2)

    def end(self) -> None:
        """Restores the descriptor. Unclaimed lines are printed."""
        if self._kept < 0:
            return
        if self._python is not None and self._own is not None:
            self._own.flush()
            if sys.stderr is self._own:
                sys.stderr = self._python
            self._python = None
        os.dup2(self._kept, 2)
        os.close(self._kept)
        self._kept = -1
        if self.size():
            lines = self._written(0).splitlines(keepends=True)
            os.lseek(self._file, 0, os.SEEK_SET)
            os.ftruncate(self._file, 0)
            if left := b"".join(line for line in lines if line.strip() and line.strip() not in self._claimed):
                os.write(2, left)
        self._claimed.clear()

    def size(self) -> int:
        """Number of captured bytes so far."""
        return 0 if self._file < 0 else os.fstat(self._file).st_size

    def since(self, size: int) -> list[bytes]:
        """The distinct lines that were written after this number of bytes."""
        return list(dict.fromkeys(line.strip() for line in self._written(size).splitlines() if line.strip()))

    def claim(self, lines: Iterable[bytes]) -> None:
        """Prevents lines from being printed at the end, because they are reported in another way."""
        self._claimed.update(lines)

    def _written(self, after: int) -> bytes:
        count = self.size() - after
        if count <= 0:
            return b""
        if hasattr(os, "pread"):
            return os.pread(self._file, count, after)
        os.lseek(self._file, after, os.SEEK_SET)  # on Windows, all writers share this position
        try:
            return os.read(self._file, count)
        finally:
            os.lseek(self._file, 0, os.SEEK_END)


def _is_descriptor_2(stream: io.TextIOWrapper) -> bool:
    try:
        return stream.fileno() == 2
    except (OSError, ValueError):  # a stream in memory, or a closed stream
        return False


def stderr_descriptors() -> set[int]:
    """Descriptor 2, and the separate descriptor of Python's stderr, if there is one; see ``zoo.terminal``."""
    return {2} if sys.__stderr__ is None else {2, sys.__stderr__.fileno()}


def _unnamed_file() -> int:
    """Descriptor of a new unnamed temporary file."""
    if hasattr(os, "memfd_create"):
        import fcntl

        descriptor = os.memfd_create("stderr")
        # Linux does not lock the position of such a file, so threads would overwrite each other's output.
        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | os.O_APPEND)
        return descriptor
    import tempfile  # loads OpenSSL, which is slow on a device, so it is only used if nothing else works

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())
