"""The table in which hashes of a text are looked up: a filter, which most of them are not in, then buckets.

`index.Tables` has one for each sort of text that is looked for; search.py and retold.py read them in compiled loops.
"""

from typing import Any

import numpy as np

MULTIPLY, STIR = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD6E8FEB86659FD93)


def mixed(first: Any, second: Any) -> Any:
    """Return the hash of sixteen bytes, given as two words, or of many."""
    hash = (first ^ (second * MULTIPLY)) * STIR
    return (hash ^ (hash >> np.uint64(29))) * MULTIPLY


def table(hashes: np.ndarray, which: np.ndarray, shifts: np.ndarray) -> Any:
    """Return (bits of the filter, filter, bits of a bucket, firsts, tags, which, shifts) of hashes, uint64[n], and of whose they are.

    A hash is none of them unless `marks` of it are set in the word of the filter that its first bits say: a Bloom filter that reads
    one word. Else it is one of those from `firsts[b]` up to `firsts[b + 1]`, b being its first bits, if it has the 32 last bits of
    `tags` there.
    """
    count = len(hashes)
    bits = max(6, min(18, count.bit_length() - 2))
    bucket_bits = max(8, min(22, count.bit_length()))
    filter = np.zeros(1 << bits, np.uint64)
    np.bitwise_or.at(filter, (hashes >> np.uint64(64 - bits)).astype(np.int64), marks(hashes))
    buckets = (hashes >> np.uint64(64 - bucket_bits)).astype(np.int64)
    order = np.lexsort((shifts, which, buckets))
    firsts = np.searchsorted(buckets[order], np.arange((1 << bucket_bits) + 1)).astype(np.int32)
    tags = (hashes & np.uint64(0xFFFFFFFF)).astype(np.uint32)[order]
    return (np.uint64(64 - bits), filter, np.uint64(64 - bucket_bits), firsts, tags, which[order], shifts[order])


def marks(hash: Any) -> Any:
    """Return the three bits of a word of the filter that a hash sets, or those of many hashes."""
    one, six, low = np.uint64(1), np.uint64(6), np.uint64(63)
    return one << (hash & low) | one << (hash >> six & low) | one << (hash >> (six + six) & low)
