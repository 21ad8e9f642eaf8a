"""Memory that is free again goes back to the system: glibc keeps most of it otherwise, for a load that has passed.

With another C library nothing happens here.
"""

from __future__ import annotations

import ctypes

# mallopt(3).  Set once, neither moves any more: glibc raises both as soon as one large block was freed, and from then
# on a mail of 5 MB is cut out of a heap that small things keep from shrinking.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
_LARGE_BYTES = 128 << 10
_LIBC = ctypes.CDLL(None)


def settle() -> None:
    """Gives every large block a mapping of its own, which goes back to the system when it is freed."""
    mallopt = getattr(_LIBC, "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _LARGE_BYTES)


def trim() -> None:
    """Gives back what is free, wherever it lies: malloc_trim(3).  Takes a millisecond for about a hundred MiB."""
    malloc_trim = getattr(_LIBC, "malloc_trim", None)
    if malloc_trim is not None:
        malloc_trim(0)
