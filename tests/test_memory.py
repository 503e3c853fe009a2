"""The allocator of a command keeps what is freed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: Asks for 64 MB five times, in a thread, as TensorFlow does, and counts the pages that the system had to bring.
_SCRIPT = """
import resource, threading
from zoo.memory import keep_freed_memory
print(keep_freed_memory())
import numpy as np

def work():
    global before
    np.ones(2**26, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(5):
        np.ones(2**26, np.uint8)

thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _run(**environment: str) -> tuple[bool, int]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", _SCRIPT]
    done = subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=True)
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the GNU C library is that of Linux")
def test_freed_memory_is_used_again() -> None:
    if os.confstr("CS_GNU_LIBC_VERSION") is None:
        pytest.skip("this is not the GNU C library")
    kept, faults = _run()
    assert kept
    assert faults < 1000


def test_whoever_has_set_the_allocator_up_keeps_that() -> None:
    kept, _ = _run(MALLOC_ARENA_MAX="2")
    assert not kept
