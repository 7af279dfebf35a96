"""N-grams by the compiled loop are those of a regular expression and Python's integers, and the sums those of the listed places."""

import re

import numpy as np
import pyarrow as pa

from starmill.transforms.buffers import text_buffers
from starmill.transforms.measure import ngrams

TEXTS = ["", " \t ", "x", "def f(a, b):\n    return a_1+b  # é漢 ok\r\n", "((((", "a" * 5000, "a b " * 2000, "\0\x7f\x01 x"]
MASK = (1 << 64) - 1


def grams(text: str, orders: int) -> list[int]:
    """Hashes of all n-grams, written as their definition is."""
    tokens = []
    for token in re.findall(rb"[A-Za-z0-9_\x80-\xff]+|[^\0\t\f\r\v ]", text.encode(), re.S):
        value = 0xCBF29CE484222325
        for byte in token:
            value = (value ^ byte) * 0x100000001B3 & MASK
        tokens.append((value ^ (value >> 29)) * 0x9E3779B97F4A7C15 & MASK)
    found = []
    for at, gram in enumerate(tokens):
        found.append(gram)
        for before in tokens[max(0, at - orders + 1) : at][::-1]:
            gram = (gram ^ (gram >> 32) ^ before) * 0x9E3779B97F4A7C15 & MASK
            found.append(gram)
    return found


def test_places_are_those_of_the_definition() -> None:
    kinds = ngrams.byte_kinds()
    for orders in (1, 2, 3, 5):
        for text in TEXTS:
            data = np.frombuffer(text.encode(), np.uint8)
            room = np.empty(orders * len(data), np.int32)
            found = room[: ngrams.places(data, kinds, 12, orders, room)]
            assert found.tolist() == [gram >> 52 for gram in grams(text, orders)]


def test_a_sum_is_that_of_the_places_whatever_stands_beside_a_text() -> None:
    weights = np.random.default_rng(0).integers(-(2**30), 2**30, 1 << 12).astype(np.int32)
    data, offsets = text_buffers(pa.array([*TEXTS, None]))
    for orders in (1, 3):
        sums, counts = np.zeros((2, len(TEXTS) + 1), np.int64)
        ngrams.score(data, offsets, ngrams.byte_kinds(), weights, orders, sums, counts)
        wanted = [[int(weights[gram >> 52]) for gram in grams(text, orders)] for text in TEXTS]
        assert sums.tolist() == [*map(sum, wanted), 0] and counts.tolist() == [*map(len, wanted), 0]
