"""From candidates to edges: the estimate from signatures drops most false pairs, exact Jaccard over shingle sets decides.

Files whose words are the same may differ in operators: those are compared again with operators as words, and equal sets alone need it.

The estimate loses no true pair: agreement of n permutations at similarity t is a binomial of (n, t), and the least agreement
that passes is so low that a pair exactly at the threshold falls below it with probability under 1e-9 (133 of 256 at 0.7).
"""

import functools
import math
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from starmill.transforms.dedup.minhash import shingles

LOSS = 1e-9  # probability that the estimate drops a pair at the threshold


@functools.lru_cache(maxsize=8)
def least_agreement(permutations: int, threshold: float) -> int:
    """Return the smallest number of equal minima at which a pair may still be at the threshold."""
    below = 0.0
    for equal in range(permutations + 1):
        below += math.comb(permutations, equal) * threshold**equal * (1 - threshold) ** (permutations - equal)
        if below >= LOSS:
            return equal
    return permutations


def agreements(left: np.ndarray, right: np.ndarray, pairs: np.ndarray, chunk: int = 1 << 14) -> np.ndarray:
    """Return int64[n]: how many minima agree in each pair (int64[n, 2]: a row of `left`, a row of `right`).

    `left` and `right` are signatures, [rows, permutations]; a chunk of pairs at a time is looked up in them.
    """
    equal = np.empty(len(pairs), np.int64)
    for first in range(0, len(pairs), chunk):
        some = pairs[first : first + chunk]
        equal[first : first + chunk] = (left[some[:, 0]] == right[some[:, 1]]).sum(axis=1)
    return equal


def shingle_sets(files: Iterable[int], texts: pa.Array, words: int) -> dict[int, np.ndarray]:
    """Return the shingle set of the text of each file id."""
    return {file: shingles(text.as_buffer(), words) for file, text in zip(files, texts, strict=True)}


def token_sets(files: Iterable[int], texts: pa.Array, words: int) -> dict[int, np.ndarray]:
    """Return the shingle set of the text of each file id, with operators as words."""
    return {file: shingles(text.as_buffer(), words, operators=True) for file, text in zip(files, texts, strict=True)}


def jaccards(pairs: np.ndarray, left: dict[int, np.ndarray], right: dict[int, np.ndarray]) -> np.ndarray:
    """Return the exact similarity, float64[n], of n >= 1 pairs of file ids (int64[n, 2]): the first in `left`, the second in `right`.

    All their sets are laid side by side in memory, each once.
    """
    from starmill.transforms.dedup import kernel  # when it is needed: numba takes a second to import

    out = np.empty(len(pairs), np.float64)
    (a_files, a), (b_files, b) = (np.unique(pairs[:, side], return_inverse=True) for side in (0, 1))
    sets = [left[f] for f in a_files.tolist()] + [right[f] for f in b_files.tolist()]
    offsets = np.cumsum([0, *map(len, sets)], dtype=np.int64)
    kernel.jaccards(np.concatenate(sets), offsets, a, b + len(a_files), out)
    return out
