"""What the process of a command does before it computes; importing the library does none of it.

Memory: glibc maps blocks of more than 32 MB anew each time they are asked for, and the kernel
clears them; on 32x32 images that is a fifth of a step's time (docs/design.md).
"""

import ctypes
from pathlib import Path

from uncle_jax.runs.compiled import keep_compiled

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
MOST = 2**31 - 1  # bytes: what an int holds


def begin(compile_cache: str | None, apart_from: Path | None = None) -> None:
    """Have this process keep what it compiles, and the memory that it frees.

    Raises UncleError for a folder of compiled programs that cannot be used.
    """
    keep_compiled(compile_cache, apart_from)
    keep_freed()


def keep_freed() -> bool:
    """Have malloc keep what is freed for the next step; False where it knows no such thing."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc: musl, macOS; Windows
        return False
    return all(mallopt(option, MOST) for option in (M_MMAP_THRESHOLD, M_TRIM_THRESHOLD))
