"""Memory allocation of this process."""

from __future__ import annotations

import os
import sys

# From malloc.h of the GNU C library; mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -3, -4, -8

#: After ``return_large_blocks``, blocks of at least this size are returned to the system when they are freed. A lower
#: limit took more CPU time, a higher one more memory.
_LARGE_BYTES = 8 * 2**20


def keep_freed_memory() -> bool:
    """Makes the allocator of the GNU C library keep freed memory for reuse. Returns whether this was possible.

    TensorFlow allocates the feature maps of a network again in every step. By default, the library returns blocks of
    that size to the system immediately, and requests them again page by page, each of them cleared. In a training step
    of MobileNetV2, this takes nearly half of the CPU time (docs/decisions/0023-memory.md). The setting affects the
    whole process. Therefore only commands make it, not the functions of the package, and they make it before threads
    allocate memory. Existing settings of the user are kept.
    """
    return _set_up((_MMAP_MAX, 0), (_TRIM_THRESHOLD, -1), (_ARENA_MAX, 1))


def return_large_blocks() -> bool:
    """Makes the allocator of the GNU C library return large blocks when freed. Returns whether this was possible.

    By default, the library keeps blocks of up to 32 MB for reuse once such a block has been freed, in each thread. The
    memory of a service that decodes images of any size in several threads then grows for hours. With this setting, the
    memory depends only on the images that are being decoded (docs/decisions/0024-serving-over-http.md). Existing
    settings of the user are kept.
    """
    # The library would set both by itself, but no longer does so for one if the other is set.
    return _set_up((_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, 2 * _LARGE_BYTES))


def _set_up(*options: tuple[int, int]) -> bool:
    if not sys.platform.startswith("linux") or any(name.startswith(_SET_BY) for name in os.environ):
        return False
    import ctypes

    set_option = getattr(ctypes.CDLL(None), "mallopt", None)  # musl does not have it
    if set_option is None:
        return False
    return all(set_option(option, value) for option, value in options)


#: Prefixes of the environment variables that configure or replace the allocator.
_SET_BY = ("MALLOC_", "GLIBC_TUNABLES", "LD_PRELOAD")
