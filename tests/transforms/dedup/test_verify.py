"""Estimate and exact similarity; then signatures, bands and verification on real code, against brute force."""

import random
import re
from itertools import combinations
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pyarrow as pa
import pytest

from starmill.transforms.dedup import bands, verify
from starmill.transforms.dedup.minhash import MinHash, matrix, shingles, signatures

OPTIONS = MinHash()
LEAST = verify.least_agreement(OPTIONS.permutations, OPTIONS.threshold)


def words_of(text: str) -> set[tuple[bytes, ...]]:
    words = re.findall(rb"[A-Za-z0-9_\x80-\xff]+", text.encode())
    return {tuple(words[i : i + 5]) for i in range(len(words) - 4)}


@pytest.fixture(scope="module")
def corpus() -> list[str]:
    """250 files of numpy, and 170 edited copies of some: lines removed, repeated or rewritten."""
    draw = random.Random(2)
    files = sorted(p for p in Path(np.__file__).parent.rglob("*.py") if 0 < p.stat().st_size < 12_000)
    texts = [p.read_text("utf-8", "replace") for p in draw.sample(files, 250)]
    for _ in range(170):
        lines = draw.choice(texts[:60]).splitlines(keepends=True)
        rate = draw.choice([0.005, 0.01, 0.02, 0.04, 0.07, 0.1])
        edited = []
        for line in lines:
            action = draw.choice(["keep", "double", "rename", "drop"]) if draw.random() < rate else "keep"
            edited += {"keep": [line], "double": [line, line], "rename": [re.sub("[aeiou]", "q", line)], "drop": []}[action]
        texts.append("".join(edited))
    return texts


@pytest.fixture(scope="module")
def truth(corpus) -> dict[tuple[int, int], float]:
    """Every pair of files at 0.6 or more, by Python's sets."""
    sets = [words_of(t) for t in corpus]
    similar = {}
    for i, j in combinations(range(len(sets)), 2):
        small, large = sorted((len(sets[i]), len(sets[j])))
        if small and small >= 0.6 * large:
            common = len(sets[i] & sets[j])
            if common >= 0.6 * (small + large - common):
                similar[i, j] = common / (small + large - common)
    return similar


@pytest.fixture(scope="module")
def edges(corpus) -> dict[tuple[int, int], float]:
    """What the module finds: bands, then the estimate, then exact similarity."""
    column = signatures(pa.array(corpus), OPTIONS)
    files = np.arange(len(corpus))
    blocks = bands.band_blocks(column, files, np.zeros(len(corpus), np.uint64), OPTIONS, 1)
    pairs = bands.merge(b for _, block in blocks for b in bands.Buckets.of([block]).pairs())
    rows = np.cumsum(column.is_valid().to_numpy(zero_copy_only=False)) - 1
    minima = matrix(column, OPTIONS)
    pairs = pairs[verify.agreements(minima, minima, rows[pairs], chunk=100) >= LEAST]
    sets = verify.shingle_sets(range(len(corpus)), pa.array(corpus), OPTIONS.shingle_words)
    found = verify.jaccards(pairs, sets, sets)
    return {(a, b): j for (a, b), j in zip(pairs.tolist(), found.tolist(), strict=True) if j >= OPTIONS.threshold}


def test_every_edge_is_true_and_exact(edges, truth):
    assert len(edges) > 200
    assert all(truth[pair] == jaccard for pair, jaccard in edges.items())


@pytest.mark.parametrize(("threshold", "recall"), [(0.7, 0.95), (0.8, 0.99), (0.9, 1.0)])
def test_recall(edges, truth, threshold, recall):
    wanted = [pair for pair, jaccard in truth.items() if jaccard >= threshold]
    assert len(wanted) > 50
    assert sum(pair in edges for pair in wanted) >= recall * len(wanted)


def test_the_estimate_loses_no_true_pair(corpus, truth):
    minima = matrix(signatures(pa.array(corpus), OPTIONS).fill_null(bytes(1024)), OPTIONS)
    pairs = np.array([pair for pair, jaccard in truth.items() if jaccard >= OPTIONS.threshold])
    assert (verify.agreements(minima, minima, pairs) >= LEAST).all()


@pytest.mark.parametrize(("permutations", "threshold"), [(256, 0.7), (128, 0.8), (512, 0.5)])
def test_least_agreement_is_six_deviations_down(permutations, threshold):
    normal = NormalDist(permutations * threshold, (permutations * threshold * (1 - threshold)) ** 0.5)
    assert abs(verify.least_agreement(permutations, threshold) - normal.inv_cdf(verify.LOSS)) < 4
    assert verify.least_agreement(permutations, 1.0) == permutations


def test_agreements_count_equal_minima():
    left, right = np.zeros((1, 100), np.uint32), np.zeros((101, 100), np.uint32)
    for different in range(101):
        right[different, :different] = 1
    pairs = np.array([[0, i] for i in range(101)])
    assert verify.agreements(left, right, pairs, chunk=7).tolist() == [100 - i for i in range(101)]
    assert verify.agreements(left, right, np.empty((0, 2), np.int64)).tolist() == []


def test_jaccard_of_sets():
    a, b = shingles(b"one two three four five six", 5), shingles(b"zero one two three four five", 5)
    assert verify.jaccards(np.array([[7, 1], [7, 2]]), {7: a}, {1: b, 2: a}).tolist() == [1 / 3, 1.0]
    assert verify.jaccards(np.array([[7, 1]]), {7: a[:0]}, {1: a[:0]}).tolist() == [0.0]
