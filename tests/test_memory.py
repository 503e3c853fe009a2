"""The allocator of a command keeps freed memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

#: Allocates 64 MB five times in a thread, like TensorFlow, and counts the page faults.
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


#: Allocates and frees 4 MB twenty times in a thread, like a service that decodes photos, and counts the page faults.
_PHOTOS = """
import resource, threading
from zoo.memory import return_large_blocks
print(return_large_blocks())
import numpy as np

def work():
    global before
    np.ones(2**22, np.uint8)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        np.ones(2**22, np.uint8)

thread = threading.Thread(target=work)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the GNU C library is that of Linux")
def test_a_service_uses_smaller_blocks_again() -> None:
    if os.confstr("CS_GNU_LIBC_VERSION") is None:
        pytest.skip("this is not the GNU C library")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    done = subprocess.run([sys.executable, "-c", _PHOTOS], env=inherited, capture_output=True, text=True, check=True)
    was_set, faults = done.stdout.split()
    assert was_set == "True"
    assert int(faults) < 2048  # each 4 MB are 1024 pages
