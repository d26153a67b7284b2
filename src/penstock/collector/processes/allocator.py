"""
Telling glibc's allocator to keep what it has.

An inflated batch is around the size (128 KiB) from which malloc maps fresh pages for each block
and gives them back at once; the kernel must then clear forty pages per request. Whether that
happens depends on the heap's layout, so on luck: a request of 250 events took 140 or 245 µs.
"""

from __future__ import annotations

import ctypes

#: Blocks below so many bytes come from the heap.
_MAP_FROM = 8 * 1024 * 1024
#: The heap shrinks when so many bytes at its end are free.
_TRIM_FROM = 32 * 1024 * 1024
#: ``M_TRIM_THRESHOLD`` and ``M_MMAP_THRESHOLD`` of malloc.h.
_TRIM_THRESHOLD, _MAP_THRESHOLD = -1, -3


def keep_memory() -> bool:
    """Have this process reuse its memory; False where the allocator is another one."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # musl, macOS, Windows
        return False
    return bool(mallopt(_MAP_THRESHOLD, _MAP_FROM) and mallopt(_TRIM_THRESHOLD, _TRIM_FROM))
