"""Windows over a text's tokens: each token is judged once, by the window in which it is farthest from both ends."""

from itertools import pairwise
from typing import NamedTuple


class Window(NamedTuple):
    """The tokens from `start` to `end`, of which the window decides those from `first` to `last`."""

    start: int
    end: int
    first: int
    last: int


def windows(tokens: int, size: int, overlap: int) -> list[Window]:
    """Return windows of `size` tokens, `overlap` of which two neighbours share half and half; the last one reaches back to be whole.

    >>> windows(10, 6, 2)
    [Window(start=0, end=6, first=0, last=5), Window(start=4, end=10, first=5, last=10)]

    Raises ValueError for an overlap that is not below the size.
    """
    if not 0 <= overlap < size:
        raise ValueError(f"overlap={overlap} is not from 0 to below size={size}")
    if tokens <= size:
        return [Window(0, tokens, 0, tokens)] if tokens else []
    starts = [*range(0, tokens - size, size - overlap), tokens - size]
    cuts = [0, *((left + size + right) // 2 for left, right in pairwise(starts)), tokens]
    return [Window(start, start + size, *cuts[at : at + 2]) for at, start in enumerate(starts)]
