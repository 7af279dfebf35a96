"""Compilation by numba, in one place. Only modules of compiled loops import this one, and those are imported when first called.

Compiling takes seconds; the machine code is kept on disk, so that the next process only loads it.
"""

from collections.abc import Callable
from typing import Any

import numba


def jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return `function` compiled at its first call, without the GIL; numba rereads the disk while the source is unchanged."""
    try:
        return numba.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # a read-only image without a home: nowhere to keep the machine code
        return numba.njit(nogil=True)(function)
