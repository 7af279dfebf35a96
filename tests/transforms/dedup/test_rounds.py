"""Distributed rounds against the resolution in one process, for any number of rounds and partitions."""

import random
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pytest

from starmill.transforms.dedup import clusters, rounds
from starmill.transforms.dedup.clusters import GONE
from starmill.transforms.dedup.hot import MEMBER
from starmill.transforms.dedup.rounds import LINK

SCHEMAS = (LINK, MEMBER, GONE)


def tables(blocks: list[pa.RecordBatch]) -> list[pa.Table]:
    return [pa.Table.from_batches([b for b in blocks if b.schema.equals(s)], s) for s in SCHEMAS]


def resolve(a: np.ndarray, b: np.ndarray, crowd: np.ndarray, count: int, partitions: int) -> tuple[set[int], int]:
    """Route blocks by hand as a shuffle would, then resolve the rest; return what is gone, and how many edges were left."""
    shuffled: dict[int, list[pa.RecordBatch]] = defaultdict(list)
    for home, block in rounds.send(a, b, np.zeros(len(a), bool), partitions):
        shuffled[home].append(block)
    for file in crowd.tolist():
        member = pa.record_batch([[0], [file], [True]], schema=MEMBER)
        shuffled[int(rounds.partition_of(np.array([file]), partitions)[0])].append(member)
    for half in [rounds.mark_kept, rounds.remove_below] * count:
        arrived: dict[int, list[pa.RecordBatch]] = defaultdict(list)
        for home, blocks in sorted(shuffled.items()):
            for there, block in half(home, partitions, *tables(blocks)):
                arrived[there].append(block)
        shuffled = arrived
    gone: set[int] = set()
    upper, lower = [], []
    for home, blocks in shuffled.items():
        links, _, removed = tables(blocks)
        gone |= set(removed.column("file").to_pylist())
        above, below = rounds.undecided_edges(home, partitions, links, removed)
        upper.append(above)
        lower.append(below)
    above, below = (np.concatenate([np.empty(0, np.int64), *side]) for side in (upper, lower))
    return gone | set(clusters.resolve(above, below).tolist()), len(above)


@pytest.mark.parametrize("partitions", [1, 2, 7])
@pytest.mark.parametrize("count", [0, 1, 2, 5])
def test_any_number_of_rounds_gives_the_same(partitions, count):
    for seed in range(12):
        draw = random.Random(seed)
        ids = draw.sample(range(10**9), 60)  # rank is the place in this list
        edges = sorted({tuple(sorted(draw.sample(range(60), 2))) for _ in range(draw.choice([20, 60, 300]))})
        a, b = (np.array([ids[e[side]] for e in edges]) for side in (0, 1))
        crowd = np.array(draw.sample(ids, draw.choice([0, 10])), np.int64)
        gone, _ = resolve(a, b, crowd, count, partitions)
        assert gone == set(clusters.resolve(a, b).tolist())


def test_rounds_leave_less_and_less_of_a_chain():
    a, b = np.arange(40), np.arange(1, 41)
    left = [resolve(a, b, np.empty(0, np.int64), count, 3)[1] for count in (0, 1, 2, 3, 20)]
    assert left == [40, 38, 36, 34, 0]


def test_a_file_of_a_hot_bucket_is_not_decided_kept():
    # 0 above 1: alone, 1 would go in the first round; but 0 may go for a file that only the hot bucket's resolution sees.
    a, b = np.array([0, 1]), np.array([1, 2])
    assert resolve(a, b, np.array([0]), 3, 2) == ({1}, 2)
    assert resolve(a, b, np.array([2]), 3, 2) == ({1}, 0)
