"""How this process gets its memory from the system."""

from __future__ import annotations

import os
import sys

# From malloc.h of the GNU C library; mallopt(3).
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8


def keep_freed_memory() -> bool:
    """Lets the allocator of the GNU C library keep what is freed, for the next who asks, and says whether it does.

    TensorFlow asks for the maps of a network anew in every step. The library gives blocks of that size back to the
    system at once, and gets them again page by page, each of them cleared: of a step of MobileNetV2 that takes nearly
    half the time of the processor (docs/decisions/0023-memory.md). It concerns the whole process, so it is for commands
    and not for a library, and must come before threads ask for memory. Whoever has set the allocator up keeps that.
    """
    if not sys.platform.startswith("linux") or any(name.startswith(_SET_BY) for name in os.environ):
        return False
    import ctypes

    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if set_option is None:
        return False
    return all(set_option(option, value) for option, value in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_ARENA_MAX, 1)))


#: Beginnings of the environment variables that set the allocator up, or put another one in its place.
_SET_BY = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
