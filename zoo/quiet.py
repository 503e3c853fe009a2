"""Keeping what compiled libraries write to the file descriptor of stderr."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def stderr_aside(told: type[BaseException] | tuple[type[BaseException], ...] = ()) -> Iterator[None]:
    """Turns the descriptor aside. What was written comes out with an error, or with ``TF_CPP_MIN_LOG_LEVEL=0``.

    Args:
        told: Errors that say all there is to say, so that nothing comes out with them.
    """
    show = os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0"
    sys.stderr.flush()
    with tempfile.TemporaryFile() as aside:
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
            if show:
                aside.seek(0)
                os.write(2, aside.read())
