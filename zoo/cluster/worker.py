"""Runs on the machines of a cluster: a worker, which uses several cores and works on one item at a time."""

from __future__ import annotations

import json
import os
import pickle
import socket
import traceback
from collections.abc import Callable
from typing import Any

import zoo
from zoo import errors
from zoo.errors import ClusterError, ZooError

#: ``make(threads)`` returns the function that maps an item to its result, such as a model that is loaded once.
Make = Callable[[int], Callable[[bytes], bytes]]


class Worker:
    """An actor of Ray Data.

    Args:
        make: The pickled ``Make``.
        version: Version of zoo on the machine of the user.
        threads: Number of cores.
    """

    def __init__(self, make: bytes, version: str, threads: int) -> None:
        # Ray sets OMP_NUM_THREADS, which TensorFlow does not read.
        os.environ |= {"TF_NUM_INTRAOP_THREADS": str(threads), "TF_NUM_INTEROP_THREADS": str(threads)}
        self._make, self._version, self._threads = make, version, threads
        self._work: Callable[[bytes], bytes] | None = None

    def __call__(self, batch: Any) -> Any:
        """Converts a row with ``number`` and ``item`` to a row with ``number``, ``result`` and ``failure``."""
        import pyarrow

        result, failure = b"", ""
        try:
            if self._work is None:
                self._work = self._made()
            result = self._work(batch["item"][0].as_py())
        except ZooError as error:
            failure = as_failure(error)
        except Exception as error:
            trace = traceback.format_exc(limit=-3)
            failure = as_failure(ClusterError(f"A worker failed: {type(error).__name__}: {error}", trace))
        return pyarrow.table({"number": batch["number"], "result": [result], "failure": [failure]})

    def _made(self) -> Callable[[bytes], bytes]:
        refuse_other_version(self._version)
        make: Make = pickle.loads(self._make)
        return make(self._threads)


def refuse_other_version(version: str) -> None:
    """Raises ``ClusterError`` if the machine of the command has another version of zoo."""
    if zoo.__version__ != version:
        raise ClusterError(
            f"A worker has zoo {zoo.__version__}, and this machine has zoo {version}.",
            "Install the same version on all machines of the cluster.",
        )


def as_failure(error: ZooError) -> str:
    """An error as text, with the name of the machine.

    If the type of the error needs more than a message and a hint, the next type that it is derived from is used.
    """
    simple = [kind for kind in type(error).__mro__ if issubclass(kind, ZooError) and "__init__" not in vars(kind)]
    kind = simple[0] if simple else ZooError
    return json.dumps([kind.__name__, error.message, f"On {socket.gethostname()}. {error.hint or ''}".strip()])


def as_error(failure: str) -> ZooError:
    """Converts the text from ``as_failure`` to an error."""
    name, message, hint = json.loads(failure)
    error: ZooError = getattr(errors, name, ZooError)(message, hint)
    return error


def last_line(error: BaseException) -> str:
    """The type of an error, and the last line of its message."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[-1] if lines else ''}"
