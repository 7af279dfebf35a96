"""Hot buckets against brute force: the same leaders, every edge to a leader, and a hundred thousand files without n * n."""

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from starmill.core import seeds
from starmill.transforms.dedup import hot

DRAW = np.random.default_rng(20)


def fresh(count: int) -> np.ndarray:
    return DRAW.integers(0, 1 << 63, count, dtype=np.uint64)


def jaccard(a: np.ndarray, b: np.ndarray) -> float:
    left, right = set(a.tolist()), set(b.tolist())
    return len(left & right) / len(left | right)


def expected(sets: list[np.ndarray], threshold: float, rivals: int | None) -> tuple[dict[tuple[int, int], float], list[bool]]:
    """The definition: each set meets all leaders before it."""
    leaders, edges, follows = [], {}, []
    for i, one in enumerate(sets):
        near = {(j, i): s for j in leaders if (s := jaccard(sets[j], one)) >= threshold} if i >= (rivals or 0) else {}
        edges |= near
        follows.append(bool(near))
        if not near and (rivals is None or i < rivals):
            leaders.append(i)
    return edges, follows


def families(seed: int, count: int) -> list[np.ndarray]:
    """Sets around a few centers, at all similarities, of all sizes."""
    draw = np.random.default_rng(seed)
    centers = [draw.integers(0, 500, draw.integers(5, 80)) for _ in range(4)]
    sets = []
    for _ in range(count):
        center = centers[draw.integers(0, 4)]
        kept = center[draw.random(len(center)) < draw.choice([0.6, 0.85, 0.97, 1.0])]
        added = draw.integers(0, 500, draw.integers(0, 1 + len(kept) // 3))
        sets.append(np.unique(seeds.mix(np.concatenate([kept, added, [draw.integers(0, 9)]]).astype(np.uint64))))
    return sets


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    threshold=st.sampled_from([0.5, 0.54, 0.7, 0.8, 0.95, 1.0]),
    rivals=st.sampled_from([None, 0, 5, 90]),
)
def test_neighbors_are_those_of_brute_force(seed, threshold, rivals):
    sets = families(seed, 90)
    pairs, similar, follows = hot.neighbors(sets, threshold, rivals)
    edges, following = expected(sets, threshold, rivals)
    assert dict(zip(map(tuple, pairs.tolist()), similar.tolist(), strict=True)) == edges
    assert follows.tolist() == following


@pytest.mark.parametrize("share", [0.5, 0.8])
def test_a_header_in_a_hundred_thousand_files(share):
    # All share so many of 60 shingles, by nature or by a true edit distance below the threshold; 500 true twins are planted.
    header = fresh(int(60 * share))
    sets = [np.unique(np.concatenate([header, fresh(60 - len(header))])) for _ in range(99_500)]
    twins = random.Random(1).sample(range(99_500), 500)
    sets += [np.unique(np.append(sets[i][:-2], fresh(2))) for i in twins]
    pairs, similar, follows = hot.neighbors(sets, 0.7)
    # 2 * 99,500 * 100,000 pairs share the header; without a filter this test would take an hour.
    assert {(twins[k], 99_500 + k) for k in range(500)} == set(map(tuple, pairs.tolist()))
    assert similar.tolist() == [jaccard(sets[a], sets[b]) for a, b in pairs.tolist()]
    assert follows.sum() == 500


def test_a_crowd_of_a_hundred_thousand_near_equals_has_few_leaders():
    base = fresh(60)
    sets = []
    for _ in range(100_000):
        edited = base.copy()
        edited[DRAW.integers(0, 60, 3)] = fresh(3)
        sets.append(np.unique(edited))
    pairs, _, follows = hot.neighbors(sets, 0.7)
    assert follows.sum() > 99_900
    assert len(pairs) < 300_000, "one comparison a file, or a few"


def test_components_are_the_buckets_that_share_files():
    keys = np.array([1, 1, 1, 2, 2, 3, 3, 4, 4, 4], np.uint64)
    files = np.array([10, 11, 12, 12, 13, 20, 21, 21, 22, 20])
    distinct, labels = hot.components(keys, files)
    assert distinct.tolist() == [10, 11, 12, 13, 20, 21, 22]
    assert labels.tolist() == [10] * 4 + [20] * 3
    assert [a.tolist() for a in hot.components(keys[:0], files[:0])] == [[], []]


def test_a_long_path_of_buckets_is_one_component():
    # Bucket i holds files i and i + 1, under shuffled numbers: the least label has far to go.
    n = 3000
    names = np.random.default_rng(0).permutation(n + 1)
    keys = np.repeat(np.arange(n, dtype=np.uint64), 2)
    files = np.stack([names[:-1], names[1:]], axis=1).ravel()
    assert set(hot.components(keys, files)[1].tolist()) == {0}


def test_batches_hold_whole_components():
    labels = np.array([5, 1, 5, 2, 1, 9, 9, 9, 9])
    assert [labels[b].tolist() for b in hot.batches(labels, size=4)] == [[1, 1, 2], [5, 5], [9, 9, 9, 9]]
    assert [labels[b].tolist() for b in hot.batches(labels, size=1)] == [[1, 1], [2], [5, 5], [9, 9, 9, 9]]
    assert list(hot.batches(labels[:0])) == []


def test_suspects_are_the_kept_of_components_with_a_kept_follower():
    component = np.array([1, 1, 1, 2, 2, 3])
    follows = np.array([False, True, True, False, True, False])
    kept = np.array([True, False, True, True, False, True])
    assert hot.to_rejoin(component, follows, kept).tolist() == [True, False, True, False, False, False]
