"""Randomness as a pure function: every random choice is a hash of (seed, purpose, record ids).

Nothing here has state, so a choice never depends on worker count, order of access or an earlier crash.
The hash is BLAKE2b (RFC 7693), the same on every platform and Python version.
"""

import hashlib

import numpy as np

Key = str | int | bytes


def digest(seed: int, purpose: str, *keys: Key, size: int = 8) -> bytes:
    """Return `size` bytes that depend on nothing but the arguments; each key is length-prefixed, so keys never run together."""
    h = hashlib.blake2b(digest_size=size)
    for key in (seed, purpose, *keys):
        raw = key if isinstance(key, bytes) else f"{type(key).__name__}:{key}".encode("utf-8", "surrogateescape")
        h.update(len(raw).to_bytes(8, "little"))
        h.update(raw)
    return h.digest()


def uint64(seed: int, purpose: str, *keys: Key) -> int:
    """Return a uniform integer in [0, 2**64)."""
    return int.from_bytes(digest(seed, purpose, *keys), "little")


def uniform(seed: int, purpose: str, *keys: Key) -> float:
    """Return a uniform float in [0, 1) with 53 random bits."""
    return (uint64(seed, purpose, *keys) >> 11) * 2.0**-53


def generator(seed: int, purpose: str, *keys: Key) -> np.random.Generator:
    """Return a numpy generator (Philox, counter-based) for the many draws that belong to one record."""
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest(seed, purpose, *keys, size=16), "little")))
