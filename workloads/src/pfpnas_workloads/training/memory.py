"""The C library's allocator, told to keep what was freed."""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_GIBIBYTE = 1024**3


def keep_freed_memory() -> None:
    """Let freed blocks be used again instead of going back to the kernel.

    glibc maps every block over 32 MiB (at first 128 KiB) anew, and the kernel clears each of its pages: a third of a
    training step on a CPU, where activations are blocks of that size. Other C libraries have no such call.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _GIBIBYTE)
        mallopt(_M_TRIM_THRESHOLD, _GIBIBYTE)
