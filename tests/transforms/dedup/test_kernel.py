"""The compiled loops against Python's own sets and integers, at the edges of their blocks."""

import random

import numba
import numpy as np
import pytest

from starmill.core import seeds
from starmill.transforms.dedup import kernel, minhash

WORDS = 5


def hashes(text: bytes) -> list[int]:
    out = np.empty(len(text) // 2 + 1, np.uint64)
    data = np.frombuffer(text, np.uint8)
    count = kernel.hash_shingles(data, 0, len(data), minhash.WORD_BYTES, WORDS, np.empty(WORDS, np.uint64), out)
    return out[:count].tolist()


def test_mix_is_a_bijection_that_numpy_shares():
    values = np.arange(100_000, dtype=np.uint64) * np.uint64(977)
    mixed = seeds.mix(values)
    assert len(np.unique(mixed)) == len(values)
    assert [int(kernel.mix(v)) for v in values[:50]] == mixed[:50].tolist()


def test_one_hash_a_shingle_in_order():
    words = [b"w%d" % i for i in range(20)]
    found = hashes(b" ".join(words))
    assert len(found) == 16
    assert [hashes(b" ".join(words[i : i + WORDS]))[0] for i in range(16)] == found
    assert hashes(b" ".join(words[:7] + words[:7]))[7] == found[0], "a shingle's hash does not depend on its place"
    assert hashes(b"") == hashes(b"a b c d ") == []
    assert len(hashes(b"a+b+c+d+e")) == 1


@pytest.mark.parametrize("shingles", [1, kernel.BLOCK - 1, kernel.BLOCK, kernel.BLOCK + 1, 3 * kernel.BLOCK + 5])
def test_minima_over_whole_and_broken_blocks(shingles):
    text = " ".join(f"w{i}" for i in range(shingles + WORDS - 1)).encode()
    data = np.frombuffer(b"pad pad " + text, np.uint8)
    multipliers, addends = np.array([1, 3, 0xFFFFFFFF], np.uint32), np.array([0, 5, 17], np.uint32)
    out, counts = np.full((1, 3), 0xFFFFFFFF, np.uint32), np.empty(1, np.int64)
    offsets = np.array([8, len(data)], np.int64)
    kernel.signatures(data, offsets, minhash.WORD_BYTES, WORDS, multipliers, addends, out, counts)
    high = [h >> 32 for h in hashes(text)]
    assert counts.tolist() == [shingles]
    assert out[0].tolist() == [min((a * h + b) % 2**32 for h in high) for a, b in ((1, 0), (3, 5), (0xFFFFFFFF, 17))]


def test_jaccards_are_those_of_sets():
    draw = random.Random(1)
    sets = [set(draw.sample(range(40), draw.randint(0, 30))) for _ in range(30)] + [set(), set()]
    flat = np.array([h for s in sets for h in sorted(s)], np.uint64)
    offsets = np.cumsum([0, *map(len, sets)], dtype=np.int64)
    left, right = (np.array(side) for side in zip(*((i, j) for i in range(32) for j in range(32)), strict=True))
    out = np.empty(len(left))
    kernel.jaccards(flat, offsets, left, right, out)
    expected = [len(sets[i] & sets[j]) / (len(sets[i] | sets[j]) or 1) for i, j in zip(left, right, strict=True)]
    assert out.tolist() == expected


def test_61_bits_are_datatroves_formula():
    text = " ".join(f"w{i % 700}" for i in range(3000)).encode()
    data, draw = np.frombuffer(text, np.uint8), np.random.default_rng(3)
    prime = 2**61 - 1
    a, b = draw.integers(1, prime, 64, np.uint64), draw.integers(0, prime, 64, np.uint64)
    out, counts = np.full((1, 64), 2**64 - 1, np.uint64), np.empty(1, np.int64)
    kernel.signatures(data, np.array([0, len(data)]), minhash.WORD_BYTES, WORDS, a, b, out, counts)
    # datatrove 0.10, MinhashDedupSignature.get_signature: shingle hashes as a column, numpy's wrapping uint64 arithmetic.
    column = np.array(hashes(text), np.uint64)[:, None]
    assert out[0].tolist() == ((column * a + b) % np.uint64(prime)).min(axis=0).tolist()


def test_the_prime_itself_is_zero():
    prime = 2**61 - 1
    for x in (0, 1, prime - 1, prime, prime + 1, 2 * prime, 8 * prime, 2**64 - 1):
        row = np.full(1, 2**64 - 1, np.uint64)
        fold(np.array([x], np.uint64), 1, np.array([1], np.uint64), np.array([0], np.uint64), row)
        assert row[0] == x % prime


@numba.njit
def fold(shingles, n, multipliers, addends, row):
    kernel.fold(shingles, n, multipliers, addends, row)
