"""Keeping what compiled libraries write to the file descriptor of stderr."""

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
        kept = os.dup(2)
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException as error:
            show |= not isinstance(error, told)
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if show or only is not None:
                aside.seek(0)
                lines = aside.read().splitlines(keepends=True)
                os.write(2, b"".join(line for line in lines if show or only is None or not line.startswith(only)))


def _unnamed_file() -> BinaryIO:
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("stderr"), "w+b")
    import tempfile  # loads OpenSSL: too slow for the runner on a device where there is another way

    return tempfile.TemporaryFile()
