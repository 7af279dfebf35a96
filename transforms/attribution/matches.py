"""What two texts have in common: maximal equal stretches, and those that follow each other put together where a little was edited.

Texts are compared squashed. A stretch has at least 50 characters and is compared byte by byte; what lies between two of them is measured
by its Levenshtein distance.
"""

import itertools
from dataclasses import dataclass

import numpy as np

from starmill.transforms.attribution import kernel
from starmill.transforms.attribution.squash import Squashed

GAP = 300  # bytes between two stretches of one region, or that both have, in either text
MOVED = 100  # bytes by which the two gaps may differ
MOST = 1 << 16  # stretches that are looked at


@dataclass(frozen=True)
class Region:
    """Bytes [start, end) of one squashed text that stand at [file_start, file_end) of another; similarity 1 where they are equal.

    Similarity is 1 - edits / bytes of the longer one.
    """

    start: int
    end: int
    file_start: int
    file_end: int
    similarity: float


def regions(asked: Squashed, text: Squashed) -> list[Region]:
    """Return the regions of a text that stand in a file, in order: each maximal stretch, and each that edits join.

    >>> code = "".join(f"x{i} = {i} * {i}; " for i in range(40))
    >>> [region] = regions(Squashed.of(code[40:240]), Squashed.of(code))
    >>> region.file_start, region.end - region.start, region.similarity
    (41, 198, 1.0)
    """
    exact = _stretches(asked, text)
    found = [Region(a, b, c, d, 1.0) for a, b, c, d in exact.tolist()]
    chain: list[list[int]] = []
    for row in exact.tolist():
        if chain and not _follows(chain[-1], row):
            found += _joined(asked, text, chain)
            chain = []
        chain.append(row)
    found += _joined(asked, text, chain)
    return sorted(found, key=lambda r: (r.start, -r.end))


def _stretches(asked: Squashed, text: Squashed) -> np.ndarray:
    """Return (start, end, file start, file end) of maximal equal stretches, int64[n, 4]."""
    wanted, held = asked.grams, text.grams
    known = np.zeros(1 << 16, np.bool_)
    known[wanted >> np.uint64(48)] = True
    at = np.flatnonzero(known[held >> np.uint64(48)])  # few: what is sorted and searched is not the whole file
    order = np.argsort(held[at], kind="stable")
    hashes, places = held[at][order], text.starts[at[order]]
    lows, highs = np.searchsorted(hashes, wanted, "left"), np.searchsorted(hashes, wanted, "right")
    if not len(wanted) or not (highs > lows).any():
        return np.empty((0, 4), np.int64)
    out = np.empty((MOST, 4), np.int64)
    args = (places, lows, highs, len(wanted), len(text.data))
    return out[: kernel.matches(asked.data, asked.starts, text.data, *args, out)]


def _follows(before: list[int], after: list[int]) -> bool:
    gap, file_gap = after[0] - before[1], after[2] - before[3]
    near = min(gap, file_gap) >= -GAP and max(gap, file_gap) <= GAP and abs(gap - file_gap) <= MOVED
    return near and after[2] > before[2] and after[3] > before[3]


def _joined(asked: Squashed, text: Squashed, chain: list[list[int]]) -> list[Region]:
    if len(chain) < 2:
        return []
    edits = 0
    for before, after in itertools.pairwise(chain):
        over = max(0, before[1] - after[0], before[3] - after[2])  # both stretches may have what stands twice
        left, right = (
            text_[b : a + over] for text_, b, a in ((asked.data, before[1], after[0]), (text.data, before[3], after[2]))
        )
        edits += int(kernel.edits(left, right))
    start, end, file_start, file_end = chain[0][0], chain[-1][1], chain[0][2], chain[-1][3]
    longer = max(end - start, file_end - file_start)
    return [Region(start, end, file_start, file_end, max(0.0, round(1 - edits / longer, 4)))]
