"""The compiled loops against plain Python: hashes by their definition, winnowing by its, distances by another library."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rapidfuzz.distance import Levenshtein

from starmill.core.seeds import mix
from starmill.transforms.attribution import kernel
from starmill.transforms.attribution.squash import Squashed

BASE = 0x9E3779B97F4A7C15


def gram(text: str) -> int:
    value = 0
    for byte in text.encode():
        value = (value * BASE + byte) % 2**64
    with np.errstate(over="ignore"):
        return int(mix(np.uint64(value)))


@settings(deadline=None, max_examples=60)
@given(st.text("abé漢😀", min_size=50, max_size=130))
def test_a_gram_is_a_polynomial_over_its_bytes(text: str) -> None:
    squashed = Squashed.of(text)
    assert squashed.grams.tolist() == [gram(text[i : i + 50]) for i in range(len(text) - 49)]
    out = np.empty(3, np.uint64)
    count = kernel.tiles(squashed.data, len(squashed.data), out)
    assert out[:count].tolist() == [gram(text[i : i + 50]) for i in range(0, len(text) - 49, 50)]


@settings(deadline=None, max_examples=60)
@given(st.lists(st.integers(0, 9), max_size=60), st.integers(1, 12))
def test_winnowing_takes_the_last_of_the_least_of_each_window(hashes: list[int], window: int) -> None:
    given_, out = np.array(hashes, np.uint64), np.empty(len(hashes) + 1, np.int64)
    found = out[: kernel.winnow(given_, len(hashes), window, out)].tolist()
    wanted = set()
    for start in range(max(1, len(hashes) - window + 1) if hashes else 0):
        some = hashes[start : start + window]
        wanted.add(start + max(i for i, h in enumerate(some) if h == min(some)))
    assert found == sorted(wanted)


@settings(deadline=None, max_examples=60)
@given(st.binary(max_size=20), st.binary(max_size=20))
def test_edits_are_those_of_levenshtein(left: bytes, right: bytes) -> None:
    arrays = (np.frombuffer(side, np.uint8) for side in (left, right))
    assert kernel.edits(*arrays) == Levenshtein.distance(left, right)


def test_a_filter_has_what_was_marked_and_little_else() -> None:
    random = np.random.default_rng(1)
    held, other = (random.integers(0, 2**63, 20_000).astype(np.uint64) for _ in range(2))
    bits = np.zeros(200_000 // 8, np.uint8)
    kernel.mark(held, 7, 200_000, bits)
    out = np.empty(20_000, np.bool_)
    kernel.has(held, 7, 200_000, bits, out)
    assert out.all()
    kernel.has(other, 7, 200_000, bits, out)
    assert 0.004 < out.mean() < 0.013, "0.8 % by Bloom's formula for 10 bits and 7 probes"
