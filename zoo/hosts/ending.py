"""How a process ends if the hosts were connected by the backend."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn

from zoo.errors import ZooError


def described(error: BaseException) -> str:
    """The sentence on an error that the other hosts are told."""
    if isinstance(error, ZooError):
        return error.message
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "it was interrupted."
    return f"{type(error).__name__}: {error}"[:500]


def exit_code(error: BaseException) -> int:
    """The exit code of a process that ends with an error."""
    if isinstance(error, ZooError):
        return error.exit_code
    if isinstance(error, SystemExit):
        return error.code if isinstance(error.code, int) else 1
    return 130 if isinstance(error, KeyboardInterrupt) else 1


def end_after_main(code: int) -> None:
    """Waits for the end of the main thread, and then ends the process."""
    while threading.main_thread().is_alive():
        time.sleep(0.05)
    end(code)


def end(code: int) -> NoReturn:
    """Ends the process at once, without the shutdown of the backend, which would wait for lost hosts."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    os._exit(code)
