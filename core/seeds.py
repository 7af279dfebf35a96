"""Randomness as a pure function: every random choice is a hash of (seed, purpose, record ids).

Nothing here has state, so a choice never depends on worker count, order of access or an earlier crash.
The hash is BLAKE2b (RFC 7693), the same on every platform and Python version.
"""

import hashlib
from typing import Any

import numpy as np

Key = str | int | bytes


def hashed(seed: int, purpose: str, *keys: Key, size: int = 8) -> bytes:
    """Return `size` bytes that depend on nothing but the arguments; each key is length-prefixed, so keys never run together."""
    h = hashlib.blake2b(digest_size=size)
    for key in (seed, purpose, *keys):
        raw = key if isinstance(key, bytes) else f"{type(key).__name__}:{key}".encode("utf-8", "surrogateescape")
        h.update(len(raw).to_bytes(8, "little"))
        h.update(raw)
    return h.digest()


def uint64(seed: int, purpose: str, *keys: Key) -> int:
    """Return a uniform integer in [0, 2**64)."""
    return int.from_bytes(hashed(seed, purpose, *keys), "little")


def uniform(seed: int, purpose: str, *keys: Key) -> float:
    """Return a uniform float in [0, 1) with 53 random bits."""
    return (uint64(seed, purpose, *keys) >> 11) * 2.0**-53


def generator(seed: int, purpose: str, *keys: Key) -> np.random.Generator:
    """Return a numpy generator (Philox, counter-based) for the many draws that belong to one record."""
    return np.random.Generator(np.random.Philox(key=int.from_bytes(hashed(seed, purpose, *keys, size=16), "little")))


def mix(x: Any) -> Any:
    """Spread every bit of a uint64 over all others, or of each in an array: SplitMix64's finalizer (Steele, Lea, Flood 2014)."""
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class Permutation:
    """A random permutation of range(size) that takes no memory: `permutation[i]` is computed.

    A Feistel network of four keyed rounds on the next even number of bits, walked until it lands in range (Black and Rogaway 2002,
    section 4), on average in fewer than four turns.

    >>> order = Permutation(5, 0, "example")
    >>> sorted(order[index] for index in range(5))
    [0, 1, 2, 3, 4]
    """

    def __init__(self, size: int, seed: int, purpose: str, *keys: Key) -> None:
        """Fix the permutation; `size` is at most 2**62."""
        self._size, self._half = size, max(1, ((size - 1).bit_length() + 1) // 2)
        self._rounds = [hashed(seed, purpose, *keys, size, turn, size=16) for turn in range(4)]

    def __getitem__(self, index: int) -> int:
        """Return the place of `index`. Raises IndexError outside the range."""
        if not 0 <= index < self._size:
            raise IndexError(f"{index} is not in range({self._size})")
        mask, at = (1 << self._half) - 1, index
        while True:
            left, right = at >> self._half, at & mask
            for key in self._rounds:
                mixed = hashlib.blake2b(right.to_bytes(8, "little"), digest_size=8, key=key).digest()
                left, right = right, left ^ (int.from_bytes(mixed, "little") & mask)
            at = left << self._half | right
            if at < self._size:
                return at
