"""Starting Keras without the page of notices its backend prints."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager


def start_keras() -> str:
    """Imports Keras, wakes its backend, and returns the backend's name.

    TensorFlow 2.21 writes to the file descriptor before its own log level is in force, so the descriptor is turned
    aside meanwhile. What was written comes out after all if the start fails, or with ``TF_CPP_MIN_LOG_LEVEL=0``.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    with _stderr_aside(show=os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"):
        import keras

        keras.ops.convert_to_numpy(keras.ops.zeros(()))
    return str(keras.backend.backend())


@contextmanager
def _stderr_aside(show: bool) -> Iterator[None]:
    sys.stderr.flush()
    with tempfile.TemporaryFile() as aside:
        kept = os.dup(2)
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except BaseException:
            show = True
            raise
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            if show:
                aside.seek(0)
                os.write(2, aside.read())
