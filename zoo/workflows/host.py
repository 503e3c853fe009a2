"""Restores global state of the process, which may be a notebook or a server."""

from __future__ import annotations

import logging
import os
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from zoo.reporter import close_bars

_VARIABLES = ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL")


@contextmanager
def host_kept() -> Iterator[None]:
    """Restores what a workflow changes in the process. After an error, it also removes the progress bar.

    The restored state is: environment variables, the level of TensorFlow's log, the threads of OpenCV, the devices that
    share a batch in Keras, and the random generators of Python and NumPy. Keras keeps the seed that a training sets.
    """
    before = {name: os.environ.get(name) for name in _VARIABLES}
    log = logging.getLogger("tensorflow")
    level = log.level
    threads = sys.modules["cv2"].getNumThreads() if "cv2" in sys.modules else -1  # -1: the default of OpenCV
    distribution = sys.modules["keras"].distribution.distribution() if "keras" in sys.modules else None
    state = random.getstate()
    numpy_state = sys.modules["numpy"].random.get_state() if "numpy" in sys.modules else None
    try:
        yield
    except BaseException:
        close_bars()
        raise
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        log.setLevel(level)
        if "cv2" in sys.modules:
            sys.modules["cv2"].setNumThreads(threads)
        if "keras" in sys.modules and sys.modules["keras"].distribution.distribution() is not distribution:
            sys.modules["keras"].distribution.set_distribution(distribution)
        random.setstate(state)
        if numpy_state is not None:
            sys.modules["numpy"].random.set_state(numpy_state)
