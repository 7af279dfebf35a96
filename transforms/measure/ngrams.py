"""Hashed n-grams of a text, compiled by numba straight over Arrow's string buffer: what a linear scorer sees, in one pass over the bytes.

A token is a run of letters, digits and underscores (with all bytes above 127), or any other byte that is no blank; the end of a line is
one. An n-gram of up to `orders` tokens is hashed to one of 2**bits places (Weinberger et al. 2009; fastText's word n-grams). The weights
are integers, so that a sum of them is the same in any order and on every machine.
"""

import numpy as np

from starmill.transforms.jit import jit

BLANK, WORD, SINGLE = range(3)
MOST_ORDERS = 5
BASIS, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a
SPREAD = np.uint64(0x9E3779B97F4A7C15)


def byte_kinds() -> np.ndarray:
    """Return uint8[256]: BLANK, WORD or SINGLE."""
    kinds = np.full(256, SINGLE, np.uint8)
    kinds[128:] = WORD
    for byte in range(128):
        if chr(byte).isalnum() or byte == ord("_"):
            kinds[byte] = WORD
    kinds[[*b"\0\t\f\r\v "]] = BLANK
    return kinds


@jit
def _token(data: np.ndarray, at: int, end: int, kinds: np.ndarray) -> tuple[np.uint64, int]:
    """Return the hash of the token that begins at `at`, and where the next one may begin."""
    token = (BASIS ^ np.uint64(data[at])) * PRIME
    is_word = kinds[data[at]] == 1
    at += 1
    while is_word and at < end and kinds[data[at]] == 1:
        token = (token ^ np.uint64(data[at])) * PRIME
        at += 1
    return (token ^ (token >> np.uint64(29))) * SPREAD, at


@jit
def _longer(gram: np.uint64, before: np.uint64) -> np.uint64:
    """Return the hash of an n-gram with the token before it."""
    return (gram ^ (gram >> np.uint64(32)) ^ before) * SPREAD


@jit
def score(
    data: np.ndarray,
    offsets: np.ndarray,
    kinds: np.ndarray,
    weights: np.ndarray,
    orders: int,
    sums: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Write of each text the sum of the weights, int32[2**bits], of its n-grams, and their number, int64[texts] both."""
    shift = np.uint64(64 - np.int64(np.log2(len(weights))))
    past = np.zeros(MOST_ORDERS, np.uint64)  # the tokens before, the last one first
    for text in range(len(offsets) - 1):
        total, count, known, at, end = 0, 0, 0, offsets[text], offsets[text + 1]
        while at < end:
            if kinds[data[at]] == 0:
                at += 1
                continue
            token, at = _token(data, at, end, kinds)
            gram = token
            total += weights[gram >> shift]
            for order in range(known):
                gram = _longer(gram, past[order])
                total += weights[gram >> shift]
            count += 1 + known
            known = _remember(past, token, known, orders)
        sums[text], counts[text] = total, count


@jit
def places(data: np.ndarray, kinds: np.ndarray, bits: int, orders: int, found: np.ndarray) -> int:
    """Write the place, int32, of each n-gram of one text into `found`, which has room for orders * len(data); return their number."""
    shift = np.uint64(64 - bits)
    past = np.zeros(MOST_ORDERS, np.uint64)
    known, count, at = 0, 0, 0
    while at < len(data):
        if kinds[data[at]] == 0:
            at += 1
            continue
        token, at = _token(data, at, len(data), kinds)
        gram = token
        found[count] = gram >> shift
        for order in range(known):
            gram = _longer(gram, past[order])
            found[count + 1 + order] = gram >> shift
        count += 1 + known
        known = _remember(past, token, known, orders)
    return count


@jit
def _remember(past: np.ndarray, token: np.uint64, known: int, orders: int) -> int:
    """Put a token before the others; return how many are known of those that an n-gram can have before its last."""
    for order in range(min(known, orders - 2), 0, -1):
        past[order] = past[order - 1]
    past[0] = token
    return min(known + 1, orders - 1)
