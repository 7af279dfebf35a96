"""Main memory of a run on a CPU: freed memory stays with the process, for the next step.

A step makes and frees the same large tensors as the one before. glibc returns blocks of megabytes to the kernel each time, and gets
them back one zeroed page at a time: 60,000 page faults in a step of 2,048 tokens through 20 M parameters, a twentieth of its time.
"""

import ctypes

# mallopt(3): never map single blocks, never give the end of the heap back, take 64 MB at a time.
M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
SETTINGS = ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, -1), (M_TOP_PAD, 64 << 20))


def keep_freed() -> bool:
    """Tell the C library to keep freed memory, until the process ends; False where it is not glibc, and nothing changes."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    told = [mallopt(name, value) for name, value in SETTINGS]
    return all(told)
