"""A process whose clock is wrong, while its files have the times of the file system, as on a network disk."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>

int clock_gettime(clockid_t clock, struct timespec *found) {
    int (*original)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
    int failed = original(clock, found);
    if (clock == CLOCK_REALTIME)
        found->tv_sec += SHIFT_S;
    return failed;
}
"""


def wrong_clock(folder: Path, shift_s: int) -> dict[str, str]:
    """The environment of a Python process whose clock is ``shift_s`` seconds ahead. Skips if there is no compiler."""
    compiler = shutil.which("cc")
    if compiler is None or sys.platform != "linux":
        pytest.skip("needs Linux and a C compiler")
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(_SOURCE)
    command = [compiler, "-shared", "-fPIC", f"-DSHIFT_S={shift_s}", source, "-o", library, "-ldl"]
    subprocess.run(command, check=True)
    return {"LD_PRELOAD": str(library)}
