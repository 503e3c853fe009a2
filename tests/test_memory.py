"""The allocator of a command keeps freed memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: Allocates and frees blocks in a thread after a function of ``zoo.memory``, and counts the page faults.
_SCRIPT = """
import resource, sys, threading
import zoo.memory
print(getattr(zoo.memory, sys.argv[1])())
import numpy as np
size, count = map(int, sys.argv[2:])

def work():
    global before
    np.ones(size, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(count):
        np.ones(size, np.uint8)

thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _run(function: str, size_bytes: int, count: int, **environment: str) -> tuple[bool, int]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    command = [sys.executable, "-c", _SCRIPT, function, str(size_bytes), str(count)]
    done = subprocess.run(command, env=inherited | environment, capture_output=True, text=True, check=True)
    kept, faults = done.stdout.split()
    return kept == "True", int(faults)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the GNU C library is that of Linux")
def test_freed_memory_is_used_again() -> None:
    if os.confstr("CS_GNU_LIBC_VERSION") is None:
        pytest.skip("this is not the GNU C library")
    kept, faults = _run("keep_freed_memory", 2**26, 5)  # like TensorFlow
    assert kept
    assert faults < 1000


def test_whoever_has_set_the_allocator_up_keeps_that() -> None:
    kept, _ = _run("keep_freed_memory", 2**26, 5, MALLOC_ARENA_MAX="2")
    assert not kept


#: Frees a block of 30 MB in each of four threads. After that, the library keeps blocks of 12 MB.
_SERVICE = """
import sys, threading
from zoo.memory import return_large_blocks
print(return_large_blocks() if sys.argv[1] == "set" else False)
import numpy as np

def resident_mb():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 / 1e6

def work():
    np.ones(30 * 2**20, np.uint8)
    block = np.ones(12 * 2**20, np.uint8)
    kept.append(np.ones(100_000, np.uint8))
    del block
    freed.wait()

kept, freed = [], threading.Barrier(5)
threads = [threading.Thread(target=work) for _ in range(4)]
before = resident_mb()
for thread in threads:
    thread.start()
freed.wait()
print(round(resident_mb() - before))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the GNU C library is that of Linux")
def test_a_service_returns_large_blocks() -> None:
    if os.confstr("CS_GNU_LIBC_VERSION") is None:
        pytest.skip("this is not the GNU C library")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    grown = {}
    for way in ("set", "default"):
        command = [sys.executable, "-c", _SERVICE, way]
        done = subprocess.run(command, env=inherited, capture_output=True, text=True, check=True)
        was_set, megabytes = done.stdout.split()
        assert was_set == str(way == "set")
        grown[way] = int(megabytes)
    assert grown["set"] < 10 < grown["default"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the GNU C library is that of Linux")
def test_a_service_uses_smaller_blocks_again() -> None:
    if os.confstr("CS_GNU_LIBC_VERSION") is None:
        pytest.skip("this is not the GNU C library")
    was_set, faults = _run("return_large_blocks", 2**22, 20)
    assert was_set
    assert faults < 2048  # each 4 MB are 1024 pages
