"""The compiled loops against Python's own sets and integers, at the edges of their blocks."""

import random

import numpy as np
import pytest

from starmill.transforms.dedup import kernel, minhash

WORDS = 5


def hashes(text: bytes) -> list[int]:
    out = np.empty(len(text) // 2 + 1, np.uint64)
    data = np.frombuffer(text, np.uint8)
    count = kernel.hash_shingles(data, 0, len(data), minhash.WORD_BYTES, WORDS, np.empty(WORDS, np.uint64), out)
    return out[:count].tolist()


def test_mix_is_a_bijection_that_numpy_shares():
    values = np.arange(100_000, dtype=np.uint64) * np.uint64(977)
    mixed = minhash.mix(values)
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
    out, counts = np.empty((1, 3), np.uint32), np.empty(1, np.int64)
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
